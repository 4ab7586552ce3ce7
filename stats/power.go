package stats

import "math"

// Power is the probability of finding an effect.
type Power struct {
	Power   float64
	Warning Warning
}

// SampleSize is the number of customers needed in the control arm, before
// rounding up; the treatment needs Ratio times as many.
type SampleSize struct {
	Control float64
	// OneTail is the textbook (z_α/2 + z_β)² solution, which leaves out the
	// chance of a significant effect in the wrong direction.
	OneTail float64
	Warning Warning
}

// Design is the size and spread of a comparison of two means.
type Design struct {
	// N1 and N2 are the customers of control and treatment.
	N1, N2 float64
	// SD1 and SD2 are their standard deviations. With CUPED multiply both by
	// √(1-corr²).
	SD1, SD2 float64
}

func (d Design) check(alpha float64) Warning {
	switch {
	case notFinite(d.N1) || notFinite(d.N2) || notFinite(d.SD1) || notFinite(d.SD2):
		return NonFiniteInput
	case d.N1 <= 0 || d.N2 <= 0 || d.SD1 < 0 || d.SD2 < 0 || !(alpha > 0 && alpha < 1):
		return InvalidInput
	case d.SD1 == 0 && d.SD2 == 0:
		return ZeroVariance
	case notFinite(d.se()):
		return Overflow
	}
	return NoWarning
}

func (d Design) se() float64 { return math.Hypot(d.SD1/math.Sqrt(d.N1), d.SD2/math.Sqrt(d.N2)) }

// MeanPower returns the power of the normal test of a difference of means
// delta at error alpha. Two-sided power keeps both tails,
//
//	P = sf(z_α/2 - δ/se) + cdf(-z_α/2 - δ/se),  se² = sd1²/n1 + sd2²/n2.
//
// With K goal metrics or arms pass alpha/K.
func MeanPower(d Design, delta, alpha float64, side Alternative) Power {
	w := d.check(alpha)
	if w == NoWarning && notFinite(delta) {
		w = NonFiniteInput
	}
	if w != NoWarning {
		return Power{math.NaN(), w}
	}
	shift := delta / d.se()
	switch side {
	case Greater:
		return Power{Power: NormalSF(NormalISF(alpha) - shift)}
	case Less:
		return Power{Power: NormalSF(NormalISF(alpha) + shift)}
	case TwoSided:
		return Power{Power: twoSidedPower(NormalISF(alpha/2), shift)}
	}
	return Power{math.NaN(), InvalidInput}
}

// LiftPower returns the two-sided power of a test of the relative effect itself,
// whose delta-method error depends on the effect:
// se² = v2/m1² + v1 (1+lift)²/m1² with v = sd²/n. The test of the absolute
// effect, [MeanPower] with delta = lift·mean1, decides and is a little stronger
// for gains. It warns [ZeroBaseline] when mean1 is not positive.
func LiftPower(d Design, mean1, lift, alpha float64) Power {
	w := d.check(alpha)
	switch {
	case w != NoWarning:
	case notFinite(mean1) || notFinite(lift):
		w = NonFiniteInput
	case mean1 <= 0:
		w = ZeroBaseline
	}
	if w != NoWarning {
		return Power{math.NaN(), w}
	}
	d.SD1 *= math.Abs(1 + lift)
	return MeanPower(d, lift*mean1, alpha, TwoSided)
}

// twoSidedPower returns P(|Z + shift| > crit).
func twoSidedPower(crit, shift float64) float64 {
	return min(1, NormalSF(crit-shift)+NormalSF(crit+shift))
}

// shiftFor returns the shift, in standard errors, at which a two-sided test of
// error alpha has the given power.
func shiftFor(alpha, power float64) (float64, Warning) {
	if !(alpha > 0 && alpha < 1) || !(power > alpha && power < 1) {
		return math.NaN(), InvalidInput
	}
	crit := NormalISF(alpha / 2)
	// One tail alone needs a little more: that bounds the root from above.
	hi := crit - NormalISF(power) + 1e-9
	shift, ok := findRoot(func(s float64) float64 { return twoSidedPower(crit, s) - power }, 0, hi)
	if !ok {
		return math.NaN(), NoConvergence
	}
	return shift, NoWarning
}

// MinimalEffect returns the smallest difference of means found with the given
// power by a two-sided test, both tails kept.
func MinimalEffect(d Design, alpha, power float64) (effect float64, w Warning) {
	if w := d.check(alpha); w != NoWarning {
		return math.NaN(), w
	}
	shift, w := shiftFor(alpha, power)
	return shift * d.se(), w
}

// finite answers a size that is none with [Overflow].
func (s SampleSize) finite() SampleSize {
	if notFinite(s.Control) || notFinite(s.OneTail) {
		return SampleSize{math.NaN(), math.NaN(), Overflow}
	}
	return s
}

// MeanSampleSize returns the customers needed to find a difference of means
// delta with the given power in a two-sided test. ratio is n2/n1. For a
// group-sequential plan multiply by its inflation, for a confidence sequence
// by about 1.7. It warns [NoEffect] when delta = 0.
func MeanSampleSize(delta, sd1, sd2, alpha, power, ratio float64) SampleSize {
	d := Design{N1: 1, N2: ratio, SD1: sd1, SD2: sd2}
	w := d.check(alpha)
	if w == NoWarning && notFinite(delta) {
		w = NonFiniteInput
	}
	if w == NoWarning && delta == 0 {
		w = NoEffect
	}
	var shift float64
	if w == NoWarning {
		shift, w = shiftFor(alpha, power)
	}
	if w != NoWarning {
		return SampleSize{math.NaN(), math.NaN(), w}
	}
	unit := d.se() / delta
	tail := NormalISF(alpha/2) - NormalISF(power)
	return SampleSize{Control: shift * shift * unit * unit, OneTail: tail * tail * unit * unit}.finite()
}

