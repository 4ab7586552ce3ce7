package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A case of an experiment is all that a verdict looks at.
type caseFile struct {
	judge
	experiment *Experiment
	asOf       time.Time
	first      *time.Time // first enrolment
	promoted   bool       // all that is asked is whether the winner harms
	over       bool       // all is decided
	matured    bool       // and everybody counts in every metric
	healthy    bool
	unhealthy  []Reason // what is wrong, in words
	// contaminated is why promotion waits for a person, "" for nothing.
	contaminated string
	assessments  []*assessment
	families     []family
}

// Burn-in: the least number of customers with a value other than 0 in the smaller arm
// before anything is decided, because intervals of skewed values are too short before;
// more where the split is uneven (docs/methods/decision-error.md).
const (
	burnIn       = 100
	burnInUneven = 400
	unevenShare  = 0.4
	// harmBurnInDays: every weekday counts once before an arm is stopped.
	harmBurnInDays = 7
)

// verdict applies the rules and says what keeps the engine from acting on them.
func (c *caseFile) verdict(r *Report) Verdict {
	if c.over {
		return c.settled()
	}
	v := c.rules()
	acts := v.Action != ActionContinue && v.Action != ActionFixHealth
	if acts && c.experiment.Policy.Mode == ModeManual {
		v.BlockedBy = append(v.BlockedBy, "manual_mode")
	}
	if v.Action == ActionContinue && !c.promoted {
		v.ProjectedAt = c.projected(r)
	}
	return v
}

// rules are, first match: unhealthy data, burn-in, harm, promotion, the
// end of the plan, go on.
func (c *caseFile) rules() Verdict {
	if c.promoted {
		return c.watch()
	}
	if !c.healthy {
		return Verdict{Action: ActionFixHealth, Reasons: c.unhealthy, BlockedBy: []string{}}
	}
	if waits := c.tooEarly(); len(waits) > 0 {
		if c.planEnd {
			v := c.says(ActionKeepControl, "", "plan_ended", "the plan has ended with too little to judge by")
			v.Reasons = append(v.Reasons, waits...)
			return v
		}
		return Verdict{Action: ActionContinue, Reasons: waits, BlockedBy: []string{}}
	}
	if v, ok := c.harmed(); ok {
		if c.age() < harmBurnInDays {
			return c.says(ActionContinue, "", "harm_burn_in", "nothing is stopped before the test is %d days old: %s",
				harmBurnInDays, v.Reasons[0].Detail)
		}
		return v
	}
	if days, least := c.age(), c.experiment.Policy.minDays(); days < float64(least) {
		return c.says(ActionContinue, "", "min_days", "the test is %.1f days old and must run %d (whole weeks)", days, least)
	}
	winner, blocked := c.winner()
	switch {
	case winner != nil:
		return c.promotes(winner)
	case c.allFutile():
		return c.says(ActionKeepControl, "", "futile",
			"no variant can still be better than control by the least effect worth having, %.3g %%: %s", 100*c.plan.MinEffect, c.soFar())
	case c.planEnd:
		v := c.says(ActionKeepControl, "", "plan_ended", "the plan has ended and no variant is proved better than control: %s", c.soFar())
		v.Reasons = append(v.Reasons, blocked...)
		return v
	}
	v := c.says(ActionContinue, "", "not_decided_yet", "no variant is proved better or worse than control yet: %s", c.soFar())
	v.Reasons = append(v.Reasons, blocked...)
	return v
}

// promotes is the verdict for a winner: what speaks for it, and who must agree.
func (c *caseFile) promotes(winner *assessment) Verdict {
	v := c.says(ActionPromote, winner.treatment.variant, "primary_improved", "%s", c.words(winner))
	for _, a := range c.assessments {
		if a.treatment.variant != winner.treatment.variant {
			continue
		}
		switch {
		case a.role == RoleGuardrail:
			v.Reasons = append(v.Reasons, Reason{Code: "guardrail_holds", Detail: fmt.Sprintf(
				"guardrail within its margin of %.3g %%: %s", 100*a.margin, c.words(a))})
		case a.role == RolePrimary && a != winner:
			v.Reasons = append(v.Reasons, Reason{Code: "primary_not_worse", Detail: c.words(a)})
		}
	}
	if c.experiment.Policy.Mode == ModeApprove {
		v.Action, v.BlockedBy = ActionNeedsApproval, append(v.BlockedBy, "approval")
	}
	if c.contaminated != "" {
		v.Action, v.BlockedBy = ActionNeedsApproval, append(v.BlockedBy, "contamination")
		v.Reasons = append(v.Reasons, Reason{Code: "contamination", Detail: c.contaminated})
	}
	return v
}

