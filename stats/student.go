package stats

import "math"

// StudentCDF returns the lower tail P(T ≤ t) of Student's t distribution with
// df > 0 degrees of freedom (+Inf: normal), with full relative precision.
func StudentCDF(t, df float64) float64 { return StudentSF(-t, df) }

// StudentSF returns the upper tail P(T > t) with full relative precision. It is
// NaN when df is not positive.
func StudentSF(t, df float64) float64 {
	sf, _ := studentUpper(t, df)
	return sf
}

// StudentLogSF returns ln P(T > t), also where the tail itself underflows.
func StudentLogSF(t, df float64) float64 {
	_, log := studentUpper(t, df)
	return log
}

// StudentTwoSidedP returns P(|T| > |t|).
func StudentTwoSidedP(t, df float64) float64 {
	sf, _ := studentUpper(math.Abs(t), df)
	return 2 * sf
}

func studentUpper(t, df float64) (sf, log float64) {
	if math.IsNaN(t) || !(df > 0) {
		return math.NaN(), math.NaN()
	}
	if t >= 0 {
		return studentTail(t, df)
	}
	lower, _ := studentTail(-t, df)
	return 1 - lower, math.Log1p(-lower)
}

// studentTail returns P(T > t) and its logarithm for t ≥ 0.
//
// With L = ln(1 + t²/df), m = df - 1/2 and w = √(m L) the tail is
//
//	K ∫_w^∞ φ(x) (sinh(y/2)/(y/2))^(-1/2) dx,  y = x²/m,
//
// because the Jacobian of the substitution is even in y. The factor is
// 1 - y²/48 + y⁴/2560 - …, so that the tail is the normal tail at w and a
// polynomial times φ(w). For m ≥ 100 and L ≤ 0.15 the first term left out is
// below 1e-13 of the tail. Elsewhere the incomplete beta function is summed
// from x = exp(-L) and 1-x = -expm1(-L), which lose nothing to cancellation.
//
// Source: the substitution is Wallace's (1959, Ann. Math. Stat. 30); the
// expansion follows term by term.
func studentTail(t, df float64) (sf, log float64) {
	if math.IsInf(df, 1) {
		return NormalSF(t), NormalLogSF(t)
	}
	l := logOnePlusSquareOver(t, df)
	m := df - 0.5
	if m >= studentSeriesDF && l <= studentSeriesL {
		w := math.Sqrt(m * l)
		g := studentSeries(w, 1/m)
		if w < 37 {
			sf, density := normalTail(w)
			sf += g * density
			return sf, math.Log(sf)
		}
		log = normalLogDensity(w) + math.Log(mills(w)+g)
		return math.Exp(log), log
	}
	if math.IsInf(l, 1) {
		return 0, math.Inf(-1)
	}
	a := df / 2
	x, y := math.Exp(-l), -math.Expm1(-l)
	if x*(a+2.5) < a+1 {
		log = -a*l + 0.5*math.Log(y) - math.Log(a) - LogBeta(a, 0.5) +
			math.Log(betaFraction(a, 0.5, x)) - math.Ln2
		return math.Exp(log), log
	}
	lower := 0.0
	if y > 0 {
		lower = math.Exp(-a*l+0.5*math.Log(y)-LogBeta(a, 0.5)) * 2 * betaFraction(0.5, a, y)
	}
	sf = 0.5 * (1 - lower)
	return sf, math.Log(sf)
}

const (
	studentSeriesDF = 100
	studentSeriesL  = 0.15
	studentC6       = -1.0/645120 + 1.0/61440 - 5.0/221184
)

// studentSeries returns the polynomial by which the tail at w exceeds the
// normal tail, in units of φ(w), from 1/m. The normalising constant K is 1/(1+e)
// with e below 1e-5, so three terms of its series are exact.
func studentSeries(w, perM float64) float64 {
	w2, r := w*w, perM*perM
	c2 := -1.0 / 48 * r
	if perM < 1e-4 && w < 6 {
		return w * c2 * (w2 + 3) // the rest is below 1e-14 of the tail
	}
	r2 := r * r
	c4, c6 := 1.0/2560*r2, studentC6*r*r2
	p4 := w2 + 3
	p8 := ((w2+7)*w2+35)*w2 + 105
	p12 := ((((w2+11)*w2+99)*w2+693)*w2+3465)*w2 + 10395
	e := 3*c2 + 105*c4 + 10395*c6
	return w * (c2*p4 + c4*p8 + c6*p12) * (1 - e + e*e)
}

