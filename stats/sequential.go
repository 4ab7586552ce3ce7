package stats

import "math"

// Sequence is a confidence sequence at one look. Its interval covers the truth
// at all looks together, however many there are and whenever one stops.
type Sequence struct {
	HalfWidth float64
	CI        Interval
	// LogE is the logarithm of the e-value against the null. It is the primary
	// number: the e-value itself overflows.
	LogE float64
	// P is the p-value of this look, min(1, exp(-LogE)), and LogP its logarithm.
	// The reported p-value is the smallest up to now. The null is rejected
	// exactly when LogE ≥ ln(1/alpha), that is, when CI excludes it.
	P, LogP float64
	Warning Warning
}

// noSequence knows nothing: an unbounded interval and p = 1.
func noSequence(w Warning) Sequence {
	return Sequence{
		HalfWidth: math.Inf(1),
		CI:        Interval{math.Inf(-1), math.Inf(1)},
		P:         1,
		Warning:   w,
	}
}

// MixtureRate returns c(alpha) = -2 ln α + ln(1 - 2 ln α), the information, in
// units of 1/ρ², at which the two-sided sequence is narrowest (approximately;
// see [MixtureRateExact]).
//
// Source: Waudby-Smith et al. 2021, arXiv 2103.06476, eq. 10.
func MixtureRate(alpha float64) float64 {
	if !(alpha > 0 && alpha < 1) {
		return math.NaN()
	}
	l := -2 * math.Log(alpha)
	return l + math.Log1p(l)
}

// MixtureRateExact returns the exact optimum -W₋₁(-α²/e) - 1.
func MixtureRateExact(alpha float64) float64 {
	if !(alpha > 0 && alpha < 1) {
		return math.NaN()
	}
	return -LambertWm1(-alpha*alpha/math.E) - 1
}

// Rho2 returns the tuning parameter ρ² = c(alpha)/nOpt of a sequence that is
// narrowest when both arms together have nOpt customers. NaN when alpha is
// outside (0, 1) or nOpt is not positive. It is fixed at design; with several
// arms alpha is the one before it is split.
func Rho2(alpha, nOpt float64) float64 {
	if !(nOpt > 0) {
		return math.NaN()
	}
	return MixtureRate(alpha) / nOpt
}

// InformationClock returns the mixing information u = c(alpha) varOpt/se² of an
// estimate whose planned variance at the tuned point is varOpt. Use it where
// customers do not measure information: unequal weights, cumulative value,
// CUPED with a changing correlation.
func InformationClock(alpha, varOpt, se float64) float64 {
	return MixtureRate(alpha) * (varOpt / se / se)
}

// ConfidenceSequence returns the two-sided normal-mixture sequence of an
// estimate with mixing information u at error alpha,
//
//	half = se √((u+1)/u · ln((u+1)/α²))
//	LogE = u z²/(2(u+1)) - ln(1+u)/2,  z = (estimate - null)/se.
//
// u = n ρ² with n the customers of both arms ([Rho2]), or [InformationClock].
// The same sequence under other names: GAVI with u = n/ν, mSPRT with
// u = τ²/se², confseq's normal mixture with u = v/ρ. For one of K arms pass
// alpha/K and the u tuned at alpha.
//
// It is asymptotic: burn in before the first look. It warns [ZeroVariance] when
// se = 0 and [TooFewCustomers] when u = 0; it then knows nothing, which is
// p = 1 and the interval (-Inf, +Inf).
//
// Source: Robbins 1970; Waudby-Smith et al. 2021, eq. 9.
func ConfidenceSequence(e Estimate, u, alpha, null float64) Sequence {
	if w := checkSequence(e, u, alpha, null); w != NoWarning {
		return noSequence(w)
	}
	logU := math.Log1p(u)
	half := e.SE * math.Sqrt((1+1/u)*(logU-2*math.Log(alpha)))
	z := (e.Value - null) / e.SE
	return sequence(half, 0.5*z*z/(1+1/u)-0.5*logU, Interval{e.Value - half, e.Value + half})
}

func sequence(half, logE float64, ci Interval) Sequence {
	if notFinite(half) || notFinite(logE) {
		return noSequence(Overflow)
	}
	logP := min(0, -logE)
	return Sequence{HalfWidth: half, CI: ci, LogE: logE, P: math.Exp(logP), LogP: logP}
}

