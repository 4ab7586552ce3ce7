package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/engine/assign"
)

// members makes up n customers whose keys hash to the arm.
func members(t *testing.T, s *Store, key engine.ExperimentKey, variant engine.VariantKey, n int, prefix string) []string {
	t.Helper()
	x := must(s.Experiment(t.Context(), key))(t)
	var customers []string
	for i := 0; len(customers) < n; i++ {
		customer := fmt.Sprintf("%s-%s-%s-%d", x.Key, variant, prefix, i)
		if x.Variants[assign.Pick(x.Salt, customer, x.Weights())].Key == variant {
			customers = append(customers, customer)
		}
	}
	return customers
}

// spend enrols n customers of an arm, who spend mean ± 1 an hour later.
func spend(t *testing.T, s *Store, x engine.ExperimentKey, variant engine.VariantKey, n, mean int, at time.Time) {
	t.Helper()
	customers := members(t, s, x, variant, n, fmt.Sprint(at.Unix()))
	var events []engine.Event
	for i, customer := range customers {
		events = append(events, order(customer, "o", fmt.Sprint(mean-1+2*(i%2)), at.Add(time.Hour)))
	}
	enrol(t, s, x, variant, at, customers...)
	insert(t, s, events...)
}

func run(t *testing.T, e *engine.Engine, job string) int {
	t.Helper()
	return must(e.RunJob(t.Context(), job))(t)
}

func decisionsOf(t *testing.T, s *Store, key engine.ExperimentKey) []engine.Decision {
	t.Helper()
	return must(s.Decisions(t.Context(), key, engine.Page{Limit: 100}))(t)
}

// A look with its decision, the jobs, the promotion, the content: the loop once.
func TestTheLoop(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	running(t, e, spec("tone"))
	if n := run(t, e, "analyze"); n != 0 {
		t.Errorf("%d looks at nobody", n)
	}
	spend(t, s, "tone", "control", 150, 10, start)
	spend(t, s, "tone", "warm", 150, 20, start)

	c.Set(start.Add(13 * day))
	if n := run(t, e, "measure"); n != 300 {
		t.Errorf("%d customers measured, want 300", n)
	}
	if n := run(t, e, "analyze"); n != 1 {
		t.Errorf("%d looks, want the first", n)
	}
	if n := run(t, e, "analyze"); n != 0 {
		t.Errorf("%d looks without news", n)
	}
	r := must(e.LatestReport(t.Context(), "tone"))(t)
	if r.Look == nil || *r.Look != 1 || r.Verdict.Action != engine.ActionContinue || r.Verdict.Reasons[0].Code != "min_days" {
		t.Errorf("first look: %+v", r.Verdict)
	}

	// On day 14 another hundred is 2 % more of the plan.
	spend(t, s, "tone", "control", 50, 10, start.Add(7*day))
	spend(t, s, "tone", "warm", 50, 20, start.Add(7*day))
	c.Set(start.Add(14 * day))
	if n := run(t, e, "analyze"); n != 1 {
		t.Errorf("%d looks, want the second", n)
	}
	pending := decisionsOf(t, s, "tone")
	if len(pending) != 1 || pending[0].Action != engine.ActionPromote || pending[0].ReportVersion != 2 || pending[0].AppliedAt != nil {
		t.Fatalf("decisions %+v", pending)
	}
	if got := answer(t, e, "mail", "c1"); got.Experiment != "tone" || got.Reason == "promoted" {
		t.Errorf("promoted before it was carried out: %+v", got)
	}
	if n := run(t, e, "decide"); n != 1 {
		t.Errorf("%d decisions carried out, want 1", n)
	}
	if got := answer(t, e, "mail", "c1"); string(got.Content) != string(content("warm")) || got.Reason != "promoted" {
		t.Errorf("after promotion: %+v", got)
	}
	x := must(s.Experiment(t.Context(), "tone"))(t)
	if x.Outcome != engine.OutcomePromoted || x.Winner != "warm" {
		t.Errorf("%s, winner %s", x.Outcome, x.Winner)
	}
	// Everybody has matured, so the test is closed, once.
	for n, want := range []int{1, 0} {
		if got := run(t, e, "decide") + run(t, e, "analyze"); got != want {
			t.Errorf("run %d: %d more things done to a concluded test, want %d", n+1, got, want)
		}
	}
	// A report as of a past time is stored, is no look and decides nothing.
	past := start.Add(13*day + 600*time.Nanosecond)
	r = must(e.Analyze(t.Context(), "tone", engine.ReportQuery{AsOf: &past}))(t)
	if r.Look != nil || r.Version != 4 || !r.AsOf.Equal(start.Add(13*day)) || r.Metrics[0].Arms[0].Mature != 150 {
		t.Errorf("as of day 13: look %v, version %d, as of %v, %d mature", r.Look, r.Version, r.AsOf, r.Metrics[0].Arms[0].Mature)
	}
	future := c.Now().Add(time.Second)
	_, err := e.Analyze(t.Context(), "tone", engine.ReportQuery{AsOf: &future})
	kindOf(t, err, engine.KindInvalid, "in_the_future")
}