// logOnePlusSquareOver returns ln(1 + t²/d), without overflow of the square and
// by the series of the logarithm, exact to x⁸/9, where that is short.
func logOnePlusSquareOver(t, d float64) float64 {
	if t > 1e150 {
		return 2*math.Log(t) - math.Log(d)
	}
	x := t * t / d
	if x < 0.004 {
		return x * (1 - x*(1.0/2-x*(1.0/3-x*(1.0/4-x*(1.0/5-x*(1.0/6-x*(1.0/7-x/8)))))))
	}
	return math.Log1p(x)
}

// StudentQuantile returns the t with P(T ≤ t) = p: ±Inf at 0 and 1, NaN
// outside [0, 1] or when df is not positive.
func StudentQuantile(p, df float64) float64 {
	if p > 0.5 {
		return StudentISF(1-p, df)
	}
	return -StudentISF(p, df)
}

// StudentISF returns the t with P(T > t) = q, precise for small q.
//
// For large df it is Cornish and Fisher's series at the normal quantile, or farther
// out the series of the tail inverted there; otherwise Newton's method on the logarithm of the tail as a function of ln t,
// which is concave, or on the tail itself near the centre, where it is convex:
// both converge from any start.
func StudentISF(q, df float64) float64 {
	switch {
	case !(q >= 0 && q <= 1) || !(df > 0):
		return math.NaN()
	case q == 0:
		return math.Inf(1)
	case q == 0.5:
		return 0
	case q > 0.5:
		return -StudentISF(1-q, df)
	}
	w := NormalISF(q)
	if math.IsInf(df, 1) {
		return w
	}
	if df >= 1000 && w*w <= 0.001*df {
		return cornishFisher(w, 1/df)
	}
	m := df - 0.5
	if m > 1000 && w*w <= studentSeriesL*m && w < 10 {
		// The tail Q(w) + φ(w) g(w) solved to second order in g, whose slope is
		// -(w²+1)/(16m²) to its own first order.
		perM := 1 / m
		g := studentSeries(w, perM)
		w += g * (1 - (w*w+1)*perM*perM/16 - 0.5*w*g)
		y := w * w * perM
		if y < 0.02 { // (e^y - 1)/y by its series, exact to y⁷/40320
			grown := 1 + y*(1.0/2+y*(1.0/6+y*(1.0/24+y*(1.0/120+y*(1.0/720+y*(1.0/5040))))))
			return w * math.Sqrt(df*perM*grown)
		}
		return math.Sqrt(df * math.Expm1(y))
	}
	if q > 0.25 {
		return studentCentre(q, df)
	}
	target := math.Log(q)
	u := 0.5 * (math.Log(df) + min(w*w/df, 600))
	if w*w < df {
		u = math.Log(w)
	}
	for range 200 {
		t := math.Exp(u)
		_, log := studentTail(t, df)
		if u == largestLog && log > target {
			return math.Inf(1) // beyond the largest float64
		}
		slope := math.Exp(studentLogDensity(t, df) + u - log) // -d log/du
		step := (log - target) / slope
		u = min(u+step, largestLog)
		if math.Abs(step) < 1e-15*max(1, math.Abs(u)) {
			break
		}
	}
	return math.Exp(u)
}

// largestLog is the logarithm of nearly the largest float64.
const largestLog = 709

// cornishFisher returns the t of as much upper tail as w has under the normal
// distribution, from 1/df. For df ≥ 1000 and w² ≤ df/1000 the terms left out are
// below 5e-17 of it.
//
// Source: Abramowitz & Stegun 26.7.5.
func cornishFisher(w, perDF float64) float64 {
	w2 := w * w
	first := (w2 + 1) / 4
	second := ((5*w2+16)*w2 + 3) / 96
	third := (((3*w2+19)*w2+17)*w2 - 15) / 384
	fourth := ((((79*w2+776)*w2+1482)*w2-1920)*w2 - 945) / 92160
	return w + w*perDF*(first+perDF*(second+perDF*(third+perDF*fourth)))
}

// studentCentre solves P(T > t) = q for q in (0.25, 0.5) from t = 0.
func studentCentre(q, df float64) float64 {
	t := 0.0
	for range 100 {
		sf, _ := studentTail(t, df)
		step := (sf - q) / math.Exp(studentLogDensity(t, df))
		t += step
		if math.Abs(step) <= 1e-16*t {
			break
		}
	}
	return t
}

func studentLogDensity(t, df float64) float64 {
	return -LogBeta(df/2, 0.5) - 0.5*math.Log(df) - 0.5*(df+1)*logOnePlusSquareOver(t, df)
}
