package stats

import "math"

// RatioComparison compares a ratio of sums between two arms.
type RatioComparison struct {
	// Comparison is the difference of the ratios, on the normal distribution.
	Comparison
	// Control and Treatment are the ratios of the arms with their errors.
	Control, Treatment Estimate
	// DFWelch are the degrees of freedom of the linearised variables.
	DFWelch float64
}

// Ratio compares R = Σ m/Σ d, the ratio of two totals such as revenue per
// order, between arms whose customers were randomised. In the joint moments Y
// is the numerator m and X the denominator d, per customer. By the delta method
//
//	R = mean(m)/mean(d)
//	var(R) = (s_mm - 2 R s_md + R² s_dd)/(n mean(d)²).
//
// It warns [ZeroBaseline] when a mean denominator is zero, [TooFewCustomers]
// and [ZeroVariance] as [Welch] does. The average of per-customer ratios is
// another quantity and not to be used for this one. A metric whose denominator
// the treatment can change describes; it does not decide.
//
// Source: Deng, Knoblich, Lu 2018, KDD.
func Ratio(control, treatment PairMoments, t Test) RatioComparison {
	c, w1 := control.Linearise()
	x, w2 := treatment.Linearise()
	if w := first(w1, w2); w != NoWarning {
		nan := math.NaN()
		none := Estimate{nan, nan}
		return RatioComparison{noComparison(w), none, none, nan}
	}
	r := RatioComparison{
		Comparison: MeanZ(c, x, t),
		Control:    c.Estimate(),
		Treatment:  x.Estimate(),
		DFWelch:    Welch(c, x, t).DF,
	}
	return r
}

// Linearise returns the moments of the customers' contributions to the ratio
// R = MeanY/MeanX,
//
//	R + (y - R x)/MeanX,
//
// whose mean is R and whose variance over n is the delta-method variance of R.
// They can be compared, adjusted and followed in sequence like any mean.
func (m PairMoments) Linearise() (Moments, Warning) {
	if w := m.check(); w != NoWarning {
		return Moments{}, w
	}
	if m.MeanX == 0 {
		return Moments{}, ZeroBaseline
	}
	r := m.MeanY / m.MeanX
	m2 := m.residual(r) / (m.MeanX * m.MeanX)
	l := Moments{N: m.N, Mean: r, M2: m2}
	if notFinite(r) || notFinite(m2) {
		return Moments{}, Overflow
	}
	return l, NoWarning
}
