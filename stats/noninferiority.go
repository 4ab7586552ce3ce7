package stats

import "math"

// Direction says which way a metric improves.
type Direction uint8

// The directions.
const (
	HigherIsBetter Direction = iota
	LowerIsBetter
)

// NonInferiority is a test that the treatment is not worse than the control by
// more than a margin. The contrast is positive on the safe side of the margin.
type NonInferiority struct {
	// Comparison holds the contrast as Diff, its one-sided p-value, and the
	// lower (1-alpha) limit in CI.Lower.
	Comparison
	// NonInferior is CI.Lower > 0. It is false whenever there is a warning: a
	// guardrail that cannot be judged is not passed.
	NonInferior bool
}

// NonInferiorAbsolute tests H0: diff ≤ -margin for a margin > 0 in the unit of
// the metric (LowerIsBetter: H0: diff ≥ margin) with Welch's error,
//
//	contrast = diff + margin,  or margin - diff.
func NonInferiorAbsolute(control, treatment Moments, margin, alpha float64, d Direction) NonInferiority {
	return nonInferior(control, treatment, margin, 1, alpha, d)
}

// NonInferiorRelative tests H0: mean2 ≤ (1-r) mean1 for a relative margin r
// (LowerIsBetter: mean2 ≥ (1+r) mean1) by a linear contrast, which needs no
// ratio and is stable for small baselines,
//
//	contrast = mean2 - (1-r) mean1,  se² = v2 + (1-r)² v1,
//
// with Welch's df of the scaled variances. A baseline that is not positive has
// no relative margin and warns [ZeroBaseline].
//
// Source: Pigeot et al. 2003, Stat Med 22.
func NonInferiorRelative(control, treatment Moments, margin, alpha float64, d Direction) NonInferiority {
	if w := checkRelativeMargin(control, margin, d); w != NoWarning {
		return NonInferiority{Comparison: noComparison(w)}
	}
	return nonInferior(control, treatment, 0, marginScale(margin, d), alpha, d)
}

func checkRelativeMargin(control Moments, margin float64, d Direction) Warning {
	switch {
	case notFinite(margin):
		return NonFiniteInput
	case margin < 0 || d == HigherIsBetter && margin >= 1:
		return InvalidInput
	case control.Mean <= 0:
		return ZeroBaseline
	}
	return NoWarning
}

func marginScale(margin float64, d Direction) float64 {
	if d == LowerIsBetter {
		return 1 + margin
	}
	return 1 - margin
}

// contrast returns the contrast margin + (mean2 - scale·mean1), with the sign
// of the difference turned for LowerIsBetter, and the variances of its parts.
func contrast(control, treatment Moments, margin, scale float64, d Direction) (diff, v1, v2 float64, w Warning) {
	w = first(control.check(), treatment.check())
	if w == NoWarning && notFinite(margin) {
		w = NonFiniteInput
	}
	if w == NoWarning && (margin < 0 || d > LowerIsBetter) {
		w = InvalidInput
	}
	if w != NoWarning {
		return 0, 0, 0, w
	}
	diff = treatment.Mean - scale*control.Mean
	if d == LowerIsBetter {
		diff = -diff
	}
	return diff + margin, scale * scale * control.Var() / float64(control.N),
		treatment.Var() / float64(treatment.N), NoWarning
}

func nonInferior(control, treatment Moments, margin, scale, alpha float64, d Direction) NonInferiority {
	diff, v1, v2, w := contrast(control, treatment, margin, scale, d)
	if w != NoWarning {
		return NonInferiority{Comparison: noComparison(w)}
	}
	c := welch(diff, v1, v2, control.N, treatment.N, Test{Alternative: Greater, Level: 1 - alpha})
	return NonInferiority{Comparison: c, NonInferior: c.CI.Lower > 0}
}

// SequenceNonInferiority is a [NonInferiority] at every look.
type SequenceNonInferiority struct {
	// Contrast and SE are those of the test at one look.
	Contrast, SE float64
	Sequence
	NonInferior bool
}

// NonInferiorSequence tests the relative margin of [NonInferiorRelative] by the
// two-sided confidence sequence of the contrast: the margin is kept when its
// lower limit is above 0. u is the mixing information of [ConfidenceSequence].
func NonInferiorSequence(control, treatment Moments, margin, u, alpha float64, d Direction) SequenceNonInferiority {
	none := SequenceNonInferiority{Contrast: math.NaN(), SE: math.NaN()}
	w := checkRelativeMargin(control, margin, d)
	diff, v1, v2, w2 := contrast(control, treatment, 0, marginScale(margin, d), d)
	if w = first(w2, w); w != NoWarning {
		none.Sequence = noSequence(w)
		return none
	}
	e := Estimate{diff, math.Sqrt(v1 + v2)}
	s := ConfidenceSequence(e, u, alpha, 0)
	return SequenceNonInferiority{Contrast: e.Value, SE: e.SE, Sequence: s, NonInferior: s.CI.Lower > 0}
}

// Harm tests for a loss: H0: diff ≥ 0 against diff < 0 (LowerIsBetter: the
// reverse). Diff and Stat keep the sign of treatment minus control.
func Harm(control, treatment Moments, level float64, d Direction) Comparison {
	t := Test{Alternative: Less, Level: level}
	if d == LowerIsBetter {
		t.Alternative = Greater
	}
	return Welch(control, treatment, t)
}

// Equivalence is the answer of two one-sided tests.
type Equivalence struct {
	// P is the larger of PLower (against diff ≤ -margin) and PUpper (against
	// diff ≥ margin).
	P, PLower, PUpper float64
	// CI is the interval at level 1-2·alpha, which lies within ±margin exactly
	// when the arms are equivalent.
	CI         Interval
	Equivalent bool
	Warning    Warning
}

// Equivalent tests that the difference lies within ±margin at error alpha.
//
// Source: Schuirmann 1987 (two one-sided tests).
func Equivalent(control, treatment Moments, margin, alpha float64) Equivalence {
	lower := NonInferiorAbsolute(control, treatment, margin, alpha, HigherIsBetter)
	upper := NonInferiorAbsolute(control, treatment, margin, alpha, LowerIsBetter)
	c := Welch(control, treatment, Test{Level: 1 - 2*alpha})
	e := Equivalence{
		P: max(lower.P, upper.P), PLower: lower.P, PUpper: upper.P,
		CI: c.CI, Warning: first(lower.Warning, c.Warning),
	}
	e.Equivalent = e.Warning == NoWarning && e.P <= alpha
	return e
}
