package lastgood

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func file(t *testing.T) File {
	t.Helper()
	return File{Dir: filepath.Join(t.TempDir(), "kept"), Name: "snapshot", Version: 3, MaxBytes: 100}
}

func save(t *testing.T, f File, body string) {
	t.Helper()
	err := f.Save(func(w io.Writer) error { _, err := io.WriteString(w, body); return err })
	if err != nil {
		t.Fatal(err)
	}
}

// load returns what was loaded, read by a reader that refuses some bodies.
func load(f File, refuse ...string) (body string, l Loaded, err error) {
	l, err = f.Load(func(r io.Reader, size int64) error {
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if int64(len(b)) != size {
			return fmt.Errorf("%d bytes, not %d", len(b), size)
		}
		body = string(b)
		if slices.Contains(refuse, body) {
			return errPoisoned
		}
		return nil
	})
	return body, l, err
}

var errPoisoned = errors.New("poisoned")

// expect loads and compares: what was loaded, from where, and a word of why not from the newest.
func expect(t *testing.T, f File, body, path, refused string) {
	t.Helper()
	got, l, err := load(f)
	if err != nil || got != body || l.Path != path {
		t.Fatalf("Load = %q from %s, %v; want %q from %s", got, l.Path, err, body, path)
	}
	if refused == "" {
		if l.Refused != nil {
			t.Errorf("refused: %v", l.Refused)
		}
		return
	}
	if l.Refused == nil || !strings.Contains(l.Refused.Error(), refused) || !strings.Contains(l.Refused.Error(), f.newest()) {
		t.Errorf("refused: %v; want %q and the file's name", l.Refused, refused)
	}
}

func TestNothingSaved(t *testing.T) {
	f := file(t)
	if _, _, err := load(f); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load = %v", err)
	}
}

func TestNewestAndPrevious(t *testing.T) {
	f := file(t)
	save(t, f, "one")
	expect(t, f, "one", f.newest(), "")
	save(t, f, "two")
	save(t, f, "three")
	expect(t, f, "three", f.newest(), "")

	body, l, err := load(f, "three")
	if body != "two" || l.Path != f.previous() || !errors.Is(l.Refused, errPoisoned) || err != nil {
		t.Errorf("Load = %q, %+v, %v", body, l, err)
	}
	_, _, err = load(f, "three", "two")
	for _, name := range []string{f.newest() + ": poisoned", f.previous() + ": poisoned"} {
		if err == nil || !strings.Contains(err.Error(), name) || !errors.Is(err, errPoisoned) {
			t.Errorf("the error does not say %q: %v", name, err)
		}
	}
	save(t, f, "")
	expect(t, f, "", f.newest(), "")
	if info, err := os.Stat(f.newest()); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestBadFilesAreRefused before read is called, and the previous file is used.
func TestBadFilesAreRefused(t *testing.T) {
	cases := map[string]struct {
		spoil func(t *testing.T, f File, b []byte) []byte
		says  string
	}{
		"missing":         {nil, "no such file"},
		"empty":           {func(_ *testing.T, _ File, b []byte) []byte { return b[:0] }, "does not begin"},
		"cut in the head": {func(_ *testing.T, _ File, b []byte) []byte { return b[:head-1] }, "does not begin"},
		"cut":             {func(_ *testing.T, _ File, b []byte) []byte { return b[:len(b)-1] }, "of 2 bytes, not of the 3"},
		"longer":          {func(_ *testing.T, _ File, b []byte) []byte { return append(b, 'x') }, "of 4 bytes, not of the 3"},
		"ten times":       {func(_ *testing.T, _ File, b []byte) []byte { return append(b, make([]byte, 1000)...) }, "more than the 100"},
		"another program": {func(_ *testing.T, _ File, b []byte) []byte { b[0]++; return b }, "does not begin"},
		"later version":   {func(_ *testing.T, _ File, b []byte) []byte { b[len(magic)+3]++; return b }, "version 4, this program reads 3"},
		"earlier version": {func(_ *testing.T, _ File, b []byte) []byte { b[len(magic)+3]--; return b }, "version 2, this program reads 3"},
		"wrong length":    {func(_ *testing.T, _ File, b []byte) []byte { b[len(magic)+4]++; return b }, "not of the"},
		"wrong sum":       {func(_ *testing.T, _ File, b []byte) []byte { b[head-1]++; return b }, "checksum"},
		"wrong body":      {func(_ *testing.T, _ File, b []byte) []byte { b[head]++; return b }, "checksum"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			f := file(t)
			save(t, f, "old")
			save(t, f, "new")
			spoil(t, f, test.spoil)
			expect(t, f, "old", f.previous(), test.says)

			// A damaged newest does not push a good previous one out.
			save(t, f, "newer")
			expect(t, f, "newer", f.newest(), "")
			spoil(t, f, test.spoil)
			want, _, err := load(f)
			if want != "old" || err != nil {
				t.Errorf("the previous one is %q, %v", want, err)
			}
		})
	}
}

