package simulation

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/perennial-engine/perennial/stats"
)

// Figure is a number found by simulation, such as the share of runs in which
// something happened.
type Figure struct {
	Value float64
	// SE is the Monte-Carlo standard error of Value over Runs runs.
	SE   float64
	Runs int
}

// NewRate returns the share of hits among runs with the error
// √(share (1 - share)/runs). It is NaN when there were no runs.
func NewRate(hits, runs int) Figure {
	p, n := float64(hits)/float64(runs), float64(runs)
	return Figure{Value: p, SE: math.Sqrt(p * (1 - p) / n), Runs: runs}
}

// meanFigure returns the mean of the moments, without an error below two runs.
func meanFigure(m stats.Moments) Figure {
	return Figure{Value: m.Mean, SE: m.SE(), Runs: int(m.N)}
}

// Apart returns how many combined standard errors two figures differ by. One run
// more or less is added to the errors, so that a rate of zero is not taken for a
// certain one.
func (f Figure) Apart(g Figure) float64 {
	one, other := 1/float64(f.Runs), 1/float64(g.Runs)
	return (f.Value - g.Value) / math.Hypot(math.Hypot(f.SE, one), math.Hypot(g.SE, other))
}

// each calls play once per run, on all cores. Run i draws from PCG(seed, i).
func each(runs int, seed uint64, newPlayer func() func(run int, r *rand.Rand)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runs, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			play := newPlayer()
			for {
				run := int(next.Add(1)) - 1
				if run >= runs {
					return
				}
				play(run, rand.New(rand.NewPCG(seed, uint64(run)))) //nolint:gosec // A run is not negative.
			}
		})
	}
	group.Wait()
}