// A tick of the jobs between the enrolments and their events decides nothing: what has
// not arrived is no result. When the events are in, the test is judged.
func TestNothingIsDecidedBeforeTheEventsArrive(t *testing.T) {
	for _, method := range []engine.Method{engine.MethodFixed, engine.MethodAnytime} {
		t.Run(string(method), func(t *testing.T) {
			s := newStore(t)
			c := &clock{at: start}
			e := newEngine(t, s, c, 1)
			catalogue(t, e)
			x := spec("tone")
			x.Plan.Method, x.Plan.PlannedCustomers = method, 150
			running(t, e, x)
			var events []engine.Event
			for variant, mean := range map[engine.VariantKey]int{"control": 10, "warm": 20} {
				customers := members(t, s, "tone", variant, 150, "early")
				for i, customer := range customers {
					events = append(events, order(customer, "o", fmt.Sprint(mean-1+2*(i%2)), start.Add(time.Hour)))
				}
				enrol(t, s, "tone", variant, start, customers...)
			}
			c.Set(start.Add(30 * day))
			tick := func() *engine.Report {
				run(t, e, "measure")
				run(t, e, "analyze")
				run(t, e, "decide")
				return must(e.LatestReport(t.Context(), "tone"))(t)
			}
			if r := tick(); r.Verdict.Action != engine.ActionFixHealth || r.Health.OK {
				t.Errorf("before the events: %+v, health %+v", r.Verdict, r.Health)
			}
			if got := must(s.Experiment(t.Context(), "tone"))(t); got.Status != engine.StatusRunning {
				t.Fatalf("the test is %s before its events arrived", got.Status)
			}
			insert(t, s, events...)
			c.Set(start.Add(30*day + time.Minute))
			if r := tick(); r.Verdict.Action != engine.ActionPromote || r.Verdict.Variant != "warm" {
				t.Errorf("with the events: %+v", r.Verdict)
			}
			if got := must(s.Experiment(t.Context(), "tone"))(t); got.Outcome != engine.OutcomePromoted {
				t.Errorf("outcome %q, want promoted", got.Outcome)
			}
		})
	}
}

// three is a fixed test of three arms, 150 customers each, of which bold loses and warm wins.
func three(t *testing.T, s *Store, e *engine.Engine, change func(x *engine.Spec)) {
	t.Helper()
	x := spec("three")
	x.Variants = append(x.Variants, engine.Variant{Key: "bold", Weight: 1, Content: map[engine.TouchpointKey]json.RawMessage{"mail": content("bold")}})
	x.Plan.Method, x.Plan.PlannedCustomers = engine.MethodFixed, 150
	change(x)
	running(t, e, x)
	for arm, mean := range map[engine.VariantKey]int{"control": 10, "warm": 20, "bold": 5} {
		spend(t, s, "three", arm, 150, mean, start)
	}
}

