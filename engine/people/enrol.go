package people

import (
	"slices"
	"time"
)

// An Enrolment of a customer in an experiment, served under the identifier Key. At counts
// to the microsecond; what is finer is cut off.
type Enrolment struct {
	Customer, Experiment, Variant, Key string
	At                                 time.Time
}

// Enrol takes an enrolment in. It is recorded unless the person has that one, or one that
// goes before it in the same experiment. One in a retired experiment is recorded when it
// is the earliest ever of the person and not in a comparison aside.
func (r *Registry) Enrol(e Enrolment) (recorded bool) {
	if !valid(e.Customer) || !valid(e.Key) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link(e.Customer, e.Key)
	to := newArm(e.Experiment, e.Variant)
	row := served{at: e.At.UnixMicro(), arm: r.arms.number(to)}
	if to.aside && row.arm == none {
		return false
	}
	if _, ok := r.find(e.Customer); ok {
		key, _ := r.find(e.Key)
		row.key = key
		p := r.member(key).owner
		return r.enter(&r.shards[p.shard()], &r.person(p).block, row)
	}
	hash := r.key.sum(e.Customer)
	s := &r.shards[r.shardOf(hash.low)]
	place, ok := s.unlinked.find(hash)
	if !ok {
		place = s.unlinked.add(hash)
	}
	return r.enter(s, &s.unlinked.entries[place].block, row)
}

// enter adds a row to the enrolments at a block and reports whether that changed them.
func (r *Registry) enter(s *shard, at *block, row served) bool {
	had := s.ledger.load(nil, *at)
	r.list = r.tidy(append(append(r.list[:0], had...), row))
	if slices.Equal(had, r.list) {
		return false
	}
	r.replace(s, at, r.list)
	return true
}
