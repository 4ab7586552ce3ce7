package people

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteTo writes all that is known when it is called, and perhaps some of what came since.
// It holds the registry shard by shard only, never while w works. Texts are written of
// linked identifiers alone. When a person is erased meanwhile it returns ErrErased, and
// what was written must be thrown away.
func (r *Registry) WriteTo(w io.Writer) (int64, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	f := &file{r: r, w: w}
	r.mu.RLock()
	forgotten := r.forgotten
	r.mu.RUnlock()
	f.out = append(f.out, magic...)
	f.out = append(f.out, fileVersion)
	f.out = r.key.sum("").append(f.out)
	err := f.flush()
	for i := 0; err == nil && i < len(r.shards); i++ {
		err = f.section(func() {
			s := &r.shards[i]
			f.arms()
			f.unlinked(s)
			f.people(func(yield func(ref) bool) {
				for place := range s.people {
					if !yield(refTo(narrow(i), narrow(place))) {
						return
					}
				}
			})
			r.written = i + 1 // seen by writers only, who are kept out
		})
	}
	if err == nil {
		err = f.section(func() {
			f.arms()
			f.unlinked(&shard{})
			slices.Sort(r.moved)
			f.people(slices.Values(slices.Compact(r.moved)))
			r.written = 0
		})
	}
	if err == nil {
		err = f.section(f.end)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved, r.written = nil, 0
	if err == nil && r.forgotten != forgotten {
		err = ErrErased
	}
	return f.size, err
}

// touch notes that a person changed, whom a write under way may take for written.
func (r *Registry) touch(p ref) {
	if int(p.shard()) < r.written {
		r.moved = append(r.moved, p)
	}
}

// A file is a write under way.
type file struct {
	r        *Registry
	w        io.Writer
	out      []byte // not yet written
	checksum uint32
	size     int64
	known    int // arms written
	members  []ref
	rows     []served
}

// flush writes out.
func (f *file) flush() error {
	f.checksum = crc32.Update(f.checksum, castagnoli, f.out)
	n, err := f.w.Write(f.out)
	f.size += int64(n)
	f.out = f.out[:0]
	return err
}

// section writes what fill appends to out, which has the registry for itself meanwhile.
func (f *file) section(fill func()) error {
	f.out = append(f.out[:0], 0, 0, 0, 0)
	f.r.mu.RLock()
	fill()
	f.r.mu.RUnlock()
	length := len(f.out) - 4
	if length > maxSection {
		return ErrTooLong
	}
	binary.LittleEndian.PutUint32(f.out, narrow(length))
	if err := f.flush(); err != nil {
		return err
	}
	f.out = binary.LittleEndian.AppendUint32(f.out, f.checksum)
	return f.flush()
}

func (f *file) number(n int) {
	f.out = binary.AppendUvarint(f.out, uint64(n)) //nolint:gosec // A number of things is not negative.
}

func (f *file) name(text string) {
	f.number(len(text))
	f.out = append(f.out, text...)
}

// arms writes those that came since the last section.
func (f *file) arms() {
	f.out = append(f.out, sectionShard)
	all := f.r.arms.arms[1:]
	f.number(len(all) - f.known)
	for _, a := range all[f.known:] {
		f.name(a.experiment)
		f.name(a.variant)
	}
	f.known = len(all)
}

func (f *file) unlinked(s *shard) {
	f.members = f.members[:0]
	f.number(s.unlinked.used)
	for _, e := range s.unlinked.entries {
		if e.block != 0 {
			f.out = e.append(f.out)
			f.block(s, e.block)
		}
	}
}

// people writes those of some places that are people: their number of members, which is
// at least 2, the texts and the enrolments. A member count of 0 ends the list.
func (f *file) people(places func(yield func(ref) bool)) {
	for p := range places {
		known := f.r.person(p)
		if known.root == nobody {
			continue
		}
		f.members = f.members[:0]
		for m := range f.r.ring(known.root) {
			f.members = append(f.members, m)
		}
		slices.SortFunc(f.members, f.byText)
		f.number(len(f.members))
		for _, m := range f.members {
			text := f.r.text(m)
			f.out = append(f.out, lengthByte(text))
			f.out = append(f.out, text...)
		}
		f.block(&f.r.shards[p.shard()], known.block)
	}
	f.number(0)
}

func (f *file) byText(a, b ref) int { return strings.Compare(f.r.text(a), f.r.text(b)) }

// block writes enrolments: how many, then time, arm and which member is the key.
func (f *file) block(s *shard, b block) {
	f.rows = s.ledger.load(f.rows[:0], b)
	f.number(len(f.rows))
	for _, row := range f.rows {
		f.out = binary.AppendVarint(f.out, row.at)
		f.number(int(row.arm))
		key := 0
		if len(f.members) > 0 {
			key, _ = slices.BinarySearchFunc(f.members, row.key, f.byText)
		}
		f.number(key)
	}
}

func (f *file) end() {
	f.out = append(f.out, sectionEnd)
	f.number(len(f.r.arms.retired))
	for _, experiment := range slices.Sorted(maps.Keys(f.r.arms.retired)) {
		f.name(experiment)
	}
}