// Harm stops one arm; the rest of the test is judged without waiting for news, which a
// finished plan would never get. What harms is not served again while the winner is ramped up.
func TestHarmStopsOneArmAndTheTestGoesOn(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	three(t, s, e, func(x *engine.Spec) { x.Policy.Ramp, x.Policy.RampHours = []float64{0.25, 1}, 24 })
	c.Set(start.Add(20 * day))
	for i, want := range []struct {
		action  engine.DecisionAction
		variant engine.VariantKey
		status  engine.Status
		stopped []engine.VariantKey
	}{
		{engine.ActionStopHarm, "bold", engine.StatusRunning, []engine.VariantKey{"bold"}},
		{engine.ActionPromote, "warm", engine.StatusConcluded, []engine.VariantKey{"bold"}},
	} {
		c.Set(c.Now().Add(time.Minute))
		looks, done := run(t, e, "analyze"), run(t, e, "decide")
		if looks != 1 || done != 1 {
			t.Fatalf("round %d: %d looks, %d decisions", i, looks, done)
		}
		d := decisionsOf(t, s, "three")[0]
		x := must(s.Experiment(t.Context(), "three"))(t)
		if d.Action != want.action || d.Variant != want.variant || x.Status != want.status || !slices.Equal(x.Stopped, want.stopped) {
			t.Fatalf("round %d: %s %s, test %s, stopped %v", i, d.Action, d.Variant, x.Status, x.Stopped)
		}
		if err := e.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		bold := 0
		for _, customer := range members(t, s, "three", "bold", 150, fmt.Sprint(start.Unix())) {
			if got := answer(t, e, "mail", customer); got.Variant == "bold" {
				if bold++; string(got.Content) != string(content("own")) {
					t.Fatalf("round %d: a stopped arm serves %s, not control's content", i, got.Content)
				}
			}
		}
		if bold < 75 {
			t.Errorf("round %d: %d in the stopped arm", i, bold)
		}
	}
}

// A fixed plan is watched until its end, judged once, and never again.
func TestAFixedPlanIsJudgedOnce(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	x := spec("once")
	x.Plan.Method, x.Plan.PlannedCustomers, x.Policy.Mode = engine.MethodFixed, 200, engine.ModeManual
	running(t, e, x)
	grow := func(at time.Time) {
		spend(t, s, "once", "control", 150, 10, at)
		spend(t, s, "once", "warm", 150, 20, at)
	}
	grow(start)
	c.Set(start.Add(20 * day))
	if n := run(t, e, "analyze"); n != 1 {
		t.Errorf("%d reports of the running plan", n)
	}
	if r := must(e.LatestReport(t.Context(), "once"))(t); r.Look != nil || r.Verdict.Action != engine.ActionContinue {
		t.Errorf("a fixed plan took look %v at 75 %%: %s", r.Look, r.Verdict.Action)
	}
	grow(start.Add(2 * day))
	if n := run(t, e, "analyze"); n != 1 {
		t.Errorf("%d looks at the end", n)
	}
	r := must(e.LatestReport(t.Context(), "once"))(t)
	if r.Look == nil || *r.Look != 1 || !r.Final || r.Verdict.Action != engine.ActionPromote {
		t.Errorf("the look at the end: %v, %s", r.Look, r.Verdict.Action)
	}
	grow(start.Add(4 * day))
	if n := run(t, e, "analyze"); n != 0 {
		t.Errorf("%d more looks at a plan that was judged", n)
	}
	if d := decisionsOf(t, s, "once"); len(d) != 0 {
		t.Errorf("manual mode made decisions: %+v", d)
	}
}

