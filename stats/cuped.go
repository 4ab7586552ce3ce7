package stats

import "math"

// CupedComparison is a comparison of outcomes adjusted by a covariate.
type CupedComparison struct {
	// Comparison is that of the adjusted moments.
	Comparison
	// Theta is the slope of the adjustment.
	Theta float64
	// Control and Treatment are the adjusted moments.
	Control, Treatment Moments
	// DiffUnadjusted is the plain difference of means.
	DiffUnadjusted float64
	// VarianceRatio is the squared standard error over the unadjusted one, near
	// 1 - corr². NaN when the unadjusted error is zero.
	VarianceRatio float64
}

// Cuped compares two means after removing what a covariate measured strictly
// before assignment explains,
//
//	θ = cov(Y, X)/var(X) over all customers of both arms about the grand means
//	adjusted mean = mean(Y) - θ (mean(X) - grand mean(X))
//	adjusted var  = s²_Y + θ² s²_X - 2 θ s_XY, per arm,
//
// by [Welch] on the adjusted moments. A covariate that does not vary gives
// θ = 0, the plain comparison.
//
// Source: Deng, Xu, Kohavi, Walker 2013, WSDM.
func Cuped(control, treatment PairMoments, t Test) (c CupedComparison) {
	if w := first(control.check(), treatment.check()); w != NoWarning {
		nan := math.NaN()
		return CupedComparison{noComparison(w), nan, Moments{}, Moments{}, nan, nan}
	}
	theta, grand := slopeOf(&control, &treatment)
	a, b := control.adjust(theta, grand), treatment.adjust(theta, grand)
	n1, n2 := float64(control.N), float64(treatment.N)
	d1, d2 := 1/((n1-1)*n1), 1/((n2-1)*n2)
	v1, v2 := a.M2*d1, b.M2*d2
	ratio := math.NaN()
	if plain := control.M2Y*d1 + treatment.M2Y*d2; plain > 0 {
		ratio = (v1 + v2) / plain
	}
	c = CupedComparison{
		Theta:          theta,
		Control:        a,
		Treatment:      b,
		DiffUnadjusted: treatment.MeanY - control.MeanY,
		VarianceRatio:  ratio,
	}
	c.welch(b.Mean-a.Mean, v1, v2, control.N, treatment.N, t)
	return c
}

// CupedSlope returns θ and the grand mean of the covariate over all arms, for
// [PairMoments.Adjust].
func CupedSlope(arms ...PairMoments) (theta, grandX float64) {
	var all PairMoments
	for _, a := range arms {
		all = all.Add(a)
	}
	return pooledSlope(all)
}

// slopeOf is CupedSlope of two arms.
func slopeOf(a, b *PairMoments) (theta, grandX float64) {
	na, nb := float64(a.N), float64(b.N)
	share := nb / (na + nb)
	dx, weight := b.MeanX-a.MeanX, na*share
	grandX = a.MeanX + dx*share
	m2 := a.M2X + b.M2X + dx*dx*weight
	if m2 == 0 {
		return 0, grandX
	}
	return (a.CXY + b.CXY + (b.MeanY-a.MeanY)*dx*weight) / m2, grandX
}

func pooledSlope(all PairMoments) (theta, grandX float64) {
	if all.M2X == 0 {
		return 0, all.MeanX
	}
	return all.CXY / all.M2X, all.MeanX
}

// Adjust returns the moments of Y - θ (X - grandX). Those of nobody stay empty.
func (m PairMoments) Adjust(theta, grandX float64) Moments { return m.adjust(theta, grandX) }

func (m *PairMoments) adjust(theta, grandX float64) Moments {
	if m.N == 0 {
		return Moments{}
	}
	return Moments{
		N:    m.N,
		Mean: m.MeanY - theta*(m.MeanX-grandX),
		M2:   m.residual(theta),
	}
}

// residual returns the centred sum of squares of Y - b X, 0 where it is too small a part of
// what cancels to be told from rounding: a covariate that explains everything leaves nothing.
func (m *PairMoments) residual(b float64) float64 {
	if m2 := m.M2Y + b*(b*m.M2X-2*m.CXY); m2 > 1e-14*m.M2Y { // what cancels is as large
		return m2
	}
	return 0
}

// CupedLift returns the adjusted difference relative to the unadjusted control
// mean, with the delta-method error of all four means at a given θ. With D the
// adjusted difference and m1 the control mean the gradient is
//
//	∂/∂Y1 = -1/|m1| - D sign(m1)/m1², ∂/∂Y2 = 1/|m1|, ∂/∂X = ±θ/|m1|.
//
// (gbstats leaves the covariate's imbalance out of D.) It warns [ZeroBaseline]
// when m1 = 0.
func CupedLift(control, treatment PairMoments, level float64) Lift {
	w := first(control.check(), treatment.check(), checkLevel(level))
	if w != NoWarning {
		return noLift(w)
	}
	theta, _ := slopeOf(&control, &treatment)
	return adjustedLift(control, treatment, theta, level)
}

// adjustedLift is the lift of an adjustment with slope theta.
func adjustedLift(control, treatment PairMoments, theta, level float64) Lift {
	m1 := math.Abs(control.MeanY)
	if m1 == 0 {
		return noLift(ZeroBaseline)
	}
	diff := treatment.MeanY - control.MeanY - theta*(treatment.MeanX-control.MeanX)
	gradient := -1/m1 - math.Copysign(diff, diff*control.MeanY)/(m1*m1)
	v := control.meanVariance(gradient, theta/m1) + treatment.meanVariance(1/m1, -theta/m1)
	l := Lift{Lift: diff / m1, SE: math.Sqrt(max(0, v))}
	if l.SE == 0 {
		return noLift(ZeroVariance)
	}
	half := NormalISF((1-level)/2) * l.SE
	l.CI = Interval{l.Lift - half, l.Lift + half}
	return l.finite()
}

// meanVariance returns the variance of a·mean(Y) + b·mean(X).
func (m PairMoments) meanVariance(a, b float64) float64 {
	n := float64(m.N)
	return (a*a*m.M2Y + b*b*m.M2X + 2*a*b*m.CXY) / (n - 1) / n
}
