//go:build linux || darwin

package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// TestModel: whatever is done to it and in whatever order, the journal is a queue.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		var c clock
		open := func() *Journal {
			j, err := Open(dir, Options{Now: c.now})
			if err != nil {
				rt.Fatal(err)
			}
			return j
		}
		j := open()
		defer func() { _ = j.Close() }()
		var queue []string
		next := 0
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				var records [][]byte
				for range rapid.IntRange(1, 4).Draw(rt, "records") {
					next++
					r := fmt.Sprintf("%d %0*d", next, rapid.SampledFrom([]int{0, 100, 5000}).Draw(rt, "length"), 0)
					records = append(records, []byte(r))
					queue = append(queue, r)
				}
				if err := j.Append(t.Context(), records...); err != nil {
					rt.Fatal(err)
				}
			},
			"ship": func(rt *rapid.T) {
				limit, fails := rapid.IntRange(1, 5).Draw(rt, "limit"), rapid.Bool().Draw(rt, "fails")
				want := queue[:min(limit, len(queue))]
				_, err := j.Ship(t.Context(), limit, func(_ context.Context, records [][]byte) error {
					if diff := cmp.Diff(want, text(records)); diff != "" {
						rt.Errorf("shipped (-want +got):\n%s", diff)
					}
					if fails {
						return errors.New("away")
					}
					return nil
				})
				if failed := fails && len(want) > 0; (err != nil) != failed {
					rt.Errorf("Ship = %v", err)
				} else if !failed {
					queue = slices.Clone(queue[len(want):])
				}
			},
			"time passes": func(*rapid.T) { c.advance(renewal / 2) },
			"restart": func(rt *rapid.T) {
				c.advance(time.Second)
				if err := j.Close(); err != nil {
					rt.Fatal(err)
				}
				j = open()
			},
			"": func(rt *rapid.T) {
				var got []string
				if err := j.Replay(func(r []byte) error { got = append(got, string(r)); return nil }); err != nil {
					rt.Fatal(err)
				}
				if diff := cmp.Diff(queue, got, cmpopts.EquateEmpty()); diff != "" {
					rt.Errorf("pending (-want +got):\n%s", diff)
				}
				var bytes int64
				for _, r := range queue {
					bytes += cost([]byte(r))
				}
				if j.bytes != bytes {
					rt.Errorf("%d bytes are accounted for, not %d", j.bytes, bytes)
				}
				if n, oldest := j.Pending(); n != int64(len(queue)) || (n == 0) != oldest.IsZero() {
					rt.Errorf("Pending = %d, %v; there are %d", n, oldest, len(queue))
				}
			},
		})
	})
}
