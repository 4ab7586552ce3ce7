package people

import "strings"

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
	return valid(identifier) && r.drop(r.key.sum(identifier))
}

// Digest is the hash by which ForgetHashed knows an identifier.
func (r *Registry) Digest(identifier string) Digest { return r.key.digest(identifier) }

// ForgetHashed is Forget for those of whom only the digest of an identifier is left. It
// looks at every linked identifier, and lets others in between.
func (r *Registry) ForgetHashed(digests ...Digest) {
	erased := make(map[digest]bool, len(digests))
	for _, d := range digests {
		erased[digestOf(d[:])] = true
	}
	// First those without a link: one that is linked from here on is found below.
	r.mu.Lock()
	for hash := range erased {
		if r.drop(hash) {
			r.forgotten++
		}
	}
	r.mu.Unlock()
	var linked []string
	for i := range r.shards {
		r.mu.RLock()
		d := &r.shards[i].linked
		for place := range d.members {
			if d.members[place].text == vacant {
				continue
			}
			if text := d.text(narrow(place)); erased[r.key.sum(text)] {
				linked = append(linked, strings.Clone(text))
			}
		}
		r.mu.RUnlock()
	}
	r.Forget(linked...)
}

// drop drops the enrolments of an identifier that is not linked.
func (r *Registry) drop(hash digest) bool {
	s := &r.shards[r.shardOf(hash.low)]
	place, ok := s.unlinked.find(hash)
	if ok {
		r.replace(s, &s.unlinked.entries[place].block, nil)
		s.unlinked.remove(place)
	}
	return ok
}
