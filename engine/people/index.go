package people

// An index finds places by hash: open addressing with linear probing. A slot is 0, or a
// tag of 10 bits of the hash and a place plus 1 of 22 bits.
type index struct {
	slots []uint32
	used  int
}

const (
	placeBits = 22
	tagBits   = 10
	placeMask = 1<<placeBits - 1
	minSlots  = 8
)

// home is the slot where the search for a hash starts, from its upper half.
func (x *index) home(hash uint64) int { return int((hash >> 32) * uint64(len(x.slots)) >> 32) }

// tag is of bits that choose neither the shard nor the home.
func tag(hash uint64) uint32 { return uint32(hash>>shardBits&(1<<tagBits-1)) << placeBits }

// find finds the place with this hash for which same holds.
func (x *index) find(hash uint64, same func(place uint32) bool) (slot int, place uint32, ok bool) {
	if len(x.slots) == 0 {
		return 0, 0, false
	}
	want := tag(hash)
	for slot = x.home(hash); x.slots[slot] != 0; slot = x.next(slot) {
		if s := x.slots[slot]; s&^placeMask == want && same(s&placeMask-1) {
			return slot, s&placeMask - 1, true
		}
	}
	return 0, 0, false
}

// add adds a place that is not in the index; hash tells those of all places.
func (x *index) add(place uint32, hash func(place uint32) uint64) {
	if place >= placeMask {
		panic("people: more than 4 million identifiers in one shard")
	}
	if x.used++; x.used*5 > len(x.slots)*4 {
		old := x.slots
		x.slots = make([]uint32, max(minSlots, len(old)+len(old)/4))
		for _, s := range old {
			if s != 0 {
				x.put(s&placeMask-1, hash)
			}
		}
	}
	x.put(place, hash)
}

func (x *index) put(place uint32, hash func(place uint32) uint64) {
	h := hash(place)
	slot := x.home(h)
	for x.slots[slot] != 0 {
		slot = x.next(slot)
	}
	x.slots[slot] = tag(h) | (place + 1)
}

// remove empties a slot and moves those behind it that were pushed past it.
func (x *index) remove(slot int, hash func(place uint32) uint64) {
	x.used--
	for at := x.next(slot); x.slots[at] != 0; at = x.next(at) {
		if pushed(x.home(hash(x.slots[at]&placeMask-1)), slot, at) {
			x.slots[slot], slot = x.slots[at], at
		}
	}
	x.slots[slot] = 0
}

// pushed reports whether what has a home and lies at a slot may move to an empty slot
// before it: the search from its home passes there.
func pushed(home, empty, at int) bool {
	if at < empty { // the search went round the end
		return home <= empty && home > at
	}
	return home <= empty || home > at
}

func (x *index) next(slot int) int {
	if slot++; slot == len(x.slots) {
		return 0
	}
	return slot
}

// narrow makes a number of things in one shard short: places end at 4 million, texts at
// 257 bytes for each, and rows of 16 bytes with the memory of the machine.
func narrow(n int) uint32 {
	return uint32(n) //nolint:gosec // As said.
}

// push appends, in space that grows by an eighth: arrays are large and many.
func push[T any](list []T, v T) []T {
	if len(list) == cap(list) {
		list = append(make([]T, 0, len(list)+len(list)/8+4), list...)
	}
	return append(list, v)
}
