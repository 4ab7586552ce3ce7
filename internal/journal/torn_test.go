//go:build linux || darwin

package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTornCommit stops the writing of one Append after every byte that it changes: bbolt writes the data pages in their
// order, and the meta page only after they are on the disk. Until its last byte the call never happened.
func TestTornCommit(t *testing.T) {
	var c clock
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	contents := func(records ...string) []byte {
		j, err := Open(dir, Options{Now: c.now})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			add(t, j, r)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	old := []string{"first", "second", "third"}
	before := contents(old...)
	c.advance(time.Hour)
	last := "the record that is torn"
	after := contents(last)

	state := make([]byte, len(after))
	copy(state, before)
	page := os.Getpagesize()
	var changes []int
	for i := range after {
		if state[i] != after[i] {
			changes = append(changes, i)
		}
	}
	// The two meta pages, the first in the file, come last.
	slices.SortStableFunc(changes, func(a, b int) int {
		switch isMeta := 2 * page; {
		case a < isMeta && b >= isMeta:
			return 1
		case b < isMeta && a >= isMeta:
			return -1
		}
		return 0
	})
	if len(changes) < len(last) {
		t.Fatalf("the Append changed only %d bytes", len(changes))
	}
	t.Logf("%d bytes changed", len(changes))
	check := func(want ...string) {
		t.Helper()
		if err := os.WriteFile(path, state, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(dir, Options{Now: c.now})
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = j.Close() }()
		same(t, "replayed", pending(t, j), want)
		add(t, j, "next")
		same(t, "with the next", pending(t, j), append(want, "next"))
	}
	check(old...)
	for i, at := range changes {
		state[at] = after[at]
		if i < len(changes)-1 {
			check(old...)
		} else {
			check(append(old, last)...)
		}
		if t.Failed() {
			t.Fatalf("after byte %d", at)
		}
	}
}

// TestDamage: a file with wrong or missing bytes is refused, or gives records that were appended; it never ends the process.
func TestDamage(t *testing.T) {
	var c clock
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	j := begin(t, dir, &c)
	var want []string
	for i := range 200 {
		want = append(want, fmt.Sprintf("record %d of many", i))
	}
	add(t, j, want...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(what string, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(dir, Options{Now: c.now})
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), "move the file away") {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		defer func() { _ = j.Close() }()
		for _, r := range pending(t, j) {
			if !slices.Contains(want, r) {
				t.Errorf("%s: %q was never appended", what, r)
			}
		}
	}
	tries := 0
	for at := 0; at < len(good); at += 211 {
		bad := slices.Clone(good)
		bad[at] ^= 0xff
		try(fmt.Sprintf("byte %d", at), bad)
		tries++
	}
	for size := 0; size < len(good); size += 4093 {
		try(fmt.Sprintf("%d bytes", size), good[:size])
		tries++
	}
	t.Logf("%d of %d refused", refused, tries)
	if refused == 0 {
		t.Error("nothing was refused")
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	// What a process left that died while it made a new file is swept away.
	if err := os.WriteFile(filepath.Join(dir, nextName), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	j = begin(t, dir, &c)
	same(t, "undamaged", pending(t, j), want)
	c.advance(renewal)
	ship(t, j, 1)
	same(t, "renewed", pending(t, j), want[1:])
}
