package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A jobStore has so many running tests and lets the test say what measuring one does. Time
// is that of a bubble.
type jobStore struct {
	Store

	tests   int
	measure func(ctx context.Context, key ExperimentKey) (int, error)
	began   map[ExperimentKey]int // how often each was measured
	took    time.Duration
}

func (s *jobStore) Configuration(context.Context) (*Configuration, error) {
	c := &Configuration{}
	for i := range s.tests {
		x := Experiment{Status: StatusRunning}
		x.Key = ExperimentKey(fmt.Sprintf("x%d", i))
		paused := Experiment{Status: StatusPaused}
		c.Live = append(c.Live, paused, x)
	}
	return c, nil
}

func (*jobStore) Unclosed(context.Context) ([]UnclosedExperiment, error) { return nil, nil }

func (s *jobStore) Measure(ctx context.Context, x *Experiment) (int, error) {
	s.began[x.Key]++
	return s.measure(ctx, x.Key)
}

func (s *jobStore) RunExclusively(ctx context.Context, _ string, _ *time.Time, clock func() time.Time, fn func(context.Context) (int, error)) (bool, error) {
	start := clock()
	_, err := fn(ctx)
	s.took = clock().Sub(start)
	return true, err
}

func jobEngine(s *jobStore) *Engine {
	s.began = map[ExperimentKey]int{}
	return New(Config{Store: s, Now: time.Now, Log: slog.New(slog.DiscardHandler), Reporting: "EUR"})
}

// One test that fails, panics or hangs leaves the others theirs, and the run's error names it.
func TestOneTestNeverStopsTheOthers(t *testing.T) {
	for _, tt := range []struct {
		name string
		bad  func(ctx context.Context) (int, error)
		want string
		took time.Duration
	}{
		{"fails", func(context.Context) (int, error) { return 0, errors.New("broken") }, "broken", 0},
		{"panics", func(context.Context) (int, error) { panic("defect") }, "panic: defect", 0},
		{"hangs", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, "deadline exceeded", 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &jobStore{tests: 4}
				s.measure = func(ctx context.Context, key ExperimentKey) (int, error) {
					if key == "x1" {
						return tt.bad(ctx)
					}
					return 10, ctx.Err()
				}
				rows, err := jobEngine(s).RunJob(t.Context(), "measure")
				if rows != 30 || len(s.began) != 4 {
					t.Errorf("%d rows, measured %v", rows, s.began)
				}
				if err == nil || !strings.Contains(err.Error(), "experiment x1: ") || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "experiment ") != 1 {
					t.Errorf("error %v, want one of x1 with %q", err, tt.want)
				}
				if s.took != tt.took {
					t.Errorf("the run took %v, want %v", s.took, tt.took)
				}
			})
		})
	}
}

// A decisionStore has a decision that waits on each of four tests; changing the first is a
// defect, and the last is from the future.
type decisionStore struct {
	Store

	changed []ExperimentKey
}

func (s *decisionStore) PendingDecisions(context.Context) ([]Decision, error) {
	return []Decision{
		{ID: "a", Experiment: "a", Mode: ModeAuto},
		{ID: "b", Experiment: "b", Mode: ModeAuto},
		{ID: "c", Experiment: "c", Mode: ModeAuto, DecidedAt: began},
		{ID: "d", Experiment: "d", Mode: ModeAuto, DecidedAt: began.Add(time.Microsecond)},
	}, nil
}

func (s *decisionStore) ChangeExperiment(_ context.Context, key ExperimentKey, _ func(c *Change) error) error {
	s.changed = append(s.changed, key)
	if key == "a" {
		panic("defect")
	}
	return nil
}

func (*decisionStore) Experiment(_ context.Context, key ExperimentKey) (*Experiment, error) {
	return &Experiment{Spec: Spec{Key: key}}, nil
}

func (*decisionStore) ConfigurationVersion(context.Context) (int64, error) {
	return 0, errors.New("not asked here")
}

