package simulation

import (
	"math"
	"math/rand/v2"

	"github.com/perennial-engine/perennial/stats"
)

// Family has several treatments against one control in several goal metrics,
// watched together. The metrics of a customer correlate by MetricCorrelation,
// the comparisons of two treatments by 1/2 through the control they share.
type Family struct {
	Treatments, Metrics, Looks int
	MetricCorrelation          float64
	// Real is the number of comparisons that have an effect of Drift, the mean of
	// Z at the last look; the others have none.
	Real  int
	Drift float64
}

// FamilyResult counts the runs in which a comparison without effect was rejected
// anywhere, by method.
type FamilyResult struct {
	// Naive and Sequence do not allow for the number of comparisons; NaiveHolm
	// applies Holm's correction at each look.
	Naive, NaiveHolm, Sequence Figure
	// SequenceHolm and PlannedHolm are what an engine does: Holm on the always
	// valid p-values, and on the repeated p-values of an O'Brien-Fleming plan.
	SequenceHolm, PlannedHolm Figure
}

// familyRules are the boundaries of Z per look when m comparisons share the
// error, index m-1.
type familyRules struct{ naive, planned [][]float64 }

func (f Family) rules() familyRules {
	times := make([]float64, f.Looks)
	for k := range times {
		times[k] = float64(k+1) / float64(f.Looks)
	}
	var r familyRules
	for m := range f.Treatments * f.Metrics {
		side := alpha / 2 / float64(m+1)
		r.naive = append(r.naive, constant(f.Looks, stats.NormalISF(side)))
		r.planned = append(r.planned, boundaries(stats.Spending{}, side, times))
	}
	return r
}

// Run plays the family.
func (f Family) Run(runs int, seed uint64) FamilyResult { return f.run(runs, seed, f.draw) }

// run counts what the rules say of Z as drawn.
func (f Family) run(runs int, seed uint64, draw func(*rand.Rand) [][]float64) FamilyResult {
	rules := f.rules()
	type errors struct{ naive, naiveHolm, sequence, sequenceHolm, plannedHolm bool }
	found := make([]errors, runs)
	each(runs, seed, func() func(int, *rand.Rand) {
		return func(run int, r *rand.Rand) {
			z := draw(r)
			logP := make([]float64, len(z))
			for i := range z {
				logP[i] = f.sequenceLogP(z[i])
			}
			found[run] = errors{
				naive:        f.falseRejection(func(i int) bool { return crossed(z[i], rules.naive[0]) }),
				naiveHolm:    f.falseRejection(stepDown(z, rules.naive)),
				sequence:     f.falseRejection(func(i int) bool { return logP[i] <= math.Log(alpha) }),
				sequenceHolm: f.falseRejection(holm(logP)),
				plannedHolm:  f.falseRejection(stepDown(z, rules.planned)),
			}
		}
	})
	rate := func(is func(errors) bool) Figure {
		hits := 0
		for _, e := range found {
			if is(e) {
				hits++
			}
		}
		return NewRate(hits, runs)
	}
	return FamilyResult{
		Naive:        rate(func(e errors) bool { return e.naive }),
		NaiveHolm:    rate(func(e errors) bool { return e.naiveHolm }),
		Sequence:     rate(func(e errors) bool { return e.sequence }),
		SequenceHolm: rate(func(e errors) bool { return e.sequenceHolm }),
		PlannedHolm:  rate(func(e errors) bool { return e.plannedHolm }),
	}
}

// draw returns Z of every comparison at every look. The arms' sums move like
// Brownian motions; treatment minus control over √2 has variance 1 per look.
func (f Family) draw(r *rand.Rand) [][]float64 {
	common, own := math.Sqrt(f.MetricCorrelation), math.Sqrt(1-f.MetricCorrelation)
	sums := make([][]float64, f.Treatments+1)
	z := make([][]float64, f.Treatments*f.Metrics)
	for arm := range sums {
		sums[arm] = make([]float64, f.Metrics)
	}
	for i := range z {
		z[i] = make([]float64, f.Looks)
	}
	for k := range f.Looks {
		for _, sum := range sums {
			shared := common * r.NormFloat64()
			for metric := range sum {
				sum[metric] += shared + own*r.NormFloat64()
			}
		}
		n := float64(k + 1)
		for i := range z {
			metric := i % f.Metrics
			z[i][k] = (sums[1+i/f.Metrics][metric] - sums[0][metric]) / math.Sqrt(2*n)
			if i < f.Real {
				z[i][k] += f.Drift * math.Sqrt(n/float64(f.Looks))
			}
		}
	}
	return z
}

// sequenceLogP returns the running always-valid p-value at the end.
func (f Family) sequenceLogP(z []float64) float64 {
	var path stats.SequencePath
	for k, x := range z {
		u := float64(k+1) * stats.Rho2(alpha, float64(f.Looks))
		s := stats.ConfidenceSequence(stats.Estimate{Value: x, SE: 1}, u, alpha, 0)
		path = path.Look(s, 0, alpha, false)
	}
	return path.LogP
}

func (f Family) falseRejection(rejected func(i int) bool) bool {
	for i := f.Real; i < f.Treatments*f.Metrics; i++ {
		if rejected(i) {
			return true
		}
	}
	return false
}

// holm rejects by Holm's adjusted p-values.
func holm(logP []float64) func(i int) bool {
	p := make([]float64, len(logP))
	for i, l := range logP {
		p[i] = math.Exp(l)
	}
	adjusted := stats.Adjust(p, stats.Holm)
	return func(i int) bool { return adjusted[i] <= alpha }
}

// stepDown is Holm's procedure on boundaries: while m comparisons remain, those
// that ever crossed the boundary of 1/m of the error are rejected. It equals
// [holm] on the smallest repeated p-values, which would be slow to compute.
func stepDown(z [][]float64, upper [][]float64) func(i int) bool {
	rejected := make([]bool, len(z))
	for remain := len(z); remain > 0; {
		before := remain
		for i := range z {
			if !rejected[i] && crossed(z[i], upper[before-1]) {
				rejected[i] = true
				remain--
			}
		}
		if remain == before {
			break
		}
	}
	return func(i int) bool { return rejected[i] }
}

func crossed(z, upper []float64) bool {
	for k, x := range z {
		if math.Abs(x) >= upper[k] {
			return true
		}
	}
	return false
}
