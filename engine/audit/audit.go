// Package audit is the chain of hashes that makes a log tamper-evident: each row's hash
// covers the row and the hash of the row before.
//
// The hash of a row is SHA-256 over its canonical form: the following texts, each written
// as a netstring (its length in bytes in decimal digits, a colon, the text, a comma), one
// after the other.
//
//	perennial audit 1
//	seq       in decimal digits, from 1
//	at        in UTC, as 2026-03-01T10:00:00.000000Z
//	actor
//	action
//	object
//	detail    the JSON as it is kept, with sorted keys and without spaces
//	previous  the hash of the row before in 64 hexadecimal digits; zeros before the first
//
// # What a chain can prove
//
// Whoever can write to the database can also change a row and rebuild all hashes after it,
// or cut rows off the end. What is left is a good chain. Only a [Head] kept elsewhere shows
// that rows are missing or that the chain is another one.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A Hash is the SHA-256 hash of a row. Its text is 64 hexadecimal digits.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) {
	return []byte(h.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return errors.New("audit: a hash has 64 hexadecimal digits")
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// A Row is one line of the log.
type Row struct {
	Seq      int64
	At       time.Time // to the microsecond
	Actor    string
	Action   string
	Object   string
	Detail   string // JSON
	Previous Hash
	Hash     Hash
}

// A Head is the last row of a chain as it once was.
type Head struct {
	Seq  int64 `json:"seq"`
	Hash Hash  `json:"hash"`
}

// Sum is the hash that the row should have.
func (r *Row) Sum() Hash {
	var b []byte
	for _, text := range [...]string{
		"perennial audit 1", strconv.FormatInt(r.Seq, 10), r.At.UTC().Format("2006-01-02T15:04:05.000000Z"),
		r.Actor, r.Action, r.Object, r.Detail, r.Previous.String(),
	} {
		b = strconv.AppendInt(b, int64(len(text)), 10)
		b = append(b, ':')
		b = append(b, text...)
		b = append(b, ',')
	}
	return sha256.Sum256(b)
}

// Seal makes the row the next of a chain: it gives it its number, the hash of the row
// before and its own. It answers the new head.
func (r *Row) Seal(after Head) Head {
	r.Seq, r.Previous = after.Seq+1, after.Hash
	r.Hash = r.Sum()
	return Head{r.Seq, r.Hash}
}

// The ways in which a chain can be broken.
const (
	Missing   = "missing"   // a row is not there, or not in its place
	Altered   = "altered"   // a row is not what its hash says
	Unlinked  = "unlinked"  // a row does not follow from the one before
	Rebuilt   = "rebuilt"   // the chain is not the one whose head was kept
	Truncated = "truncated" // the chain ends before the head that was kept
)

// A Fault is the first bad row of a chain and what is wrong with it.
type Fault struct {
	Seq    int64  `json:"seq"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// String is the fault in words.
func (f *Fault) String() string { return fmt.Sprintf("row %d: %s", f.Seq, f.Detail) }

// A Verifier checks a chain from its first row on. The zero value begins a chain; Known is
// the head that was kept, if any.
type Verifier struct {
	Known *Head
	head  Head
}

// Head is that of the rows taken so far.
func (v *Verifier) Head() Head { return v.head }

// Add takes the next row. The first fault ends the verification.
func (v *Verifier) Add(r *Row) *Fault {
	next := v.head.Seq + 1
	fault := func(code, format string, args ...any) *Fault {
		return &Fault{Seq: next, Code: code, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case r.Seq != next:
		return fault(Missing, "it is missing: row %d stands in its place", r.Seq)
	case r.Sum() != r.Hash:
		return fault(Altered, "it was altered: its hash is %s and should be %s", r.Hash, r.Sum())
	case r.Previous != v.head.Hash:
		return fault(Unlinked, "it does not follow from the row before, whose hash is %s", v.head.Hash)
	case v.Known != nil && r.Seq == v.Known.Seq && r.Hash != v.Known.Hash:
		return fault(Rebuilt, "the chain was rebuilt: here its hash was %s and is %s", v.Known.Hash, r.Hash)
	}
	v.head = Head{r.Seq, r.Hash}
	return nil
}

// End says that there are no more rows.
func (v *Verifier) End() *Fault {
	if v.Known == nil || v.head.Seq >= v.Known.Seq {
		return nil
	}
	return &Fault{
		Seq: v.head.Seq + 1, Code: Truncated,
		Detail: fmt.Sprintf("it is missing: the log ends here and once had %d rows", v.Known.Seq),
	}
}
