package stats

import "math"

// PairMoments are the sufficient statistics of an outcome Y and a covariate X
// of the same customers: counts, means, centred sums of squares and
//
//	CXY = Σ (y - MeanY)(x - MeanX).
//
// The zero value is the empty group.
type PairMoments struct {
	N            int64
	MeanY, MeanX float64
	M2Y, M2X     float64
	CXY          float64
}

// FromPairs returns the joint moments of the pairs (y, x). Values beyond the
// length of the shorter slice are ignored.
func FromPairs(y, x []float64) PairMoments {
	n := min(len(y), len(x))
	my, mx := FromValues(y[:n]), FromValues(x[:n])
	m := PairMoments{N: int64(n), MeanY: my.Mean, MeanX: mx.Mean, M2Y: my.M2, M2X: mx.M2}
	var restY, restX float64 // what rounding of the means leaves
	for i := range n {
		dy, dx := y[i]-m.MeanY, x[i]-m.MeanX
		m.CXY += dy * dx
		restY += dy
		restX += dx
	}
	if n > 0 {
		m.CXY -= restY / float64(n) * restX
	}
	return m
}

// Y returns the moments of the outcome, X those of the covariate.
func (m PairMoments) Y() Moments { return Moments{m.N, m.MeanY, m.M2Y} }

// X returns the moments of the covariate.
func (m PairMoments) X() Moments { return Moments{m.N, m.MeanX, m.M2X} }

// Cov returns the sample covariance CXY/(N-1), NaN when N < 2.
func (m PairMoments) Cov() float64 {
	if m.N < 2 {
		return math.NaN()
	}
	return m.CXY / float64(m.N-1)
}

// Corr returns the correlation, NaN when either variable does not vary.
func (m PairMoments) Corr() float64 {
	if m.M2Y == 0 || m.M2X == 0 {
		return math.NaN()
	}
	r := m.CXY / math.Sqrt(m.M2Y) / math.Sqrt(m.M2X)
	return max(-1, min(1, r))
}

// Add returns the joint moments of the union of two disjoint groups, like
// [Moments.Add].
func (m PairMoments) Add(b PairMoments) PairMoments {
	if m.N == 0 {
		return b
	}
	if b.N == 0 {
		return m
	}
	y, x := m.Y().Add(b.Y()), m.X().Add(b.X())
	na, nb := float64(m.N), float64(b.N)
	return PairMoments{
		N: y.N, MeanY: y.Mean, MeanX: x.Mean, M2Y: y.M2, M2X: x.M2,
		CXY: m.CXY + b.CXY + (b.MeanY-m.MeanY)*(b.MeanX-m.MeanX)*(na*nb/(na+nb)),
	}
}

// check is by reference, as all that [Cuped] calls: copying the fields would take a
// seventh of its time.
func (m *PairMoments) check() Warning {
	// Zero times a finite number is zero, times any other NaN.
	if (0*m.MeanY+0*m.MeanX)+(0*m.M2Y+0*m.M2X)+0*m.CXY != 0 {
		return NonFiniteInput
	}
	switch {
	case m.N < 0 || m.M2Y < 0 || m.M2X < 0:
		return InvalidInput
	case m.N < 2:
		return TooFewCustomers
	}
	return NoWarning
}

// Shape are the third and fourth standardised population moments.
type Shape struct {
	// Skewness is m3/m2^1.5 and ExcessKurtosis m4/m2² - 3, with m_k the mean of
	// (x - mean)^k.
	Skewness, ExcessKurtosis float64
	Warning                  Warning
}

// ShapeOf returns the shape of x. It warns [TooFewCustomers] when x has fewer
// than two values, [ZeroVariance] when they do not vary.
func ShapeOf(x []float64) Shape {
	nan := math.NaN()
	m := FromValues(x)
	w := m.check()
	if w == NoWarning && m.M2 <= varianceFloor(m) {
		w = ZeroVariance
	}
	if w != NoWarning {
		return Shape{nan, nan, w}
	}
	// About the mean and the rest of it that float64 cannot hold, which the third power
	// would see; in units of the largest deviation, so that no power under- or overflows.
	deviations := make([]float64, len(x))
	for i, v := range x {
		deviations[i] = v - m.Mean
	}
	rest, scale := meanOf(deviations), 0.0
	for i := range deviations {
		deviations[i] -= rest
		scale = max(scale, math.Abs(deviations[i]))
	}
	var s2, s3, s4 float64
	for _, d := range deviations {
		d /= scale
		s2 += d * d
		s3 += d * d * d
		s4 += d * d * d * d
	}
	n := float64(m.N)
	s2 /= n
	s := Shape{Skewness: s3 / n / (s2 * math.Sqrt(s2)), ExcessKurtosis: s4/n/(s2*s2) - 3}
	if notFinite(s.Skewness) || notFinite(s.ExcessKurtosis) {
		return Shape{nan, nan, Overflow}
	}
	return s
}

// varianceFloor is the centred sum of squares that rounding of the mean alone
// can leave in equal values.
func varianceFloor(m Moments) float64 {
	ulp := 2.3e-16 * m.Mean
	return float64(m.N) * ulp * ulp
}
