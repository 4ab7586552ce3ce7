package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
)

// slow is a test whose metrics take 7 and 14 days; the longer one is survival.
func slow(t *testing.T, e *engine.Engine, key engine.ExperimentKey) *engine.Spec {
	t.Helper()
	must(e.PutMetric(t.Context(), &engine.Metric{
		Key: "stay_14", Kind: engine.KindSurvival, ChurnEvent: "left", Window: &engine.Window{ToDay: 14},
	}))(t)
	x := spec(key)
	x.Metrics.Secondary = []engine.MetricKey{"stay_14"}
	return x
}

func reportsOf(t *testing.T, s *Store, key engine.ExperimentKey) []engine.Report {
	t.Helper()
	return must(s.Reports(t.Context(), key, engine.Page{Limit: 100}))(t)
}

// A concluded test is measured until its last customer has matured in its slowest metric. Then
// it gets its closing report, and whatever comes later no other.
func TestClosingReport(t *testing.T) {
	by := engine.Action{Experiment: "tone", Variant: "warm", By: "Ada"}
	for _, tt := range []struct {
		outcome  engine.Outcome
		conclude func(e *engine.Engine) error
	}{
		{engine.OutcomeStopped, func(e *engine.Engine) error {
			_, err := e.Stop(t.Context(), by)
			return err
		}},
		{engine.OutcomePromoted, func(e *engine.Engine) error {
			_, err := e.Promote(t.Context(), by)
			return err
		}},
		{engine.OutcomeRolledBack, func(e *engine.Engine) error {
			if _, err := e.Promote(t.Context(), by); err != nil {
				return err
			}
			_, err := e.Rollback(t.Context(), by)
			return err
		}},
	} {
		t.Run(string(tt.outcome), func(t *testing.T) {
			s, c := newStore(t), &clock{at: start}
			e := newEngine(t, s, c, 1)
			catalogue(t, e)
			running(t, e, slow(t, e, "tone"))
			for _, at := range []time.Time{start, start.Add(3 * day)} {
				spend(t, s, "tone", "control", 150, 10, at)
				spend(t, s, "tone", "warm", 150, 12, at)
			}
			c.Set(start.Add(5 * day))
			if err := tt.conclude(e); err != nil {
				t.Fatal(err)
			}
			run(t, e, "measure")
			for range 2 {
				if n := run(t, e, "analyze"); n != 0 {
					t.Errorf("day 5: %d reports", n)
				}
			}
			// Events of the concluded test are measured as they come.
			late := members(t, s, "tone", "warm", 1, fmt.Sprint(start.Unix()))[0]
			insert(t, s, order(late, "late", "7", start.Add(6*day)))
			c.Set(start.Add(17*day - time.Microsecond))
			if n := run(t, e, "measure"); n != 1 {
				t.Errorf("%d customers measured after the end, want 1", n)
			}
			if n := run(t, e, "analyze"); n != 0 {
				t.Errorf("a moment too early: %d reports", n)
			}
			c.Set(start.Add(17 * day))
			for n, want := range []int{1, 0} {
				if got := run(t, e, "analyze"); got != want {
					t.Errorf("day 17, run %d: %d reports, want %d", n+1, got, want)
				}
			}
			r := must(e.LatestReport(t.Context(), "tone"))(t)
			if !r.Closing || r.Look != nil || !r.AsOf.Equal(start.Add(17*day)) || r.Verdict.ProjectedAt != nil {
				t.Errorf("closing %v, look %v, as of %v, projected at %v", r.Closing, r.Look, r.AsOf, r.Verdict.ProjectedAt)
			}
			for _, m := range r.Metrics {
				for _, a := range m.Arms {
					if a.Customers != 300 || a.Mature != 300 {
						t.Errorf("%s, %s: %d matured of %d, want all 300", m.Metric, a.Variant, a.Mature, a.Customers)
					}
				}
			}
			// 150 × 10 + 150 × 10 and so on; and 7 of the one who came back on day 6.
			if got := []string{r.Metrics[0].Arms[0].Total, r.Metrics[0].Arms[1].Total}; !slices.Equal(got, []string{"3000.00", "3607.00"}) {
				t.Errorf("totals %v", got)
			}

			insert(t, s, order(late, "later", "7", start.Add(6*day)))
			enrol(t, s, "tone", "warm", start.Add(4*day), "very-late")
			c.Set(start.Add(40 * day))
			if n := run(t, e, "measure") + run(t, e, "analyze") + run(t, e, "decide"); n != 0 {
				t.Errorf("late data: %d more things done", n)
			}
			if n := len(reportsOf(t, s, "tone")); n != 1 {
				t.Errorf("%d reports, want the closing one alone", n)
			}
			if x := must(s.Experiment(t.Context(), "tone"))(t); x.Outcome != tt.outcome {
				t.Errorf("outcome %s", x.Outcome)
			}
			log := actions(auditLog(t, s), "experiment/tone")
			if log[len(log)-1] != "worker experiment.close" || slices.Index(log, "worker experiment.close") != len(log)-1 {
				t.Errorf("log %q", log)
			}
		})
	}
}

