package simulation

import (
	"math/rand/v2"
	"slices"

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
	check := splitCheck{[]float64{1, 1}, s.Alpha, s.Concentration}
	return check.run(runs, seed, func(r *rand.Rand) [][]int64 {
		binomial := distuv.Binomial{N: float64(s.PerDay), P: s.Treated, Src: r}
		days := make([][]int64, s.Days)
		for d := range days {
			treated := int64(binomial.Rand())
			days[d] = []int64{int64(s.PerDay) - treated, treated}
		}
		return days
	})
}

// ReplaySplit checks the counts that the hash of a [Replay] gives, on every day on
// which somebody enrolled.
type ReplaySplit struct {
	Replay
	Alpha, Concentration float64
}

// Run plays the check.
func (s ReplaySplit) Run(runs int, seed uint64) SplitResult {
	check := splitCheck{make([]float64, len(s.Weights)), s.Alpha, s.Concentration}
	for i, w := range s.Weights {
		check.weights[i] = float64(w)
	}
	last := slices.Max(s.History.Entry)
	return check.run(runs, seed, func(r *rand.Rand) [][]int64 {
		days := make([][]int64, last+1)
		for d := range days {
			days[d] = make([]int64, len(s.Weights))
		}
		for i, c := range s.split(r) {
			for _, entry := range c.entry {
				days[entry][i]++
			}
		}
		return days
	})
}

// splitCheck is what is done with the counts of each day.
type splitCheck struct {
	weights              []float64
	alpha, concentration float64
}

func (s splitCheck) run(runs int, seed uint64, draw func(*rand.Rand) [][]int64) SplitResult {
	sequential, chi2 := make([]int, runs), make([]int, runs)
	each(runs, seed, func() func(int, *rand.Rand) {
		return func(run int, r *rand.Rand) {
			counts := make([]int64, len(s.weights))
			for _, day := range draw(r) {
				for i, n := range day {
					counts[i] += n
				}
				if stats.SampleRatioSequential(counts, s.weights, s.concentration).P < s.alpha {
					sequential[run] = 1
				}
				if stats.SampleRatioChi2(counts, s.weights).P < s.alpha {
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
