package stats

import "math"

// Stratum holds the two arms of one stratum.
type Stratum struct {
	Control, Treatment Moments
}

// StratifiedComparison is a comparison within strata.
type StratifiedComparison struct {
	// Comparison is that of the weighted difference, on the normal distribution.
	Comparison
	// InteractionQ tests whether the strata differ, chi² with InteractionDF
	// degrees of freedom, over the strata that vary. A diagnostic only.
	InteractionQ  float64
	InteractionDF int
}

// PostStratified compares means within strata and weights the differences by
// the strata's shares W = N_s/N of all customers,
//
//	diff = Σ W (mean2 - mean1),  se² = Σ W² (v1 + v2).
//
// It is required whenever the allocation changed over time, with the epochs of
// constant allocation as strata: pooling them is Simpson's paradox. A stratum
// with fewer than two customers in an arm warns [NeedsMerge].
//
// Source: Miratrix, Sekhon, Yu 2013, JRSS B 75.
func PostStratified(strata []Stratum, t Test) StratifiedComparison {
	none := func(w Warning) StratifiedComparison {
		return StratifiedComparison{Comparison: noComparison(w), InteractionQ: math.NaN()}
	}
	if len(strata) == 0 {
		return none(TooFewCustomers)
	}
	total := 0.0
	for _, s := range strata {
		w := first(s.Control.check(), s.Treatment.check())
		if w == TooFewCustomers {
			w = NeedsMerge
		}
		if w != NoWarning {
			return none(w)
		}
		total += float64(s.Control.N) + float64(s.Treatment.N)
	}
	var diff, variance float64
	var diffs, variances []float64
	for _, s := range strata {
		w := (float64(s.Control.N) + float64(s.Treatment.N)) / total
		d := s.Treatment.Mean - s.Control.Mean
		v := s.Treatment.Var()/float64(s.Treatment.N) + s.Control.Var()/float64(s.Control.N)
		diff += w * d
		variance += w * w * v
		if v > 0 {
			diffs, variances = append(diffs, d), append(variances, v)
		}
	}
	r := StratifiedComparison{Comparison: compare(diff, math.Sqrt(variance), math.Inf(1), t)}
	if r.Warning != NoWarning {
		return none(r.Warning)
	}
	r.InteractionQ, r.InteractionDF = heterogeneity(diffs, variances), len(diffs)-1
	if notFinite(r.InteractionQ) {
		return none(Overflow)
	}
	return r
}

// heterogeneity returns Cochran's Q = Σ (y - ȳ)²/v about the mean weighted by 1/v.
func heterogeneity(y, v []float64) float64 {
	var sw, swy float64
	for i := range y {
		sw += 1 / v[i]
		swy += y[i] / v[i]
	}
	mean, q := swy/sw, 0.0
	for i := range y {
		q += (y[i] - mean) * (y[i] - mean) / v[i]
	}
	return q
}