// Customers who turn up late are waited for, those who come after max_days are not; a test without
// any is closed when there can be none.
func TestWhenATestIsClosed(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	running(t, e, slow(t, e, "tone"))
	empty := slow(t, e, "empty")
	empty.Touchpoints, empty.Variants[1].Content = []engine.TouchpointKey{"web"}, nil
	running(t, e, empty)
	spend(t, s, "tone", "control", 5, 10, start)
	spend(t, s, "tone", "warm", 5, 12, start)
	short := slow(t, e, "short")
	short.Assignment, short.Touchpoints, short.Variants[1].Content = engine.AssignedElsewhere, nil, nil
	short.Policy.MinDays, short.Policy.MaxDays = 0, 3
	running(t, e, short)
	enrol(t, s, "short", "warm", start, "in-time")
	enrol(t, s, "short", "warm", start.Add(4*day), "too-late")
	c.Set(start.Add(5 * day))
	for _, key := range []engine.ExperimentKey{"tone", "empty", "short"} {
		must(e.Stop(t.Context(), engine.Action{Experiment: key, By: "Ada"}))(t)
	}
	run(t, e, "analyze")
	enrol(t, s, "tone", "warm", start.Add(4*day), members(t, s, "tone", "warm", 1, "late")...)
	for _, tt := range []struct {
		at     time.Duration
		closed int
	}{
		{14 * day, 0}, // when the last of those known on day 5 matured
		{17*day - time.Microsecond, 0},
		{17 * day, 1}, // short: 14 days after enrolment in it has ended
		{18*day - time.Microsecond, 0},
		{18 * day, 1},
		{19*day - time.Microsecond, 0},
		{19 * day, 1}, // empty, 14 days after its end
		{90 * day, 0},
	} {
		c.Set(start.Add(tt.at))
		if n := run(t, e, "analyze"); n != tt.closed {
			t.Errorf("after %v: %d closed, want %d", tt.at, n, tt.closed)
		}
	}
	if r := must(e.LatestReport(t.Context(), "empty"))(t); !r.Closing || r.Metrics[0].Arms[0].Mean != nil {
		t.Errorf("the report of nobody: closing %v, arms %+v", r.Closing, r.Metrics[0].Arms)
	}
}

