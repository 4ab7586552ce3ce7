package people

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// small is a registry with something of all that a file holds.
func small() *Registry {
	r := sized(secret, 1)
	r.Enrol(enrolment("alone", "tone", "warm", "alone", 0))
	r.Enrol(enrolment("alone", "offer", "control", "alone", 1))
	r.Link("c42", "cookie:9f3a", "card:991")
	r.Enrol(enrolment("c42", "tone", "control", "cookie:9f3a", 2))
	r.Link("x", "y")
	r.Enrol(enrolment("old", "done", "warm", "old", -1))
	r.Retire("done")
	return r
}

func written(tb testing.TB, r *Registry) []byte {
	tb.Helper()
	var file bytes.Buffer
	if _, err := r.WriteTo(&file); err != nil {
		tb.Fatal(err)
	}
	return file.Bytes()
}

// forge is a file of sections whose checksums are right.
func forge(sections ...string) []byte {
	file := append([]byte(magic), fileVersion)
	file = New(secret).key.sum("").append(file)
	for _, s := range sections {
		file = append(binary.LittleEndian.AppendUint32(file, uint32(len(s))), s...)
		file = binary.LittleEndian.AppendUint32(file, crc32.Checksum(file, castagnoli))
	}
	return file
}

func TestReadRefusesDamage(t *testing.T) {
	whole := written(t, small())
	if _, err := Read(bytes.NewReader(whole), secret); err != nil {
		t.Fatal(err)
	}
	refused := func(file []byte) bool {
		r, err := Read(bytes.NewReader(file), secret)
		return r == nil && (errors.Is(err, ErrCorrupt) || errors.Is(err, ErrVersion) || errors.Is(err, ErrSecret))
	}
	for n := range whole {
		if !refused(whole[:n]) {
			t.Errorf("cut off after %d of %d bytes it was not refused", n, len(whole))
		}
	}
	for bit := range 8 * len(whole) {
		file := bytes.Clone(whole)
		file[bit/8] ^= 1 << (bit % 8)
		if !refused(file) {
			t.Errorf("with bit %d of byte %d turned it was not refused", bit%8, bit/8)
		}
	}
	for n := 1; n < 10; n++ {
		if !refused(bytes.Repeat(whole, n+1)) || !refused(append(bytes.Clone(whole), make([]byte, n)...)) {
			t.Errorf("too long a file was not refused")
		}
	}
}

func TestReadNamesWhatIsWrong(t *testing.T) {
	const empty = "s\x00\x00\x00"
	hash := strings.Repeat("h", digestBytes)
	for _, tt := range []struct {
		name string
		file []byte
		want error
		text string
	}{
		{"nothing", nil, ErrCorrupt, "cut off"},
		{"another kind of file", []byte(strings.Repeat("PK", 100)), ErrCorrupt, "does not start"},
		{"another version", func() []byte { f := forge("e\x00"); f[len(magic)] = 2; return f }(), ErrVersion, "2, not 1"},
		{"another secret", func() []byte { f := forge("e\x00"); f[len(magic)+1]++; return f }(), ErrSecret, "another secret"},
		{"no end", forge(empty), ErrCorrupt, "cut off"},
		{"more after the end", forge("e\x00", empty), ErrCorrupt, "after its end"},
		{"an empty section", forge(""), ErrCorrupt, "too early"},
		{"an unknown section", forge("x"), ErrCorrupt, "'x'"},
		{"a section longer than any", append(forge(), 0xff, 0xff, 0xff, 0xff), ErrCorrupt, "4294967295 bytes"},
		{"a section of a gigabyte that is not there", append(forge(), 0, 0, 0, 0x40), ErrCorrupt, "cut off"},
		{"bytes left over", forge(empty + "\x00"), ErrCorrupt, "left"},
		{"absurdly many arms", forge("s\xff\xff\xff\xff\x0f"), ErrCorrupt, "not below"},
		{"an absurdly long name", forge("s\x01\xff\xff\xff\xff\x0f\x00"), ErrCorrupt, "not below"},
		{"absurdly many unlinked", forge("s\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), ErrCorrupt, "not below"},
		{"a number of 11 bytes", forge("s\x00" + strings.Repeat("\xff", 11)), ErrCorrupt, "not below"},
		{"an unlinked without enrolments", forge("s\x00\x01" + hash + "\x00\x00"), ErrCorrupt, "no enrolment"},
		{"an unknown arm", forge("s\x01\x01x\x01v\x01" + hash + "\x01\x00\x02\x00\x00"), ErrCorrupt, "not below 2"},
		{"a key that is no member", forge("s\x01\x01x\x01v\x01" + hash + "\x01\x00\x01\x01\x00"), ErrCorrupt, "not below 1"},
		{"absurdly many identifiers", forge("s\x00\x00\xfe\xff\xff\xff\x07\x00a\x00b\x00\x00"), ErrCorrupt, "identifiers"},
		{"a person of one identifier", forge("s\x00\x00\x01\x00a\x00\x00"), ErrCorrupt, "a person of 1"},
		{"an identifier twice", forge("s\x00\x00\x02\x00a\x00a\x00\x00"), ErrCorrupt, "out of order"},
		{"an identifier that is cut off", forge("s\x00\x00\x02\x00a\xffb\x00\x00"), ErrCorrupt, "too early"},
		{"absurdly many retired", forge("e\xff\xff\xff\xff\x0f"), ErrCorrupt, "not below"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := sized(secret, 1).read(bytes.NewReader(tt.file))
			runtime.ReadMemStats(&after)
			if r != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v, want one about %q", err, tt.text)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
				t.Errorf("%d bytes of memory for a file of %d", took, len(tt.file))
			}
		})
	}
	if _, err := Read(bytes.NewReader(forge("s\x01\x01x\x01v\x01"+hash+"\x01\x00\x01\x00\x00", "e\x00")), secret); err != nil {
		t.Errorf("the form that the table spoils is refused itself: %v", err)
	}
	if _, err := Read(bytes.NewReader(written(t, small())), [32]byte{9}); !errors.Is(err, ErrSecret) {
		t.Errorf("with another secret: %v", err)
	}
	broken := errors.New("the disk is broken")
	if _, err := Read(io.MultiReader(bytes.NewReader(forge()), iotest.ErrReader(broken)), secret); !errors.Is(err, broken) {
		t.Errorf("a broken disk is reported as %v", err)
	}
}

