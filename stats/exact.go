package stats

import "math"

// ClopperPearson returns the exact interval of one proportion, the quantiles
// of Beta(x, n-x+1) and Beta(x+1, n-x): never below its level, often above.
//
// Source: Clopper & Pearson 1934, Biometrika 26.
func ClopperPearson(c Count, level float64) RateInterval {
	if w := first(c.check(), checkLevel(level)); w != NoWarning {
		return noRate(w)
	}
	tail := (1 - level) / 2
	x, y := float64(c.Successes), float64(c.N-c.Successes)
	r := RateInterval{Estimate: c.rate(), CI: Interval{0, 1}}
	if x > 0 {
		r.CI.Lower = BetaQuantile(tail, x, y+1)
	}
	if y > 0 {
		r.CI.Upper = 1 - BetaQuantile(tail, y, x+1)
	}
	return r
}

// Jeffreys returns the central interval of Beta(x+1/2, n-x+1/2), the posterior
// under Jeffreys' prior. The lower limit is 0 when x = 0 and the upper 1 when
// x = n. The level must be at least 1/2: the posterior's centre is not x/n.
//
// Source: Brown, Cai, DasGupta 2001, Statistical Science 16.
func Jeffreys(c Count, level float64) RateInterval {
	w := first(c.check(), checkLevel(level))
	if w == NoWarning && level < 0.5 {
		w = InvalidInput
	}
	if w != NoWarning {
		return noRate(w)
	}
	tail := (1 - level) / 2
	x, y := float64(c.Successes), float64(c.N-c.Successes)
	r := RateInterval{Estimate: c.rate(), CI: Interval{0, 1}}
	if x > 0 {
		r.CI.Lower = BetaQuantile(tail, x+0.5, y+0.5)
	}
	if y > 0 {
		r.CI.Upper = 1 - BetaQuantile(tail, y+0.5, x+0.5)
	}
	return r
}

// FisherExact returns the two-sided p-value of the 2×2 table given its margins:
// the sum of the hypergeometric probabilities that do not exceed that of the
// table seen (to a relative 1e-7, as R does). It is meant for small counts; from
// a million customers on it warns [InvalidInput], where [ProportionZPooled] says
// the same.
//
// Source: Fisher 1935; the two-sided rule is that of R's fisher.test.
func FisherExact(control, treatment Count) (p float64, w Warning) {
	if w := first(control.check(), treatment.check()); w != NoWarning {
		return math.NaN(), w
	}
	n1, n2 := float64(control.N), float64(treatment.N)
	if n1+n2 > 1e6 {
		return math.NaN(), InvalidInput
	}
	k := float64(control.Successes + treatment.Successes)
	low, high := max(0, k-n2), min(n1, k)
	log := func(x float64) float64 {
		return logChoose(n1, x) + logChoose(n2, k-x) - logChoose(n1+n2, k)
	}
	limit := log(float64(control.Successes)) + 1e-7
	for x := low; x <= high; x++ {
		if l := log(x); l <= limit {
			p += math.Exp(l)
		}
	}
	return min(1, p), NoWarning
}

// logChoose returns the logarithm of the binomial coefficient n over k.
func logChoose(n, k float64) float64 {
	return -math.Log1p(n) - LogBeta(n-k+1, k+1)
}