// Whatever several processes do, with and without the job's lock: one closing report each.
func TestClosedOnce(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	const tests, processes = 6, 4
	engines := make([]*engine.Engine, processes)
	for i := range engines {
		engines[i] = newEngine(t, s, c, byte(i+1))
	}
	catalogue(t, engines[0])
	for i := range tests {
		key := engine.ExperimentKey(fmt.Sprint("x", i))
		x := spec(key)
		running(t, engines[0], x)
		spend(t, s, key, "control", 3, 10, start)
		spend(t, s, key, "warm", 3, 12, start)
		must(engines[0].Stop(t.Context(), engine.Action{Experiment: key, By: "Ada"}))(t)
	}
	c.Set(start.Add(7 * day))
	var wait sync.WaitGroup
	rows := make([]int, processes)
	for i, e := range engines {
		wait.Go(func() {
			for range 5 {
				n, err := e.RunJob(context.Background(), "analyze")
				if err != nil && engine.KindOf(err) != engine.KindConflict {
					t.Error(err)
				}
				rows[i] += n
			}
		})
	}
	wait.Wait()
	if n := count(t, s, `SELECT count(*) FROM past_tests WHERE closing`); n != tests || rows[0]+rows[1]+rows[2]+rows[3] != tests {
		t.Errorf("%d closed, the processes say %v, want %d", n, rows, tests)
	}
	exec(t, s, `DELETE FROM past_tests WHERE experiment = 'x0'`)
	failures := make([]error, processes)
	for i := range failures {
		wait.Go(func() {
			failures[i] = s.CloseExperiment(context.Background(), &engine.Report{Experiment: "x0", AsOf: c.Now(), Closing: true},
				&engine.PastTest{Experiment: "x0", Closing: true, At: c.Now(), Effects: []engine.PastEffect{}})
		})
	}
	wait.Wait()
	first := 0
	for _, err := range failures {
		if err == nil {
			first++
		} else {
			kindOf(t, err, engine.KindConflict, "already_closed")
		}
	}
	if reports := reportsOf(t, s, "x0"); first != 1 || len(reports) != 2 {
		t.Errorf("%d of %d closed it, %d reports", first, processes, len(reports))
	}
}

// What is known of past tests at an ingest position and a time: the newest of what was written
// down by then, of the objective, without the test itself.
func TestPastTestsAreAsKnownThen(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	effects := func(effect float64) []engine.PastEffect {
		return []engine.PastEffect{{Metric: "ltv_7", Measure: "m", Variant: "warm", Effect: effect, StdError: 0.1}}
	}
	for i, key := range []engine.ExperimentKey{"one", "two", "other"} {
		draft(t, e, spec(key))
		p := &engine.PastTest{Experiment: key, At: start.Add(time.Duration(i) * day), Effects: effects(float64(i))}
		if key == "other" {
			p.Objective = "retention"
		}
		if err := s.KeepPastTest(t.Context(), p, start.Add(9*day)); err != nil {
			t.Fatal(err)
		}
		// Again: only the time changes.
		p.Effects = effects(100)
		if err := s.KeepPastTest(t.Context(), p, start.Add(10*day)); err != nil {
			t.Fatal(err)
		}
	}
	before := must(s.IngestPosition(t.Context()))(t)
	if err := s.CloseExperiment(t.Context(), &engine.Report{Experiment: "one", AsOf: start.Add(10 * day), Closing: true},
		&engine.PastTest{Experiment: "one", Closing: true, At: start.Add(10 * day), Effects: effects(0.5)}); err != nil {
		t.Fatal(err)
	}
	after := must(s.IngestPosition(t.Context()))(t)
	for _, tt := range []struct {
		name string
		key  engine.ExperimentKey
		at   time.Duration
		cut  int64
		want map[engine.ExperimentKey]float64
	}{
		{"all", "three", 10 * day, after, map[engine.ExperimentKey]float64{"one": 0.5, "two": 1}},
		{"before the closing report came in", "three", 10 * day, before, map[engine.ExperimentKey]float64{"one": 0, "two": 1}},
		{"before it was made", "three", 10*day - time.Microsecond, after, map[engine.ExperimentKey]float64{"one": 0, "two": 1}},
		{"before the second was concluded", "three", day - time.Microsecond, after, map[engine.ExperimentKey]float64{"one": 0}},
		{"before anything came in", "three", 10 * day, 0, map[engine.ExperimentKey]float64{}},
		{"not itself", "one", 10 * day, after, map[engine.ExperimentKey]float64{"two": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			past := must(s.PastTests(t.Context(), &engine.Experiment{Spec: engine.Spec{Key: tt.key}}, start.Add(tt.at), tt.cut))(t)
			got := map[engine.ExperimentKey]float64{}
			for _, p := range past {
				got[p.Experiment] = p.Effects[0].Effect
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || past == nil {
				t.Errorf("known (-want +got):\n%s", diff)
			}
		})
	}
}