func TestTheEndOfMaxDays(t *testing.T) {
	for _, tt := range []struct {
		timeout engine.Timeout
		want    engine.Outcome
	}{
		{engine.TimeoutKeepControl, engine.OutcomeKeptControl},
		{engine.TimeoutInconclusive, engine.OutcomeInconclusive},
	} {
		t.Run(string(tt.timeout), func(t *testing.T) {
			s := newStore(t)
			c := &clock{at: start}
			e := newEngine(t, s, c, 1)
			catalogue(t, e)
			x := spec("quiet")
			x.Policy.MaxDays, x.Policy.OnTimeout = 21, tt.timeout
			running(t, e, x)
			spend(t, s, "quiet", "control", 5, 10, start) // far too few, and no more ever come
			spend(t, s, "quiet", "warm", 5, 10, start)
			c.Set(start.Add(28*day - time.Microsecond))
			run(t, e, "analyze")
			if n := run(t, e, "decide"); n != 0 {
				t.Fatalf("%d decisions before the end", n)
			}
			c.Set(start.Add(28 * day))
			if looks, done := run(t, e, "analyze"), run(t, e, "decide"); looks != 1 || done != 1 {
				t.Fatalf("at the end: %d looks, %d decisions", looks, done)
			}
			if got := must(s.Experiment(t.Context(), "quiet"))(t); got.Status != engine.StatusConcluded || got.Outcome != tt.want {
				t.Errorf("%s, %s, want %s", got.Status, got.Outcome, tt.want)
			}
		})
	}
}

func TestApproval(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e, other := newEngine(t, s, c, 1), newEngine(t, s, c, 2)
	catalogue(t, e)
	x := spec("tone")
	x.Policy.Mode = engine.ModeApprove
	running(t, e, x)
	by := engine.Action{Experiment: "tone", By: "Ada", Reason: "looks right"}
	_, err := e.Approve(t.Context(), by)
	kindOf(t, err, engine.KindConflict, "nothing_to_approve")
	spend(t, s, "tone", "control", 150, 10, start)
	spend(t, s, "tone", "warm", 150, 20, start)
	c.Set(start.Add(20 * day))
	if looks, done := run(t, e, "analyze"), run(t, e, "decide"); looks != 1 || done != 0 {
		t.Fatalf("%d looks, %d decisions carried out without a person", looks, done)
	}
	// Two people confirm at once: it happens once.
	var wait sync.WaitGroup
	failures := make([]error, 2)
	for i, some := range []*engine.Engine{e, other} {
		wait.Go(func() { _, failures[i] = some.Approve(context.Background(), by) })
	}
	wait.Wait()
	if (failures[0] == nil) == (failures[1] == nil) {
		t.Fatalf("two approvals: %v", failures)
	}
	for _, err := range failures {
		if err != nil {
			kindOf(t, err, engine.KindConflict, "")
		}
	}
	d := decisionsOf(t, s, "tone")
	if len(d) != 1 || d[0].ApprovedBy != "Ada" || d[0].Note != "looks right" || d[0].AppliedAt == nil || d[0].DecidedBy != "engine" {
		t.Errorf("decisions %+v", d)
	}
	if got := must(s.Experiment(t.Context(), "tone"))(t); got.Outcome != engine.OutcomePromoted {
		t.Errorf("outcome %s", got.Outcome)
	}
}

// A decision that waited when the policy became stricter is not carried out by itself,
// and a person can still confirm it.
func TestAPolicyThatBecomesStricter(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	running(t, e, spec("tone"))
	spend(t, s, "tone", "control", 150, 10, start)
	spend(t, s, "tone", "warm", 150, 20, start)
	c.Set(start.Add(20 * day))
	run(t, e, "analyze")
	x := must(s.Experiment(t.Context(), "tone"))(t)
	must(e.ChangeExperiment(t.Context(), "tone", x.Version, func(s engine.Spec) (engine.Spec, error) {
		s.Policy.Mode = engine.ModeApprove
		return s, nil
	}))(t)
	if n := run(t, e, "decide"); n != 0 {
		t.Errorf("%d decisions carried out without a person", n)
	}
	if got := must(e.Approve(t.Context(), engine.Action{Experiment: "tone", By: "Ada"}))(t); got.Outcome != engine.OutcomePromoted {
		t.Errorf("outcome %s", got.Outcome)
	}
}