func (*decisionStore) RunExclusively(ctx context.Context, _ string, _ *time.Time, _ func() time.Time, fn func(context.Context) (int, error)) (bool, error) {
	_, err := fn(ctx)
	return true, err
}

// A defect in carrying out one decision is a failure of that decision alone. A decision of a
// clock that has been set back waits for its time.
func TestOneDecisionNeverStopsTheOthers(t *testing.T) {
	s := &decisionStore{}
	e := New(Config{Store: s, Now: func() time.Time { return began }, Log: slog.New(slog.DiscardHandler), Reporting: "EUR"})
	e.live.Store(&live{})
	rows, err := e.RunJob(t.Context(), "decide")
	if rows != 2 || err == nil || !strings.HasPrefix(err.Error(), "experiment a: panic: defect") {
		t.Errorf("%d carried out, error %v", rows, err)
	}
	if diff := cmp.Diff([]ExperimentKey{"a", "b", "c"}, s.changed); diff != "" {
		t.Errorf("tried (-want +got):\n%s", diff)
	}
}

// A run in which everything hangs is cut at the job's deadline, and over several runs every
// test has its turn.
func TestARunIsCutAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &jobStore{tests: 6, measure: func(ctx context.Context, _ ExperimentKey) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}}
		e := jobEngine(s)
		if _, err := e.RunJob(t.Context(), "measure"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		// At the deadline itself, where the time of the second is over too, a third may begin and end.
		if n := len(s.began); s.took != 10*time.Minute || n < 2 || n > 3 {
			t.Errorf("the run took %v for %v, want 10 minutes for two tests", s.took, s.began)
		}
		for range 20 {
			time.Sleep(time.Minute)
			_, _ = e.RunJob(t.Context(), "measure")
		}
		if got := slices.Sorted(maps.Keys(s.began)); len(got) != 6 {
			t.Errorf("after 21 runs only %v had a turn", got)
		}
	})
}

// Each of the tests comes first in its turn, whatever the interval of the job: the first of five
// every five minutes is not always the same.
func TestEveryTestComesFirst(t *testing.T) {
	for _, every := range []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 24 * time.Hour, week} {
		for tests := 1; tests <= 12; tests++ {
			synctest.Test(t, func(t *testing.T) {
				measured := 0
				came := map[ExperimentKey]bool{}
				s := &jobStore{tests: tests, measure: func(_ context.Context, key ExperimentKey) (int, error) {
					if measured++; measured == 1 {
						came[key] = true
					}
					return 0, nil
				}}
				e := jobEngine(s)
				for range 10 * tests {
					measured = 0
					if _, err := e.RunJob(t.Context(), "measure"); err != nil || measured != tests {
						t.Fatalf("%d measured: %v", measured, err)
					}
					time.Sleep(every)
				}
				if len(came) != tests {
					t.Errorf("of %d tests measured every %v only %v came first", tests, every, slices.Sorted(maps.Keys(came)))
				}
			})
		}
	}
}

// The jobs' deadlines and intervals are what the documents promise (docs/operations.md).
func TestScheduledJobs(t *testing.T) {
	var got []string
	for _, j := range ScheduledJobs() {
		got = append(got, fmt.Sprintf("%s: %s, every %v, at most %v", j.Name, j.Schedule, j.Every, j.Deadline))
	}
	want := []string{
		"measure: * * * * *, every 1m0s, at most 10m0s",
		"analyze: */5 * * * *, every 5m0s, at most 10m0s",
		"decide: * * * * *, every 1m0s, at most 1m0s",
		"ramp: * * * * *, every 1m0s, at most 1m0s",
		"holdback: */5 * * * *, every 5m0s, at most 10m0s",
		"tiers: 0 0 * * *, every 24h0m0s, at most 1h0m0s",
		"recompute: 0 0 * * 1, every 168h0m0s, at most 2h0m0s",
		"webhooks: @every 5s, every 5s, at most 1m0s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}
