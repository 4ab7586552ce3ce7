package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// LogGamma returns ln Γ(x) for x > 0, NaN elsewhere.
func LogGamma(x float64) float64 {
	if !(x > 0) {
		return math.NaN()
	}
	l, _ := math.Lgamma(x)
	return l
}

// Digamma returns d ln Γ(x)/dx for x > 0, NaN elsewhere, with full relative
// precision also beside its root at 1.46: from 12 on by the asymptotic series, below
// by the recurrence to [1, 2]. (gonum's has ten digits.)
//
// Source: Abramowitz & Stegun 6.3.5 and 6.3.18.
func Digamma(x float64) float64 {
	switch {
	case !(x > 0):
		return math.NaN()
	case x >= 12:
		r := 1 / (x * x)
		series := r * (1.0/12 - r*(1.0/120-r*(1.0/252-r*(1.0/240-r*(1.0/132-r*(691.0/32760-r/12))))))
		return math.Log(x) - 0.5/x - series
	case x < 1:
		return digammaCentre(x+1) - 1/x
	}
	var d float64
	for x > 2 {
		x--
		d += 1 / x
	}
	return d + digammaCentre(x)
}

// The root of the digamma function, as the nearest float64 and the rest.
const (
	digammaRoot     = 1.4616321449683622
	digammaRootRest = 9.5499954299656977e-17
)

// digammaCentre returns the digamma function on [1, 2] as (x - root) times a rational
// function of x - 1, which goes through ψ(x)/(x - root) in the twelve Chebyshev nodes
// (mpmath 1.3, 60 digits). It is nowhere farther than 3e-17 from that.
func digammaCentre(x float64) float64 {
	u := x - 1
	p := ((((2.2205476047991614e-4*u+0.012282771527360986)*u+0.1674321822097703)*u+
		0.8563282382526716)*u+1.7811904023777358)*u + 1.2503801375034054
	q := (((((3.918857595782627e-5*u+0.0034081071889811372)*u+0.06589990402253255)*u+
		0.4784894928792091)*u+1.5240244625242985)*u+2.108065926448982)*u + 1
	return ((x - digammaRoot) - digammaRootRest) * (p / q)
}

// stirling returns the remainder r(x) of Stirling's formula,
// ln Γ(x) = (x - 1/2) ln x - x + ln √(2π) + r(x), for x > 0.
//
// Source: Abramowitz & Stegun 6.1.41.
func stirling(x float64) float64 {
	if x < 10 {
		return LogGamma(x) - (x-0.5)*math.Log(x) + x - logSqrt2Pi
	}
	r := 1 / (x * x)
	return (1.0/12 - r*(1.0/360-r*(1.0/1260-r*(1.0/1680-r*(1.0/1188-r*(691.0/360360-r/156)))))) / x
}

// GammaP returns the regularised lower incomplete gamma function P(a, x).
func GammaP(a, x float64) float64 {
	if !(a > 0) || !(x >= 0) || math.IsInf(a, 1) {
		return math.NaN()
	}
	if math.IsInf(x, 1) {
		return 1
	}
	return mathext.GammaIncReg(a, x)
}

// GammaQ returns the regularised upper incomplete gamma function Q(a, x).
func GammaQ(a, x float64) float64 {
	if !(a > 0) || !(x >= 0) || math.IsInf(a, 1) {
		return math.NaN()
	}
	if math.IsInf(x, 1) {
		return 0
	}
	return mathext.GammaIncRegComp(a, x)
}

// logGammaQ returns ln Q(a, x), from the other tail where Q is near 1 and by
// Legendre's continued fraction where Q itself would underflow.
//
// Source: Abramowitz & Stegun 6.5.31.
func logGammaQ(a, x float64) float64 {
	q := GammaQ(a, x)
	if q > 0.5 {
		return math.Log1p(-GammaP(a, x))
	}
	if q > 1e-290 || math.IsNaN(q) || x < a+1 || math.IsInf(x, 1) {
		return math.Log(q)
	}
	const tiny = 1e-300
	b := x + 1 - a
	c := 1 / tiny
	d := 1 / b
	h := d
	for i := 1; i < 100000; i++ {
		k := float64(i)
		an := -k * (k - a)
		b += 2
		d = 1 / (an*d + b)
		c = b + an/c
		h *= d * c
		if math.Abs(d*c-1) < 1e-16 {
			break
		}
	}
	return a*math.Log(x) - x - LogGamma(a) + math.Log(h)
}
