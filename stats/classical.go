package stats

import "math"

// ClassicalBoundaries are boundaries of the Wang-Tsiatis family for equally
// spaced looks.
type ClassicalBoundaries struct {
	// Constant is the boundary at the last look.
	Constant float64
	// Upper are the boundaries of all looks.
	Upper   []float64
	Warning Warning
}

// WangTsiatis returns the two-sided boundaries c t^(Δ-1/2) for a number of
// equally spaced looks, c being such that the overall two-sided error is alpha.
// Δ = 1/2 is Pocock's test, Δ = 0 O'Brien and Fleming's. The looks must take
// place as planned; unplanned ones need a [Plan].
//
// Sources: Pocock 1977; O'Brien & Fleming 1979; Wang & Tsiatis 1987; Jennison &
// Turnbull 2000, tables 2.1, 2.3 and 2.9.
func WangTsiatis(looks int, alpha, delta float64) ClassicalBoundaries {
	if looks < 1 || looks > maxLooks || !(alpha > 0 && alpha < 1) || !(delta >= -1 && delta <= 1) {
		return ClassicalBoundaries{Constant: math.NaN(), Warning: InvalidInput}
	}
	times := make([]float64, looks)
	shape := make([]float64, looks)
	for k := range times {
		times[k] = float64(k+1) / float64(looks)
		shape[k] = math.Pow(times[k], delta-0.5)
	}
	bounds := func(c float64) (upper, lower []float64) {
		upper, lower = make([]float64, looks), make([]float64, looks)
		for k := range upper {
			upper[k], lower[k] = c*shape[k], -c*shape[k]
		}
		return upper, lower
	}
	// With Δ above 1/2 the boundaries rise to the last one.
	widest := max(1, math.Pow(float64(looks), delta-0.5))
	c, ok := findRoot(func(c float64) float64 {
		upper, lower := bounds(c)
		return math.Log(2 * CrossingProbabilities(times, upper, lower, 0).Power / alpha)
	}, 0.5*NormalISF(alpha/2), (NormalISF(alpha/2/float64(looks))+2)*widest)
	if !ok {
		return ClassicalBoundaries{Constant: math.NaN(), Warning: NoConvergence}
	}
	upper, _ := bounds(c)
	return ClassicalBoundaries{Constant: c, Upper: upper}
}
