package engine

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// lookStep is the information, as a share of the plan, that must have come in since the
// last look before the next is taken.
const lookStep = 0.01

// analyzeAll is the analyze job: it takes a look at every running test that has learned
// enough since the last, and writes down what follows.
func (e *Engine) analyzeAll(ctx context.Context) (int, error) {
	return e.forEachRunning(ctx, func(x *Experiment) (int, error) {
		looked, err := e.look(ctx, x)
		if looked {
			return 1, err
		}
		return 0, err
	})
}

// look analyses a test when enough has come in since it was last analysed. What is stored is
// a look, except for a fixed plan before its end, which is only watched.
func (e *Engine) look(ctx context.Context, x *Experiment) (bool, error) {
	now := e.now()
	lastLook, err := notFoundIsNil(e.store.LatestLook(ctx, x.Key, now))
	if err != nil {
		return false, err
	}
	r, c, err := e.analyze(ctx, x, View{AsOf: now}, lastLook)
	if err != nil || c.first == nil {
		return false, err
	}
	watching := x.Plan.Method == MethodFixed && !c.planEnd
	last := lastLook
	if watching {
		if last, err = notFoundIsNil(e.store.LatestReport(ctx, x.Key)); err != nil {
			return false, err
		}
	}
	if !c.due(r, last) {
		return false, nil
	}
	if watching {
		return true, e.store.SaveReport(ctx, r, nil)
	}
	number := 1
	if last != nil {
		number = *last.Look + 1
	}
	r.Look = &number
	decision, err := e.decisionOf(x, r)
	if err != nil {
		return false, err
	}
	if err := e.store.SaveReport(ctx, r, decision); KindOf(err) == KindConflict {
		e.log.InfoContext(ctx, "look not taken: the experiment has changed meanwhile", "experiment", x.Key, "error", err)
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

// due: enough has come in since the last report, or the plan has ended, or an arm was
// stopped for harm and the others must be judged without it. A fixed plan is judged once.
func (c *caseFile) due(r, last *Report) bool {
	if last == nil {
		return true
	}
	action := last.Verdict.Action
	if action == ActionStopHarm && c.experiment.isStopped(last.Verdict.Variant) {
		return true
	}
	if action == ActionFixHealth && c.healthy {
		return true
	}
	if last.Final && c.plan.Method == MethodFixed {
		return false
	}
	return r.Information >= last.Information+lookStep || (c.planEnd && !last.Final) ||
		(last.Verdict.waits() && !r.Verdict.waits())
}

// waits: it was too early to decide anything, so the look has spent nothing.
func (v *Verdict) waits() bool {
	early := []string{"min_customers", "burn_in", "min_days", "harm_burn_in"}
	return v.Action == ActionContinue &&
		slices.ContainsFunc(v.Reasons, func(r Reason) bool { return slices.Contains(early, r.Code) })
}

func notFoundIsNil(r *Report, err error) (*Report, error) {
	if KindOf(err) == KindNotFound {
		return nil, nil
	}
	return r, err
}

// decisionOf is the decision that a look's verdict asks for, or nil when it asks for none
// or leaves it to a person.
func (e *Engine) decisionOf(x *Experiment, r *Report) (*Decision, error) {
	mode := x.Policy.Mode
	switch r.Verdict.Action {
	case ActionPromote, ActionNeedsApproval:
	case ActionStopHarm, ActionKeepControl:
		// Control is safe: only promotions wait for a person.
		if mode == ModeApprove {
			mode = ModeAuto
		}
	case ActionContinue, ActionFixHealth, ActionStop, ActionRollback:
		return nil, nil
	}
	if mode == ModeManual {
		return nil, nil
	}
	id, err := e.token(16)
	if err != nil {
		return nil, err
	}
	action := r.Verdict.Action
	if action == ActionNeedsApproval {
		action = ActionPromote
	}
	return &Decision{
		ID: id, Experiment: x.Key, Action: action, Variant: r.Verdict.Variant, Mode: mode,
		Reasons: r.Verdict.Reasons, DecidedBy: "engine", DecidedAt: r.ComputedAt,
	}, nil
}

// Analyze computes and stores a report. It is no look: it spends nothing and never decides.
func (e *Engine) Analyze(ctx context.Context, key ExperimentKey, q ReportQuery) (*Report, error) {
	x, err := e.store.Experiment(ctx, key)
	if err != nil {
		return nil, err
	}
	if x.Status == StatusDraft {
		return nil, Errorf(KindConflict, "wrong_status", "experiment %q has not started: there is nothing to report", key)
	}
	now := e.now()
	at := now
	if q.AsOf != nil {
		at = microseconds(*q.AsOf)
	}
	switch {
	case at.After(now):
		return nil, &Error{
			Kind: KindInvalid, Code: "in_the_future", Message: "a report cannot look into the future",
			Fields: []FieldError{{Pointer: "/as_of", Detail: "must not be after now"}},
		}
	case at.Before(earliest):
		return nil, &Error{
			Kind: KindInvalid, Code: "before_1970", Message: "nothing is known from before 1970",
			Fields: []FieldError{{Pointer: "/as_of", Detail: "must not be before 1970"}},
		}
	case !validOptionalText(q.Segment, maxName):
		return nil, Errorf(KindInvalid, "invalid_segment", "segment "+textRule, maxName)
	}
	last, err := notFoundIsNil(e.store.LatestLook(ctx, key, at))
	if err != nil {
		return nil, err
	}
	r, _, err := e.analyze(ctx, x, View{AsOf: at, DataCut: q.DataCut, Segment: q.Segment}, last)
	if err != nil {
		return nil, err
	}
	return r, e.store.SaveReport(ctx, r, nil)
}

// LatestReport is the newest stored report.
func (e *Engine) LatestReport(ctx context.Context, key ExperimentKey) (*Report, error) {
	if _, err := e.store.Experiment(ctx, key); err != nil {
		return nil, err
	}
	r, err := e.store.LatestReport(ctx, key)
	if KindOf(err) == KindNotFound {
		return nil, Errorf(KindNotFound, "no_report", "experiment %q has no report yet: POST /v1/experiments/%s/reports (perennial report %s --now) computes one", key, key, key)
	}
	return r, err
}

// Reports lists stored reports, oldest first.
func (e *Engine) Reports(ctx context.Context, key ExperimentKey, p Page) ([]Report, error) {
	if _, err := e.store.Experiment(ctx, key); err != nil {
		return nil, err
	}
	return e.store.Reports(ctx, key, p)
}

// analyze sums up the experiment and judges it. last is the look before, if any.
func (e *Engine) analyze(ctx context.Context, x *Experiment, v View, last *Report) (*Report, *caseFile, error) {
	totals, err := e.store.Totals(ctx, x, v)
	if err != nil {
		return nil, nil, err
	}
	r, c := e.reportOn(x, totals, v.AsOf, last)
	if totals.Restated {
		r.Warnings = append(r.Warnings, "restated")
	}
	r.Contaminated = c.contamination(totals)
	if v.Segment != "" {
		r.SegmentBy, r.Segments = v.Segment, c.segments(totals)
	}
	return r, c, nil
}

// reportOn judges sums.
func (e *Engine) reportOn(x *Experiment, totals *Totals, asOf time.Time, last *Report) (*Report, *caseFile) {
	c := &caseFile{experiment: x, asOf: asOf, first: totals.First}
	c.judge = judge{
		plan: x.Plan, currency: e.reporting,
		guards: len(x.Metrics.Guardrails) * (len(x.Variants) - 1),
	}
	r := &Report{
		Experiment: x.Key, AsOf: asOf.UTC(), ComputedAt: e.now().UTC(), DataCut: totals.DataCut,
		Method: x.Plan.Method, Alpha: x.Plan.Alpha, Customers: totals.customers(x), Warnings: []string{},
	}
	r.Information = information(x, totals)
	r.Final = planEnded(x, totals, asOf, r.Information)
	c.planEnd = r.Final
	r.Health = c.checkHealth(totals, r.Customers, last)
	c.assess(totals, last)
	r.Metrics = c.metricReports(totals, r.Customers)
	r.Verdict = c.verdict()
	return r, c
}

// information is the number of matured customers, in the slowest primary, as a share of
// the planned number.
func information(x *Experiment, t *Totals) float64 {
	planned := float64(x.Plan.PlannedCustomers * len(x.Variants))
	if planned == 0 {
		planned = float64(defaultTuning * len(x.Variants))
	}
	share := math.Inf(1)
	for _, key := range x.Metrics.Primary {
		mature := int64(0)
		for _, v := range t.Values {
			if v.Metric == key {
				mature += v.Mature
			}
		}
		share = min(share, float64(mature)/planned)
	}
	return share
}

// planEnded: the planned customers have matured and the policy's minima are reached, or
// max_days are over and everyone enrolled in them has matured. An anytime plan has no
// planned size to reach. A plan never ends before min_days.
func planEnded(x *Experiment, t *Totals, asOf time.Time, information float64) bool {
	if t.First == nil || asOf.Before(t.First.Add(time.Duration(x.Policy.minDays())*24*time.Hour)) {
		return false
	}
	if x.Plan.Method == MethodFixed && x.Plan.PlannedCustomers > 0 && information >= 1 && x.enoughMatured(t) {
		return true
	}
	if x.Policy.MaxDays == 0 {
		return false
	}
	horizon := 0
	for _, m := range x.Frozen[:len(x.Metrics.Primary)] {
		horizon = max(horizon, m.Window.ToDay)
	}
	end := t.First.Add(time.Duration(x.Policy.MaxDays+horizon) * 24 * time.Hour)
	return !asOf.Before(end)
}

// enoughMatured: every arm has min_customers matured customers in every primary.
func (x *Experiment) enoughMatured(t *Totals) bool {
	for _, key := range x.Metrics.Primary {
		for _, v := range x.Variants {
			if t.value(key, v.Key).Mature < int64(x.Policy.MinCustomers) {
				return false
			}
		}
	}
	return true
}

// assess compares every treatment with control on every metric. Primaries are corrected
// together, and so are secondaries; guardrails and diagnostics stand alone.
func (c *caseFile) assess(t *Totals, last *Report) {
	x := c.experiment
	families := map[Role][]*assessment{}
	for i, role := range x.Metrics.all() {
		metric := x.Frozen[i]
		arms := newArms(t, x, &metric)
		for _, v := range x.Variants {
			if v.Control {
				continue
			}
			a := &assessment{
				metric: metric, role: role.role, margin: role.margin, control: arms[x.Control().Key],
				treatment: arms[v.Key], previousP: last.p(role.key, v.Key),
			}
			c.assessments = append(c.assessments, a)
			if role.role == RolePrimary || role.role == RoleSecondary {
				families[role.role] = append(families[role.role], a)
			} else {
				c.family([]*assessment{a})
			}
		}
	}
	for _, family := range families {
		c.family(family)
	}
}

// p is the p-value that a comparison had in this report, if any.
func (r *Report) p(metric MetricKey, variant VariantKey) *float64 {
	if r == nil {
		return nil
	}
	for _, m := range r.Metrics {
		if m.Metric != metric {
			continue
		}
		for _, c := range m.Comparisons {
			if c.Variant == variant {
				return c.PValue
			}
		}
	}
	return nil
}

// metricReports writes the arms and comparisons down, metric by metric.
func (c *caseFile) metricReports(t *Totals, customers map[VariantKey]int64) []MetricReport {
	x := c.experiment
	var reports []MetricReport
	for i, role := range x.Metrics.all() {
		metric := x.Frozen[i]
		m := MetricReport{
			Metric: metric.Key, Name: metric.Name, Role: role.role, Kind: metric.Kind,
			Direction: metric.Direction, Comparisons: []Comparison{},
		}
		if metric.Kind.IsMoney() {
			m.Currency = c.currency
		}
		if role.role == RoleGuardrail {
			m.Margin = &role.margin
		}
		if metric.CapValue != nil {
			m.CapValue = metric.CapValue.String()
		}
		arms := newArms(t, x, &metric)
		for _, v := range x.Variants {
			m.Arms = append(m.Arms, c.armReport(t.value(metric.Key, v.Key), &metric, arms[v.Key], customers[v.Key]))
		}
		for _, a := range c.assessments {
			if a.metric.Key == metric.Key && a.role == role.role {
				m.Comparisons = append(m.Comparisons, a.comparison(c.judge))
			}
		}
		reports = append(reports, m)
	}
	return reports
}

// armReport writes one arm down, as it was measured: a covariate shows in comparisons only.
func (c *caseFile) armReport(total ArmTotal, m *Metric, a arm, customers int64) ArmReport {
	line := ArmReport{Variant: total.Variant, Customers: customers, Mature: total.Mature, Total: c.total(total.Sum, m.Kind)}
	if total.Mature > 0 {
		moments := a.unadjusted().moments
		line.Mean, line.StdError = number(moments.Mean), number(moments.SE())
		if m.CapValue != nil {
			line.UncappedMean = number(meanOf(total.Uncapped, total.Mature))
		}
	}
	return line
}

// total writes a sum: money in the minor units of its currency, counts as they are.
func (c *caseFile) total(sum decimal.Decimal, kind MetricKind) string {
	if kind.IsMoney() {
		return sum.StringFixed(c.currency.MinorUnits())
	}
	return sum.String()
}
