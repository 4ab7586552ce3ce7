package postgres

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine"
)

// The looks of a group-sequential plan through the database: one at each 1 % of new
// information, with the boundaries of stats/testdata/golden/group_sequential.json for five equal
// looks (bounds/ld_obf_None_K5), and none after the planned end.
func TestGroupSequentialPlan(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	x := spec("tone")
	x.Plan.Method, x.Plan.PlannedCustomers, x.Policy.MinDays = engine.MethodGroupSequential, 1000, 7
	running(t, e, x)

	want := []float64{4.876884948790761, 3.3570119215746415, 2.6802800645449896, 2.289816767711954, 2.0310320433100584}
	for k, bound := range want {
		// Both arms spend 9 or 11: no difference.
		spend(t, s, "tone", "control", 200, 10, start.Add(time.Duration(k)*7*day))
		spend(t, s, "tone", "warm", 200, 10, start.Add(time.Duration(k)*7*day))
		c.Set(start.Add(time.Duration(k+1) * 7 * day))
		for n, looks := range []int{1, 0} {
			if got := run(t, e, "analyze"); got != looks {
				t.Errorf("week %d, run %d: %d looks, want %d", k+1, n+1, got, looks)
			}
		}
		r := must(e.LatestReport(t.Context(), "tone"))(t)
		if len(r.Looks) != k+1 || r.Looks[k].Boundary == nil || math.Abs(*r.Looks[k].Boundary-bound) > 1e-6 {
			t.Fatalf("week %d: looks %+v, want the boundary %g", k+1, r.Looks, bound)
		}
		// On demand there is nothing new, and nothing is spent.
		asked := must(e.Analyze(t.Context(), "tone", engine.ReportQuery{}))(t)
		if asked.Look != nil || len(asked.Looks) != k+1 {
			t.Errorf("week %d: a report on demand is look %v of %d", k+1, asked.Look, len(asked.Looks))
		}
	}
	d := decisionsOf(t, s, "tone")
	if len(d) != 1 || d[0].Action != engine.ActionKeepControl || d[0].Reasons[0].Code != "plan_ended" {
		t.Fatalf("decisions %+v", d)
	}
	// More customers mature before the decision is carried out: testing is over all the same.
	spend(t, s, "tone", "control", 200, 10, start.Add(28*day))
	spend(t, s, "tone", "warm", 200, 20, start.Add(28*day))
	c.Set(start.Add(60 * day))
	if n := run(t, e, "analyze"); n != 0 {
		t.Errorf("%d looks after the end", n)
	}
	if n := run(t, e, "decide"); n != 1 {
		t.Errorf("%d decisions carried out", n)
	}
	if x := must(s.Experiment(t.Context(), "tone"))(t); x.Outcome != engine.OutcomeKeptControl {
		t.Errorf("outcome %s", x.Outcome)
	}
}

// A clear winner stops a group-sequential plan early; one that is clear before a 13th of the
// plan does not.
func TestGroupSequentialPlanStopsEarly(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	x := spec("tone")
	x.Plan.Method, x.Plan.PlannedCustomers, x.Policy.MinDays = engine.MethodGroupSequential, 2000, 7
	running(t, e, x)
	for week, want := range []engine.DecisionAction{engine.ActionContinue, engine.ActionPromote} {
		spend(t, s, "tone", "control", 120, 10, start.Add(time.Duration(week)*7*day))
		spend(t, s, "tone", "warm", 120, 12, start.Add(time.Duration(week)*7*day))
		c.Set(start.Add(time.Duration(week+1) * 7 * day))
		run(t, e, "analyze")
		if r := must(e.LatestReport(t.Context(), "tone"))(t); r.Verdict.Action != want {
			t.Errorf("week %d: %s, want %s: %s", week+1, r.Verdict.Action, want, fmt.Sprint(r.Verdict.Reasons))
		}
	}
}
