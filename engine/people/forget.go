package people

// Forget erases the people behind identifiers: their identifiers, links and enrolments.
// A write that is under way fails, as its file could still hold them.
func (r *Registry) Forget(identifiers ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, identifier := range identifiers {
		if r.forget(identifier) {
			r.forgotten++
		}
	}
}

func (r *Registry) forget(identifier string) bool {
	if m, ok := r.find(identifier); ok {
		p := r.member(m).owner
		touched := map[uint32]bool{}
		for m := range r.ring(m) {
			r.shards[m.shard()].linked.remove(r.seed, m.place())
			touched[m.shard()] = true
			r.stats.Linked--
		}
		r.leave(p)
		for s := range touched {
			r.shards[s].linked.clean()
		}
		return true
	}
	if !valid(identifier) {
		return false
	}
	s, place, ok := r.enrolled(identifier)
	if ok {
		r.replace(s, &s.unlinked.entries[place].block, nil)
		s.unlinked.remove(place)
	}
	return ok
}
