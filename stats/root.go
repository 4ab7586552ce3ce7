package stats

import "math"

// findRoot returns the root of f in [lo, hi], where f must change sign, by
// Brent's method to the precision of float64. ok is false when f does not
// change sign or the iteration does not settle.
//
// Source: Brent 1973, Algorithms for Minimization without Derivatives, ch. 4.
func findRoot(f func(float64) float64, lo, hi float64) (x float64, ok bool) {
	a, b := lo, hi
	fa, fb := f(a), f(b)
	if fa == 0 {
		return a, true
	}
	if fb == 0 {
		return b, true
	}
	if !(fa < 0 && fb > 0) && !(fa > 0 && fb < 0) {
		return math.NaN(), false
	}
	c, fc := a, fa
	d := b - a
	e := d
	for range 300 {
		if (fb > 0) == (fc > 0) {
			c, fc = a, fa
			d = b - a
			e = d
		}
		if math.Abs(fc) < math.Abs(fb) {
			a, b, c = b, c, b
			fa, fb, fc = fb, fc, fb
		}
		tol := 4.5e-16 * math.Abs(b)
		m := 0.5 * (c - b)
		if math.Abs(m) <= tol || fb == 0 {
			return b, true
		}
		if math.Abs(e) < tol || math.Abs(fa) <= math.Abs(fb) {
			d, e = m, m
		} else {
			p, q := interpolate(a, b, c, fa, fb, fc)
			if 2*p < min(3*m*q-math.Abs(tol*q), math.Abs(e*q)) {
				e, d = d, p/q
			} else {
				d, e = m, m
			}
		}
		a, fa = b, fb
		if math.Abs(d) > tol {
			b += d
		} else {
			b += math.Copysign(tol, m)
		}
		fb = f(b)
		if math.IsNaN(fb) {
			return math.NaN(), false
		}
	}
	return b, false
}

// interpolate returns the step p/q, p ≥ 0, of the secant or of inverse quadratic
// interpolation.
func interpolate(a, b, c, fa, fb, fc float64) (p, q float64) {
	s := fb / fa
	if a == c {
		return positive((c-b)*s, 1-s)
	}
	q, r := fa/fc, fb/fc
	return positive(s*((c-b)*q*(q-r)-(b-a)*(r-1)), (q-1)*(r-1)*(s-1))
}

// positive makes p positive by giving its sign to -q.
func positive(p, q float64) (p1, q1 float64) {
	if p > 0 {
		return p, -q
	}
	return -p, q
}
