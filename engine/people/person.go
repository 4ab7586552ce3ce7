package people

import "time"

// A Person is what was known of one person when Find was asked. It is read without a
// lock and never changes; its texts share memory with the registry.
type Person struct {
	root, key string
	linked    bool
	rows      []served
	arms      []arm
}

// Find finds the person behind an identifier. One of whom nothing is known is a person
// too, with that identifier and no enrolment.
func (r *Registry) Find(identifier string) Person {
	r.mu.RLock()
	defer r.mu.RUnlock()
	found := Person{root: identifier, key: identifier, arms: r.arms.arms}
	if m, ok := r.find(identifier); ok {
		p := r.member(m).owner
		known := r.person(p)
		found.root, found.linked = r.text(known.root), true
		found.key = found.root
		if known.block != 0 {
			found.rows = r.shards[p.shard()].ledger.rowsAt(known.block)
			if !r.arms.aside(&found.rows[0]) {
				found.key = r.text(found.rows[0].key)
			}
		}
		return found
	}
	if r.stats.Enrolled == 0 || !valid(identifier) {
		return found
	}
	if s, place, ok := r.enrolled(identifier); ok {
		found.rows = s.ledger.rowsAt(s.unlinked.entries[place].block)
	}
	return found
}

// Root is the bytewise smallest identifier: the customer_id of the database.
func (p *Person) Root() string { return p.root }

// Key is the assignment key for experiments that the person is not enrolled in.
func (p *Person) Key() string { return p.key }

// Linked reports whether the person has another identifier.
func (p *Person) Linked() bool { return p.linked }

// First is the time of the earliest enrolment ever; ok is false without any.
func (p *Person) First() (at time.Time, ok bool) {
	if len(p.rows) == 0 || p.arms[p.rows[0].arm&^more].aside {
		return time.Time{}, false
	}
	return time.UnixMicro(p.rows[0].at).UTC(), true
}

// Enrolled finds the enrolment that serves an experiment.
func (p *Person) Enrolled(experiment string) (variant string, at time.Time, ok bool) {
	for i := range p.rows {
		row := &p.rows[i]
		if a := &p.arms[row.arm&^more]; row.arm&^more != none && a.experiment == experiment {
			return a.variant, time.UnixMicro(row.at).UTC(), true
		}
		if row.arm&more == 0 {
			break
		}
	}
	return "", time.Time{}, false
}

// Enrolments ranges over the enrolments that serve, the earliest first; Customer and Key
// are empty.
func (p *Person) Enrolments(yield func(Enrolment) bool) {
	for _, row := range p.rows {
		n := row.arm &^ more
		a := p.arms[n]
		if n != none && !yield(Enrolment{Experiment: a.experiment, Variant: a.variant, At: time.UnixMicro(row.at).UTC()}) {
			return
		}
		if row.arm&more == 0 {
			return
		}
	}
}

// KeyIn is the assignment key of the enrolment that serves an experiment, of the person
// behind an identifier; without such an enrolment the person's own key.
func (r *Registry) KeyIn(identifier, experiment string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, ok := r.find(identifier)
	if !ok {
		return identifier
	}
	p := r.member(m).owner
	known := r.person(p)
	if known.block == 0 {
		return r.text(known.root)
	}
	rows := r.shards[p.shard()].ledger.rowsAt(known.block)
	for i := range rows {
		if n := rows[i].arm &^ more; n != none && r.arms.arms[n].experiment == experiment {
			return r.text(rows[i].key)
		}
		if rows[i].arm&more == 0 {
			break
		}
	}
	if r.arms.aside(&rows[0]) {
		return r.text(known.root)
	}
	return r.text(rows[0].key)
}
