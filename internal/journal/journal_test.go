//go:build linux || darwin

package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(loadFolder); dir != "" {
		appendForEver(dir)
	}
	if dir := os.Getenv(limitedFolder); dir != "" {
		limited(dir)
	}
	os.Exit(m.Run())
}

// A clock that tests move by hand.
type clock struct{ t atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.t.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.t.Add(int64(d)) }

// begin opens a journal that is closed with the test.
func begin(tb testing.TB, dir string, c *clock) *Journal {
	tb.Helper()
	j, err := Open(dir, Options{Now: c.now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := j.Close(); err != nil {
			tb.Error(err)
		}
	})
	return j
}

func add(tb testing.TB, j *Journal, records ...string) {
	tb.Helper()
	if err := j.Append(context.Background(), raw(records)...); err != nil {
		tb.Fatal(err)
	}
}

func raw(records []string) [][]byte {
	var all [][]byte
	for _, r := range records {
		all = append(all, []byte(r))
	}
	return all
}

func text(records [][]byte) []string {
	var all []string
	for _, r := range records {
		all = append(all, string(r))
	}
	return all
}

func pending(tb testing.TB, j *Journal) []string {
	tb.Helper()
	var all []string
	if err := j.Replay(func(r []byte) error { all = append(all, string(r)); return nil }); err != nil {
		tb.Fatal(err)
	}
	if n, _ := j.Pending(); n != int64(len(all)) {
		tb.Errorf("Pending says %d, there are %d", n, len(all))
	}
	return all
}

// ship hands over at most limit records and returns them.
func ship(tb testing.TB, j *Journal, limit int) []string {
	tb.Helper()
	var got []string
	n, err := j.Ship(context.Background(), limit, func(_ context.Context, records [][]byte) error {
		got = text(records)
		return nil
	})
	if err != nil || n != len(got) {
		tb.Fatalf("Ship = %d, %v; it handed over %d", n, err, len(got))
	}
	return got
}

