package engine

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

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
	e.settle(ctx)
	last, err := notFoundIsNil(e.store.LatestLook(ctx, key, at))
	if err != nil {
		return nil, err
	}
	if at.Before(now) {
		if err := e.stoppedThen(ctx, x, at); err != nil {
			return nil, err
		}
	}
	occasion := sitting{asOf: at, last: last, over: x.ConcludedAt != nil && at.After(*x.ConcludedAt)}
	if last.at(at, q.DataCut) {
		// The same look again, on the same occasion: one that has spent nothing is not among the looks.
		occasion.look = true
		if occasion.last, err = notFoundIsNil(e.store.LatestLook(ctx, key, at.Add(-time.Microsecond))); err != nil {
			return nil, err
		}
	}
	v := View{AsOf: at, DataCut: q.DataCut, Segment: q.Segment}
	if v.Segment == SegmentObjective {
		v.Segment = ""
	}
	totals, err := e.store.Totals(ctx, x, v)
	if err != nil {
		return nil, err
	}
	if q.Segment == SegmentObjective {
		totals.name(string(x.Objective))
	}
	r, c, err := e.inform(ctx, x, totals, occasion)
	if err != nil {
		return nil, err
	}
	if q.Segment != "" {
		r.SegmentBy, r.Segments = q.Segment, c.segments(totals)
	}
	return r, e.store.SaveReport(ctx, r, nil)
}

// at: the report is of this time and this data cut.
func (r *Report) at(asOf time.Time, cut *int64) bool {
	return r != nil && cut != nil && r.DataCut == *cut && r.AsOf.Equal(asOf)
}

