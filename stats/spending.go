package stats

import "math"

// Spending says how much of the error of one side may be spent by an
// information fraction t.
type Spending struct {
	Family SpendingFamily
	// Param is γ of HwangShihDeCani and ρ of PowerSpending.
	Param float64
}

// SpendingFamily is a family of spending functions.
type SpendingFamily uint8

// The families, with a the error of one side:
//
//	OBrienFlemingLike  2 (1 - Φ(z_{1-a/2}/√t))   hardly anything early; the default
//	PocockLike         a ln(1 + (e-1) t)          nearly even
//	HwangShihDeCani    a (1 - e^(-γt))/(1 - e^-γ), a t at γ = 0
//	PowerSpending      a t^ρ
const (
	OBrienFlemingLike SpendingFamily = iota
	PocockLike
	HwangShihDeCani
	PowerSpending
)

// Spent returns the cumulative error of one side spent by the information
// fraction t, of alpha in all: 0 at t ≤ 0 and alpha from t = 1. NaN when alpha
// is outside (0, 1) or a parameter is out of range.
//
// Sources: Lan & DeMets 1983; Hwang, Shih, DeCani 1990; Kim & DeMets 1987.
func (s Spending) Spent(alpha, t float64) float64 {
	switch {
	case !(alpha > 0 && alpha < 1) || math.IsNaN(t) || notFinite(s.Param):
		return math.NaN()
	case t <= 0:
		return 0
	case t >= 1:
		return alpha
	}
	switch s.Family {
	case OBrienFlemingLike:
		return 2 * NormalSF(NormalISF(alpha/2)/math.Sqrt(t))
	case PocockLike:
		return alpha * math.Log1p((math.E-1)*t)
	case HwangShihDeCani:
		if s.Param == 0 {
			return alpha * t
		}
		return alpha * math.Expm1(-s.Param*t) / math.Expm1(-s.Param)
	case PowerSpending:
		if s.Param > 0 {
			return alpha * math.Pow(t, s.Param)
		}
	}
	return math.NaN()
}
