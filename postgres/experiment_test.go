package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

func TestExperimentRoundTrip(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	want := spec("tone")
	want.Hypothesis, want.Metrics.Guardrails = "é", []engine.Guardrail{{Metric: "refunds_7", Margin: 0.1}}
	want.Traffic = decimal.RequireFromString("0.3333")
	made := draft(t, e, want)
	got := must(s.Experiment(t.Context(), "tone"))(t)
	if diff := cmp.Diff(made.Spec, got.Spec); diff != "" {
		t.Errorf("spec (-made +read):\n%s", diff)
	}
	if got.Status != engine.StatusDraft || got.Version != 1 || got.Salt != made.Salt || !got.CreatedAt.Equal(start) {
		t.Errorf("read %+v", got)
	}
	if _, err := e.CreateExperiment(t.Context(), spec("tone")); err == nil {
		t.Error("a key was taken twice")
	} else {
		kindOf(t, err, engine.KindConflict, "key_taken")
	}
	_, err := s.Experiment(t.Context(), "none")
	kindOf(t, err, engine.KindNotFound, "not_found")
	kindOf(t, e.DeleteExperiment(t.Context(), "tone", 2), engine.KindStale, "stale")
	if err := e.DeleteExperiment(t.Context(), "tone", 1); err != nil {
		t.Error(err)
	}
	kindOf(t, e.DeleteExperiment(t.Context(), "tone", 1), engine.KindNotFound, "not_found")
}

// picture is everything that a change may touch.
func picture(t *testing.T, s *Store) string {
	t.Helper()
	var text string
	if err := s.bulk.GetContext(t.Context(), &text, `
		SELECT concat_ws(E'\n',
			(SELECT version FROM configuration),
			(SELECT string_agg(CAST(x AS text), E'\n' ORDER BY key) FROM experiments x),
			(SELECT string_agg(CAST(x AS text), E'\n' ORDER BY key) FROM touchpoints x),
			(SELECT string_agg(CAST(x AS text), E'\n' ORDER BY experiment) FROM promotions x),
			(SELECT string_agg(CAST(x AS text), E'\n' ORDER BY id) FROM decisions x))`); err != nil {
		t.Fatal(err)
	}
	return text
}

