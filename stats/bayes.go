package stats

import "math"

// Posterior is the read-out of a normal posterior of an effect. It is for
// showing: stopping on the chance to win does not control any error.
type Posterior struct {
	Mean, SD float64
	// ChanceToWin is P(effect > 0).
	ChanceToWin float64
	// RiskTreatment is the expected loss of choosing the treatment,
	// E[max(-effect, 0)], RiskControl that of the control, E[max(effect, 0)].
	RiskTreatment, RiskControl float64
	// CI is the central credible interval.
	CI      Interval
	Warning Warning
}

// Prior is a normal prior of an effect. A Variance of +Inf is the flat prior.
type Prior struct {
	Mean, Variance float64
}

// FlatPrior says nothing about the effect.
func FlatPrior() Prior { return Prior{Variance: math.Inf(1)} }

// NormalPosterior combines an estimate with a prior by precision,
//
//	1/sd² = 1/v0 + 1/se²,  mean = sd² (m0/v0 + estimate/se²).
//
// An estimate without variance warns [ZeroVariance] and knows nothing: its
// ChanceToWin is 1/2, the other numbers are missing.
func NormalPosterior(e Estimate, p Prior, level float64) Posterior {
	nan := math.NaN()
	none := Posterior{nan, nan, nan, nan, nan, Interval{nan, nan}, NoWarning}
	switch {
	case notFinite(e.Value) || notFinite(e.SE) || math.IsNaN(p.Variance) || notFinite(p.Mean):
		none.Warning = NonFiniteInput
		return none
	case e.SE < 0 || p.Variance <= 0 || checkLevel(level) != NoWarning:
		none.Warning = InvalidInput
		return none
	case e.SE == 0:
		none.Warning, none.ChanceToWin = ZeroVariance, 0.5
		return none
	}
	// The share of the prior, written so that neither precision overflows.
	share := 0.0
	if !math.IsInf(p.Variance, 1) {
		ratio := e.SE / math.Sqrt(p.Variance)
		share = ratio * ratio / (1 + ratio*ratio)
		if math.IsInf(ratio*ratio, 1) {
			share = 1
		}
	}
	q := Posterior{Mean: share*p.Mean + (1-share)*e.Value, SD: e.SE * math.Sqrt(1-share)}
	if share > 0.5 {
		q.SD = math.Sqrt(p.Variance * share)
	}
	z := q.Mean / q.SD
	half := NormalISF((1-level)/2) * q.SD
	q.ChanceToWin = NormalCDF(z)
	q.RiskTreatment = q.SD * normalLoss(z)
	q.RiskControl = q.SD * normalLoss(-z)
	q.CI = Interval{q.Mean - half, q.Mean + half}
	if notFinite(z) || notFinite(q.CI.Lower) || notFinite(q.CI.Upper) || notFinite(q.RiskTreatment) {
		none.Warning = Overflow
		return none
	}
	return q
}

// normalLoss returns E[max(-Z, 0)] for Z normal with mean z and sd 1,
// φ(z) - z (1 - Φ(z)), without cancellation for large z.
func normalLoss(z float64) float64 {
	if z < 6 {
		return normalDensity(z) - z*NormalSF(z)
	}
	// z·mills(z) = 1 - 1/z² + 3/z⁴ - …; the difference by its own fraction:
	// 1 - z·mills(z) = mills(z)·t(z) with t the tail of Laplace's fraction.
	t := z
	for k := 400; k >= 2; k-- {
		t = z + float64(k)/t
	}
	// mills = 1/(z + 1/t), so 1 - z mills = 1/(z t + 1).
	return normalDensity(z) / (z*t + 1)
}

// BetaComparison compares two proportions by independent beta posteriors.
type BetaComparison struct {
	// ProbTreatment is P(p2 > p1).
	ProbTreatment float64
	// LossTreatment is the expected loss of choosing the treatment,
	// E[max(p1-p2, 0)], LossControl that of the control.
	LossTreatment, LossControl float64
	Warning                    Warning
}