func same(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestRecordsLastUntilShipped(t *testing.T) {
	var c clock
	dir := filepath.Join(t.TempDir(), "a", "b")
	j := begin(t, dir, &c)
	add(t, j, "1")
	add(t, j, "2", "", "4")
	add(t, j)
	same(t, "before", pending(t, j), []string{"1", "2", "", "4"})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	j = begin(t, dir, &c)
	same(t, "after a start", pending(t, j), []string{"1", "2", "", "4"})
	same(t, "first shipment", ship(t, j, 3), []string{"1", "2", ""})
	add(t, j, "5")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	j = begin(t, dir, &c)
	same(t, "after another", pending(t, j), []string{"4", "5"})
	same(t, "second shipment", ship(t, j, 3), []string{"4", "5"})
	same(t, "third shipment", ship(t, j, 3), []string(nil))
	same(t, "in the end", pending(t, j), []string(nil))
	for name, want := range map[string]os.FileMode{"": 0o700 | os.ModeDir, fileName: 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%q has mode %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
}

func TestPendingTellsTheLag(t *testing.T) {
	var c clock
	dir := t.TempDir()
	j := begin(t, dir, &c)
	lag := func(records int64, oldest time.Duration) {
		t.Helper()
		want := time.Unix(0, int64(oldest)).UTC()
		if records == 0 {
			want = time.Time{}
		}
		if n, at := j.Pending(); n != records || !at.Equal(want) {
			t.Errorf("Pending = %d, %v; want %d, %v", n, at, records, want)
		}
	}
	lag(0, 0)
	c.advance(time.Second)
	add(t, j, "a", "b")
	c.advance(time.Second)
	add(t, j, "c")
	lag(3, time.Second)
	ship(t, j, 1)
	lag(2, time.Second)
	ship(t, j, 1)
	lag(1, 2*time.Second)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = begin(t, dir, &c)
	lag(1, 2*time.Second)
	ship(t, j, 9)
	lag(0, 0)
}

func TestShip(t *testing.T) {
	var c clock
	j := begin(t, t.TempDir(), &c)
	add(t, j, "a", "b")
	down := errors.New("the database is away")
	for range 3 {
		n, err := j.Ship(t.Context(), 10, func(context.Context, [][]byte) error {
			add(t, j, "c") // Append goes on meanwhile
			return down
		})
		if n != 0 || !errors.Is(err, down) {
			t.Errorf("Ship = %d, %v", n, err)
		}
	}
	same(t, "after failures", pending(t, j), []string{"a", "b", "c", "c", "c"})
	if n, err := j.Ship(t.Context(), 0, nil); n != 0 || err == nil {
		t.Errorf("Ship of none = %d, %v", n, err)
	}

	// A second one waits, and gives up with its context.
	inside, end := make(chan struct{}), make(chan struct{})
	var first sync.WaitGroup
	first.Go(func() {
		n, err := j.Ship(context.Background(), 2, func(context.Context, [][]byte) error {
			close(inside)
			<-end
			return nil
		})
		if n != 2 || err != nil {
			t.Errorf("the first Ship = %d, %v", n, err)
		}
	})
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := j.Ship(ctx, 2, nil); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("the second Ship = %d, %v", n, err)
	}
	close(end)
	first.Wait()
	same(t, "rest", ship(t, j, 10), []string{"c", "c", "c"})
}

func TestReplayStopsAtAnError(t *testing.T) {
	var c clock
	j := begin(t, t.TempDir(), &c)
	var want []string
	for i := range 2*chunk + 1 {
		want = append(want, fmt.Sprint(i))
	}
	add(t, j, want...)
	same(t, "several chunks", pending(t, j), want)
	enough := errors.New("enough")
	seen := 0
	err := j.Replay(func([]byte) error {
		if seen++; seen == chunk+2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != chunk+2 {
		t.Errorf("Replay = %v after %d", err, seen)
	}
}

// TestDroppedRecordsAreErased: what was shipped is in no file of the folder after the next renewal, what was not is.
func TestDroppedRecordsAreErased(t *testing.T) {
	var c clock
	dir := t.TempDir()
	j := begin(t, dir, &c)
	add(t, j, "customer-gone", "customer-waits")
	ship(t, j, 1)
	holds := func(what string) bool {
		t.Helper()
		found := false
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			found = found || bytes.Contains(b, []byte(what))
		}
		return found
	}
	if !holds("customer-gone") {
		t.Fatal("the test sees nothing")
	}
	c.advance(renewal)
	if n, err := j.Ship(t.Context(), 1, func(context.Context, [][]byte) error { return errors.New("away") }); n != 0 || err == nil {
		t.Fatal("shipped")
	}
	same(t, "a failed shipment changes nothing", pending(t, j), []string{"customer-waits"})
	add(t, j, "more")
	ship(t, j, 1)
	if holds("customer-gone") || holds("customer-waits") || !holds("more") {
		t.Error("the file holds what was dropped, or lost what is pending")
	}
	add(t, j, "and more")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = begin(t, dir, &c)
	same(t, "after a start", pending(t, j), []string{"more", "and more"})
	ship(t, j, 2)
	c.advance(renewal)
	ship(t, j, 1)
	if holds("more") {
		t.Error("an empty Ship erased nothing")
	}
	add(t, j, "later")
	same(t, "last", pending(t, j), []string{"later"})
}

func TestFull(t *testing.T) {
	var c clock
	j, err := Open(t.TempDir(), Options{Now: c.now, MaxBytes: 2 * cost([]byte("1234"))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	add(t, j, "1234")
	for range 3 { // a refused call takes no room
		if err := j.Append(t.Context(), []byte("5678"), []byte("9")); !errors.Is(err, ErrFull) {
			t.Errorf("Append beyond the bound = %v", err)
		}
	}
	add(t, j, "5678")
	if err := j.Append(t.Context(), nil); !errors.Is(err, ErrFull) {
		t.Errorf("Append when full = %v", err)
	}
	same(t, "pending", pending(t, j), []string{"1234", "5678"})
	ship(t, j, 1)
	add(t, j, "90ab")
	same(t, "pending", pending(t, j), []string{"5678", "90ab"})
	if err := j.Append(t.Context(), make([]byte, maxRecord+1)); err == nil || errors.Is(err, ErrFull) {
		t.Errorf("Append of too large a record = %v", err)
	}
}

// TestGroups: calls that come while the disk is busy are one transaction.
func TestGroups(t *testing.T) {
	var c clock
	j := begin(t, t.TempDir(), &c)
	transaction := func() (id int) {
		if err := j.db.View(func(tx *bolt.Tx) error { id = tx.ID(); return nil }); err != nil {
			t.Error(err)
		}
		return id
	}
	queued := func(n int) {
		for {
			j.mu.Lock()
			is := len(j.waiting)
			j.mu.Unlock()
			if is == n {
				return
			}
			runtime.Gosched()
		}
	}
	before := transaction()
	j.disk.Lock()
	var calls sync.WaitGroup
	start := func(i int) {
		calls.Go(func() {
			if err := j.Append(context.Background(), fmt.Appendf(nil, "%d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	start(0)
	for bytes := int64(0); bytes == 0; { // until it is in line …
		j.mu.Lock()
		bytes = j.bytes
		j.mu.Unlock()
		runtime.Gosched()
	}
	queued(0) // … and the writer has taken it
	for i := range 63 {
		start(1 + i)
	}
	queued(63)
	j.disk.Unlock()
	calls.Wait()
	if n := transaction() - before; n != 2 {
		t.Errorf("64 calls made %d transactions, want 2", n)
	}
	if all := pending(t, j); len(all) != 64 {
		t.Errorf("there are %d records", len(all))
	}
}

func TestAppendEndsWithItsContext(t *testing.T) {
	var c clock
	j := begin(t, t.TempDir(), &c)
	ctx, cancel := context.WithCancel(t.Context())
	j.disk.Lock()
	result := make(chan error)
	go func() { result <- j.Append(ctx, []byte("a")) }()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Append = %v", err)
	}
	j.disk.Unlock()
	if err := j.Append(ctx, []byte("b")); !errors.Is(err, context.Canceled) {
		t.Errorf("Append with an ended context = %v", err)
	}
	add(t, j, "c")
	if all := pending(t, j); slices.Contains(all, "b") || !slices.Contains(all, "c") {
		t.Errorf("there is %v", all)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			var c clock
			j := begin(b, b.TempDir(), &c)
			record := make([]byte, 200)
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ReportAllocs()
			b.ResetTimer()
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if err := j.Append(context.Background(), record); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
