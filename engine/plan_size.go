package engine

import (
	"context"
	"math"
	"strings"

	"github.com/perennial-engine/perennial/engine/audience"
	"github.com/perennial-engine/perennial/stats"
)

// A SizeQuery asks how many customers a test will need. Plan.MinEffect must be above 0.
type SizeQuery struct {
	Metric     MetricKey
	Audience   string
	Channels   []string // where customers are met, for an audience that asks; nil: on any channel
	Weights    []int    // of the arms, control first
	Primaries  int      // metrics that are corrected together
	Guardrails int
	Plan       Plan
}

// A Size is what the planner answers.
type Size struct {
	CustomersPerArm int64
	Customers       int64    // in all arms
	CustomersPerDay float64  // of the audience who were seen, over the last 28 days
	DaysToEnrol     *float64 // nil when nobody comes
	DaysToMature    int
	Inflation       float64 // what the method costs against one look
	Baseline        Baseline
}

// A Baseline is what customers of the audience were worth over the newest whole window.
type Baseline struct {
	Customers int64
	Mean      float64
	StdDev    float64 // after the covariate has been taken out, if the plan asks for it
}

// History is the newest whole window of a metric in the ledger, in groups of customers who
// share the attributes that were asked for.
type History []PastGroup

// A PastGroup is the customers seen in the 28 days before the window, their values over it, and
// those seen in the newest 28 days.
type PastGroup struct {
	Attributes map[string]any
	Total      ArmTotal
	Recent     int64
}

const (
	// SeenDays is how long back customers are counted as coming.
	SeenDays = 28
	// leastHistory is how many customers a baseline needs.
	leastHistory = 100
	// anytimeInflation is what a confidence sequence costs (docs/methods/power.md).
	anytimeInflation = 1.72
	// plannedLooks is how many looks a group-sequential plan is sized for.
	plannedLooks = 30
)

// PlanSize sizes a test from the ledger.
func (e *Engine) PlanSize(ctx context.Context, q SizeQuery) (*Size, error) {
	var v violations
	q.Plan.check(&v)
	for i := range v.fields {
		v.fields[i].Pointer = strings.TrimPrefix(v.fields[i].Pointer, "/plan")
	}
	if q.Metric == "" {
		v.add("/metric", "must name a metric")
	}
	if q.Plan.MinEffect <= 0 {
		v.add("/min_effect", "must be above 0: without an effect to find no size is enough")
	}
	if len(q.Weights) < 2 || len(q.Weights) > maxVariants {
		v.add("/variants", "must be 2 to %d", maxVariants)
	}
	who, err := audience.Compile(q.Audience)
	if err != nil {
		v.addCode("invalid_audience", "/audience", "%v", err)
	}
	if err := v.err("plan"); err != nil {
		return nil, err
	}
	m, err := e.store.Metric(ctx, q.Metric)
	if KindOf(err) == KindNotFound {
		v.addCode("unknown_metric", "/metric", "there is no metric %q", q.Metric)
		return nil, v.err("plan")
	}
	if err != nil {
		return nil, err
	}
	return e.sizeFor(ctx, q, m, who)
}

// sizeFor sizes a test on a metric that is known, for an audience that was compiled.
func (e *Engine) sizeFor(ctx context.Context, q SizeQuery, m *Metric, who *audience.Audience) (*Size, error) {
	past, err := e.store.History(ctx, m, q.Plan.Covariate, e.now(), who.Attributes())
	if err != nil {
		return nil, err
	}
	channels := q.Channels
	if channels == nil {
		channels = everyChannel()
	}
	total, recent := ArmTotal{}, int64(0)
	for i := range past {
		g := &past[i]
		if !who.MatchesAny(g.Attributes, channels) {
			continue
		}
		total = total.plus(&g.Total)
		recent += g.Recent
	}
	s := &Size{DaysToMature: m.Window.ToDay, CustomersPerDay: float64(recent) / SeenDays}
	if err := s.solve(q, m, total); err != nil {
		return nil, err
	}
	if s.CustomersPerDay > 0 {
		days := float64(s.Customers) / s.CustomersPerDay
		s.DaysToEnrol = &days
	}
	return s, nil
}