// Two processes run all jobs on many promotable tests at once: each thing happens once.
func TestTwoProcessesDoEachThingOnce(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	engines := []*engine.Engine{newEngine(t, s, c, 1), newEngine(t, s, c, 2)}
	catalogue(t, engines[0])
	const tests = 8
	for i := range tests {
		x := spec(engine.ExperimentKey(fmt.Sprintf("x%d", i)))
		x.Traffic = decimal.RequireFromString("0.1")
		x.Variants[1].Content["mail"] = content(fmt.Sprint("winner ", i))
		running(t, engines[0], x)
		spend(t, s, x.Key, "control", 120, 10, start)
		spend(t, s, x.Key, "warm", 120, 20, start)
	}
	c.Set(start.Add(20 * day))
	var wait sync.WaitGroup
	for _, e := range engines {
		for range 2 { // cron, and someone who asks for it over the API
			wait.Go(func() {
				for range 12 {
					for _, job := range []string{"measure", "analyze", "decide"} {
						if _, err := e.RunJob(context.Background(), job); err != nil && engine.KindOf(err) != engine.KindConflict {
							t.Errorf("%s: %v", job, err)
						}
					}
				}
			})
		}
	}
	wait.Wait()
	for _, job := range []string{"analyze", "decide", "analyze"} {
		run(t, engines[0], job)
	}
	for _, tt := range []struct {
		what, query string
		want        int
	}{
		{"tests promoted", `SELECT count(*) FROM experiments WHERE outcome = 'promoted' AND winner = 'warm'`, tests},
		{"versions: created, started, promoted", `SELECT sum(version) FROM experiments`, 3 * tests},
		{"promotions", `SELECT count(*) FROM promotions`, tests},
		{"decisions, all carried out", `SELECT count(*) FROM decisions WHERE applied_at IS NOT NULL AND superseded_at IS NULL`, tests},
		{"decisions altogether", `SELECT count(*) FROM decisions`, tests},
		{"looks, one each", `SELECT count(*) FROM reports WHERE look = 1`, tests},
		{"closing reports, one each", `SELECT count(*) FROM past_tests WHERE closing`, tests},
		{"reports altogether", `SELECT count(*) FROM reports`, 2 * tests},
	} {
		if n := count(t, s, tt.query); n != tt.want {
			t.Errorf("%d %s, want %d", n, tt.what, tt.want)
		}
	}
	// Every promotion kept what the one before had put there.
	if n := count(t, s, `SELECT count(DISTINCT CAST(served_before AS text)) FROM promotions`); n != tests {
		t.Errorf("%d different contents were replaced, want %d", n, tests)
	}
}

// A person promotes while the job does: one of them does it.
func TestAPersonAndTheJobPromoteAtOnce(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e, other := newEngine(t, s, c, 1), newEngine(t, s, c, 2)
	catalogue(t, e)
	const rounds = 5
	for i := range rounds {
		x := spec(engine.ExperimentKey(fmt.Sprintf("x%d", i)))
		x.Variants[1].Content["mail"] = content(fmt.Sprint("winner ", i))
		c.Set(start)
		running(t, e, x)
		spend(t, s, x.Key, "control", 120, 10, start)
		spend(t, s, x.Key, "warm", 120, 20, start)
		c.Set(start.Add(20 * day))
		run(t, e, "analyze")
		var wait sync.WaitGroup
		wait.Go(func() {
			_, err := e.Promote(context.Background(), engine.Action{Experiment: x.Key, Variant: "warm", By: "Ada"})
			if err != nil && engine.KindOf(err) != engine.KindConflict {
				t.Error(err)
			}
		})
		wait.Go(func() {
			if _, err := other.RunJob(context.Background(), "decide"); err != nil {
				t.Error(err)
			}
		})
		wait.Wait()
		if n := count(t, s, `SELECT count(*) FROM decisions WHERE experiment = $1 AND applied_at IS NOT NULL`, x.Key); n != 1 {
			t.Errorf("round %d: %d decisions were carried out", i, n)
		}
		if n := count(t, s, `SELECT count(*) FROM decisions WHERE applied_at IS NULL AND superseded_at IS NULL`); n != 0 {
			t.Errorf("round %d: %d decisions still wait", i, n)
		}
	}
}

