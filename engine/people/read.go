package people

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// Read returns the registry that a file holds. A file that is cut off, damaged, too long,
// of another version or of another secret is refused whole: the errors are ErrCorrupt,
// ErrVersion, ErrSecret, and those of the reader. No more memory is taken than the bytes
// that are there ask for.
func Read(from io.Reader, secret [32]byte) (*Registry, error) {
	return New(secret).read(from)
}

func (r *Registry) read(from io.Reader) (*Registry, error) {
	p := &parser{r: r, from: from, arms: []arm{{}}}
	if err := p.header(); err != nil {
		return nil, err
	}
	for ended := false; !ended; {
		if err := p.section(); err != nil {
			return nil, err
		}
		switch kind := p.byte(); kind {
		case sectionShard:
			p.shard()
		case sectionEnd:
			p.end()
			ended = true
		default:
			p.fail("no section of kind %q is known", kind)
		}
		if len(p.in) > 0 {
			p.fail("%d bytes are left in a section", len(p.in))
		}
		if p.err != nil {
			return nil, p.err
		}
	}
	if n, err := io.ReadFull(from, make([]byte, 1)); n > 0 {
		return nil, fmt.Errorf("%w: it goes on after its end", ErrCorrupt)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return r, nil
}

// A parser is a read under way. After the first error it reads nothing but zeros.
type parser struct {
	r        *Registry
	from     io.Reader
	checksum uint32
	buffer   bytes.Buffer
	in       []byte // the rest of the section
	arms     []arm  // by their number in the file
	members  []ref
	rows     []served
	err      error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
	}
	p.in = nil
}

// take reads n bytes of the file into the buffer, which grows with what is there.
func (p *parser) take(n int64) ([]byte, error) {
	p.buffer.Reset()
	got, err := io.CopyN(&p.buffer, p.from, n)
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it is cut off", ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("people: read %d of %d bytes: %w", got, n, err)
	}
	p.checksum = crc32.Update(p.checksum, castagnoli, p.buffer.Bytes())
	return p.buffer.Bytes(), nil
}

func (p *parser) header() error {
	b, err := p.take(int64(headerBytes))
	switch {
	case err != nil:
		return err
	case string(b[:len(magic)]) != magic:
		return fmt.Errorf("%w: it does not start as a file of people", ErrCorrupt)
	case b[len(magic)] != fileVersion:
		return fmt.Errorf("%w: %d, not %d", ErrVersion, b[len(magic)], fileVersion)
	case digestOf(b[len(magic)+1:]) != p.r.key.sum(""):
		return ErrSecret
	}
	return nil
}

// section reads the next section and checks it before anything in it is believed.
func (p *parser) section() error {
	b, err := p.take(4)
	if err != nil {
		return err
	}
	length := binary.LittleEndian.Uint32(b)
	if length > maxSection {
		return fmt.Errorf("%w: a section of %d bytes", ErrCorrupt, length)
	}
	before := p.checksum
	if b, err = p.take(int64(length) + 4); err != nil {
		return err
	}
	p.in = b[:length]
	if crc32.Update(before, castagnoli, p.in) != binary.LittleEndian.Uint32(b[length:]) {
		return fmt.Errorf("%w: the checksum is wrong", ErrCorrupt)
	}
	return nil
}

func (p *parser) bytes(n int) []byte {
	if n > len(p.in) {
		p.fail("a section ends too early")
		return nil
	}
	b := p.in[:n]
	p.in = p.in[n:]
	return b
}

func (p *parser) byte() byte {
	if b := p.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// number reads one that is below a limit.
func (p *parser) number(limit int) int {
	v, n := binary.Uvarint(p.in)
	if n <= 0 || v > math.MaxInt32 || int(v) >= limit {
		p.fail("a number is not below %d", limit)
		return 0
	}
	p.in = p.in[n:]
	return int(v)
}

// count reads the number of things that follow, of at least size bytes each.
func (p *parser) count(size int) int { return p.number(len(p.in)/size + 1) }

func (p *parser) name() string { return string(p.bytes(p.count(1))) }

func (p *parser) shard() {
	for range p.count(2) {
		experiment, variant := p.name(), p.name()
		p.arms = append(p.arms, newArm(experiment, variant))
	}
	for range p.count(digestBytes + 1) {
		b := p.bytes(digestBytes)
		if p.err != nil {
			return
		}
		hash := digestOf(b)
		p.block(1)
		if len(p.rows) == 0 {
			p.fail("somebody unlinked has no enrolment")
			return
		}
		p.r.takeIn(hash, p.rows)
	}
	for p.err == nil {
		n := p.number(math.MaxInt32)
		if n == 0 {
			return
		}
		p.person(n)
	}
}

// person reads one of n members.
func (p *parser) person(n int) {
	if n < 2 || n > len(p.in)/2 {
		p.fail("a person of %d identifiers", n)
		return
	}
	var first, last string
	p.members = p.members[:0]
	for i := range n {
		text := string(p.bytes(int(p.byte()) + 1))
		if p.err != nil {
			return
		}
		switch {
		case i == 0:
			first = text
		case text <= last:
			p.fail("identifiers are out of order")
			return
		default:
			p.r.link(first, text)
		}
		last = text
		if i == 1 {
			m, _ := p.r.find(first)
			p.members = append(p.members, m)
		}
		if i > 0 {
			m, _ := p.r.find(text)
			p.members = append(p.members, m)
		}
	}
	p.block(n)
	if p.err != nil || len(p.rows) == 0 {
		return
	}
	for i := range p.rows {
		p.rows[i].key = p.members[p.rows[i].key]
	}
	owner := p.r.member(p.members[0]).owner
	s, at := &p.r.shards[owner.shard()], &p.r.person(owner).block
	p.r.replace(s, at, p.r.tidy(s.ledger.load(p.rows, *at)))
}

// block reads enrolments into rows, whose keys are numbers below keys.
func (p *parser) block(keys int) {
	p.rows = p.rows[:0]
	for range p.count(3) {
		at, n := binary.Varint(p.in)
		if n <= 0 {
			p.fail("a time is damaged")
			return
		}
		p.in = p.in[n:]
		row := served{at: at}
		if a := p.number(len(p.arms)); a != none {
			row.arm = p.r.arms.number(p.arms[a])
		}
		row.key = ref(narrow(p.number(keys)))
		p.rows = append(p.rows, row)
	}
}

// takeIn adds the enrolments of somebody unlinked.
func (r *Registry) takeIn(hash digest, rows []served) {
	s := &r.shards[r.shardOf(hash.low)]
	place, ok := s.unlinked.find(hash)
	if !ok {
		place = s.unlinked.add(hash)
	}
	at := &s.unlinked.entries[place].block
	r.replace(s, at, r.tidy(s.ledger.load(rows, *at)))
}

func (p *parser) end() {
	var retired []string
	for range p.count(1) {
		retired = append(retired, p.name())
	}
	if p.err == nil {
		p.r.Retire(retired...)
	}
}