// solve finds the customers for the least effect worth having, with the error that Holm's
// first step leaves to each comparison and the power that the guardrails leave to the primary.
func (s *Size) solve(q SizeQuery, m *Metric, past ArmTotal) error {
	short := func(why string) error {
		return Errorf(KindInvalid, "plan_needs_history",
			"%q cannot be planned for: %s. Give plan.planned_customers instead", m.Key, why)
	}
	if past.Mature < leastHistory {
		return short(pointerf("%d customers of the audience were seen in the %d days before its newest whole window, of at least %d",
			past.Mature, SeenDays, leastHistory))
	}
	a := newArm(past, m.Kind)
	if q.Plan.Covariate && m.Kind.takesCovariate() {
		pair := pairMoments(past)
		theta, grand := stats.CupedSlope(pair)
		a.moments = pair.Adjust(theta, grand)
	}
	mean, sd := a.moments.Mean, math.Sqrt(a.moments.Var())
	s.Baseline = Baseline{Customers: past.Mature, Mean: mean, StdDev: sd}
	if a.warning != stats.NoWarning || !(sd > 0) || mean == 0 {
		return short("customers did not differ in it over its newest whole window")
	}
	effect := q.Plan.MinEffect
	if m.Direction == Decrease {
		effect = -effect
	}
	sd2 := sd
	if m.Kind.IsBinary() && !q.Plan.Covariate {
		p := min(max(mean*(1+effect), 0), 1)
		sd2 = math.Sqrt(p * (1 - p))
	}
	alpha := q.Plan.Alpha / float64(max(q.Primaries, 1)*(len(q.Weights)-1))
	power := 1 - (1-q.Plan.Power)/float64(q.Guardrails+1)
	s.Inflation = inflation(q.Plan.Method, alpha, power)
	all, weights := 0.0, 0
	for _, w := range q.Weights {
		weights += w
	}
	for _, w := range q.Weights[1:] {
		ratio := float64(w) / float64(q.Weights[0])
		n := stats.MeanSampleSize(effect*math.Abs(mean), sd, sd2, alpha, power, ratio)
		if n.Warning != stats.NoWarning {
			return short("no size is enough (" + n.Warning.String() + ")")
		}
		all = max(all, n.Control*float64(weights)/float64(q.Weights[0]))
	}
	perArm := math.Ceil(all * s.Inflation / float64(len(q.Weights)))
	if !(perArm <= maxCustomers) {
		return short("it would take more than a thousand million customers an arm")
	}
	s.CustomersPerArm = int64(perArm)
	s.Customers = s.CustomersPerArm * int64(len(q.Weights))
	return nil
}

// inflation is the factor by which a method needs more customers than one look.
func inflation(method Method, alpha, power float64) float64 {
	switch method {
	case MethodFixed:
		return 1
	case MethodAnytime:
		return anytimeInflation
	case MethodGroupSequential:
		p := stats.Plan{Alpha: alpha / 2, TwoSided: true}
		for k := range plannedLooks {
			p.Times = append(p.Times, float64(k+1)/plannedLooks)
		}
		if f := p.Inflation(power); f.Warning == stats.NoWarning {
			return f.Factor
		}
	}
	return 1
}

// sizeQuery is the question that an experiment puts to the planner, for one of its primaries.
func (x *Experiment) sizeQuery(metric MetricKey, channels []string) SizeQuery {
	q := SizeQuery{
		Metric: metric, Audience: x.Audience, Channels: channels, Weights: []int{x.Control().Weight},
		Primaries: len(x.Metrics.Primary), Guardrails: len(x.Metrics.Guardrails), Plan: x.Plan,
	}
	for _, v := range x.Variants {
		if !v.Control {
			q.Weights = append(q.Weights, v.Weight)
		}
	}
	return q
}

// A foundSize is the size of a draft's plan, and what asked for it.
type foundSize struct {
	spec Spec
	size *Size // nil: the ledger cannot say
}

// findSize sizes the plan of a draft that names a least effect and no size: as many customers as
// its most demanding primary needs. It runs before the start takes its lock.
func (e *Engine) findSize(ctx context.Context, x *Experiment) (found foundSize, err error) {
	found.spec = x.Spec
	if x.Status != StatusDraft || x.Plan.PlannedCustomers > 0 || x.Plan.MinEffect <= 0 {
		return found, nil
	}
	channels, err := e.channels(ctx, x)
	if err != nil {
		return found, err
	}
	for _, key := range x.Metrics.Primary {
		size, err := e.PlanSize(ctx, x.sizeQuery(key, channels))
		switch kind := KindOf(err); {
		case kind == KindNotFound || kind == KindInvalid:
			return foundSize{spec: x.Spec}, nil // the start says what is wrong, or goes by default
		case err != nil:
			return found, err
		}
		if found.size == nil || size.Customers > found.size.Customers {
			found.size = size
		}
	}
	return found, nil
}