func checkSequence(e Estimate, u, alpha, null float64) Warning {
	switch {
	case e.SE == 0:
		return ZeroVariance
	case notFinite(e.Value) || notFinite(e.SE) || notFinite(u) || notFinite(null):
		return NonFiniteInput
	case e.SE < 0 || u < 0 || !(alpha > 0 && alpha < 1):
		return InvalidInput
	case u == 0:
		return TooFewCustomers
	}
	return NoWarning
}

// OneSidedSequence returns the one-sided sequence for the alternative Greater
// (a lower limit) or Less (an upper limit), from the mixture over half a normal,
//
//	e = 2/√(1+u) · exp(u z²/(2(1+u))) · Φ(z √(u/(1+u))),
//
// whose limit is the exact root of e = 1/α. [TwoSided] is [InvalidInput]. Tune
// ρ² at 2·alpha.
//
// Source: Howard et al. 2021, Annals of Statistics 49 (one-sided normal mixture).
func OneSidedSequence(e Estimate, u, alpha, null float64, side Alternative) Sequence {
	w := checkSequence(e, u, alpha, null)
	if w == NoWarning && side != Greater && side != Less {
		w = InvalidInput
	}
	if w != NoWarning {
		return noSequence(w)
	}
	sign := 1.0
	if side == Less {
		sign = -1
	}
	scale := 1 / math.Sqrt(1+1/u)
	front := math.Ln2 - 0.5*math.Log1p(u)
	logE := front + logNormalMixture(sign*(e.Value-null)/e.SE*scale)
	// Halley's method on y²/2 + ln Φ(y), which is convex and increasing. With
	// h = φ/Φ its slopes are y + h and 1 - h (y + h); the error left is about the
	// cube of the step.
	target := -math.Log(alpha) - front
	y := math.Sqrt(2 * target)
	if !(y > 2) {
		y = math.Sqrt(2 * (target + math.Ln2))
	}
	for range 50 {
		below := NormalCDF(y)
		h := normalDensity(y) / below
		slope := y + h
		step := (0.5*y*y + math.Log(below) - target) / slope
		step /= 1 - 0.5*step*(1/slope-h)
		y -= step
		if math.Abs(step) < 1e-6*y {
			break
		}
	}
	half := e.SE * y / scale
	ci := Interval{e.Value - half, math.Inf(1)}
	if side == Less {
		ci = Interval{math.Inf(-1), e.Value + half}
	}
	return sequence(half, logE, ci)
}

// logNormalMixture returns y²/2 + ln Φ(y) without cancellation for negative y.
func logNormalMixture(y float64) float64 {
	if y < -12 {
		return math.Log(mills(-y)) - logSqrt2Pi
	}
	return 0.5*y*y + NormalLogSF(-y)
}

// OneSidedHalfWidth returns the closed-form half-width of a one-sided sequence,
//
//	se √(2 (u+1)/u · ln(1 + √(u+1)/(2α))),
//
// a little wider than that of [OneSidedSequence]. NaN outside se ≥ 0, u > 0,
// 0 < alpha < 1.
//
// Source: Waudby-Smith et al. 2021, eq. 134.
func OneSidedHalfWidth(se, u, alpha float64) float64 {
	if !(se >= 0) || !(u > 0) || !(alpha > 0 && alpha < 1) {
		return math.NaN()
	}
	return se * math.Sqrt(2*(1+1/u)*math.Log1p(math.Sqrt(u+1)/(2*alpha)))
}

// SequencePath follows one comparison over its looks. The zero value is the
// state before the first look.
type SequencePath struct {
	// Looks counts the looks taken.
	Looks int
	// LogP is the logarithm of the running p-value, the smallest so far.
	LogP float64
	// RejectedAt is the look (from 1) at which the null was first rejected, 0
	// when it was not. A rejection stays.
	RejectedAt int
	// Direction is the sign of the effect at that look.
	Direction int
}

// Look takes the next look. During burn-in the look is shown but decides
// nothing. It returns the new state.
func (p SequencePath) Look(s Sequence, null, alpha float64, burnIn bool) SequencePath {
	p.Looks++
	if burnIn || s.Warning != NoWarning {
		return p
	}
	p.LogP = min(p.LogP, s.LogP)
	if p.RejectedAt == 0 && s.LogP <= math.Log(alpha) {
		p.RejectedAt, p.Direction = p.Looks, 1
		// The middle of the interval is the estimate, whatever error the interval was made at.
		if (s.CI.Lower+s.CI.Upper)/2 < null {
			p.Direction = -1
		}
	}
	return p
}