// MarginSampleSize returns the customers needed to show non-inferiority at a
// margin > 0 with a one-sided test when the true difference is effect,
// (z_α + z_β)² (sd1² + sd2²/ratio)/(effect + margin)². It warns [NoEffect] when
// the effect lies on the margin or beyond.
func MarginSampleSize(effect, margin, sd1, sd2, alpha, power, ratio float64) SampleSize {
	d := Design{N1: 1, N2: ratio, SD1: sd1, SD2: sd2}
	w := d.check(alpha)
	switch {
	case w != NoWarning:
	case notFinite(effect) || notFinite(margin):
		w = NonFiniteInput
	case !(power > alpha && power < 1):
		w = InvalidInput
	case effect+margin <= 0:
		w = NoEffect
	}
	if w != NoWarning {
		return SampleSize{math.NaN(), math.NaN(), w}
	}
	unit := d.se() / (effect + margin)
	tail := NormalISF(alpha) - NormalISF(power)
	n := tail * tail * unit * unit
	return SampleSize{Control: n, OneTail: n}.finite()
}

// StudentPower returns the power of Student's two-sided test with equal
// standard deviations, by the noncentral t distribution on n1+n2-2 degrees of
// freedom.
func StudentPower(n1, n2, delta, sd, alpha float64) Power {
	d := Design{N1: n1, N2: n2, SD1: sd, SD2: sd}
	w := d.check(alpha)
	switch {
	case w != NoWarning:
	case notFinite(delta):
		w = NonFiniteInput
	case n1 < 1 || n2 < 1 || n1+n2 < 3:
		w = TooFewCustomers
	}
	if w != NoWarning {
		return Power{math.NaN(), w}
	}
	df := n1 + n2 - 2
	shift := math.Abs(delta) / d.se()
	if notFinite(shift) {
		return Power{math.NaN(), Overflow}
	}
	crit := StudentISF(alpha/2, df)
	p := noncentralTSF(crit, df, shift) + NoncentralTCDF(-crit, df, shift)
	return Power{Power: min(1, p)}
}

// ProportionPower is the power of a two-sided comparison of two proportions in
// three approximations.
type ProportionPower struct {
	// Unpooled uses the variances of the two proportions, Pooled that of the
	// common proportion for the critical value (as R's power.prop.test), Arcsine
	// the variance-stabilised difference 2 asin √p2 - 2 asin √p1.
	Unpooled, Pooled, Arcsine float64
	Warning                   Warning
}

// PowerOfProportions returns the power of comparing p2 with p1 on n2 and n1
// customers at error alpha, both tails kept.
//
// Source: Cohen 1988 for the arcsine form.
func PowerOfProportions(n1, n2, p1, p2, alpha float64) ProportionPower {
	nan := math.NaN()
	w := Design{N1: n1, N2: n2, SD1: 1, SD2: 1}.check(alpha)
	switch {
	case w != NoWarning:
	case !(p1 >= 0 && p1 <= 1 && p2 >= 0 && p2 <= 1):
		w = InvalidInput
	case n1 < 1 || n2 < 1:
		w = TooFewCustomers
	}
	v := p1*(1-p1)/n1 + p2*(1-p2)/n2
	if w == NoWarning && v == 0 {
		w = ZeroVariance
	}
	if w != NoWarning {
		return ProportionPower{nan, nan, nan, w}
	}
	se := math.Sqrt(v)
	common := (n1*p1 + n2*p2) / (n1 + n2)
	se0 := math.Sqrt(common * (1 - common) * (1/n1 + 1/n2))
	crit := NormalISF(alpha / 2)
	h := 2 * (math.Asin(math.Sqrt(p2)) - math.Asin(math.Sqrt(p1)))
	return ProportionPower{
		Unpooled: twoSidedPower(crit, (p2-p1)/se),
		Pooled:   twoSidedPower(crit*se0/se, (p2-p1)/se),
		Arcsine:  twoSidedPower(crit, h/math.Sqrt(1/n1+1/n2)),
	}
}

// SequencePower is the power of a confidence sequence at one look.
type SequencePower struct {
	// CriticalZ is the half-width in standard errors.
	CriticalZ float64
	// Power is the probability that the sequence excludes 0 at this look.
	Power   float64
	Warning Warning
}

// PowerOfSequence returns the power of [ConfidenceSequence] at mixing
// information u for a difference delta with the given standard error. The
// chance to have rejected by then, at any look, is larger.
func PowerOfSequence(delta, se, u, alpha float64) SequencePower {
	s := ConfidenceSequence(Estimate{delta, se}, u, alpha, 0)
	if s.Warning != NoWarning {
		return SequencePower{math.NaN(), math.NaN(), s.Warning}
	}
	z := s.HalfWidth / se
	return SequencePower{CriticalZ: z, Power: twoSidedPower(z, delta/se)}
}