// stoppedThen takes the arms back into the experiment that were stopped for harm after a time,
// so that a report as of then says what it said.
func (e *Engine) stoppedThen(ctx context.Context, x *Experiment, at time.Time) error {
	for page := (Page{Limit: 1000}); len(x.Stopped) > 0; {
		decisions, err := e.store.Decisions(ctx, x.Key, page)
		if err != nil {
			return err
		}
		for i := range decisions {
			d := &decisions[i]
			if d.Action == ActionStopHarm && d.AppliedAt != nil && (d.AppliedAt.After(at) || !d.DecidedAt.Before(at)) {
				x.Stopped = slices.DeleteFunc(x.Stopped, func(v VariantKey) bool { return v == d.Variant })
			}
		}
		if len(decisions) < page.Limit {
			return nil
		}
		page.After = decisions[len(decisions)-1].ID
	}
	return nil
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

// inform completes a sitting by what the database knows besides the sums, and judges.
func (e *Engine) inform(ctx context.Context, x *Experiment, totals *Totals, s sitting) (*Report, *caseFile, error) {
	var err error
	if s.evidence, err = e.evidence(ctx, x, s.asOf, totals, s.last); err != nil {
		return nil, nil, err
	}
	if s.past, err = e.store.PastTests(ctx, x, s.asOf, totals.DataCut); err != nil {
		return nil, nil, err
	}
	r, c := e.reportOn(x, totals, s)
	return r, c, nil
}

// evidence asks what came in since the last look whose hashes were right.
func (e *Engine) evidence(ctx context.Context, x *Experiment, asOf time.Time, t *Totals, last *Report) (*Evidence, error) {
	since := int64(0)
	if last != nil && last.Health.passed("assignment_hash") {
		since = last.DataCut
	}
	return e.store.Evidence(ctx, x, Span{AsOf: asOf, Since: since, UpTo: t.DataCut})
}

// A sitting is the occasion of a report.
type sitting struct {
	asOf time.Time
	last *Report // the look before, if any
	look bool    // this is a look: it may decide, and spends error
	noP  bool    // leave out the p-values that decide nothing and take long to find
	// promoted: the winner is out, and all that is asked is whether it harms.
	promoted bool
	over     bool // the test is concluded: all is decided
	// evidence is what the ledger says of the health; nil says that nothing is wrong.
	evidence *Evidence
	// past are the tests before that luck is told from; nil says nothing of luck.
	past []PastTest
}

// reportOn judges sums.
func (e *Engine) reportOn(x *Experiment, totals *Totals, s sitting) (*Report, *caseFile) {
	c := &caseFile{experiment: x, asOf: s.asOf, first: totals.First, promoted: s.promoted, over: s.over}
	c.matured = s.over && !s.asOf.Before(x.maturesAt(totals))
	r := &Report{
		Experiment: x.Key, AsOf: s.asOf.UTC(), ComputedAt: e.now().UTC(), DataCut: totals.DataCut,
		Method: x.Plan.Method, Alpha: x.Plan.Alpha, Customers: totals.customers(x), Warnings: []string{},
	}
	r.Information = x.information(totals)
	r.Final = planEnded(x, totals, s.asOf, r.Information)
	c.judge = judge{
		plan: x.Plan, currency: e.reporting, planEnd: r.Final, known: &e.boundaries, noP: s.noP,
		guards: len(x.Metrics.Guardrails) * (len(x.Variants) - 1),
	}
	if x.Plan.Method == MethodGroupSequential {
		c.spend(r, totals, s)
	}
	r.Health = c.checkHealth(totals, r.Customers, s)
	c.assess(totals, s.last)
	r.Verdict = c.verdict(r)
	r.Metrics = c.metricReports(totals, r.Customers)
	if s.past != nil {
		c.shrink(r, s.past)
	}
	if totals.Restated {
		r.Warnings = append(r.Warnings, "restated")
	}
	r.Contaminated = c.contamination(totals)
	if s.last != nil {
		r.Looks = s.last.Looks
	}
	if s.look && c.mayDecide(&r.Verdict) {
		r.Looks = c.looks
	}
	return r, c
}

// spend sets the looks that the boundary comes from: those of the last look, and this one if
// it is one.
func (c *caseFile) spend(r *Report, totals *Totals, s sitting) {
	if s.last != nil {
		c.looks = s.last.Looks
	}
	if !s.look {
		return
	}
	before := len(c.looks)
	if c.looks = nextLooks(c.looks, c.thisLook(totals, r)); len(c.looks) > before {
		c.looks[before].Boundary = number(c.boundary(c.experiment.Metrics.Primary[0], c.plan.Alpha))
	}
}

// information is the matured customers of the slowest primary as a share of the plan.
func (x *Experiment) information(t *Totals) float64 {
	share := math.Inf(1)
	for _, key := range x.Metrics.Primary {
		share = min(share, x.share(t, key))
	}
	return share
}

// share is the matured customers of a metric as a share of the plan.
func (x *Experiment) share(t *Totals, metric MetricKey) float64 {
	planned := x.Plan.PlannedCustomers
	if planned == 0 {
		planned = defaultTuning
	}
	return float64(t.mature(metric)) / float64(planned*len(x.Variants))
}

// planEnded: the planned customers have matured and the minima are reached, or max_days are
// over and everyone enrolled in them has matured. An anytime plan has no planned size to
// reach. A plan never ends before min_days.
func planEnded(x *Experiment, t *Totals, asOf time.Time, information float64) bool {
	if t.First == nil || asOf.Before(t.First.Add(time.Duration(x.Policy.minDays())*24*time.Hour)) {
		return false
	}
	if x.Plan.Method != MethodAnytime && x.Plan.PlannedCustomers > 0 && information >= 1 && x.enoughMatured(t) {
		return true
	}
	if x.Policy.MaxDays == 0 {
		return false
	}
	end := t.First.Add(time.Duration(x.Policy.MaxDays+x.horizon()) * 24 * time.Hour)
	return !asOf.Before(end)
}

// enoughMatured: in every primary every arm has min_customers matured customers, of whom
// enough have a value. A plan that is full without them goes on until max_days.
func (x *Experiment) enoughMatured(t *Totals) bool {
	for _, key := range x.Metrics.Primary {
		control := t.value(key, x.Control().Key)
		for _, v := range x.Variants {
			arm := t.value(key, v.Key)
			if arm.Mature < int64(x.Policy.MinCustomers) || min(control.NonZero, arm.NonZero) < x.burnIn(v) {
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
	corrected := map[Role]int{} // index of the family that a role is corrected in
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
			together := role.role == RolePrimary || role.role == RoleSecondary
			if at, ok := corrected[role.role]; ok && together {
				c.families[at].tests = append(c.families[at].tests, a)
				continue
			}
			corrected[role.role] = len(c.families)
			c.families = append(c.families, family{role.role, []*assessment{a}})
		}
	}
	for _, f := range c.families {
		c.judgeFamily(f)
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
	for _, f := range c.families {
		c.addP(f)
	}
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
