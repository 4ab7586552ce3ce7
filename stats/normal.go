package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// logSqrt2Pi is ln √(2π).
const logSqrt2Pi = 0.918938533204672741780329736405617639861

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

// mills returns Mills' ratio (1 - Φ(x))/φ(x) for x ≥ 2 by Laplace's continued
// fraction 1/(x + 1/(x + 2/(x + 3/(x + …)))), evaluated from a depth at which
// the rest is below one unit in the last place.
//
// Source: Abramowitz & Stegun 26.2.14.
func mills(x float64) float64 {
	depth := 10 + int(2000/(x*x))
	f := x
	for k := depth; k >= 1; k-- {
		f = x + float64(k)/f
	}
	return 1 / f
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
	return distuv.UnitNormal.Quantile(p)
}

// NormalISF returns the x with 1 - Φ(x) = q, precise for small q. It is
// -Quantile(q), never Quantile(1-q).
func NormalISF(q float64) float64 { return -NormalQuantile(q) }
