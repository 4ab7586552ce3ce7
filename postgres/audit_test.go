package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/engine/audit"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

// auditLog reads the log and fails the test when its chain does not hold.
func auditLog(t *testing.T, s *Store) []audit.Row {
	t.Helper()
	rows := must(s.AuditRows(t.Context(), "", engine.Page{Limit: 10_000}))(t)
	var v audit.Verifier
	for i := range rows {
		if f := v.Add(&rows[i]); f != nil {
			t.Fatal(f)
		}
	}
	return rows
}

// actions are the rows on an object, as "actor action".
func actions(rows []audit.Row, object string) []string {
	var all []string
	for _, r := range rows {
		if r.Object == object {
			all = append(all, r.Actor+" "+r.Action)
		}
	}
	return all
}

// Changes made at once by several processes make one chain.
func TestTheChainUnderConcurrency(t *testing.T) {
	dsn := pgtest.Database(t)
	const processes, changes = 4, 10
	var wait sync.WaitGroup
	failures := make([]error, processes)
	for i := range processes {
		s := openStore(t, dsn)
		e := newEngine(t, s, &clock{at: start}, byte(i))
		wait.Go(func() {
			ctx := engine.WithActor(context.Background(), fmt.Sprintf("key_%d", i))
			for n := range changes {
				_, failed := e.PutMetric(ctx, &engine.Metric{
					Key: engine.MetricKey(fmt.Sprintf("m%d", n)), Kind: engine.KindLTV, Events: []string{"order"}, Window: &engine.Window{ToDay: 7},
				})
				_, _, alsoFailed := e.PutLayer(ctx, engine.LayerKey(fmt.Sprintf("l%d", n)))
				failures[i] = errors.Join(failures[i], failed, alsoFailed)
			}
		})
	}
	wait.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	rows := auditLog(t, openStore(t, dsn))
	counts := map[string]int{}
	for _, r := range rows {
		counts[r.Action]++
	}
	want := map[string]int{"metric.create": changes, "metric.change": (processes - 1) * changes, "layer.create": changes}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// What the jobs do is in the log once, in the worker's name, with the decision it was.
func TestTheLogOfTheLoop(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	running(t, e, spec("tone"))
	spend(t, s, "tone", "control", 150, 10, start)
	spend(t, s, "tone", "warm", 150, 20, start)
	c.Set(start.Add(21 * day))
	for range 2 {
		run(t, e, "measure")
		run(t, e, "analyze")
		run(t, e, "decide")
	}
	rows := auditLog(t, s)
	if diff := cmp.Diff([]string{
		"process experiment.create", "process experiment.start", "worker decision.make", "worker experiment.promote", "worker experiment.close",
	}, actions(rows, "experiment/tone")); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	id := decisionsOf(t, s, "tone")[0].ID
	want := `{"decided_by":"engine","decision":"` + id + `","outcome":"promoted","status":"concluded","version":3,"winner":"warm"}`
	if got := rows[len(rows)-2].Detail; got != want {
		t.Errorf("the promotion says %s, want %s", got, want)
	}
}

// A change that fails leaves no row, also when only its row cannot be written.
func TestAChangeAndItsRowAreOne(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	draft(t, e, spec("tone"))
	before := auditLog(t, s)
	broken := errors.New("broken rule")
	if err := s.ChangeExperiment(t.Context(), "tone", func(*engine.Change) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	exec(t, s, `ALTER TABLE audit ADD CONSTRAINT no_start CHECK (action <> 'experiment.start')`)
	if _, err := e.Start(t.Context(), engine.Action{Experiment: "tone"}); err == nil {
		t.Error("a test started without a row in the log")
	}
	if x := must(s.Experiment(t.Context(), "tone"))(t); x.Status != engine.StatusDraft || x.Version != 1 {
		t.Errorf("the test is %s, version %d", x.Status, x.Version)
	}
	if diff := cmp.Diff(before, auditLog(t, s)); diff != "" {
		t.Errorf("the log (-before +after):\n%s", diff)
	}
}
