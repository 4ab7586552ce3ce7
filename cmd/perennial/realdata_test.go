package main

import (
	"math"
	"slices"
	"testing"

	"github.com/perennial-engine/perennial/engine"
)

// near checks a published figure to the digits it was printed with.
func near(t *testing.T, what string, got *float64, want, within float64) {
	t.Helper()
	if got == nil || math.Abs(*got-want) > within {
		t.Errorf("%s = %v, want %v ± %v", what, show(got), want, within)
	}
}

func show(x *float64) any {
	if x == nil {
		return nil
	}
	return *x
}

// lines finds the arms and comparisons of a metric by variant.
func lines(t *testing.T, r *engine.Report, metric engine.MetricKey) (map[engine.VariantKey]engine.ArmReport, map[engine.VariantKey]engine.Comparison) {
	t.Helper()
	arms, comparisons := map[engine.VariantKey]engine.ArmReport{}, map[engine.VariantKey]engine.Comparison{}
	for _, m := range r.Metrics {
		if m.Metric != metric {
			continue
		}
		for _, a := range m.Arms {
			arms[a.Variant] = a
		}
		for _, c := range m.Comparisons {
			comparisons[c.Variant] = c
		}
	}
	if len(arms) == 0 {
		t.Fatalf("the report has no metric %s", metric)
	}
	return arms, comparisons
}

