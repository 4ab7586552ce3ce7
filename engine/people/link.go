package people

import (
	"hash/maphash"
	"slices"
)

// Link makes a customer and identifiers one person, and all people they were part of.
func (r *Registry) Link(customer string, identifiers ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, identifier := range identifiers {
		r.link(customer, identifier)
	}
}

func (r *Registry) link(a, b string) {
	if a != b && valid(a) && valid(b) {
		r.unite(r.join(a), r.join(b))
	}
}

// join returns the person of an identifier; for one that is not linked, a new one of
// this identifier alone with the enrolments it has. The caller unites it with another.
func (r *Registry) join(identifier string) ref {
	if m, ok := r.find(identifier); ok {
		return r.member(m).owner
	}
	s := r.shardOf(maphash.String(r.seed, identifier))
	m := refTo(s, r.shards[s].linked.add(r.seed, identifier))
	p := r.settle(s, person{root: m})
	r.member(m).owner, r.member(m).next = p, m
	r.stats.Linked++
	if from, place, ok := r.enrolled(identifier); ok {
		at := &from.unlinked.entries[place].block
		r.list = from.ledger.load(r.list[:0], *at)
		for i := range r.list {
			r.list[i].key = m
		}
		r.replace(&r.shards[s], &r.person(p).block, r.list)
		r.replace(from, at, nil)
		from.unlinked.remove(place)
	}
	return p
}

// settle gives a person a place in a shard.
func (r *Registry) settle(shard uint32, p person) ref {
	s := &r.shards[shard]
	if n := len(s.free); n > 0 {
		place := s.free[n-1]
		s.free = s.free[:n-1]
		s.people[place] = p
		return refTo(shard, place)
	}
	s.people = push(s.people, p)
	return refTo(shard, narrow(len(s.people)-1))
}

// leave frees the place of a person and drops their enrolments.
func (r *Registry) leave(p ref) {
	s := &r.shards[p.shard()]
	gone := &s.people[p.place()]
	r.replace(s, &gone.block, nil)
	gone.root = nobody
	s.free = append(s.free, p.place())
}

// unite makes two people one: the identifiers of the smaller are pointed to the larger.
func (r *Registry) unite(larger, smaller ref) {
	if larger == smaller {
		return
	}
	if r.shorter(larger, smaller) {
		larger, smaller = smaller, larger
	}
	to, from := r.person(larger), r.person(smaller)
	for m := range r.ring(from.root) {
		r.member(m).owner = larger
	}
	a, b := r.member(to.root), r.member(from.root)
	a.next, b.next = b.next, a.next
	if r.text(from.root) < r.text(to.root) {
		to.root = from.root
	}
	if from.block != 0 {
		r.list = r.shards[larger.shard()].ledger.load(r.list[:0], to.block)
		r.list = r.shards[smaller.shard()].ledger.load(r.list, from.block)
		r.replace(&r.shards[larger.shard()], &to.block, r.tidy(r.list))
	}
	r.leave(smaller)
	r.touch(larger)
}

// shorter reports whether the ring of p ends before that of q does.
func (r *Registry) shorter(p, q ref) bool {
	a, b := r.person(p).root, r.person(q).root
	for i, j := a, b; ; {
		i, j = r.member(i).next, r.member(j).next
		if j == b {
			return false
		}
		if i == a {
			return true
		}
	}
}

// ring ranges over the members of a person from one of them.
func (r *Registry) ring(from ref) func(yield func(ref) bool) {
	return func(yield func(ref) bool) {
		for m := from; ; {
			next := r.member(m).next
			if !yield(m) || next == from {
				return
			}
			m = next
		}
	}
}

// Members returns the identifiers of the person behind an identifier, sorted.
func (r *Registry) Members(identifier string) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, ok := r.find(identifier)
	if !ok {
		return []string{identifier}
	}
	var members []string
	for m := range r.ring(m) {
		members = append(members, r.text(m))
	}
	slices.Sort(members)
	return members
}
