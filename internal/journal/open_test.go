//go:build linux || darwin

package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestCloseDuringAppend: each call is answered, and by the truth.
func TestCloseDuringAppend(t *testing.T) {
	for range 20 {
		var c clock
		dir := t.TempDir()
		j := begin(t, dir, &c)
		var mu sync.Mutex
		var want []string
		var calls sync.WaitGroup
		enough := make(chan struct{}, 1<<16)
		for w := range 16 {
			calls.Go(func() {
				for i := 0; ; i++ {
					r := fmt.Sprintf("%d-%d", w, i)
					err := j.Append(context.Background(), []byte(r))
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					want = append(want, r)
					mu.Unlock()
					enough <- struct{}{}
				}
			})
		}
		for range 100 {
			<-enough
		}
		var closers sync.WaitGroup
		for range 2 {
			closers.Go(func() {
				if err := j.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		closers.Wait()
		calls.Wait()
		for _, err := range []error{
			j.Append(t.Context()), j.Append(t.Context(), nil),
			j.Replay(func([]byte) error { return nil }),
			func() error { _, err := j.Ship(t.Context(), 1, nil); return err }(),
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		}
		got := pending(t, begin(t, dir, &c))
		slices.Sort(got)
		slices.Sort(want)
		same(t, "what was confirmed", got, want)
	}
}

func TestCloseDuringShip(t *testing.T) {
	var c clock
	dir := t.TempDir()
	j := begin(t, dir, &c)
	add(t, j, "a")
	n, err := j.Ship(t.Context(), 1, func(context.Context, [][]byte) error { return j.Close() })
	if n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("Ship = %d, %v", n, err)
	}
	same(t, "after a start", pending(t, begin(t, dir, &c)), []string{"a"})
}

func TestOpenRefuses(t *testing.T) {
	var c clock
	cases := map[string]struct {
		prepare func(t *testing.T, dir string)
		options Options
		words   string
	}{
		"no clock":       {words: "Options.Now"},
		"an empty file":  {prepare: content(""), options: Options{Now: c.now}, words: "move the file away"},
		"another file":   {prepare: content(strings.Repeat("x", 1<<16)), options: Options{Now: c.now}, words: "move the file away"},
		"a folder":       {prepare: folder, options: Options{Now: c.now}, words: fileName},
		"another bucket": {prepare: stranger, options: Options{Now: c.now}, words: "it is not a journal"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.prepare != nil {
				test.prepare(t, dir)
			}
			j, err := Open(dir, test.options)
			if err == nil {
				_ = j.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), test.words) {
				t.Errorf("the error does not say %q: %v", test.words, err)
			}
		})
	}
}

func content(text string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, fileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func folder(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, fileName), 0o700); err != nil {
		t.Fatal(err)
	}
}

// stranger puts another program's bbolt database in the journal's place.
func stranger(t *testing.T, dir string) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, fileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
