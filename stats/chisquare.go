package stats

import "math"

// ChiSquareCDF returns the lower tail of the chi-squared distribution with df
// degrees of freedom, P(df/2, x/2).
func ChiSquareCDF(x, df float64) float64 { return GammaP(df/2, max(x, 0)/2) }

// ChiSquareSF returns the upper tail, Q(df/2, x/2).
func ChiSquareSF(x, df float64) float64 { return GammaQ(df/2, max(x, 0)/2) }

// ChiSquareLogSF returns the logarithm of the upper tail, also where the tail
// itself underflows.
func ChiSquareLogSF(x, df float64) float64 { return logGammaQ(df/2, max(x, 0)/2) }

// ChiSquareQuantile returns the x with P(X ≤ x) = p, by the root of the smaller
// tail on the scale of ln x. NaN when p is outside [0, 1] or df not positive.
func ChiSquareQuantile(p, df float64) float64 {
	a := df / 2
	switch {
	case !(p >= 0 && p <= 1) || !(a > 0) || math.IsInf(a, 1):
		return math.NaN()
	case p == 0:
		return 0
	case p == 1:
		return math.Inf(1)
	}
	tail := func(u float64) float64 {
		x := math.Exp(u)
		if p <= 0.5 {
			return math.Log(GammaP(a, x)) - math.Log(p)
		}
		return math.Log1p(-p) - max(-1e4, logGammaQ(a, x))
	}
	// P(a, x) ≤ x^a/Γ(a+1) bounds the root from below.
	lo := (math.Log(p)+LogGamma(a+1))/a - 1e-6
	if lo < -745 {
		return 0 // below the smallest float64
	}
	hi := max(lo, math.Log(a)) + 1
	for tail(hi) < 0 {
		hi++
	}
	u, ok := findRoot(tail, lo, hi)
	if !ok {
		return math.NaN()
	}
	return 2 * math.Exp(u)
}
