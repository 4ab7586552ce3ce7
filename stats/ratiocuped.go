package stats

import "math"

// RatioMoments are the sufficient statistics of a ratio metric with its own
// past as covariate. The four variables are, in this order, numerator and
// denominator, and the same two before assignment.
type RatioMoments struct {
	N int64
	// Mean are the means and C the centred cross-products Σ (a-ā)(b-b̄).
	Mean [4]float64
	C    [4][4]float64
}

// FromRatioRows returns the moments of customers' numerators m, denominators d
// and the same before assignment. Values beyond the shortest slice are ignored.
func FromRatioRows(m, d, mPre, dPre []float64) RatioMoments {
	n := min(len(m), len(d), len(mPre), len(dPre))
	rows := [4][]float64{m[:n], d[:n], mPre[:n], dPre[:n]}
	r := RatioMoments{N: int64(n)}
	for i, x := range rows {
		r.Mean[i] = FromValues(x).Mean
	}
	for i := range rows {
		for j := i; j < 4; j++ {
			for k := range n {
				r.C[i][j] += (rows[i][k] - r.Mean[i]) * (rows[j][k] - r.Mean[j])
			}
			r.C[j][i] = r.C[i][j]
		}
	}
	return r
}

// linearise returns the joint moments of the customers' contributions to the
// ratio now (Y) and before (X).
func (r RatioMoments) linearise() (PairMoments, Warning) {
	d, dPre := r.Mean[1], r.Mean[3]
	if r.N < 2 {
		return PairMoments{}, TooFewCustomers
	}
	if d == 0 || dPre == 0 {
		return PairMoments{}, ZeroBaseline
	}
	now, before := r.Mean[0]/d, r.Mean[2]/dPre
	y := [4]float64{1 / d, -now / d, 0, 0}
	x := [4]float64{0, 0, 1 / dPre, -before / dPre}
	form := func(a, b [4]float64) (s float64) {
		for i := range a {
			for j := range b {
				s += a[i] * b[j] * r.C[i][j]
			}
		}
		return s
	}
	p := PairMoments{
		N: r.N, MeanY: now, MeanX: before,
		M2Y: max(0, form(y, y)), M2X: max(0, form(x, x)), CXY: form(y, x),
	}
	w := p.check()
	return p, w
}

// RatioCuped compares a ratio of sums adjusted by the same ratio before
// assignment. The contributions now and before are linearised within each arm
// ([PairMoments.Linearise]), and
//
//	θ = Σ cov(now, before)/Σ var(before), summed over the arms
//	diff = (R2 - R1) - θ (before2 - before1),
//
// on the normal distribution.
//
// Source: Deng et al. 2013, appendix B; Deng, Knoblich, Lu 2018.
func RatioCuped(control, treatment RatioMoments, t Test) CupedComparison {
	c, x, theta, w := linearisePair(control, treatment)
	if w != NoWarning {
		nan := math.NaN()
		return CupedComparison{noComparison(w), nan, Moments{}, Moments{}, nan, nan}
	}
	r := CupedComparison{
		Theta:   theta,
		Control: c.Adjust(theta, c.MeanX), Treatment: x.Adjust(theta, c.MeanX),
		DiffUnadjusted: x.MeanY - c.MeanY,
	}
	r.Comparison = MeanZ(r.Control, r.Treatment, t)
	plain := c.meanVariance(1, 0) + x.meanVariance(1, 0)
	r.VarianceRatio = r.SE * r.SE / plain
	if notFinite(r.VarianceRatio) {
		r.VarianceRatio = math.NaN()
	}
	return r
}

// RatioCupedLift returns the adjusted difference of [RatioCuped] relative to
// the unadjusted control ratio, like [CupedLift].
func RatioCupedLift(control, treatment RatioMoments, level float64) Lift {
	c, x, theta, w := linearisePair(control, treatment)
	if w = first(w, checkLevel(level)); w != NoWarning {
		return noLift(w)
	}
	return adjustedLift(c, x, theta, level)
}

func linearisePair(control, treatment RatioMoments) (c, x PairMoments, theta float64, w Warning) {
	c, w1 := control.linearise()
	x, w2 := treatment.linearise()
	if w := first(w1, w2); w != NoWarning {
		return c, x, 0, w
	}
	n1, n2 := float64(c.N-1), float64(x.N-1)
	if v := c.M2X/n1 + x.M2X/n2; v > 0 {
		theta = (c.CXY/n1 + x.CXY/n2) / v
	}
	return c, x, theta, NoWarning
}
