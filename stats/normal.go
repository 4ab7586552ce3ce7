package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// logSqrt2Pi is ln √(2π).
const logSqrt2Pi = 0.918938533204672741780329736405617639861

const (
	sqrtPi     = 1.772453850905516027298167483341145182798
	sqrt2Pi    = 2.506628274631000502415765284811045253007
	sqrtHalfPi = sqrt2Pi / 2
)

// NormalCDF returns Φ(x), the lower tail of the standard normal distribution,
// with full relative precision down to the smallest float64.
func NormalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// NormalSF returns 1 - Φ(x), the upper tail, with full relative precision.
// (gonum's distuv.Normal.Survival is (1-erf)/2, which is 0 beyond x = 8.3.)
func NormalSF(x float64) float64 { return 0.5 * math.Erfc(x/math.Sqrt2) }

// NormalLogSF returns ln(1 - Φ(x)), also where the tail itself underflows.
func NormalLogSF(x float64) float64 {
	switch {
	case x < 0:
		return math.Log1p(-NormalCDF(x))
	case x < 12:
		return math.Log(NormalSF(x))
	case math.IsInf(x, 1):
		return math.Inf(-1)
	}
	return normalLogDensity(x) + math.Log(mills(x))
}

func normalDensity(x float64) float64 { return math.Exp(normalLogDensity(x)) }

func normalLogDensity(x float64) float64 { return -0.5*x*x - logSqrt2Pi }

// normalTail returns the upper tail at x ≥ 0 and the density there. The square is
// exact, so that both keep full relative precision from one exponential.
func normalTail(x float64) (sf, density float64) {
	square := x * x
	density = math.Exp(-0.5*square) * (1 - 0.5*math.FMA(x, x, -square)) / sqrt2Pi
	if x < millsFrom {
		return NormalSF(x), density
	}
	return density * mills(x), density
}

// millsFrom is where [mills] begins.
const millsFrom = 0.67

// mills returns Mills' ratio (1 - Φ(x))/φ(x) = √(π/2) e^(x²/2) erfc(x/√2) for
// x ≥ millsFrom by rational approximations whose error is below 6e-18 of it.
//
// Source: Cody 1969, Rational Chebyshev approximations for the error function,
// Mathematics of Computation 23.
func mills(x float64) float64 {
	y := x / math.Sqrt2
	if y < 4 {
		return sqrtHalfPi *
			((((((((2.15311535474403846e-8*y+5.64188496988670089e-1)*y+8.88314979438837594)*y+
				6.61191906371416295e1)*y+2.98635138197400131e2)*y+8.81952221241769090e2)*y+
				1.71204761263407058e3)*y+2.05107837782607147e3)*y + 1.23033935479799725e3) /
			((((((((y+1.57449261107098347e1)*y+1.17693950891312499e2)*y+5.37181101862009858e2)*y+
				1.62138957456669019e3)*y+3.29079923573345963e3)*y+4.36261909014324716e3)*y+
				3.43936767414372164e3)*y + 1.23033935480374942e3)
	}
	s := 1 / (y * y)
	r := (((((1.63153871373020978e-2*s+3.05326634961232344e-1)*s+3.60344899949804439e-1)*s+
		1.25781726111229246e-1)*s+1.60837851487422766e-2)*s + 6.58749161529837803e-4) /
		(((((s+2.56852019228982242)*s+1.87295284992346725)*s+5.27905102951428412e-1)*s+
			6.05183413124413191e-2)*s + 2.33520497626869185e-3)
	return (1 - sqrtPi*s*r) / x
}

// NormalQuantile returns the x with Φ(x) = p: ±Inf at 0 and 1, NaN outside.
func NormalQuantile(p float64) float64 {
	switch {
	case !(p >= 0 && p <= 1):
		return math.NaN()
	case p == 0:
		return math.Inf(-1)
	case p == 1:
		return math.Inf(1)
	}
	return mathext.NormalQuantile(p)
}

// NormalISF returns the x with 1 - Φ(x) = q, precise for small q. It is
// -Quantile(q), never Quantile(1-q).
func NormalISF(q float64) float64 { return -NormalQuantile(q) }