// A change that fails, at its rules or at its last write, leaves no trace.
func TestAChangeIsAllOrNothing(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	running(t, e, spec("tone"))
	before := picture(t, s)
	alter := func(c *engine.Change) {
		c.Experiment.Status, c.Experiment.Outcome = engine.StatusConcluded, engine.OutcomePromoted
		c.Touchpoints["mail"].Content = content("changed")
		c.Promotion = &engine.Promotion{Variant: "warm", PromotedAt: start}
	}
	broken := errors.New("broken rule")
	err := s.ChangeExperiment(t.Context(), "tone", func(c *engine.Change) error {
		alter(c)
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(before, picture(t, s)); diff != "" {
		t.Errorf("a refused change left (-before +after):\n%s", diff)
	}
	// The decision is written last; NUL cannot be stored.
	err = s.ChangeExperiment(t.Context(), "tone", func(c *engine.Change) error {
		alter(c)
		c.Decision = &engine.Decision{ID: "d", Experiment: "tone", Note: "\x00", DecidedAt: start}
		return nil
	})
	if err == nil {
		t.Fatal("NUL was stored")
	}
	if diff := cmp.Diff(before, picture(t, s)); diff != "" {
		t.Errorf("a failed change left (-before +after):\n%s", diff)
	}
}

// Tests that are started at once in one layer, each by its own process, share no slot;
// those that find no room are refused whole.
func TestConcurrentStartsShareNoSlot(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	first := newEngine(t, s, c, 1)
	catalogue(t, first)
	const tests = 8 // of 1,500 slots: six have room
	for i := range tests {
		x := spec(engine.ExperimentKey(fmt.Sprintf("x%d", i)))
		x.Traffic = decimal.RequireFromString("0.15")
		draft(t, first, x)
	}
	engines := []*engine.Engine{first, newEngine(t, s, c, 2)}
	var wait sync.WaitGroup
	failures := make([]error, tests)
	for i := range tests {
		wait.Go(func() {
			_, failures[i] = engines[i%2].Start(context.Background(), engine.Action{Experiment: engine.ExperimentKey(fmt.Sprintf("x%d", i))})
		})
	}
	wait.Wait()
	var taken assign.Slots
	started := 0
	for i, err := range failures {
		x := must(s.Experiment(t.Context(), engine.ExperimentKey(fmt.Sprintf("x%d", i))))(t)
		if err != nil {
			kindOf(t, err, engine.KindInvalid, "layer_full")
			if x.Status != engine.StatusDraft || len(x.Slots) != 0 {
				t.Errorf("%s was refused and is %s with slots %v", x.Key, x.Status, x.Slots)
			}
			continue
		}
		started++
		if x.Slots.Count() != 1500 {
			t.Errorf("%s has %d slots, want 1500", x.Key, x.Slots.Count())
		}
		for _, r := range x.Slots {
			for slot := r[0]; slot < r[1]; slot++ {
				if taken.Contains(slot) {
					t.Fatalf("slot %d has two tests", slot)
				}
			}
		}
		taken = append(taken, x.Slots...)
	}
	if started != 6 {
		t.Errorf("%d tests started, want 6", started)
	}
	for _, e := range engines {
		if err := e.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Many changes of drafts at once: each is made against the version it names, and nobody
// waits for a connection while holding the lock.
func TestConcurrentChanges(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	draft(t, e, spec("tone"))
	const people = 40 // more than the pool has connections
	var wait sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i := range people {
		wait.Go(func() {
			_, err := e.ChangeExperiment(context.Background(), "tone", 1, func(x engine.Spec) (engine.Spec, error) {
				x.Name = fmt.Sprint("name ", i)
				return x, nil
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done++
			case engine.KindOf(err) != engine.KindStale:
				t.Errorf("change %d: %v", i, err)
			}
		})
	}
	wait.Wait()
	if x := must(s.Experiment(t.Context(), "tone"))(t); done != 1 || x.Version != 2 {
		t.Errorf("%d changes of version 1 were made, the version is %d", done, x.Version)
	}
}

func TestMoreTrafficAfterTheStart(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	half := spec("half")
	half.Traffic = decimal.RequireFromString("0.5")
	running(t, e, half)
	other := spec("other")
	other.Traffic = decimal.RequireFromString("0.3")
	running(t, e, other)
	grow := func(traffic string) (*engine.Experiment, error) {
		return e.ChangeExperiment(t.Context(), "half", must(s.Experiment(t.Context(), "half"))(t).Version, func(x engine.Spec) (engine.Spec, error) {
			x.Traffic = decimal.RequireFromString(traffic)
			return x, nil
		})
	}
	x := must(grow("0.6"))(t)
	// Its own 5,000, then the lowest that the other test leaves free.
	if diff := cmp.Diff(assign.Slots{{0, 5000}, {8000, 9000}}, x.Slots); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	_, err := grow("0.8")
	kindOf(t, err, engine.KindInvalid, "layer_full")
	_, err = grow("0.4")
	kindOf(t, err, engine.KindInvalid, "plan_frozen")
}

func TestTouchpointsInUse(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	draft(t, e, spec("tone"))
	kindOf(t, e.DeleteTouchpoint(t.Context(), "mail"), engine.KindConflict, "in_use")
	kindOf(t, s.DeleteMetric(t.Context(), "ltv_7", start), engine.KindConflict, "in_use")
	if err := e.DeleteTouchpoint(t.Context(), "web"); err != nil {
		t.Error(err)
	}
	kindOf(t, e.DeleteTouchpoint(t.Context(), "web"), engine.KindNotFound, "not_found")
	if err := s.DeleteMetric(t.Context(), "retention_7", start); err != nil {
		t.Error(err)
	}
	kindOf(t, s.DeleteMetric(t.Context(), "retention_7", start), engine.KindNotFound, "not_found")
	// A started test keeps its metrics as they were, whatever becomes of them.
	must(e.Start(t.Context(), engine.Action{Experiment: "tone"}))(t)
	must(e.PutMetric(t.Context(), &engine.Metric{
		Key: "ltv_7", Kind: engine.KindClick, Events: []string{"open"}, Window: &engine.Window{ToDay: 1},
	}))(t)
	if err := s.DeleteMetric(t.Context(), "ltv_7", start); err != nil {
		t.Error(err)
	}
	if x := must(s.Experiment(t.Context(), "tone"))(t); x.Frozen[0].Kind != engine.KindLTV || x.Frozen[0].Window.ToDay != 7 {
		t.Errorf("the frozen metric is %+v", x.Frozen[0])
	}
}

// answer is what a customer gets at a touchpoint.
func answer(t *testing.T, e *engine.Engine, touchpoint engine.TouchpointKey, customer string) snapshot.Answer {
	t.Helper()
	return must(e.Assign(t.Context(), engine.AssignRequest{
		Touchpoint: touchpoint, Customers: []engine.CustomerID{engine.CustomerID(customer)},
	}))(t)[0].Answer
}

// The winner's content, the outcome, the promotion and the decision come together, and
// the rollback takes back what was promoted and nothing else.
func TestPromoteAndRollBack(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	x := spec("tone")
	x.Touchpoints = []engine.TouchpointKey{"mail", "web"}
	x.Variants[1].Content["web"] = content("warm web")
	running(t, e, x)
	by := engine.Action{Experiment: "tone", By: "Ada", Variant: "control"}
	_, err := e.Promote(t.Context(), by)
	kindOf(t, err, engine.KindInvalid, "unknown_variant")

	c.Set(start.Add(time.Hour))
	by.Variant = "warm"
	got := must(e.Promote(t.Context(), by))(t)
	if got.Status != engine.StatusConcluded || got.Outcome != engine.OutcomePromoted || got.Winner != "warm" ||
		got.ConcludedAt == nil || !got.ConcludedAt.Equal(start.Add(time.Hour)) {
		t.Errorf("promoted: %s, %s, winner %s at %v", got.Status, got.Outcome, got.Winner, got.ConcludedAt)
	}
	want := snapshot.Answer{Content: content("warm"), Experiment: "tone", Variant: "warm", Reason: snapshot.Promoted}
	if diff := cmp.Diff(want, answer(t, e, "mail", "c1")); diff != "" {
		t.Errorf("answer after promotion (-want +got):\n%s", diff)
	}
	_, err = e.Promote(t.Context(), by)
	kindOf(t, err, engine.KindConflict, "wrong_status")

	// Someone writes new content at one touchpoint: the rollback leaves that alone.
	must(e.PutTouchpoint(t.Context(), &engine.Touchpoint{Key: "web", Channel: "web", Content: content("newer")}))(t)
	if got := answer(t, e, "web", "c1"); got.Reason != snapshot.Default {
		t.Errorf("new content at a touchpoint is still called %s", got.Reason)
	}
	got = must(e.Rollback(t.Context(), by))(t)
	if got.Outcome != engine.OutcomeRolledBack {
		t.Errorf("outcome %s", got.Outcome)
	}
	for key, text := range map[engine.TouchpointKey]json.RawMessage{"mail": content("own"), "web": content("newer")} {
		want := snapshot.Answer{Content: text, Reason: snapshot.Default}
		if diff := cmp.Diff(want, answer(t, e, key, "c1")); diff != "" {
			t.Errorf("%s after the rollback (-want +got):\n%s", key, diff)
		}
	}
	_, err = e.Rollback(t.Context(), by)
	kindOf(t, err, engine.KindConflict, "wrong_status")
	var actions []engine.DecisionAction
	for _, d := range must(e.Decisions(t.Context(), "tone", engine.Page{Limit: 10}))(t) {
		actions = append(actions, d.Action)
		if d.DecidedBy != "Ada" || d.AppliedAt == nil {
			t.Errorf("decision %+v", d)
		}
	}
	if len(actions) != 2 || count(t, s, `SELECT count(*) FROM promotions WHERE rolled_back_at IS NOT NULL`) != 1 {
		t.Errorf("actions %v, want a promotion and a rollback", actions)
	}
}

// A second promotion that is rolled back leaves the first one standing; and a winner whose
// content was there already is promoted all the same.
func TestRollBackToAnEarlierPromotion(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	first := engine.Action{Experiment: "first", By: "Ada", Variant: "warm"}
	second := engine.Action{Experiment: "second", By: "Ada", Variant: "warm"}
	running(t, e, spec("first"))
	must(e.Promote(t.Context(), first))(t)
	running(t, e, spec("second")) // with the content that the first has just promoted
	must(e.Promote(t.Context(), second))(t)
	if got := answer(t, e, "mail", "c1"); got.Reason != snapshot.Promoted || got.Experiment != "second" {
		t.Errorf("after the second promotion: %+v", got)
	}
	must(e.Rollback(t.Context(), second))(t)
	if got := answer(t, e, "mail", "c1"); got.Reason != snapshot.Promoted || got.Experiment != "first" {
		t.Errorf("after the second was rolled back: %+v, want the winner of the first", got)
	}
	must(e.Rollback(t.Context(), first))(t)
	want := snapshot.Answer{Content: content("own"), Reason: snapshot.Default}
	if diff := cmp.Diff(want, answer(t, e, "mail", "c1")); diff != "" {
		t.Errorf("after both were rolled back (-want +got):\n%s", diff)
	}
}

// The configuration that assignment reads is one moment's, whoever changes it meanwhile:
// a touchpoint never serves a winner whose test still runs.
func TestConfigurationIsConsistent(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for last := int64(0); ; {
			c, err := s.Configuration(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			if c.Version < last {
				t.Errorf("version %d after %d", c.Version, last)
			}
			last = c.Version
			for _, at := range c.Touchpoints {
				for i := range c.Live {
					if at.PromotedBy == c.Live[i].Key {
						t.Errorf("%s serves the winner of %s, which is %s", at.Key, at.PromotedBy, c.Live[i].Status)
					}
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for i := range 15 {
		x := spec(engine.ExperimentKey(fmt.Sprintf("x%d", i)))
		x.Variants[1].Content["mail"] = content(fmt.Sprint("winner ", i))
		running(t, e, x)
		must(e.Promote(t.Context(), engine.Action{Experiment: x.Key, Variant: "warm", By: "Ada"}))(t)
	}
	close(stop)
	reader.Wait()
	if got := answer(t, e, "mail", "c1"); got.Experiment != "x14" || string(got.Content) != string(content("winner 14")) {
		t.Errorf("the last winner is not served: %+v", got)
	}
}

func TestLayersKeepTheirSalt(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	first, created, err := e.PutLayer(t.Context(), "onboarding")
	if err != nil || !created || len(first.Salt) != 32 {
		t.Fatalf("layer %+v, created %v, error %v", first, created, err)
	}
	again, created, err := e.PutLayer(t.Context(), "onboarding")
	if err != nil || created || again.Salt != first.Salt {
		t.Errorf("again: %+v, created %v, error %v", again, created, err)
	}
}

func TestReportingCurrencyIsFixedOnce(t *testing.T) {
	s := newStore(t)
	var wait sync.WaitGroup
	failures := make([]error, 2)
	for i, c := range []engine.Currency{"EUR", "JPY"} {
		wait.Go(func() { failures[i] = s.FixReportingCurrency(context.Background(), c) })
	}
	wait.Wait()
	if (failures[0] == nil) == (failures[1] == nil) {
		t.Fatalf("two currencies at once: %v", failures)
	}
	fixed := engine.Currency("EUR")
	if failures[0] != nil {
		fixed = "JPY"
	}
	if err := s.FixReportingCurrency(t.Context(), fixed); err != nil {
		t.Error(err)
	}
	if err := s.FixReportingCurrency(t.Context(), "USD"); err == nil {
		t.Error("another currency was taken")
	}
}

func TestPages(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	for i := range 5 {
		draft(t, e, spec(engine.ExperimentKey(fmt.Sprintf("x%d", i))))
	}
	var keys []engine.ExperimentKey
	for page := (engine.Page{Limit: 2}); ; {
		some := must(e.Experiments(t.Context(), page))(t)
		if len(some) == 0 {
			break
		}
		for i := range some {
			keys = append(keys, some[i].Key)
		}
		page.After = string(keys[len(keys)-1])
	}
	if diff := cmp.Diff([]engine.ExperimentKey{"x0", "x1", "x2", "x3", "x4"}, keys); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

// A configuration that cannot be right is refused, and the last good one goes on serving.
func TestAPoisonedConfigurationIsRefused(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	running(t, e, spec("tone"))
	before := answer(t, e, "mail", "c1")
	exec(t, s, `UPDATE experiments SET spec = replace(CAST(spec AS text), '"weight":1', '"weight":0')::json`)
	exec(t, s, `UPDATE configuration SET version = version + 1`)
	if err := e.Refresh(t.Context()); err == nil {
		t.Error("a weight of 0 was taken")
	}
	if diff := cmp.Diff(before, answer(t, e, "mail", "c1")); diff != "" {
		t.Errorf("the answer changed (-before +after):\n%s", diff)
	}
	exec(t, s, `UPDATE experiments SET spec = replace(CAST(spec AS text), '"weight":0', '"weight":1')::json`)
	if err := e.Refresh(t.Context()); err != nil {
		t.Errorf("mended: %v", err)
	}
}

// What one process changes, another serves without being asked.
func TestKeepFresh(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e, other := newEngine(t, s, c, 1), newEngine(t, s, c, 2)
	ctx, cancel := context.WithCancel(t.Context())
	var keeper sync.WaitGroup
	keeper.Go(func() { other.KeepFresh(ctx, 5*time.Millisecond) })
	defer keeper.Wait()
	defer cancel()
	catalogue(t, e)
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := other.Assign(t.Context(), engine.AssignRequest{Touchpoint: "mail", Customers: []engine.CustomerID{"c1"}})
		if err == nil {
			return
		}
		kindOf(t, err, engine.KindNotFound, "not_found")
		if time.Now().After(deadline) {
			t.Fatal("the other process never heard of the touchpoint")
		}
		time.Sleep(time.Millisecond)
	}
}
