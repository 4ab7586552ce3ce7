package stats

import "math"

// LogBeta returns ln B(a, b) for a, b > 0 without the cancellation of three
// log-gammas: Stirling's main terms are combined first and only the small
// remainders are subtracted. NaN when a or b is not positive.
//
// Source: Didonato & Morris 1992, Algorithm 708, ACM TOMS 18.
func LogBeta(a, b float64) float64 {
	if !(a > 0) || !(b > 0) {
		return math.NaN()
	}
	if a > b {
		a, b = b, a
	}
	s := a + b
	switch {
	case math.IsInf(b, 1):
		return math.Inf(-1)
	case a >= 10:
		return -0.5*math.Log(b) + logSqrt2Pi + stirling(a) + stirling(b) - stirling(s) +
			(a-0.5)*math.Log(a/s) + b*math.Log1p(-a/s)
	case b >= 10:
		return LogGamma(a) + stirling(b) - stirling(s) + a - a*math.Log(s) +
			(b-0.5)*math.Log1p(-a/s)
	}
	return LogGamma(a) + LogGamma(b) - LogGamma(s)
}

// BetaCDF returns the regularised incomplete beta function I_x(a, b), the lower
// tail of the beta distribution. NaN outside a, b > 0.
func BetaCDF(x, a, b float64) float64 { return betaTail(1-x, x, b, a) }

// BetaSF returns 1 - I_x(a, b) = I_{1-x}(b, a), the upper tail.
func BetaSF(x, a, b float64) float64 { return betaTail(x, 1-x, a, b) }

// betaTail returns 1 - I_x(a, b) from x and its complement y, either of which
// may be the one that is known precisely.
func betaTail(x, y, a, b float64) float64 {
	switch {
	case math.IsNaN(x) || !(a > 0) || !(b > 0) || math.IsInf(a, 1) || math.IsInf(b, 1):
		return math.NaN()
	case x <= 0:
		return 1
	case y <= 0:
		return 0
	}
	front := betaFront(x, y, a, b)
	if x*(a+b+2) < a+1 {
		return 1 - front*betaFraction(a, b, x)/a
	}
	return front * betaFraction(b, a, y) / b
}

// betaFront returns x^a y^b/B(a, b). With s = a+b, u = xs/a - 1 and v = ys/b - 1,
// where au + bv = 0, its logarithm is
//
//	a (ln(1+u) - u) + b (ln(1+v) - v) + ln(ab/s)/2 - ln √(2π) - r(a) - r(b) + r(s),
//
// r being Stirling's remainder: near the mean nothing of the size of a cancels.
func betaFront(x, y, a, b float64) float64 {
	s := a + b
	if math.IsInf(s, 1) {
		return math.NaN()
	}
	part := func(x, a float64) float64 {
		if ratio := x * s / a; ratio < 0.95 {
			return math.Log(ratio) - (ratio - 1)
		}
		return logMinus((x*s - a) / a)
	}
	return math.Exp(a*part(x, a) + b*part(y, b) + 0.5*math.Log(a/s*b) -
		logSqrt2Pi - stirling(a) - stirling(b) + stirling(s))
}

// logMinus returns ln(1+u) - u for u > -1, by its series near 0.
func logMinus(u float64) float64 {
	if math.Abs(u) > 0.05 {
		return math.Log1p(u) - u
	}
	sum, power := 0.0, u
	for k := 2.0; k < 15; k++ {
		power *= -u
		sum += power / k
	}
	return sum
}