// BetaBinomial compares two proportions under a common Beta(a, b) prior, by
// quadrature in ln(p/(1-p)), where the posteriors are smooth. The losses are
// integrals of P(p2 ≤ x) P(p1 > x), so small ones keep their digits.
func BetaBinomial(control, treatment Count, a, b float64) BetaComparison {
	nan := math.NaN()
	w := NoWarning
	for _, c := range [...]Count{control, treatment} {
		if c != (Count{}) { // the prior alone is legal
			w = first(w, c.check())
		}
	}
	if w == NoWarning && !(a > 0 && b > 0 && !math.IsInf(a, 1) && !math.IsInf(b, 1)) {
		w = InvalidInput
	}
	if w != NoWarning {
		return BetaComparison{nan, nan, nan, w}
	}
	p1, p2 := newLogitBeta(control, a, b), newLogitBeta(treatment, a, b)
	narrow, wide := p1, p2
	if p2.width < p1.width {
		narrow, wide = p2, p1
	}
	// Where the narrow posterior is, its width sets the panels; beyond, where its
	// tails are 0 or 1, that of the wide one.
	inside := func(f func(s float64) float64) float64 {
		return integratePieces([]float64{narrow.lo, narrow.hi}, narrow.width, f)
	}
	whole := func(f func(s float64) float64) float64 {
		return inside(f) +
			integratePieces([]float64{min(wide.lo, narrow.lo), narrow.lo}, wide.width, f) +
			integratePieces([]float64{narrow.hi, max(wide.hi, narrow.hi)}, wide.width, f)
	}
	r := BetaComparison{}
	if narrow == p1 {
		r.ProbTreatment = inside(func(s float64) float64 { return p1.density(s) * p2.tail(s) })
	} else {
		r.ProbTreatment = inside(func(s float64) float64 { return p2.density(s) * p1.cdf(s) })
	}
	r.LossTreatment = whole(func(s float64) float64 { return p2.cdf(s) * p1.tail(s) * logitSlope(s) })
	r.LossControl = whole(func(s float64) float64 { return p1.cdf(s) * p2.tail(s) * logitSlope(s) })
	r.ProbTreatment = min(1, r.ProbTreatment)
	return r
}

// logitBeta is a beta posterior on the scale s = ln(p/(1-p)).
type logitBeta struct {
	a, b, logB float64
	// width is its standard deviation, [lo, hi] holds all but e^-50 of it.
	width, lo, hi float64
}

func newLogitBeta(c Count, a, b float64) logitBeta {
	d := logitBeta{a: a + float64(c.Successes), b: b + float64(c.N-c.Successes)}
	d.logB = LogBeta(d.a, d.b)
	mode := math.Log(d.a / d.b)
	d.width = min(1, math.Sqrt(1/d.a+1/d.b))
	edge := func(sign float64) float64 {
		step := d.width
		s := mode
		for d.logDensity(s) > d.logDensity(mode)-50 {
			s += sign * step
			step *= 1.2
		}
		return s
	}
	d.lo, d.hi = edge(-1), edge(1)
	return d
}

func (d logitBeta) logDensity(s float64) float64 {
	return -d.a*softplus(-s) - d.b*softplus(s) - d.logB
}

func (d logitBeta) density(s float64) float64 {
	return betaFront(1/(1+math.Exp(-s)), 1/(1+math.Exp(s)), d.a, d.b)
}

// cdf and tail take the smaller of p and 1-p as precise.
func (d logitBeta) cdf(s float64) float64 {
	return betaTail(1/(1+math.Exp(s)), 1/(1+math.Exp(-s)), d.b, d.a)
}

func (d logitBeta) tail(s float64) float64 {
	return betaTail(1/(1+math.Exp(-s)), 1/(1+math.Exp(s)), d.a, d.b)
}

// softplus returns ln(1 + e^s).
func softplus(s float64) float64 {
	if s > 0 {
		return s + math.Log1p(math.Exp(-s))
	}
	return math.Log1p(math.Exp(s))
}

// logitSlope returns dp/ds = p (1-p).
func logitSlope(s float64) float64 {
	e := math.Exp(-math.Abs(s))
	return e / ((1 + e) * (1 + e))
}
