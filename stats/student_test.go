package stats

import (
	"math"
	"testing"
)

// fractionTail is the tail by the incomplete beta fraction alone.
func fractionTail(t, df float64) float64 {
	l := math.Log1p(t * t / df)
	a := df / 2
	log := -a*l + 0.5*math.Log(-math.Expm1(-l)) - math.Log(a) - LogBeta(a, 0.5) +
		math.Log(betaFraction(a, 0.5, math.Exp(-l))) - math.Ln2
	return math.Exp(log)
}

// TestStudentFormulasAgree compares the series of the tail with the continued
// fraction, which share nothing, where both converge.
func TestStudentFormulasAgree(t *testing.T) {
	for _, df := range []float64{100.5, 130, 250, 1000, 2e4, 1e6} {
		for x := 2.0; x*x < studentSeriesL*df && x < 35; x *= 1.17 {
			got, _ := studentTail(x, df)
			want := fractionTail(x, df)
			// Both carry the rounding of an exponent of the size x²/2, the fraction
			// that of df as well.
			if tol := 2e-13 + 2e-16*(x*x+df); math.Abs(got-want) > tol*want {
				t.Errorf("tail(%v, %v) = %.17g, fraction %.17g (%.1g)", x, df, got, want, got/want-1)
			}
		}
	}
}

// TestQuantilesInvert holds every quantile against its own tail.
func TestQuantilesInvert(t *testing.T) {
	check := func(what string, p, back float64) {
		t.Helper()
		if !(math.Abs(back-p) <= 1e-11*p) {
			t.Errorf("%s at %v returns to %v", what, p, back)
		}
	}
	for _, p := range []float64{1e-200, 1e-30, 1e-10, 1e-4, 0.025, 0.2, 0.26, 0.4999} {
		check("normal", p, NormalSF(NormalISF(p)))
		for _, df := range []float64{0.3, 1, 2.5, 30, 99, 101, 900, 1100, 2e4, 1e7, 1e11} {
			x := StudentISF(p, df)
			if beyond := p == 1e-200 && df == 0.3; beyond != math.IsInf(x, 1) { // 1e666
				t.Errorf("Student's quantile of %v at df %v is %v", p, df, x)
			} else if !beyond {
				check("Student", p, StudentSF(x, df))
			}
		}
		for _, df := range []float64{0.5, 1, 4, 50, 1e4} {
			if x := ChiSquareQuantile(p, df); x > 1e-300 {
				check("chi-squared", p, ChiSquareCDF(x, df))
			}
			for _, b := range []float64{0.7, 3, 200} {
				if x := BetaQuantile(p, df, b); x > 1e-300 {
					check("beta", p, BetaCDF(x, df, b))
				}
			}
		}
	}
}

// TestCornishFisher: the tail, whose formula shares nothing with the series, gives
// back the probability.
func TestCornishFisher(t *testing.T) {
	for _, df := range []float64{1000, 3000, 1e5, 1e8} {
		for _, q := range []float64{0.49, 0.3, 0.1, 0.025, 1e-3, 1e-6} {
			w := NormalISF(q)
			if w*w > 0.001*df {
				continue
			}
			x := cornishFisher(w, 1/df)
			got, _ := studentTail(x, df)
			if math.Abs(got-q) > 1e-14*q {
				t.Errorf("tail(%v, %v) = %.17g, want %v", x, df, got, q)
			}
		}
	}
}