func spoil(t *testing.T, f File, change func(*testing.T, File, []byte) []byte) {
	t.Helper()
	if change == nil {
		if err := os.Remove(f.newest()); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(f.newest())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.newest(), change(t, f, b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestEveryByteCounts: a file with one byte changed, or cut anywhere, is refused.
func TestEveryByteCounts(t *testing.T) {
	f := file(t)
	save(t, f, "a body of some length")
	good, err := os.ReadFile(f.newest())
	if err != nil {
		t.Fatal(err)
	}
	for at := range good {
		for what, bad := range map[string][]byte{
			"changed": append(append(append([]byte(nil), good[:at]...), good[at]^0x40), good[at+1:]...),
			"cut":     good[:at],
		} {
			if err := os.WriteFile(f.newest(), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if body, _, err := load(f); err == nil || body != "" {
				t.Errorf("%s at %d: Load = %q, %v", what, at, body, err)
			}
		}
	}
}

// TestOneMissingOneBad is not "nothing was ever saved".
func TestOneMissingOneBad(t *testing.T) {
	for _, missing := range []func(File) string{File.newest, File.previous} {
		f := file(t)
		save(t, f, "one")
		save(t, f, "two")
		if err := os.Remove(missing(f)); err != nil {
			t.Fatal(err)
		}
		_, _, err := load(f, "one", "two")
		if !errors.Is(err, errPoisoned) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), f.newest()+":") && !strings.Contains(err.Error(), f.newest()+" ") {
			t.Errorf("Load = %v", err)
		}
		if !strings.Contains(err.Error(), missing(f)) {
			t.Errorf("the error does not name %s: %v", missing(f), err)
		}
	}
}

func TestFailedSaveChangesNothing(t *testing.T) {
	f := file(t)
	save(t, f, "one")
	save(t, f, "two")
	broken := errors.New("broken")
	for name, write := range map[string]func(io.Writer) error{
		"write fails":                 func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return broken },
		"too large":                   func(w io.Writer) error { _, err := w.Write(make([]byte, 101)); return err },
		"too large, the error unseen": func(w io.Writer) error { _, _ = w.Write(make([]byte, 101)); return nil },
		"too large in steps": func(w io.Writer) error {
			for range 11 {
				_, _ = w.Write(make([]byte, 10))
			}
			return nil
		},
	} {
		if err := f.Save(write); err == nil {
			t.Errorf("%s: Save succeeded", name)
		}
		expect(t, f, "two", f.newest(), "")
		if body, l, err := load(f, "two"); body != "one" || l.Path != f.previous() || err != nil {
			t.Errorf("%s: the previous one is %q, %v", name, body, err)
		}
		if left, _ := filepath.Glob(filepath.Join(f.Dir, "*.new")); left != nil {
			t.Errorf("%s: left %v", name, left)
		}
	}
	save(t, f, strings.Repeat("x", 100))
	expect(t, f, strings.Repeat("x", 100), f.newest(), "")
	// What a process left that died is written over.
	if err := os.WriteFile(f.newest()+".new", make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	save(t, f, "three")
	expect(t, f, "three", f.newest(), "")
}
