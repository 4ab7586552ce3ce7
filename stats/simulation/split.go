package simulation

import (
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/perennial-engine/perennial/stats"
)

// Split checks the assigned counts of two arms, planned half and half, daily.
type Split struct {
	PerDay, Days int
	// Treated is the true share of the treatment.
	Treated float64
	// Alpha is the error at which a look raises the alarm, Concentration that of
	// [stats.SampleRatioSequential].
	Alpha, Concentration float64
}

// SplitResult counts the runs in which an alarm was raised.
type SplitResult struct {
	// Sequential is the alarm of the always-valid test, Chi2 that of a plain
	// chi-squared test at every look.
	Sequential, Chi2 Figure
}

// Run plays the check.
func (s Split) Run(runs int, seed uint64) SplitResult {
	sequential, chi2 := make([]int, runs), make([]int, runs)
	half := []float64{1, 1}
	each(runs, seed, func() func(int, *rand.Rand) {
		return func(run int, r *rand.Rand) {
			day := distuv.Binomial{N: float64(s.PerDay), P: s.Treated, Src: r}
			counts := []int64{0, 0}
			for range s.Days {
				treated := int64(day.Rand())
				counts[0] += int64(s.PerDay) - treated
				counts[1] += treated
				if stats.SampleRatioSequential(counts, half, s.Concentration).P < s.Alpha {
					sequential[run] = 1
				}
				if stats.SampleRatioChi2(counts, half).P < s.Alpha {
					chi2[run] = 1
				}
			}
		}
	})
	return SplitResult{Sequential: NewRate(sum(sequential), runs), Chi2: NewRate(sum(chi2), runs)}
}

func sum(hits []int) (n int) {
	for _, h := range hits {
		n += h
	}
	return n
}
