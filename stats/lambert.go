package stats

import "math"

// LambertWm1 returns the branch W₋₁ of Lambert's function for x in [-1/e, 0):
// the w ≤ -1 with w e^w = x. NaN outside.
//
// Newton's method on w + ln(-w) = ln(-x), from the series at the branch point
// or the logarithmic start.
//
// Source: Corless et al. 1996, Advances in Computational Mathematics 5.
func LambertWm1(x float64) float64 {
	if !(x < 0) || x < -1/math.E-1e-16 {
		return math.NaN()
	}
	l := math.Log(-x)
	if l >= -1 {
		return -1
	}
	w := l - math.Log(-l)
	if l > -1.5 {
		s := math.Sqrt(2 * (-1 - l))
		w = -1 - s - s*s/3
	}
	for range 50 {
		step := (w + math.Log(-w) - l) / (1 + 1/w)
		w -= step
		if math.Abs(step) <= 1e-16*math.Abs(w) {
			break
		}
	}
	return w
}
