package simulation

import (
	"math"
	"math/rand/v2"

	"github.com/perennial-engine/perennial/stats"
)

// Value is the distribution of what a customer is worth.
type Value struct {
	// LogSD is the standard deviation of the logarithm of what a payer spends;
	// its median is 1. With 0 the value is normal with mean 10 and deviation 1,
	// and Zeros, Cap and Lift do not apply.
	LogSD float64
	// Zeros is the share of customers who spend nothing.
	Zeros float64
	// Cap limits the value of one customer; 0 is no cap.
	Cap float64
	// Lift multiplies what payers spend by 1 + Lift, before the cap.
	Lift float64
	// Shift moves the normal value.
	Shift float64
}

// PayerQuantile returns the p-quantile of what payers spend without a lift, to
// be used as a cap.
func PayerQuantile(logSD, p float64) float64 {
	return math.Exp(logSD * stats.NormalQuantile(p))
}

// Mean returns the mean over all customers,
//
//	(1 - zeros) (f e^(σ²/2) Φ(a - σ) + cap (1 - Φ(a))),  a = ln(cap/f)/σ,
//
// with f = 1 + lift.
func (v Value) Mean() float64 {
	if v.LogSD == 0 {
		return 10 + v.Shift
	}
	f := 1 + v.Lift
	m := f * math.Exp(v.LogSD*v.LogSD/2)
	if v.Cap > 0 {
		a := math.Log(v.Cap/f) / v.LogSD
		m = m*stats.NormalCDF(a-v.LogSD) + v.Cap*stats.NormalSF(a)
	}
	return (1 - v.Zeros) * m
}

// group draws n customers and returns their moments and how many of them paid.
func (v Value) group(r *rand.Rand, n int) (stats.Moments, int64) {
	var m stats.Moments
	for range n {
		switch {
		case v.LogSD == 0:
			push(&m, 10+v.Shift+r.NormFloat64())
		case v.Zeros == 0 || r.Float64() >= v.Zeros:
			x := (1 + v.Lift) * math.Exp(v.LogSD*r.NormFloat64())
			if v.Cap > 0 {
				x = min(x, v.Cap)
			}
			push(&m, x)
		}
	}
	payers := m.N
	return m.Add(stats.Moments{N: int64(n) - payers}), payers
}

// push adds one value to moments.
func push(m *stats.Moments, x float64) {
	m.N++
	d := x - m.Mean
	m.Mean += d / float64(m.N)
	m.M2 += d * (x - m.Mean)
}