// TestHillstrom imports the MineThatData e-mail test of 2008 as an external test of three
// arms and reproduces its published results (shared/data/README.md: recomputed from the
// file; Welch's test, R 4.2.2) through the whole engine, up to the winner being served.
func TestHillstrom(t *testing.T) {
	t.Parallel()
	file := dataFile(t, "hillstrom.csv.gz")
	up := startUp(t, t.TempDir())
	up.call("PUT", "/v1/touchpoints/mailing", `{"name": "Mailing", "channel": "email", "content": "none"}`, 201, nil)
	up.call("PUT", "/v1/metrics/spend_14", `{"kind": "ltv", "events": ["order"], "window": {"from_day": 0, "to_day": 14}}`, 201, nil)
	up.call("PUT", "/v1/metrics/bought_14", `{"kind": "retention", "events": ["order"], "window": {"from_day": 0, "to_day": 14}}`, 201, nil)
	up.call("PUT", "/v1/metrics/visited_14", `{"kind": "click", "events": ["visit"], "window": {"from_day": 0, "to_day": 14}}`, 201, nil)
	up.call("POST", "/v1/experiments", `{
		"key": "mens-or-womens", "name": "E-mail for men's or women's merchandise", "objective": "conversion",
		"assignment": "external", "touchpoints": ["mailing"],
		"variants": [
			{"key": "No E-Mail", "control": true, "weight": 1},
			{"key": "Mens E-Mail", "weight": 1, "content": {"mailing": "mens"}},
			{"key": "Womens E-Mail", "weight": 1, "content": {"mailing": "womens"}}],
		"metrics": {"primary": "spend_14", "secondary": ["bought_14"], "diagnostics": ["visited_14"]},
		"plan": {"method": "anytime", "alpha": 0.05, "planned_customers": 20000},
		"policy": {"mode": "auto", "min_days": 14, "min_customers": 1000}}`, 201, nil)
	up.call("POST", "/v1/experiments/mens-or-womens/start", "", 200, nil)
	// The same again by the default method.
	up.call("POST", "/v1/experiments", `{
		"key": "by-default", "assignment": "external",
		"variants": [{"key": "No E-Mail", "control": true, "weight": 1}, {"key": "Mens E-Mail", "weight": 1}, {"key": "Womens E-Mail", "weight": 1}],
		"metrics": {"primary": "spend_14"}, "plan": {"planned_customers": 20000}}`, 201, nil)
	up.call("POST", "/v1/experiments/by-default/start", "", 200, nil)

	enrolments := []string{
		"enrolments", file, "--map", "customer=row-{#}", "--map", "variant=segment",
		"--set", "experiment=mens-or-womens", "--set", "enrolled_at=2008-03-20T00:00:00Z",
	}
	orders := []string{
		"events", file, "--map", "customer=row-{#}", "--map", "id=spend-{#}", "--map", "value=spend", "--set", "currency=EUR",
		"--set", "type=order", "--set", "occurred_at=2008-03-25T12:00:00Z", "--where", "conversion=1",
	}
	again := slices.Clone(enrolments)
	again[slices.Index(again, "experiment=mens-or-womens")] = "experiment=by-default"
	visits := []string{
		"events", file, "--map", "customer=row-{#}", "--map", "id=visit-{#}",
		"--set", "type=visit", "--set", "occurred_at=2008-03-24T12:00:00Z", "--where", "visit=1",
	}
	for _, c := range []struct {
		name     string
		args     []string
		accepted int
	}{{"enrolments", enrolments, 64000}, {"enrolments again", again, 64000}, {"orders", orders, 578}, {"visits", visits, 9394}} {
		if s := up.importFile(c.args...); s.Accepted != c.accepted || s.Duplicates != 0 || s.Rejected != 0 {
			t.Fatalf("%s: %+v, want %d accepted", c.name, s, c.accepted)
		}
		if s := up.importFile(c.args...); s.Accepted != 0 || s.Duplicates != c.accepted || s.Rejected != 0 {
			t.Errorf("%s, the same file twice: %+v, want %d duplicates", c.name, s, c.accepted)
		}
	}
	for _, job := range []string{"measure", "analyze", "decide"} {
		up.call("POST", "/v1/jobs/"+job+"/run", "", 200, nil)
	}

	var r engine.Report
	up.call("GET", "/v1/experiments/mens-or-womens/report", "", 200, &r)
	const none, mens, womens = engine.VariantKey("No E-Mail"), engine.VariantKey("Mens E-Mail"), engine.VariantKey("Womens E-Mail")
	for variant, want := range map[engine.VariantKey]int64{none: 21306, mens: 21307, womens: 21387} {
		if r.Customers[variant] != want {
			t.Errorf("customers of %s = %d, want %d", variant, r.Customers[variant], want)
		}
	}
	arms, comparisons := lines(t, &r, "spend_14")
	near(t, "mean spend, none", arms[none].Mean, .652789, 5e-7)
	near(t, "mean spend, mens", arms[mens].Mean, 1.422617, 5e-7)
	near(t, "mean spend, womens", arms[womens].Mean, 1.077202, 5e-7)
	near(t, "mens − none", comparisons[mens].Difference, .769827, 5e-7)
	near(t, "its standard error", comparisons[mens].Fixed.StdError, .145247, 5e-7)
	near(t, "its t", comparisons[mens].Fixed.Statistic, 5.30014, 5e-6)
	near(t, "its p", comparisons[mens].Fixed.PValue, 1.16e-7, 5e-10)
	near(t, "womens − none", comparisons[womens].Difference, .424412, 5e-7)
	near(t, "its standard error", comparisons[womens].Fixed.StdError, .130333, 5e-7)
	near(t, "its t", comparisons[womens].Fixed.Statistic, 3.25637, 5e-6)
	near(t, "its p", comparisons[womens].Fixed.PValue, .001129, 5e-7)
	bought, _ := lines(t, &r, "bought_14")
	near(t, "conversion, none", bought[none].Mean, .005726, 5e-7)
	near(t, "conversion, mens", bought[mens].Mean, .012531, 5e-7)
	near(t, "conversion, womens", bought[womens].Mean, .008837, 5e-7)
	visited, _ := lines(t, &r, "visited_14")
	near(t, "visits, none", visited[none].Mean, .106167, 5e-7)
	near(t, "visits, mens", visited[mens].Mean, .182757, 5e-7)
	near(t, "visits, womens", visited[womens].Mean, .151400, 5e-7)

	if r.Verdict.Action != engine.ActionPromote || r.Verdict.Variant != mens || !r.Health.OK || r.Look == nil {
		t.Errorf("verdict = %+v (health %+v, look %v), want the mens arm promoted", r.Verdict, r.Health, r.Look)
	}
	var x struct{ Status, Outcome, Winner string }
	up.call("GET", "/v1/experiments/mens-or-womens", "", 200, &x)
	if x.Status != "concluded" || x.Outcome != "promoted" || x.Winner != string(mens) {
		t.Errorf("experiment = %+v, want it concluded with the mens arm promoted", x)
	}
	// One look at the end of the plan, by Holm at alpha/2: Φ⁻¹(1 − .05/4) = 2.241403.
	up.call("GET", "/v1/experiments/by-default/report", "", 200, &r)
	_, comparisons = lines(t, &r, "spend_14")
	near(t, "boundary", comparisons[mens].Boundary, 2.241403, 5e-7)
	if r.Method != engine.MethodGroupSequential || r.Verdict.Action != engine.ActionPromote || r.Verdict.Variant != mens || !comparisons[mens].Decisive {
		t.Errorf("by %s: %+v, want the mens arm promoted", r.Method, r.Verdict)
	}
	var got struct{ Content, Reason, Variant string }
	up.call("POST", "/v1/assignments", `{"customer": "somebody new", "touchpoint": "mailing"}`, 200, &got)
	if got.Content != "mens" || got.Reason != "promoted" || got.Variant != string(mens) {
		t.Errorf("the touchpoint serves %+v, want the winner", got)
	}
}

