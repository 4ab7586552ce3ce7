package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Most of a server's memory is people, who stay: a large heap may grow by a small share of
// itself between two collections. A small one may grow by more, which spares collections.
const (
	heapRoom    = 96 << 20
	leastGrowth = 40  // percent
	mostGrowth  = 400 // percent
)

// tuneHeap keeps the growth of the heap at that, until ctx ends.
func tuneHeap(ctx context.Context) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		metrics.Read(live)
		debug.SetGCPercent(growth(live[0].Value.Uint64()))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// growth is how much a heap of so many live bytes may grow, in percent.
func growth(live uint64) int {
	return max(leastGrowth, int(min(heapRoom*100/max(live, 1), mostGrowth)))
}
