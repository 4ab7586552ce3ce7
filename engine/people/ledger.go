package people

import (
	"cmp"
	"slices"
	"strings"
)

// A ledger holds the enrolments of a shard in blocks, one for each who is enrolled. A
// block is written once and never changed, so that it can be read without a lock; what
// is dropped is left behind by the next sweep.
type ledger struct {
	rows    []served
	dropped int
}

// A block is where the enrolments of one person start, plus 1; 0 is no enrolment.
type block uint32

// A served is an enrolment that serves, or the earliest ever of a person where its
// experiment was retired. Those aside come after all others.
type served struct {
	at  int64  // microseconds since 1970
	arm uint32 // its number; the flag more says that another row of the block follows
	key ref    // the identifier; 0 in the roll, where it is the customer's own
}

const more = 1 << 31

// rowsAt are the rows from the start of a block; the block ends at the first without more.
func (l *ledger) rowsAt(b block) []served { return l.rows[b-1:] }

// load appends the enrolments of a block to a list.
func (l *ledger) load(list []served, b block) []served {
	if b == 0 {
		return list
	}
	for _, row := range l.rowsAt(b) {
		follows := row.arm&more != 0
		row.arm &^= more
		list = append(list, row)
		if !follows {
			break
		}
	}
	return list
}

func (l *ledger) store(list []served) block {
	if len(list) == 0 {
		return 0
	}
	b := block(narrow(len(l.rows)) + 1)
	for i, row := range list {
		if i < len(list)-1 {
			row.arm |= more
		}
		l.rows = push(l.rows, row)
	}
	return b
}

// tidy brings a list into the one order and form it has however it came about: the
// earliest ever first, then one for each experiment. It changes list.
func (r *Registry) tidy(list []served) []served {
	list = slices.DeleteFunc(list, func(row served) bool { return r.arms.gone[row.arm] && r.arms.aside(&row) })
	if len(list) == 0 {
		return list
	}
	for i := range list {
		if r.arms.gone[list[i].arm] {
			list[i].arm = none
		}
	}
	slices.SortFunc(list, r.compare)
	kept := list[:1]
	for _, row := range list[1:] {
		if row.arm != none && !r.serves(kept, row.arm) {
			kept = append(kept, row)
		}
	}
	if len(kept) > 1 && kept[0].arm == none && kept[0].at == kept[1].at && kept[0].key == kept[1].key && !r.arms.aside(&kept[1]) {
		return kept[1:]
	}
	return kept
}

func (r *Registry) compare(a, b served) int {
	if aside := r.arms.aside(&a); aside != r.arms.aside(&b) {
		if aside {
			return 1
		}
		return -1
	}
	if c := cmp.Compare(a.at, b.at); c != 0 {
		return c
	}
	if a.key != b.key {
		return strings.Compare(r.text(a.key), r.text(b.key))
	}
	x, y := r.arms.arms[a.arm], r.arms.arms[b.arm]
	return cmp.Or(strings.Compare(x.experiment, y.experiment), strings.Compare(x.variant, y.variant))
}

// serves reports whether one of a list is of the experiment of an arm.
func (r *Registry) serves(list []served, arm uint32) bool {
	experiment := r.arms.arms[arm].experiment
	return slices.ContainsFunc(list, func(row served) bool { return r.arms.arms[row.arm].experiment == experiment })
}

// replace makes list the enrolments of whom at belongs to, in their shard.
func (r *Registry) replace(s *shard, at *block, list []served) {
	l := &s.ledger
	if *at != 0 {
		before, rows := l.count(*at)
		l.dropped += rows
		r.stats.Enrolments -= before
		r.stats.Enrolled--
	}
	for i := range list {
		r.arms.enter(&list[i])
	}
	*at = l.store(list)
	if *at != 0 {
		now, _ := l.count(*at)
		r.stats.Enrolments += now
		r.stats.Enrolled++
	}
	if l.dropped > 64 && l.dropped > len(l.rows)/3 {
		r.sweep(s)
	}
}

// count counts the enrolments of a block, and its rows.
func (l *ledger) count(b block) (enrolments, rows int) {
	for _, row := range l.rowsAt(b) {
		rows++
		if row.arm&^more != none {
			enrolments++
		}
		if row.arm&more == 0 {
			break
		}
	}
	return enrolments, rows
}

// sweep writes the ledger of a shard anew, without what was dropped or retired.
func (r *Registry) sweep(s *shard) {
	old := s.ledger
	s.ledger = ledger{rows: make([]served, 0, len(old.rows)-old.dropped)}
	var list []served
	move := func(at *block) {
		if *at == 0 {
			return
		}
		before, _ := old.count(*at)
		list = r.tidy(old.load(list[:0], *at))
		r.stats.Enrolments -= before
		if *at = s.ledger.store(list); *at == 0 {
			r.stats.Enrolled--
			return
		}
		now, _ := s.ledger.count(*at)
		r.stats.Enrolments += now
	}
	var left []digest // those of whom nothing is kept any more
	for i := range s.unlinked.entries {
		e := &s.unlinked.entries[i]
		had := e.block
		if move(&e.block); e.block != had && e.block == 0 {
			e.block = had // until the search does not pass here any more
			left = append(left, e.digest)
		}
	}
	for _, hash := range left {
		place, _ := s.unlinked.find(hash)
		s.unlinked.remove(place)
	}
	for i := range s.people {
		move(&s.people[i].block)
	}
}