// TestCookieCats imports the mobile game test of 90,189 players and reproduces its
// retention results (shared/data/README.md: pooled z; Pearson's chi² of the split).
func TestCookieCats(t *testing.T) {
	t.Parallel()
	file := dataFile(t, "cookie_cats.csv.gz")
	up := startUp(t, t.TempDir())
	up.call("PUT", "/v1/metrics/day_1", `{"kind": "retention", "events": ["played_day_1"], "window": {"from_day": 1, "to_day": 2}}`, 201, nil)
	up.call("PUT", "/v1/metrics/day_7", `{"kind": "retention", "events": ["played_day_7"], "window": {"from_day": 7, "to_day": 8}}`, 201, nil)
	up.call("POST", "/v1/experiments", `{
		"key": "gate", "objective": "retention", "assignment": "external",
		"variants": [{"key": "gate_30", "control": true, "weight": 1}, {"key": "gate_40", "weight": 1}],
		"metrics": {"primary": "day_7", "secondary": ["day_1"]},
		"plan": {"method": "fixed", "planned_customers": 44000},
		"policy": {"mode": "auto", "min_days": 7, "min_customers": 1000}}`, 201, nil)
	up.call("POST", "/v1/experiments/gate/start", "", 200, nil)
	// The same again by the default method, and by confidence sequences.
	methods := []string{"group_sequential", "anytime"}
	for _, method := range methods {
		up.call("POST", "/v1/experiments", `{
			"key": "`+method+`", "assignment": "external",
			"variants": [{"key": "gate_30", "control": true, "weight": 1}, {"key": "gate_40", "weight": 1}],
			"metrics": {"primary": "day_7"}, "plan": {"method": "`+method+`", "planned_customers": 44000}}`, 201, nil)
		up.call("POST", "/v1/experiments/"+method+"/start", "", 200, nil)
	}
	for _, key := range append(methods, "gate") {
		if s := up.importFile("enrolments", file, "--map", "customer=userid", "--map", "variant=version",
			"--set", "experiment="+key, "--set", "enrolled_at=2017-01-01T00:00:00Z"); s.Accepted != 90189 {
			t.Fatalf("enrolments: %+v", s)
		}
	}
	for _, e := range []struct {
		column, event, at string
		players           int
	}{
		{"retention_1", "played_day_1", "2017-01-02T12:00:00Z", 20034 + 20119},
		{"retention_7", "played_day_7", "2017-01-08T12:00:00Z", 8502 + 8279},
	} {
		if s := up.importFile("events", file, "--map", "customer=userid", "--map", "id="+e.event+"-{userid}",
			"--set", "type="+e.event, "--set", "occurred_at="+e.at, "--where", e.column+"=TRUE"); s.Accepted != e.players {
			t.Fatalf("%s: %+v, want %d", e.column, s, e.players)
		}
	}
	for _, job := range []string{"measure", "analyze", "decide"} {
		up.call("POST", "/v1/jobs/"+job+"/run", "", 200, nil)
	}
	var r engine.Report
	up.call("GET", "/v1/experiments/gate/report", "", 200, &r)
	if r.Customers["gate_30"] != 44700 || r.Customers["gate_40"] != 45489 {
		t.Errorf("customers = %v, want 44,700 and 45,489", r.Customers)
	}
	for _, want := range []struct {
		metric                engine.MetricKey
		control, treatment    float64
		z, zWithin, p, within float64
	}{
		{"day_1", .448188, .442283, -1.7841, 5e-5, .0744, 5e-5},
		{"day_7", .190201, .182000, -3.1644, 5e-5, .001554, 5e-7},
	} {
		arms, comparisons := lines(t, &r, want.metric)
		c := comparisons["gate_40"]
		near(t, string(want.metric)+", gate 30", arms["gate_30"].Mean, want.control, 5e-7)
		near(t, string(want.metric)+", gate 40", arms["gate_40"].Mean, want.treatment, 5e-7)
		near(t, string(want.metric)+" difference", c.Difference, want.treatment-want.control, 1e-6)
		near(t, string(want.metric)+" z", c.Fixed.Statistic, want.z, want.zWithin)
		near(t, string(want.metric)+" p", c.Fixed.PValue, want.p, want.within)
	}
	if check := r.Health.Checks[0]; check.Check != "sample_ratio" || !check.OK {
		t.Errorf("sample ratio = %+v, want it to pass at its threshold of .001", check)
	} else {
		near(t, "sample ratio p", check.PValue, .008608, 5e-7)
	}
	var x struct{ Status, Outcome string }
	up.call("GET", "/v1/experiments/gate", "", 200, &x)
	if r.Verdict.Action != engine.ActionStopHarm || x.Outcome != "stopped" {
		t.Errorf("verdict %+v, outcome %q: want the later gate stopped for harm", r.Verdict, x.Outcome)
	}
	for _, method := range methods {
		up.call("GET", "/v1/experiments/"+method+"/report", "", 200, &r)
		if r.Verdict.Action != engine.ActionStopHarm {
			t.Errorf("by %s: %+v, want the later gate stopped for harm", method, r.Verdict)
		}
	}
	// Asked for after the stop, a report says the same.
	up.call("POST", "/v1/experiments/gate/reports", "", 201, &r)
	if r.Look != nil || r.Verdict.Action != engine.ActionStopHarm || r.Verdict.Variant != "gate_40" {
		t.Errorf("look %v, verdict %+v after the stop: want the later gate stopped for harm", r.Look, r.Verdict)
	}
}