// BetaQuantile returns the x with I_x(a, b) = p, by the root of the smaller tail
// on the scale ln(x/(1-x)). NaN outside its domain.
func BetaQuantile(p, a, b float64) float64 {
	switch {
	case !(p >= 0 && p <= 1) || !(a > 0) || !(b > 0) || math.IsInf(a, 1) || math.IsInf(b, 1):
		return math.NaN()
	case p == 0 || p == 1:
		return p
	}
	// tail returns ln I_x - ln p at x = 1/(1+e^-s), or the same of the upper tail
	// with its sign turned.
	tail := func(s float64) float64 {
		x, y := 1/(1+math.Exp(-s)), 1/(1+math.Exp(s))
		if p <= 0.5 {
			return max(-1e4, math.Log(betaTail(y, x, b, a))-math.Log(p))
		}
		return min(1e4, math.Log1p(-p)-math.Log(betaTail(x, y, a, b)))
	}
	centre := math.Log(a) - math.Log(b)
	lo, hi := centre, centre
	for step := 1.0; tail(lo) > 0 && lo > -750; step *= 2 {
		lo = max(-750, lo-step)
	}
	for step := 1.0; tail(hi) < 0 && hi < 750; step *= 2 {
		hi = min(750, hi+step)
	}
	switch {
	case tail(lo) > 0:
		return 0 // below the smallest float64
	case tail(hi) < 0:
		return 1
	}
	s, ok := findRoot(tail, lo, hi)
	if !ok {
		return math.NaN()
	}
	return 1 / (1 + math.Exp(-s))
}

// FSF returns the upper tail of the F distribution with df1 and df2 degrees of
// freedom: I_y(df2/2, df1/2) with y = df2/(df2 + df1 x).
func FSF(x, df1, df2 float64) float64 {
	if math.IsNaN(x) || !(df1 > 0) || !(df2 > 0) {
		return math.NaN()
	}
	if x <= 0 {
		return 1
	}
	if math.IsInf(x, 1) {
		return 0
	}
	odds := df1 / df2 * x
	if math.IsInf(odds, 1) {
		return 0
	}
	return betaTail(odds/(1+odds), 1/(1+odds), df1/2, df2/2)
}

// BinomialCDF returns P(X ≤ k) of n trials with success probability p.
func BinomialCDF(k, n, p float64) float64 {
	switch {
	case math.IsNaN(k) || !(n >= 0) || !(p >= 0 && p <= 1):
		return math.NaN()
	case k < 0:
		return 0
	case k >= n:
		return 1
	}
	k = math.Floor(k)
	return betaTail(p, 1-p, k+1, n-k)
}

// BinomialSF returns P(X > k) of n trials with success probability p.
func BinomialSF(k, n, p float64) float64 {
	switch {
	case math.IsNaN(k) || !(n >= 0) || !(p >= 0 && p <= 1):
		return math.NaN()
	case k < 0:
		return 1
	case k >= n:
		return 0
	}
	k = math.Floor(k)
	return betaTail(1-p, p, n-k, k+1)
}

// betaFraction returns the continued fraction of the incomplete beta function,
// so that I_x(a, b) = x^a (1-x)^b / (a B(a, b)) betaFraction(a, b, x). It
// converges fast for x < (a+1)/(a+b+2).
//
// Source: Abramowitz & Stegun 26.5.8, by Lentz's method (Thompson & Barnett 1986).
func betaFraction(a, b, x float64) float64 {
	const tiny = 1e-300
	c := 1.0
	d := 1 - (a+b)*x/(a+1)
	if math.Abs(d) < tiny {
		d = tiny
	}
	d = 1 / d
	f := d
	for i := 1; i < 100000; i++ {
		m := float64(i)
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d, c = lentz(even, d, c)
		f *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d, c = lentz(odd, d, c)
		f *= d * c
		if math.Abs(d*c-1) < 1e-16 {
			break
		}
	}
	return f
}

// lentz advances a continued fraction with unit denominators by one numerator.
func lentz(num, d, c float64) (d1, c1 float64) {
	const tiny = 1e-300
	d = 1 + num*d
	if math.Abs(d) < tiny {
		d = tiny
	}
	c = 1 + num/c
	if math.Abs(c) < tiny {
		c = tiny
	}
	return 1 / d, c
}
