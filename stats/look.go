package stats

import "math"

// Verdict is what one look says about one treatment.
type Verdict uint8

// The verdicts, in the order in which the first that fits is given, except that
// Continue also follows KeepControl.
const (
	// FixHealth: the split of assigned customers is not the planned one; nothing
	// else may be read.
	FixHealth Verdict = iota
	// Continue: too few customers or payers yet, or nothing decided.
	Continue
	// StopHarm: the treatment is worse, in the goal or beyond doubt in the
	// guardrail.
	StopHarm
	// Promote: the treatment is better and the guardrail's margin is kept.
	Promote
	// KeepControl: the planned size is reached without a decision.
	KeepControl
)

var verdictText = [...]string{"fix_health", "continue", "stop_harm", "promote", "keep_control"}

func (v Verdict) String() string {
	if int(v) < len(verdictText) {
		return verdictText[v]
	}
	return "unknown"
}

// LookRules are fixed before the first look.
type LookRules struct {
	// Weights are the planned shares of the arms, control first.
	Weights []float64
	// RatioAlpha and RatioConcentration are those of [SampleRatioSequential].
	RatioAlpha, RatioConcentration float64
	// Alpha is the familywise error of the goal over all treatments, NOpt the
	// customers of both arms at which its sequences are narrowest.
	Alpha, NOpt float64
	// GuardrailAlpha and Margin are the error and the relative margin of the
	// guardrail.
	GuardrailAlpha, Margin float64
	// MinN and MinPayers are the burn-in of the smaller arm; MaxN is the planned
	// size of both arms together.
	MinN, MinPayers, MaxN int64
}

// LookArm is what one arm has shown by the data cut.
type LookArm struct {
	// Assigned counts everyone randomised, matured or not.
	Assigned int64
	// Outcome are the matured customers' capped outcome (Y) and covariate (X).
	Outcome PairMoments
	// Payers counts matured customers with an outcome above zero.
	Payers int64
	// Retained counts the matured customers who are still active, the guardrail.
	Retained Count
}

// LookResult is the whole of one look.
type LookResult struct {
	Ratio RatioEvidence
	// Theta is the common slope of the covariate.
	Theta float64
	// Adjusted are the adjusted moments of every arm, control first.
	Adjusted   []Moments
	Treatments []LookTreatment
	// Winner is the index into Treatments of the promoted treatment with the
	// largest lower limit, -1 for none. It is better than the control; whether
	// it is the best is another question.
	Winner  int
	Warning Warning
}

// LookTreatment is one treatment against the control.
type LookTreatment struct {
	// Effect is the adjusted difference with its decision error; NaN where there
	// is none, with P = 1 and an unbounded CI.
	Effect Estimate
	// LogE and P are the evidence of this look at the unsplit error, HolmP the
	// p-value adjusted over the treatments.
	LogE, P, HolmP float64
	// CI is the sequence at Alpha over the number of treatments.
	CI Interval
	// Guardrail is the non-inferiority of the retained share, GuardrailHarm
	// evidence of its loss.
	Guardrail     SequenceNonInferiority
	GuardrailHarm bool
	Verdict       Verdict
}

// Look takes one open-ended look at arms, control first: sample ratio on
// everyone assigned, adjustment by the covariate over all matured customers,
// decision errors ([MeanErrors]), confidence sequences, Holm over the
// treatments, the guardrail, and one verdict per treatment. It warns
// [InvalidInput] when arms and weights do not match or there are fewer than two.
//
// Source: docs/methods/look.md.
func Look(rules LookRules, arms []LookArm) LookResult {
	r := LookResult{Winner: -1, Theta: math.NaN()}
	if len(arms) < 2 || len(arms) != len(rules.Weights) {
		r.Warning = InvalidInput
		return r
	}
	counts := make([]int64, len(arms))
	outcomes := make([]PairMoments, len(arms))
	for i, a := range arms {
		counts[i], outcomes[i] = a.Assigned, a.Outcome
	}
	r.Ratio = SampleRatioSequential(counts, rules.Weights, rules.RatioConcentration)
	theta, grand := CupedSlope(outcomes...)
	r.Theta = theta
	for _, o := range outcomes {
		r.Adjusted = append(r.Adjusted, o.Adjust(theta, grand))
	}
	p := make([]float64, len(arms)-1)
	for k := 1; k < len(arms); k++ {
		t := compareArm(rules, arms[0], arms[k], r.Adjusted[0], r.Adjusted[k], len(p))
		p[k-1] = t.P
		r.Treatments = append(r.Treatments, t)
	}
	halt := r.Ratio.Warning != NoWarning || r.Ratio.P < rules.RatioAlpha
	for k, holm := range Adjust(p, Holm) {
		t := &r.Treatments[k]
		t.HolmP = holm
		t.Verdict = verdict(rules, arms[0], arms[k+1], *t, halt)
		if t.Verdict == Promote && (r.Winner < 0 || t.CI.Lower > r.Treatments[r.Winner].CI.Lower) {
			r.Winner = k
		}
	}
	return r
}

func compareArm(rules LookRules, control, arm LookArm, a, b Moments, family int) LookTreatment {
	n := float64(a.N + b.N)
	effect := Estimate{b.Mean - a.Mean, MeanErrors(a, b).Decision}
	if a.N == 0 || b.N == 0 {
		effect.Value = math.NaN()
	}
	u := n * Rho2(rules.Alpha, rules.NOpt)
	s := ConfidenceSequence(effect, u, rules.Alpha, 0)
	wide := ConfidenceSequence(effect, u, rules.Alpha/float64(family), 0)
	c := Successes(control.Retained.Successes, control.Retained.N)
	t := Successes(arm.Retained.Successes, arm.Retained.N)
	ug := float64(c.N+t.N) * Rho2(rules.GuardrailAlpha, rules.NOpt)
	loss := ConfidenceSequence(Estimate{t.Mean - c.Mean, MeanErrors(c, t).Welch}, ug, rules.GuardrailAlpha, 0)
	return LookTreatment{
		Effect: effect, LogE: s.LogE, P: s.P, CI: wide.CI,
		Guardrail:     NonInferiorSequence(c, t, rules.Margin, ug, rules.GuardrailAlpha, HigherIsBetter),
		GuardrailHarm: loss.CI.Upper < 0,
	}
}

func verdict(rules LookRules, control, arm LookArm, t LookTreatment, halt bool) Verdict {
	significant := t.HolmP <= rules.Alpha
	switch {
	case halt:
		return FixHealth
	case min(control.Outcome.N, arm.Outcome.N) < rules.MinN,
		min(control.Payers, arm.Payers) < rules.MinPayers:
		return Continue
	case significant && t.Effect.Value < 0, t.GuardrailHarm:
		return StopHarm
	case significant && t.Effect.Value > 0 && t.Guardrail.NonInferior:
		return Promote
	case control.Outcome.N+arm.Outcome.N >= rules.MaxN:
		return KeepControl
	}
	return Continue
}