// soFar says what is known of the primaries of the arms that are left.
func (c *caseFile) soFar() string {
	var parts []string
	for _, a := range c.of(RolePrimary) {
		parts = append(parts, c.words(a))
	}
	return strings.Join(parts, "; ")
}

// projected is when the plan will be full at the rate at which customers have come so far, or
// at its last day when that is sooner; nil when nothing can be said.
func (c *caseFile) projected(r *Report) *time.Time {
	if c.first == nil {
		return nil
	}
	horizon := c.experiment.horizon()
	days := math.Inf(1) // after the first enrolment
	planned := float64(max(c.plan.PlannedCustomers, 0) * len(c.experiment.Variants))
	if n := sumOf(r.Customers); n > 0 && planned > 0 {
		days = c.age()*planned/float64(n) + float64(horizon)
		if matured := c.age() - float64(horizon); r.Information > 0 && matured > 0 {
			days = float64(horizon) + matured/r.Information
		}
	}
	if c.experiment.Policy.MaxDays > 0 {
		days = min(days, float64(c.experiment.Policy.MaxDays+horizon))
	}
	if days = max(days, float64(c.experiment.Policy.minDays())); days > maxProjection || days < c.age() {
		return nil
	}
	at := c.first.Add(time.Duration(days * 24 * float64(time.Hour))).UTC().Truncate(time.Second)
	return &at
}

// maxProjection is as far as anything is projected, in days.
const maxProjection = 3650

func (c *caseFile) says(action DecisionAction, variant VariantKey, code, format string, args ...any) Verdict {
	return Verdict{
		Action: action, Variant: variant, BlockedBy: []string{},
		Reasons: []Reason{{Code: code, Detail: fmt.Sprintf(format, args...)}},
	}
}

func (c *caseFile) age() float64 {
	if c.first == nil {
		return 0
	}
	return c.asOf.Sub(*c.first).Hours() / 24
}

// minDays is min_days rounded up to whole weeks, so that every weekday counts alike.
func (p *Policy) minDays() int { return (p.MinDays + 6) / 7 * 7 }

