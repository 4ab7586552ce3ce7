package people

// A roll holds the enrolled identifiers of a shard that are not linked, by their hash.
type roll struct {
	index
	entries []entry
	free    []uint32 // places in entries
}

// An entry without a block is free.
type entry struct {
	digest
	block block
}

func (l *roll) find(hash digest) (place uint32, ok bool) {
	_, place, ok = l.index.find(hash.high, func(place uint32) bool { return l.entries[place].digest == hash })
	return place, ok
}

func (l *roll) hash(place uint32) uint64 { return l.entries[place].high }

// add adds a hash that is not in the roll. The caller gives it a block.
func (l *roll) add(hash digest) (place uint32) {
	if n := len(l.free); n > 0 {
		place, l.free = l.free[n-1], l.free[:n-1]
		l.entries[place].digest = hash
	} else {
		place = narrow(len(l.entries))
		l.entries = push(l.entries, entry{digest: hash})
	}
	l.index.add(place, l.hash)
	return place
}

// remove frees a place, whose block the caller has dropped.
func (l *roll) remove(place uint32) {
	slot, _, _ := l.index.find(l.hash(place), func(other uint32) bool { return other == place })
	l.index.remove(slot, l.hash)
	l.entries[place] = entry{}
	l.free = append(l.free, place)
}
