package engine

import (
	"cmp"
	"math"
	"slices"

	"github.com/perennial-engine/perennial/stats"
)

// A judge compares arms by the plan's method.
type judge struct {
	plan     Plan
	currency Currency // of money
	guards   int      // tests of guardrails: guardrails × treatments
	planEnd  bool     // the plan has run its course: a fixed plan may now be judged
}

// contrast is what the plan's method says of one treatment against control: an interval
// at some level and the p-value of no difference.
type contrast struct {
	difference float64
	interval   stats.Interval
	p          float64
	warning    stats.Warning
}

// mixing is the mixing information of a confidence sequence over n customers, tuned to
// be narrowest at the planned size of both arms.
func (j judge) mixing(n int64) float64 {
	return float64(n) * stats.Rho2(j.plan.Alpha, 2*float64(j.plan.PlannedCustomers))
}

// compare answers the difference treatment − control at error alpha.
func (j judge) compare(control, treatment arm, alpha float64) contrast {
	difference := treatment.moments.Mean - control.moments.Mean
	if w := cmp.Or(control.warning, treatment.warning); w != stats.NoWarning {
		return contrast{difference, unknownInterval(), math.NaN(), w}
	}
	if j.plan.Method == MethodFixed {
		c, p := fixedLook(control, treatment, 1-alpha)
		return contrast{difference, c.CI, p.P, c.Warning}
	}
	se := stats.MeanErrors(control.moments, treatment.moments)
	if se.Warning != stats.NoWarning || se.Decision == 0 {
		w := se.Warning
		if w == stats.NoWarning {
			w = stats.ZeroVariance
		}
		return contrast{difference, unknownInterval(), math.NaN(), w}
	}
	s := stats.ConfidenceSequence(stats.Estimate{Value: difference, SE: se.Decision},
		j.mixing(control.moments.N+treatment.moments.N), alpha, 0)
	return contrast{difference, s.CI, s.P, s.Warning}
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
func (j judge) relative(control, treatment arm, scale, alpha float64) stats.Interval {
	scaled := control
	scaled.binary = false
	scaled.moments.Mean *= scale
	scaled.moments.M2 *= scale * scale
	treatment.binary = false
	return j.compare(scaled, treatment, alpha).interval
}

// family compares treatments with control on the metrics that are corrected together
// (Holm), and gives each comparison the interval at the error that Holm's step grants it:
// at each look by itself the interval excludes 0 exactly when Holm rejects.
func (j judge) family(tests []*assessment) {
	p := make([]float64, len(tests))
	for i, t := range tests {
		t.alpha = j.plan.Alpha
		t.contrast = j.compare(t.control, t.treatment, t.alpha)
		// At later looks the p-value of a sequence is the least so far.
		if t.previousP != nil && (math.IsNaN(t.p) || *t.previousP < t.p) && j.plan.Method == MethodAnytime {
			t.p = *t.previousP
		}
		p[i] = t.p
	}
	adjusted := stats.Adjust(p, stats.Holm)
	order := make([]int, 0, len(tests))
	for i := range tests {
		tests[i].adjusted = adjusted[i]
		if !math.IsNaN(p[i]) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return compareFloat(p[a], p[b]) })
	step := 0
	for rank, i := range order {
		tests[i].alpha = j.plan.Alpha / float64(len(order)-step)
		tests[i].interval = j.compare(tests[i].control, tests[i].treatment, tests[i].alpha).interval
		if adjusted[i] <= j.plan.Alpha {
			step = rank + 1
		}
	}
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
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
	return a.good(j.relative(a.control, a.treatment, 1+share, alpha))
}

// improved: the lower limit in the good direction is above share × |control|. A plan may ask
// for less than an improvement (a negative share): then there need be no difference.
func (a *assessment) improved(j judge, share float64) bool {
	if share >= 0 && !(a.adjusted <= j.plan.Alpha) {
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
		Decisive:       a.role == RolePrimary && a.adjusted <= j.plan.Alpha && (j.plan.Method != MethodFixed || j.planEnd),
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
	if c.Interval[0] == nil || c.Interval[1] == nil {
		c.Warnings = append(c.Warnings, "unbounded")
	}
	// The lift's interval stands at the same critical value as that of the difference.
	half := (a.interval.Upper - a.interval.Lower) / 2 / math.Hypot(a.control.moments.SE(), a.treatment.moments.SE())
	level := 1 - 2*stats.NormalSF(half)
	lift := stats.ShowLift(a.control.moments.Estimate(), a.treatment.moments.Estimate(), min(level, 0.999_999_999))
	c.Lift = number(lift.Lift)
	if level < 0.999_999_999 {
		c.LiftInterval = limits(lift.CI)
	} else if lift.Warning == stats.NoWarning {
		// So few customers that the interval of the difference says next to nothing.
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
