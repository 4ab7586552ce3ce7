package audit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine/audit"
)

var start = time.Date(2026, 3, 1, 10, 0, 0, 123456000, time.UTC)

// chain is a good chain of n rows.
func chain(n int) []audit.Row {
	rows := make([]audit.Row, n)
	var head audit.Head
	for i := range rows {
		rows[i] = audit.Row{
			At: start.Add(time.Duration(i) * time.Minute), Actor: fmt.Sprintf("key_%d", i%3), Action: "touchpoint.change",
			Object: fmt.Sprintf("touchpoint/%d", i%5), Detail: fmt.Sprintf(`{"n":%d}`, i),
		}
		head = rows[i].Seal(head)
	}
	return rows
}

func headOf(rows []audit.Row) *audit.Head {
	last := rows[len(rows)-1]
	return &audit.Head{Seq: last.Seq, Hash: last.Hash}
}

func verify(rows []audit.Row, known *audit.Head) *audit.Fault {
	v := audit.Verifier{Known: known}
	for i := range rows {
		if f := v.Add(&rows[i]); f != nil {
			return f
		}
	}
	return v.End()
}

// The canonical form by another hand (Python 3):
//
//	f = lambda *a: hashlib.sha256(b''.join(b'%d:%s,' % (len(t.encode()), t.encode()) for t in a)).hexdigest()
//	f('perennial audit 1', '1', '2026-03-01T10:00:00.123456Z', 'key_1 (Büro)', 'key.create', 'key/key_2', '{"name":"a"}', '0'*64)
func TestHashOfARow(t *testing.T) {
	r := audit.Row{At: start, Actor: "key_1 (Büro)", Action: "key.create", Object: "key/key_2", Detail: `{"name":"a"}`}
	head := r.Seal(audit.Head{})
	const want = "c7b81034fb991e73a2bbd2cb7a28de8d62c574b7dc5d7b3276aca95ba67adbbd"
	if head.Seq != 1 || head.Hash.String() != want {
		t.Errorf("row %d has the hash %s, want %s", head.Seq, head.Hash, want)
	}
	// f(…, '2', '2026-03-01T10:00:00.000000Z', 'worker', 'experiment.start', 'experiment/x', '{}', want)
	second := audit.Row{At: start.Truncate(time.Second), Actor: "worker", Action: "experiment.start", Object: "experiment/x", Detail: `{}`}
	head = second.Seal(head)
	const next = "309e8b7e333b1eefb5c42dfef509cb553821cc9aca184fba212f743933bf4acf"
	if head.Seq != 2 || head.Hash.String() != next {
		t.Errorf("row %d has the hash %s, want %s", head.Seq, head.Hash, next)
	}
}

// A text moved from one field into the next is another row.
func TestFieldsDoNotRunTogether(t *testing.T) {
	a := audit.Row{Seq: 1, At: start, Actor: "ab", Action: "c"}
	b := audit.Row{Seq: 1, At: start, Actor: "a", Action: "bc"}
	if a.Sum() == b.Sum() {
		t.Error("two rows share a hash")
	}
}

func TestAGoodChain(t *testing.T) {
	rows := chain(20)
	for _, known := range []*audit.Head{nil, {}, headOf(rows), headOf(rows[:7])} {
		if f := verify(rows, known); f != nil {
			t.Errorf("with head %v: %v", known, f)
		}
	}
	if f := verify(nil, nil); f != nil {
		t.Errorf("an empty log: %v", f)
	}
}

func TestFirstBadRow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func([]audit.Row) []audit.Row
		seq    int64
		code   string
		blind  bool // nothing shows without a head
	}{
		{"a detail edited", func(r []audit.Row) []audit.Row { r[4].Detail = "{}"; return r }, 5, audit.Altered, false},
		{"a detail edited and its hash renewed", func(r []audit.Row) []audit.Row {
			r[4].Detail = "{}"
			r[4].Hash = r[4].Sum()
			return r
		}, 6, audit.Unlinked, false},
		{"a row deleted", func(r []audit.Row) []audit.Row { return slices.Delete(r, 4, 5) }, 5, audit.Missing, false},
		{"the first row deleted", func(r []audit.Row) []audit.Row { return r[1:] }, 1, audit.Missing, false},
		{"a row put in", func(r []audit.Row) []audit.Row { return slices.Insert(r, 4, r[0]) }, 5, audit.Missing, false},
		{"two rows swapped", func(r []audit.Row) []audit.Row { r[4], r[6] = r[6], r[4]; return r }, 5, audit.Missing, false},
		{"two rows swapped with their numbers", func(r []audit.Row) []audit.Row {
			r[4], r[6] = r[6], r[4]
			r[4].Seq, r[6].Seq = 5, 7
			return r
		}, 5, audit.Altered, false},
		{"the end cut off", func(r []audit.Row) []audit.Row { return r[:7] }, 8, audit.Truncated, true},
		{"all cut off", func([]audit.Row) []audit.Row { return nil }, 1, audit.Truncated, true},
		{"rebuilt from row 5", func(r []audit.Row) []audit.Row { return rebuilt(r, 4) }, 10, audit.Rebuilt, true},
		{"the last row edited and its hash renewed", func(r []audit.Row) []audit.Row { return rebuilt(r, 9) }, 10, audit.Rebuilt, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := headOf(chain(10))
			if f := verify(tt.change(chain(10)), known); f == nil || f.Seq != tt.seq || f.Code != tt.code {
				t.Errorf("with a head: %v, want %s at row %d", f, tt.code, tt.seq)
			}
			switch f := verify(tt.change(chain(10)), nil); {
			case tt.blind && f != nil:
				t.Errorf("without a head: %v, but nothing can show", f)
			case !tt.blind && (f == nil || f.Seq != tt.seq || f.Code != tt.code):
				t.Errorf("without a head: %v, want %s at row %d", f, tt.code, tt.seq)
			}
		})
	}
}

