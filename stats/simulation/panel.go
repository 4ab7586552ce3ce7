package simulation

import (
	"math"
	"math/rand/v2"

	"github.com/perennial-engine/perennial/stats"
)

// Panel has customers whose value comes with a covariate from before and with
// whether they paid, to count how often intervals hold the truth.
type Panel struct {
	Control, Treatment Value
	// Memory correlates the logarithms of value and covariate.
	Memory float64
	// PerLook are the customers who join control and treatment per look.
	PerLook [2]int
	Looks   int
}

// Seen is what one look at a panel sees of one arm: value (Y) and covariate (X),
// money (Y) and whether it was paid (X), and the payers.
type Seen struct {
	Value, Paid stats.PairMoments
	Payers      stats.Count
}

// Shown is an interval that is shown, with the truth it is about.
type Shown struct {
	Name  string
	Truth float64
	// Interval returns the interval at a look that has seen so much; planned are
	// the customers of both arms at the last look.
	Interval func(control, treatment Seen, planned float64) stats.Interval
}

// Run returns, per interval, the share of runs in which it held the truth at every
// look with at least the given payers in both arms, and at least at the last.
func (p Panel) Run(shown []Shown, payers int64, runs int, seed uint64) []Figure {
	held := make([]bool, runs*len(shown))
	planned := float64(p.Looks * (p.PerLook[0] + p.PerLook[1]))
	each(runs, seed, func() func(int, *rand.Rand) {
		return func(run int, r *rand.Rand) {
			holds := held[run*len(shown) : (run+1)*len(shown)]
			for i := range holds {
				holds[i] = true
			}
			var control, treatment Seen
			for k := range p.Looks {
				p.join(r, &control, p.Control, p.PerLook[0])
				p.join(r, &treatment, p.Treatment, p.PerLook[1])
				if min(control.Payers.Successes, treatment.Payers.Successes) < payers && k+1 < p.Looks {
					continue
				}
				for i, s := range shown {
					holds[i] = holds[i] && s.Interval(control, treatment, planned).Contains(s.Truth)
				}
			}
		}
	})
	figures := make([]Figure, len(shown))
	for i := range shown {
		hits := 0
		for run := range runs {
			if held[run*len(shown)+i] {
				hits++
			}
		}
		figures[i] = NewRate(hits, runs)
	}
	return figures
}

// join draws n customers of a value into an arm.
func (p Panel) join(r *rand.Rand, arm *Seen, v Value, n int) {
	values, before, paid := make([]float64, n), make([]float64, n), make([]float64, n)
	own := math.Sqrt(1 - p.Memory*p.Memory)
	capped := func(x float64) float64 {
		if v.Cap > 0 {
			return min(x, v.Cap)
		}
		return x
	}
	for i := range n {
		z := r.NormFloat64()
		before[i] = capped(math.Exp(v.LogSD * (p.Memory*z + own*r.NormFloat64())))
		if r.Float64() >= v.Zeros {
			values[i], paid[i] = capped((1+v.Lift)*math.Exp(v.LogSD*z)), 1
			arm.Payers.Successes++
		}
	}
	arm.Payers.N += int64(n)
	arm.Value = arm.Value.Add(stats.FromPairs(values, before))
	arm.Paid = arm.Paid.Add(stats.FromPairs(values, paid))
}
