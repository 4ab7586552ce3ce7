package stats_test

import (
	"math"
	"testing"

	"github.com/perennial-engine/perennial/stats"
)

// TestBetaBinomialLosses: the expected losses differ by the difference of the
// posterior means, E[(p2-p1)+] - E[(p1-p2)+] = E[p2] - E[p1], for arms of any
// size.
func TestBetaBinomialLosses(t *testing.T) {
	for _, c := range [][4]int64{
		{50, 1000, 65, 1000},
		{0, 10, 0, 12},
		{5_000_000, 10_000_000, 2, 5},
		{3, 5, 4_000_000, 10_000_000},
		{10, 100_000, 2000, 10_000_000},
		{0, 0, 1, 1},
	} {
		control, treatment := stats.Count{Successes: c[0], N: c[1]}, stats.Count{Successes: c[2], N: c[3]}
		r := stats.BetaBinomial(control, treatment, 1, 1)
		means := float64(c[2]+1)/float64(c[3]+2) - float64(c[0]+1)/float64(c[1]+2)
		if got := r.LossControl - r.LossTreatment; math.Abs(got-means) > 1e-13 {
			t.Errorf("%v: losses differ by %v, means by %v", c, got, means)
		}
		swapped := stats.BetaBinomial(treatment, control, 1, 1)
		if math.Abs(r.ProbTreatment+swapped.ProbTreatment-1) > 1e-12 {
			t.Errorf("%v: chances %v and %v do not add up to one", c, r.ProbTreatment, swapped.ProbTreatment)
		}
	}
}
