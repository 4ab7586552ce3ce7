// Package assign is the arithmetic of assignment: integers only, the same in any
// language and any database, frozen by testdata/vectors.json.
//
// Every draw starts from U32(salt, id). Salts differ between layers, experiments and
// holdouts, so draws are independent of one another.
package assign

import (
	"crypto/sha256"
	"encoding/binary"
)

// SlotCount is the number of slots of a layer, and of parts of a share.
const SlotCount = 10_000

// U32 is the first four bytes, big-endian, of SHA-256 of the UTF-8 text salt + ":" + id.
func U32(salt, id string) uint32 {
	// Most salts and identifiers fit, and then nothing is allocated.
	text := make([]byte, 0, 320)
	text = append(append(append(text, salt...), ':'), id...)
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint32(sum[:4])
}

// Slot is the slot of a key in a layer, in 0 … 9,999: U32 * 10,000 >> 32.
func Slot(salt, key string) int {
	return int(uint64(U32(salt, key)) * SlotCount >> 32)
}

// Pick is the index of the variant that key gets: the cumulative weights are walked in
// stored order to U32 * total >> 32. Weights are at least 1 and their total below 2^32.
func Pick(salt, key string, weights []int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	target := int(uint64(U32(salt, key)) * uint64(total) >> 32)
	for i, w := range weights {
		if target < w {
			return i
		}
		target -= w
	}
	return len(weights) - 1
}

// Slots is a set of slots as half-open ranges [from, to), ascending and disjoint.
type Slots [][2]int

// Contains reports whether slot is in the set.
func (s Slots) Contains(slot int) bool {
	for _, r := range s {
		if slot >= r[0] && slot < r[1] {
			return true
		}
	}
	return false
}

// Count is the number of slots in the set.
func (s Slots) Count() int {
	n := 0
	for _, r := range s {
		n += r[1] - r[0]
	}
	return n
}

// Grow returns own and the lowest slots that neither own nor any of taken holds, so
// that the result has size slots. It moves no slot of own. ok is false when too few are free.
func Grow(own Slots, size int, taken ...Slots) (grown Slots, ok bool) {
	var used, mine [SlotCount]bool
	mark := func(set Slots, into *[SlotCount]bool) {
		for _, r := range set {
			for slot := r[0]; slot < r[1]; slot++ {
				into[slot] = true
			}
		}
	}
	mark(own, &mine)
	for _, set := range taken {
		mark(set, &used)
	}
	missing := size - own.Count()
	for slot := 0; slot < SlotCount && missing > 0; slot++ {
		if !used[slot] && !mine[slot] {
			mine[slot] = true
			missing--
		}
	}
	for slot := range SlotCount {
		if !mine[slot] {
			continue
		}
		if n := len(grown); n > 0 && grown[n-1][1] == slot {
			grown[n-1][1]++
		} else {
			grown = append(grown, [2]int{slot, slot + 1})
		}
	}
	return grown, missing <= 0
}
