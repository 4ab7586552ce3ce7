package people

// A roll holds the enrolled identifiers of a shard that are not linked, by their hash:
// open addressing with linear probing, the entries in the slots, so that finding one
// mostly costs one access to memory.
type roll struct {
	entries []entry
	used    int
}

// An entry without a block is an empty slot.
type entry struct {
	digest
	block block
}

// home is the place where the search for a hash starts.
func (l *roll) home(hash digest) int {
	return int((hash.high >> 32) * uint64(len(l.entries)) >> 32)
}

func (l *roll) next(place int) int {
	if place++; place == len(l.entries) {
		return 0
	}
	return place
}

// find finds the place of a hash, or where it would be.
func (l *roll) find(hash digest) (place int, ok bool) {
	if len(l.entries) == 0 {
		return 0, false
	}
	for place = l.home(hash); l.entries[place].block != 0; place = l.next(place) {
		if l.entries[place].digest == hash {
			return place, true
		}
	}
	return place, false
}

// add adds a hash that is not in the roll. The caller gives it a block at once.
func (l *roll) add(hash digest) (place int) {
	if l.used++; l.used*4 > len(l.entries)*3 {
		old := l.entries
		l.entries = make([]entry, max(minSlots, len(old)+len(old)/4))
		for _, e := range old {
			if e.block != 0 {
				place, _ = l.find(e.digest)
				l.entries[place] = e
			}
		}
	}
	place, _ = l.find(hash)
	l.entries[place].digest = hash
	return place
}

// remove empties a place, whose block the caller has dropped, and moves those behind it
// that were pushed past it.
func (l *roll) remove(place int) {
	l.used--
	for at := l.next(place); l.entries[at].block != 0; at = l.next(at) {
		if pushed(l.home(l.entries[at].digest), place, at) {
			l.entries[place], place = l.entries[at], at
		}
	}
	l.entries[place] = entry{}
}
