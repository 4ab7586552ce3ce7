package engine

import (
	"cmp"
	"math"

	"github.com/perennial-engine/perennial/stats"
)

// A judge compares arms by the plan's method.
type judge struct {
	plan     Plan
	currency Currency    // of money
	guards   int         // tests of guardrails: guardrails × treatments
	planEnd  bool        // the plan has run its course: a fixed plan may now be judged
	looks    []SpentLook // of a group-sequential plan, the one that is taken now included
	known    *boundaries
	noP      bool // no repeated p-values: no decision asks for them
}

// contrast is what the plan's method says of one treatment against control: an interval
// at some level and the p-value of no difference. Of a group-sequential plan the p-value is
// left for later: no decision asks for it.
type contrast struct {
	difference float64
	se         float64 // the error that decides; 0 for a fixed plan
	interval   stats.Interval
	p          float64
	warning    stats.Warning
}

// mixing is the mixing information of a confidence sequence over n customers, tuned to
// be narrowest at the planned size of both arms.
func (j judge) mixing(n int64) float64 {
	return float64(n) * stats.Rho2(j.plan.Alpha, 2*float64(j.plan.PlannedCustomers))
}

// compare answers the difference treatment − control of a metric at error alpha.
func (j judge) compare(metric MetricKey, control, treatment arm, alpha float64) contrast {
	c := contrast{
		difference: treatment.moments.Mean - control.moments.Mean, interval: unknownInterval(), p: math.NaN(),
		warning: cmp.Or(control.warning, treatment.warning),
	}
	if c.warning == stats.NoWarning && min(control.moments.N, treatment.moments.N) < 2 {
		c.warning = stats.TooFewCustomers
	}
	if c.warning != stats.NoWarning {
		return c
	}
	if j.plan.Method == MethodFixed {
		look, test := fixedLook(control, treatment, 1-alpha)
		c.interval, c.p, c.warning = look.CI, test.P, look.Warning
		return c
	}
	se := stats.MeanErrors(control.moments, treatment.moments)
	if c.warning = se.Warning; c.warning == stats.NoWarning && se.Decision == 0 {
		c.warning = stats.ZeroVariance
	}
	if c.warning != stats.NoWarning {
		return c
	}
	c.se = se.Decision
	if j.plan.Method == MethodGroupSequential {
		half := j.boundary(metric, alpha) * c.se
		c.interval = stats.Interval{Lower: c.difference - half, Upper: c.difference + half}
		return c
	}
	s := stats.ConfidenceSequence(stats.Estimate{Value: c.difference, SE: c.se},
		j.mixing(control.moments.N+treatment.moments.N), alpha, 0)
	c.interval, c.p, c.warning = s.CI, s.P, s.Warning
	return c
}

func unknownInterval() stats.Interval { return stats.Interval{Lower: math.NaN(), Upper: math.NaN()} }

// fixedLook is the answer of a single look: first the difference with its interval, then
// the statistic and its p-value. For means, and for all that is adjusted, both are Welch's.
func fixedLook(control, treatment arm, level float64) (difference, test stats.Comparison) {
	if control.binary && control.plain == nil {
		return stats.ProportionZ(control.count(), treatment.count(), level),
			stats.ProportionZPooled(control.count(), treatment.count())
	}
	welch := stats.Welch(control.moments, treatment.moments, stats.Test{Level: level})
	return welch, welch
}

// relative answers the interval of treatment − scale·control at error alpha, by the
// plan's method: the contrast of margins and of the least effect worth having.
func (j judge) relative(metric MetricKey, control, treatment arm, scale, alpha float64) stats.Interval {
	scaled := control
	scaled.binary = false
	scaled.moments.Mean *= scale
	scaled.moments.M2 *= scale * scale
	treatment.binary = false
	return j.compare(metric, scaled, treatment, alpha).interval
}

// An assessment is one comparison while it is judged.
type assessment struct {
	metric             Metric
	role               Role
	margin             float64
	control, treatment arm
	previousP          *float64
	contrast
	alpha    float64 // error of the interval
	rejected bool    // there is a difference, corrected for the family
	alone    float64 // the p-value of this look by itself
	adjusted float64
}

// good turns limits so that above 0 is better.
func (a *assessment) good(i stats.Interval) stats.Interval {
	if a.metric.Direction == Decrease {
		return stats.Interval{Lower: -i.Upper, Upper: -i.Lower}
	}
	return i
}

// scaled answers the limits, in the good direction, of treatment − control − share·|control|
// for a share that is an improvement (turned for metrics that should decrease). A share is of
// the absolute value, so that a loss of 10 customers can grow worse by 5 %, to 10.5.
func (a *assessment) scaled(j judge, share, alpha float64) stats.Interval {
	if (a.metric.Direction == Decrease) != (a.control.moments.Mean < 0) {
		share = -share
	}
	return a.good(j.relative(a.metric.Key, a.control, a.treatment, 1+share, alpha))
}