func look(n int) *engine.Report {
	return &engine.Report{Experiment: "tone", AsOf: start, ComputedAt: start.Add(time.Duration(n) * time.Hour), Look: &n}
}

func waiting(id string) *engine.Decision {
	return &engine.Decision{ID: id, Experiment: "tone", Action: engine.ActionPromote, Mode: engine.ModeAuto, DecidedAt: start}
}

// A newer look's decision takes the place of the one that waits, also when it is none.
func TestALaterLookSupersedes(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	running(t, e, spec("tone"))
	pending := func() (ids []string) {
		for _, d := range must(s.PendingDecisions(t.Context()))(t) {
			ids = append(ids, d.ID)
		}
		return ids
	}
	for i, tt := range []struct {
		decision *engine.Decision
		want     []string
	}{{waiting("d1"), []string{"d1"}}, {waiting("d2"), []string{"d2"}}, {nil, nil}, {waiting("d4"), []string{"d4"}}} {
		if err := s.SaveReport(t.Context(), look(i+1), tt.decision); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, pending()); diff != "" {
			t.Errorf("waiting after look %d (-want +got):\n%s", i+1, diff)
		}
	}
	// The look was taken already: neither report nor decision is stored.
	kindOf(t, s.SaveReport(t.Context(), look(4), waiting("d5")), engine.KindConflict, "")
	if err := s.SaveReport(t.Context(), &engine.Report{Experiment: "tone", AsOf: start}, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"d4"}, pending()); diff != "" {
		t.Errorf("a report that is no look changed what waits (-want +got):\n%s", diff)
	}
	// The database itself lets one decision wait.
	_, err := s.bulk.ExecContext(t.Context(), `
		INSERT INTO decisions (id, experiment, action, variant, mode, reasons, decided_by, approved_by, note, decided_at)
		VALUES ('d6', 'tone', 'promote', 'warm', 'auto', '[]', 'engine', '', '', now())`)
	if pq.As(err, pqerror.UniqueViolation) == nil {
		t.Errorf("two decisions wait: %v", err)
	}
	// A test that runs no longer takes no look.
	must(e.Pause(t.Context(), engine.Action{Experiment: "tone"}))(t)
	kindOf(t, s.SaveReport(t.Context(), look(5), waiting("d7")), engine.KindConflict, "wrong_status")
	// Whoever stops the test by hand leaves nothing waiting.
	must(e.Stop(t.Context(), engine.Action{Experiment: "tone", By: "Ada"}))(t)
	if got := pending(); got != nil {
		t.Errorf("decisions %v wait on a stopped test", got)
	}
}

func TestReportVersionsUnderConcurrency(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	running(t, e, spec("tone"))
	const reports = 24
	versions := make([]int, reports)
	var wait sync.WaitGroup
	for i := range reports {
		wait.Go(func() {
			r := &engine.Report{Experiment: "tone", AsOf: start.Add(time.Duration(i) * time.Hour)}
			if err := s.SaveReport(context.Background(), r, nil); err != nil {
				t.Error(err)
			}
			versions[i] = r.Version
		})
	}
	wait.Wait()
	slices.Sort(versions)
	for i, v := range versions {
		if v != i+1 {
			t.Fatalf("versions %v", versions)
		}
	}
	var read []int
	page := engine.Page{Limit: 10}
	for some := must(s.Reports(t.Context(), "tone", page))(t); len(some) > 0; some = must(s.Reports(t.Context(), "tone", page))(t) {
		for _, r := range some {
			read = append(read, r.Version)
		}
		page.After = fmt.Sprint(read[len(read)-1])
	}
	if diff := cmp.Diff(versions, read); diff != "" {
		t.Errorf("pages (-stored +read):\n%s", diff)
	}
	_, err := s.Reports(t.Context(), "tone", engine.Page{After: "x", Limit: 1})
	kindOf(t, err, engine.KindMalformed, "invalid_cursor")
}