// A meddler changes the registry between the pieces of a file.
type meddler struct {
	bytes.Buffer
	between func(piece int)
	pieces  int
}

func (m *meddler) Write(b []byte) (int, error) {
	m.between(m.pieces)
	m.pieces++
	return m.Buffer.Write(b)
}

// A person who moves from a shard that is yet to be written to one that is written is in
// the file all the same.
func TestWriteMissesNobodyWhoMoves(t *testing.T) {
	for seed := range 50 {
		name := func(i int) string { return fmt.Sprintf("%d:%d", seed, i) }
		r := sized(secret, 8)
		for i := range 40 {
			r.Link(name(2*i), name(2*i+1))
			r.Enrol(enrolment(name(2*i), "tone", "warm", name(2*i+1), i))
		}
		w := &meddler{between: func(piece int) { r.Link(name(piece), name(79-piece)) }}
		if _, err := r.WriteTo(w); err != nil {
			t.Fatal(err)
		}
		back, err := Read(&w.Buffer, secret)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 80 {
			p := back.Find(name(i))
			if _, _, ok := p.Enrolled("tone"); !ok || len(back.Members(name(i))) < 2 {
				t.Fatalf("seed %d: %s is lost", seed, name(i))
			}
		}
	}
}

func TestWriteFailsWhenSomebodyIsErased(t *testing.T) {
	for piece := range 7 { // the header, and three sections with a checksum each
		r := small()
		w := &meddler{between: func(at int) {
			if at == piece {
				r.Forget("alone")
			}
		}}
		if _, err := r.WriteTo(w); !errors.Is(err, ErrErased) {
			t.Errorf("erased before piece %d: %v", piece, err)
		}
		if _, err := Read(bytes.NewReader(written(t, r)), secret); err != nil {
			t.Errorf("written again: %v", err)
		}
	}
}

func TestWriteReportsAFullDisk(t *testing.T) {
	full := errors.New("the disk is full")
	for piece := range 7 {
		r := small()
		if _, err := r.WriteTo(failing{&piece, full}); !errors.Is(err, full) {
			t.Errorf("%v", err)
		}
		compare(t, r, func(identifier string) view { return see(small(), identifier) })
	}
}

type failing struct {
	after *int
	err   error
}

func (f failing) Write(b []byte) (int, error) {
	if *f.after--; *f.after < 0 {
		return 0, f.err
	}
	return len(b), nil
}

// FuzzRead: no panic, and what is read can be used, written and read again.
func FuzzRead(f *testing.F) {
	whole := written(f, small())
	f.Add(whole, false)
	f.Add(whole[headerBytes+4:], true)
	f.Add([]byte("s\x01\x01x\x01v\x00\x02\x00a\x00b\x01\x00\x01\x01\x00"), true)
	f.Add([]byte("s\x01\x01x\x01v\x02hhhhhhhhhhhhhhhh\x01\x00\x01\x00hhhhhhhhhhhhhhhh\x01\x01\x01\x00\x00"), true)
	f.Fuzz(func(t *testing.T, file []byte, section bool) {
		if section { // the checksum is no way for a fuzzer
			file = forge(string(file), "e\x01\x01x")
		}
		r, err := sized(secret, 1).read(bytes.NewReader(file))
		if err != nil {
			if r != nil {
				t.Fatal("a registry came with the error")
			}
			return
		}
		r.Link("a", "b", "new")
		r.Enrol(Enrolment{Customer: "a", Experiment: "x", Variant: "v", Key: "new", At: time.Unix(0, 0)})
		back := roundTrip(t, r, 1)
		if got, want := back.Stats(), r.Stats(); got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
		r.Forget("a")
	})
}
