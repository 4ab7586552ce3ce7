package stats

import "math"

// Hyp2F1 returns Gauss' hypergeometric function ₂F₁(a, b; c; x) for 0 ≤ x < 1
// and c > 0 by its series, after Euler's transformation
// (1-x)^(c-a-b) ₂F₁(c-a, c-b; c; x) when that has the smaller parameters
// and no terms that cancel. NaN
// outside, or when the series does not settle in 100,000 terms.
//
// Source: Abramowitz & Stegun 15.1.1 and 15.3.3.
func Hyp2F1(a, b, c, x float64) float64 {
	if !(x >= 0 && x < 1) || !(c > 0) || notFinite(a) || notFinite(b) || notFinite(c) {
		return math.NaN()
	}
	// Terms of one sign do not cancel; those of a negative c-a or c-b do.
	cancels := a > 0 && b > 0 && min(c-a, c-b) < 0
	if !cancels && math.Abs((c-a)*(c-b)) < math.Abs(a*b) {
		return math.Exp((c-a-b)*math.Log1p(-x)) * hypSeries(c-a, c-b, c, x)
	}
	return hypSeries(a, b, c, x)
}

func hypSeries(a, b, c, x float64) float64 {
	sum, term := 1.0, 1.0
	for k := range 100000 {
		n := float64(k)
		term *= (a + n) * (b + n) / ((c + n) * (n + 1)) * x
		sum += term
		// Beyond the point where terms shrink, the rest is below the last term
		// times x/(1-x).
		if math.Abs(term)*x <= 1e-17*math.Abs(sum)*(1-x) {
			return sum
		}
	}
	return math.NaN()
}
