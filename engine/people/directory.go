package people

import (
	"hash/maphash"
	"strings"
)

// A directory holds the linked identifiers of a shard.
type directory struct {
	index
	members []member
	free    []uint32 // places in members
	// A builder, because its text never moves under those who hold a part of it.
	texts *strings.Builder
}

// A member is a linked identifier of a person.
type member struct {
	text  uint32 // where its text starts: a byte of its length less 1, then the text
	owner ref    // the person
	next  ref    // the next member in the ring of the person
}

// vacant is the text of a free place.
const vacant = ^uint32(0)

func (d *directory) text(place uint32) string {
	rest := d.texts.String()[d.members[place].text:]
	return rest[1 : 2+int(rest[0])]
}

func (d *directory) find(hash uint64, identifier string) (place uint32, ok bool) {
	_, place, ok = d.index.find(hash, func(place uint32) bool { return d.text(place) == identifier })
	return place, ok
}

// add adds an identifier that is not in the directory.
func (d *directory) add(seed maphash.Seed, identifier string) (place uint32) {
	m := member{text: d.write(identifier)}
	if n := len(d.free); n > 0 {
		place, d.free = d.free[n-1], d.free[:n-1]
		d.members[place] = m
	} else {
		place = narrow(len(d.members))
		d.members = push(d.members, m)
	}
	d.index.add(place, d.hashes(seed))
	return place
}

// hashes tells the hash of the text at a place.
func (d *directory) hashes(seed maphash.Seed) func(place uint32) uint64 {
	return func(place uint32) uint64 { return maphash.String(seed, d.text(place)) }
}

// write appends the text of an identifier and returns where it starts.
func (d *directory) write(identifier string) uint32 {
	need := 1 + len(identifier)
	if d.texts == nil {
		d.texts = textsOf(4*need, "")
	} else if n := d.texts.Len(); n+need > d.texts.Cap() {
		d.texts = textsOf(n+n/8+4*need, d.texts.String())
	}
	start := d.texts.Len()
	d.texts.WriteByte(lengthByte(identifier))
	d.texts.WriteString(identifier)
	return narrow(start)
}

// lengthByte is the length of an identifier less 1, as it stands before its text.
func lengthByte(identifier string) byte {
	return byte(len(identifier) - 1) //nolint:gosec // An identifier has 1 to 256 bytes.
}

func textsOf(size int, text string) *strings.Builder {
	var b strings.Builder
	b.Grow(size)
	b.WriteString(text)
	return &b
}

// remove frees the place of an identifier. Its text stays until clean.
func (d *directory) remove(seed maphash.Seed, place uint32) {
	hashes := d.hashes(seed)
	slot, _, _ := d.index.find(hashes(place), func(other uint32) bool { return other == place })
	d.index.remove(slot, hashes)
	d.members[place] = member{text: vacant}
	d.free = append(d.free, place)
}

// clean leaves the texts of removed identifiers behind.
func (d *directory) clean() {
	old := d.texts.String()
	d.texts = textsOf(len(old), "")
	for place := range d.members {
		if m := &d.members[place]; m.text != vacant {
			text := old[m.text:]
			m.text = narrow(d.texts.Len())
			d.texts.WriteString(text[:2+int(text[0])])
		}
	}
}