// rebuilt changes the row at i and gives it and all after it new hashes.
func rebuilt(rows []audit.Row, i int) []audit.Row {
	rows = slices.Clone(rows)
	rows[i].Actor += "!"
	var head audit.Head
	if i > 0 {
		head = *headOf(rows[:i])
	}
	for ; i < len(rows); i++ {
		head = rows[i].Seal(head)
	}
	return rows
}

// tamper changes a chain at random; blind changes show only against a head.
func tamper(r *rand.Rand, rows []audit.Row) (changed []audit.Row, what string, blind bool) {
	rows = slices.Clone(rows)
	n := len(rows)
	i := r.IntN(n)
	switch r.IntN(7) {
	case 0:
		return rows[:i], fmt.Sprintf("truncated after %d", i), true
	case 1:
		return rebuilt(rows, i), fmt.Sprintf("rebuilt from %d", i+1), true
	case 2:
		if i == n-1 {
			i-- // without its last row the chain is truncated
		}
		to := i + 1 + r.IntN(n-1-i)
		return slices.Delete(rows, i, to), fmt.Sprintf("rows %d to %d deleted", i+1, to), false
	case 3:
		j := (i + 1 + r.IntN(n-1)) % n
		rows[i], rows[j] = rows[j], rows[i]
		return rows, fmt.Sprintf("rows %d and %d swapped", i+1, j+1), false
	case 4: // contents swapped, numbers and links kept
		j := (i + 1 + r.IntN(n-1)) % n
		a, b := rows[i], rows[j]
		rows[i].Detail, rows[j].Detail = b.Detail, a.Detail
		return rows, fmt.Sprintf("details of %d and %d swapped", i+1, j+1), false
	case 5: // an edit that renews the row's own hash; the last row's would be a rebuilding
		i = r.IntN(n - 1)
		rows[i].Object += "x"
		rows[i].Hash = rows[i].Sum()
		return rows, fmt.Sprintf("row %d edited, its hash renewed", i+1), false
	}
	row := &rows[i]
	fields := []func(){
		func() { row.Seq += 1 + r.Int64N(100) },
		func() { row.At = row.At.Add(time.Duration(1+r.IntN(1e6)) * time.Microsecond) },
		func() { row.Actor = flip(r, row.Actor) },
		func() { row.Action = flip(r, row.Action) },
		func() { row.Object = flip(r, row.Object) },
		func() { row.Detail = flip(r, row.Detail) },
		func() { row.Previous[r.IntN(32)] ^= 1 << r.IntN(8) },
		func() { row.Hash[r.IntN(32)] ^= 1 << r.IntN(8) },
	}
	field := r.IntN(len(fields))
	fields[field]()
	return rows, fmt.Sprintf("field %d of row %d edited", field, i+1), false
}

// flip changes one bit of a text.
func flip(r *rand.Rand, text string) string {
	b := []byte(text)
	b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	return string(b)
}

// 10,000 random edits, deletions, swaps, truncations and rebuildings: all are found with a
// head, and without one all but truncations and rebuildings. The row that is named is not
// after the first that changed.
func TestTampering(t *testing.T) {
	r := rand.New(rand.NewPCG(20260301, 7))
	good := chain(40)
	known := headOf(good)
	blindOnes := 0
	for range 10_000 {
		rows, what, blind := tamper(r, good)
		if f := verify(rows, known); f == nil {
			t.Fatalf("%s: not found with a head", what)
		}
		f := verify(rows, nil)
		if blind {
			blindOnes++
		}
		if (f == nil) != blind {
			t.Fatalf("%s: without a head %v", what, f)
		}
		if f == nil {
			continue
		}
		first := 0
		for first < len(rows) && rows[first] == good[first] {
			first++
		}
		// A row whose own hash was renewed shows at the next, which does not follow.
		if want := int64(first + 1); f.Seq != want && f.Seq != want+1 {
			t.Fatalf("%s: row %d is named, row %d is the first that changed", what, f.Seq, want)
		}
	}
	if blindOnes < 2000 || blindOnes > 4000 {
		t.Errorf("%d of 10000 were truncations and rebuildings: the mix is off", blindOnes)
	}
}
