package stats

import "math"

// Futility are boundaries for efficacy and for giving up.
type Futility struct {
	Upper, Lower []float64
	// Drift is the mean of Z at information 1 at which the power is 1 - beta.
	Drift   float64
	Warning Warning
}

// NonBindingFutility adds to a one-sided plan the lower boundaries that spend
// beta under the drift at which both boundaries meet at the last look. They are
// not binding: the upper boundaries are those of the plan alone, so that
// carrying on below the lower one costs no error.
//
// Source: Lan & DeMets 1983; Pampallona, Tsiatis, Kim 2001.
func (p Plan) NonBindingFutility(betaSpending Spending, beta float64) Futility {
	p.TwoSided = false
	bounds := p.Boundaries()
	w := bounds.Warning
	if w == NoWarning && !(beta > 0 && beta < 1-p.Alpha) ||
		math.IsNaN(betaSpending.Spent(beta, 0.5)) {
		w = first(w, InvalidInput)
	}
	if w != NoWarning {
		return Futility{Drift: math.NaN(), Warning: w}
	}
	single := NormalISF(p.Alpha) - NormalISF(1-beta)
	drift, ok := findRoot(func(d float64) float64 {
		_, missed := p.futility(bounds.Upper, betaSpending, beta, d)
		return missed - beta
	}, 0.5*single, 3*single+3)
	if !ok {
		return Futility{Drift: math.NaN(), Warning: NoConvergence}
	}
	lower, _ := p.futility(bounds.Upper, betaSpending, beta, drift)
	return Futility{Upper: bounds.Upper, Lower: lower, Drift: drift}
}

// futility returns the lower boundaries under a drift, the last one equal to
// the upper, and the probability of ending below one of them.
func (p Plan) futility(upper []float64, s Spending, beta, drift float64) (lower []float64, missed float64) {
	b := newBrownian(drift)
	last := len(p.Times) - 1
	for k, t := range p.Times[:last] {
		spend := s.Spent(beta, p.spendTime(k)) - missed
		z := math.Inf(-1)
		if spend > 1e-18 {
			low, high := drift*math.Sqrt(t)-40, upper[k]
			if math.IsInf(high, 1) {
				high = drift*math.Sqrt(t) + 40
			}
			f := func(z float64) float64 { return math.Log(b.below(t, z) / spend) }
			if f(high) <= 0 {
				z = high // all that is left may be given up
			} else {
				for f(low) > 0 || math.IsNaN(f(low)) {
					low -= 10
				}
				z, _ = findRoot(func(z float64) float64 { return max(f(z), -1e3) }, low, high)
			}
			missed += b.below(t, z)
		}
		lower = append(lower, z)
		b.advance(t, z, upper[k], p.Times[k+1])
	}
	missed += b.below(p.Times[last], upper[last])
	return append(lower, upper[last]), missed
}