// improved: the lower limit in the good direction is above share × |control|. A plan may ask
// for less than an improvement (a negative share): then there need be no difference.
func (a *assessment) improved(share float64) bool {
	if share >= 0 && !a.rejected {
		return false
	}
	return a.good(a.interval).Lower > share*math.Abs(a.control.moments.Mean)
}

// worse: the upper limit in the good direction is below 0.
func (a *assessment) worse() bool { return a.good(a.interval).Upper < 0 }

// futile: even the least effect worth having is above what is possible.
func (a *assessment) futile(j judge) bool {
	return j.plan.MinEffect > 0 && a.scaled(j, j.plan.MinEffect, a.alpha).Upper < 0
}

// nonInferior: the treatment is surely not worse than control by more than the margin.
// Every guardrail must pass, so none is corrected (intersection-union test).
func (a *assessment) nonInferior(j judge) bool {
	return a.scaled(j, -a.margin, j.plan.Alpha).Lower > 0
}

// beyondMargin: the treatment is surely worse than control by more than the margin. Any
// guardrail can stop an arm, so all tests of them share the error (docs/methods/non-inferiority.md).
func (a *assessment) beyondMargin(j judge) bool {
	return a.scaled(j, -a.margin, j.plan.Alpha/float64(max(j.guards, 1))).Upper < 0
}

// comparison writes the assessment down.
func (a *assessment) comparison(j judge) Comparison {
	fixed, test := fixedLook(a.control.unadjusted(), a.treatment.unadjusted(), 1-j.plan.Alpha)
	c := Comparison{
		Variant:        a.treatment.variant,
		Difference:     number(a.difference),
		Interval:       limits(a.interval),
		PValue:         number(a.p),
		AdjustedPValue: number(a.adjusted),
		Decisive:       a.role == RolePrimary && a.rejected && (j.plan.Method != MethodFixed || j.planEnd),
		Fixed: FixedLook{
			StdError: number(fixed.SE), Statistic: number(test.Stat),
			PValue: number(test.P), Interval: limits(fixed.CI),
		},
		Warnings: []string{},
	}
	if a.control.moments.N == 0 || a.treatment.moments.N == 0 {
		c.Difference = nil
	}
	c.CovariateGain = a.covariateGain()
	if a.role == RoleGuardrail {
		passed := a.nonInferior(j)
		c.NonInferior = &passed
	}
	if a.warning != stats.NoWarning {
		c.Warnings = append(c.Warnings, a.warning.String())
		return c
	}
	if j.plan.Method == MethodGroupSequential {
		if len(j.looks) == 0 {
			c.Warnings = append(c.Warnings, "no_look_yet")
		}
		c.Boundary = number(j.boundary(a.metric.Key, a.alpha))
	}
	// The lift's interval stands at the same critical value as that of the difference.
	half := (a.interval.Upper - a.interval.Lower) / 2 / math.Hypot(a.control.moments.SE(), a.treatment.moments.SE())
	level := 1 - 2*stats.NormalSF(half)
	control, treatment := a.control.moments.Estimate(), a.treatment.moments.Estimate()
	lift := stats.ShowLift(control, treatment, min(level, 0.999_999_999))
	c.Lift = number(lift.Lift)
	if lift.Warning == stats.UncertainBaseline {
		// Its limits are unbounded; the lift itself is told where it would be after a single look.
		c.Lift = number(stats.ShowLift(control, treatment, 1-j.plan.Alpha).Lift)
	}
	// With very few customers the interval of the difference says next to nothing, and that of
	// the lift nothing.
	if level < 0.999_999_999 {
		c.LiftInterval = limits(lift.CI)
	}
	if c.Interval[0] == nil || c.Interval[1] == nil || (level >= 0.999_999_999 && lift.Warning == stats.NoWarning) {
		c.Warnings = append(c.Warnings, "unbounded")
	}
	if lift.Warning != stats.NoWarning {
		c.Warnings = append(c.Warnings, lift.Warning.String())
	}
	return c
}

// covariateGain is the share of the variance of the difference that the covariate took out,
// nil without one.
func (a *assessment) covariateGain() *float64 {
	if a.control.plain == nil {
		return nil
	}
	variance := func(control, treatment stats.Moments) float64 {
		return control.Var()/float64(control.N) + treatment.Var()/float64(treatment.N)
	}
	return number(1 - variance(a.control.moments, a.treatment.moments)/variance(*a.control.plain, *a.treatment.plain))
}

// number answers nil for what is not a number.
func number(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func limits(i stats.Interval) [2]*float64 { return [2]*float64{number(i.Lower), number(i.Upper)} }