// tooEarly lists what keeps any decision waiting.
func (c *caseFile) tooEarly() []Reason {
	var waits []Reason
	wait := func(code, format string, args ...any) {
		waits = append(waits, Reason{Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	for _, a := range c.of(RolePrimary) {
		for _, side := range []arm{a.control, a.treatment} {
			if least := int64(c.experiment.Policy.MinCustomers); side.moments.N < least {
				wait("min_customers", "%s: %s has %d matured customers of at least %d",
					a.metric.Key, side.variant, side.moments.N, least)
			}
		}
		least := c.burnIn(a)
		if fewest := min(a.control.nonZero, a.treatment.nonZero); fewest < least {
			wait("burn_in", "%s: %d customers of the smaller of %s and %s have a value, of at least %d",
				a.metric.Key, fewest, a.control.variant, a.treatment.variant, least)
		}
	}
	if c.plan.Method == MethodFixed && !c.planEnd {
		wait("before_plan_end", "a fixed plan is judged once, at its end")
	}
	return waits
}

// burnIn is the least number of customers with a value in the smaller of control and an arm.
func (x *Experiment) burnIn(v Variant) int64 {
	control := x.Control().Weight
	if smaller := float64(min(control, v.Weight)) / float64(control+v.Weight); !v.Control && smaller < unevenShare {
		return burnInUneven
	}
	return burnIn
}

func (c *caseFile) burnIn(a *assessment) int64 {
	treatment, _ := c.experiment.Variant(a.treatment.variant)
	// Few customers make an arm look worse than it is. Where these are control's, that can hide
	// harm and not invent it.
	if c.promoted && c.experiment.Control().Weight <= treatment.Weight {
		return burnIn
	}
	return c.experiment.burnIn(treatment)
}

// of lists the assessments of a role over the arms that are still in the test.
func (c *caseFile) of(role Role) []*assessment {
	var some []*assessment
	for _, a := range c.assessments {
		if a.role == role && !c.experiment.isStopped(a.treatment.variant) {
			some = append(some, a)
		}
	}
	return some
}

// harmed finds an arm that surely harms. It stops alone; the others go on.
func (c *caseFile) harmed() (Verdict, bool) {
	for _, a := range c.of(RolePrimary) {
		if a.worse() {
			return c.says(ActionStopHarm, a.treatment.variant, "primary_harmed", "%s", c.words(a)), true
		}
	}
	for _, a := range c.of(RoleGuardrail) {
		// One that hardly anything has happened in yet stops nobody.
		if max(a.control.nonZero, a.treatment.nonZero) >= c.burnIn(a) && a.beyondMargin(c.judge) {
			return c.says(ActionStopHarm, a.treatment.variant, "guardrail_harmed",
				"guardrail beyond its margin of %.3g %%: %s", 100*a.margin, c.words(a)), true
		}
	}
	return Verdict{}, false
}

// winner finds the arm to promote: a primary improved, none surely worse (else the arm was
// stopped), every guardrail non-inferior; of several, the one with the largest lower limit on
// the first primary that any of them improves. blocked says what kept an improved arm from
// winning.
func (c *caseFile) winner() (best *assessment, blocked []Reason) {
	for _, a := range c.of(RolePrimary) {
		if !a.improved(c.plan.PromoteAbove) {
			continue
		}
		guarded := true
		for _, g := range c.of(RoleGuardrail) {
			if g.treatment.variant == a.treatment.variant && !g.nonInferior(c.judge) {
				guarded = false
				blocked = append(blocked, Reason{Code: "guardrail_not_proved", Detail: fmt.Sprintf(
					"%s is better on %s, but %s is not yet proved to stay within its margin of %.3g %%: %s",
					a.treatment.variant, a.metric.Key, g.metric.Key, 100*g.margin, c.words(g))})
			}
		}
		switch {
		case !guarded:
		case best == nil,
			a.metric.Key == best.metric.Key && a.good(a.interval).Lower > best.good(best.interval).Lower:
			best = a
		}
	}
	return best, blocked
}

func (c *caseFile) allFutile() bool {
	primaries := c.of(RolePrimary)
	for _, a := range primaries {
		if !a.futile(c.judge) {
			return false
		}
	}
	return len(primaries) > 0
}

// words says what an assessment found, in numbers a marketer can read.
func (c *caseFile) words(a *assessment) string {
	scale, unit := c.unit(&a.metric)
	text := fmt.Sprintf("%s: %s differs from %s by %s%s a customer (interval %s to %s)", a.metric.Key,
		a.treatment.variant, a.control.variant, figure(scale*a.difference), unit,
		figure(scale*a.interval.Lower), figure(scale*a.interval.Upper))
	if mean := a.control.moments.Mean; mean > 0 {
		text += fmt.Sprintf(", %+.1f %%", 100*a.difference/mean)
	}
	return text
}

// unit is how differences of a metric are told: in what, and times how much.
func (c *caseFile) unit(m *Metric) (scale float64, unit string) {
	switch {
	case m.Kind.IsBinary():
		return 100, " percentage points"
	case m.Kind.IsMoney():
		return 1, " " + string(c.currency)
	case m.Kind == KindSurvival:
		return 1, " days"
	}
	return 1, ""
}

// figure writes a number with a sign and four significant digits.
func figure(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return "unknown"
	}
	text := strconv.FormatFloat(x, 'g', 4, 64)
	if x > 0 {
		return "+" + text
	}
	return text
}
