package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

// hold runs a job that goes on until release is called; then ended answers its result.
func hold(t *testing.T, s *Store, c *clock, job string, rows int, failure error) (release func(), ended func() (bool, error)) {
	t.Helper()
	type result struct {
		ran bool
		err error
	}
	inside, free, done := make(chan struct{}), make(chan struct{}), make(chan result, 1)
	go func() {
		ran, err := s.RunExclusively(context.Background(), job, nil, c.Now, func(context.Context) (int, error) {
			close(inside)
			<-free
			return rows, failure
		})
		done <- result{ran, err}
	}()
	select {
	case <-inside:
	case <-time.After(10 * time.Second):
		t.Fatal("the job did not begin")
	}
	return func() { close(free) }, func() (bool, error) {
		r := <-done
		return r.ran, r.err
	}
}

func attempt(t *testing.T, s *Store, c *clock, job string) bool {
	t.Helper()
	return must(s.RunExclusively(t.Context(), job, nil, c.Now, func(context.Context) (int, error) { return 1, nil }))(t)
}

func TestOneProcessRunsAJob(t *testing.T) {
	dsn := pgtest.Database(t)
	a, b, c := openStore(t, dsn), openStore(t, dsn), &clock{at: start}
	release, ended := hold(t, a, c, "measure", 5, nil)
	if attempt(t, b, c, "measure") || attempt(t, a, c, "measure") {
		t.Error("a job ran twice at once")
	}
	if !attempt(t, b, c, "analyze") {
		t.Error("one job kept another from running")
	}
	if run := must(a.JobRuns(t.Context()))(t)["measure"]; !run.StartedAt.Equal(start) || run.FinishedAt != nil {
		t.Errorf("while it runs: %+v", run)
	}
	c.Set(start.Add(time.Minute))
	release()
	if ran, err := ended(); !ran || err != nil {
		t.Errorf("ran %v, error %v", ran, err)
	}
	if run := must(a.JobRuns(t.Context()))(t)["measure"]; run.FinishedAt == nil || !run.FinishedAt.Equal(start.Add(time.Minute)) || run.Rows != 5 || run.Error != "" {
		t.Errorf("afterwards: %+v", run)
	}
	if !attempt(t, b, c, "measure") {
		t.Error("a job that ended keeps its lock")
	}
}

// A process that dies loses its connection and with it the lock.
func TestADeadProcessFreesItsJob(t *testing.T) {
	dsn := pgtest.Database(t)
	a, b, c := openStore(t, dsn), openStore(t, dsn), &clock{at: start}
	release, ended := hold(t, a, c, "measure", 7, nil)
	c.Set(start.Add(time.Minute))
	if n := count(t, b, `
		SELECT count(pg_terminate_backend(pid)) FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`); n != 1 {
		t.Fatalf("%d connections hold a lock, want 1", n)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !attempt(t, b, c, "measure") {
		if time.Now().After(deadline) {
			t.Fatal("the lock of a dead connection stays")
		}
		time.Sleep(5 * time.Millisecond)
	}
	release()
	if ran, err := ended(); !ran || err != nil {
		t.Errorf("the first process: ran %v, error %v", ran, err)
	}
	if run := must(a.JobRuns(t.Context()))(t)["measure"]; run.Rows != 1 || run.History.Runs != 2 || run.History.Failures != 1 {
		t.Errorf("the first process wrote on the record of the second: %+v", run)
	}
	// Its broken connection is not used again, and leaves no lock.
	if !attempt(t, a, c, "measure") || !attempt(t, b, c, "measure") {
		t.Error("the job cannot run any more")
	}
}

// A process that is frozen, here one that does not listen, loses the lock some time after the
// deadline of the job, and no sooner.
func TestAFrozenProcessFreesItsJob(t *testing.T) {
	dsn := pgtest.Database(t)
	a, b, c := openStore(t, dsn), openStore(t, dsn), &clock{at: start}
	a.frozen = 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begun, took := time.Now(), time.Duration(0)
	ran, err := a.RunExclusively(ctx, "measure", nil, c.Now, func(context.Context) (int, error) {
		for !attempt(t, b, c, "measure") && took < 10*time.Second {
			took = time.Since(begun)
		}
		return 1, nil
	})
	if !ran || err != nil || took < 500*time.Millisecond || took > 10*time.Second {
		t.Errorf("another process took over after %v: ran %v, error %v", took, ran, err)
	}
	if !attempt(t, a, c, "measure") {
		t.Error("the job cannot run any more")
	}
}

// A slot has one run, by whichever process; a run that somebody asks for takes none, and one
// that died leaves its slot open.
func TestASlotOfAJobHasOneRun(t *testing.T) {
	dsn := pgtest.Database(t)
	a, b, c := openStore(t, dsn), openStore(t, dsn), &clock{at: start}
	run := func(s *Store, minute int, want bool) {
		t.Helper()
		slot := start.Add(time.Duration(minute) * time.Minute)
		ran, err := s.RunExclusively(t.Context(), "measure", &slot, c.Now, func(context.Context) (int, error) { return 1, nil })
		if ran != want || (err == nil) != want {
			t.Errorf("minute %d: ran %v, error %v, want a run: %v", minute, ran, err, want)
		}
		if !want {
			kindOf(t, err, engine.KindConflict, "job_not_due")
		}
	}
	attempt(t, a, c, "measure")
	run(a, 1, true)
	run(b, 1, false)
	attempt(t, b, c, "measure")
	run(a, 1, false)
	run(a, 0, false)
	exec(t, a, `UPDATE job_runs SET finished_at = NULL`)
	run(a, 0, false)
	run(b, 1, true)
	run(a, 3, true)
	run(b, 2, false)
	if r := must(a.JobRuns(t.Context()))(t)["measure"]; r.Slot == nil || !r.Slot.Equal(start.Add(3*time.Minute)) || r.History.Runs != 6 {
		t.Errorf("record %+v", r)
	}
}

func TestAFailedJobIsRecorded(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	broken := errors.New("broken pipe of measures")
	release, ended := hold(t, s, c, "measure", 3, broken)
	release()
	if ran, err := ended(); !ran || !errors.Is(err, broken) {
		t.Errorf("ran %v, error %v", ran, err)
	}
	run := must(s.JobRuns(t.Context()))(t)["measure"]
	if run.FinishedAt == nil || run.Rows != 3 || run.Error != broken.Error() {
		t.Errorf("record %+v", run)
	}
	if !attempt(t, s, c, "measure") {
		t.Error("a failed job keeps its lock")
	}
	if run := must(s.JobRuns(t.Context()))(t)["measure"]; run.Error != "" {
		t.Errorf("a run that went well still shows %q", run.Error)
	}
}

// The record is kept also of a run that was cut off, and the lock is given back.
func TestAJobThatIsCutOffIsRecorded(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	ctx, cancel := context.WithCancel(t.Context())
	ran, err := s.RunExclusively(ctx, "measure", nil, c.Now, func(ctx context.Context) (int, error) {
		cancel()
		return 2, ctx.Err()
	})
	if !ran || !errors.Is(err, context.Canceled) {
		t.Errorf("ran %v, error %v", ran, err)
	}
	if run := must(s.JobRuns(t.Context()))(t)["measure"]; run.FinishedAt == nil || !strings.Contains(run.Error, "canceled") {
		t.Errorf("record %+v", run)
	}
	if !attempt(t, s, c, "measure") {
		t.Error("a job that was cut off keeps its lock")
	}
}

// The history sums up all runs, and keeps the last failure when later runs go well. A run
// whose process died is a failure too.
func TestTheHistoryOfAJob(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	runs := []struct {
		took    time.Duration
		failure error
	}{{2 * time.Second, nil}, {1500 * time.Millisecond, errors.New("first\x00\xff")}, {time.Second, errors.New("second")}, {250 * time.Millisecond, nil}}
	for _, r := range runs {
		_, err := s.RunExclusively(t.Context(), "measure", nil, c.Now, func(context.Context) (int, error) {
			c.Set(c.Now().Add(r.took))
			return 1, r.failure
		})
		if !errors.Is(err, r.failure) {
			t.Fatal(err)
		}
		if r.failure != nil && count(t, s, `SELECT count(*) FROM job_runs WHERE failure = error AND failed_at = finished_at`) != 1 {
			t.Errorf("%q was not kept", r.failure)
		}
	}
	failedAt := start.Add(4500 * time.Millisecond)
	run := must(s.JobRuns(t.Context()))(t)["measure"]
	want := engine.JobHistory{Runs: 4, Failures: 2, Busy: 4750 * time.Millisecond, FailedAt: &failedAt, Failure: "second"}
	if diff := cmp.Diff(want, run.History); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	// A process is killed in a run that began at 12:00; the next begins at 13:00.
	killed := start.Add(2 * time.Hour)
	exec(t, s, `UPDATE job_runs SET started_at = $1, finished_at = NULL`, killed)
	c.Set(killed.Add(time.Hour))
	attempt(t, s, c, "measure")
	run = must(s.JobRuns(t.Context()))(t)["measure"]
	want = engine.JobHistory{Runs: 6, Failures: 3, Busy: 4750 * time.Millisecond, FailedAt: &killed, Failure: "the process ended during the run"}
	if diff := cmp.Diff(want, run.History); diff != "" {
		t.Errorf("history after a killed run (-want +got):\n%s", diff)
	}
}

func TestAJobThatPanicsFreesItsLock(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = s.RunExclusively(t.Context(), "measure", nil, c.Now, func(context.Context) (int, error) { panic("defect") })
	}()
	if !attempt(t, s, c, "measure") {
		t.Error("a job that panicked keeps its lock")
	}
}

// One test that cannot be measured does not keep the others from it.
func TestAFailureOfOneTestStopsNoOther(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	for _, key := range []engine.ExperimentKey{"a", "b"} {
		x := spec(key)
		x.Assignment, x.Touchpoints = engine.AssignedElsewhere, nil
		x.Variants[1].Content = nil
		running(t, e, x)
		enrol(t, s, key, "warm", start, "c-"+string(key))
		insert(t, s, order("c-"+string(key), "o", "1", start))
	}
	exec(t, s, `UPDATE experiments SET frozen = replace(CAST(frozen AS text), '"to_day":7', '"to_day":70000000000000')::json WHERE key = 'a'`)
	_, err := e.RunJob(t.Context(), "measure")
	if err == nil || !strings.Contains(err.Error(), "experiment a") {
		t.Errorf("error %v, want one that names a", err)
	}
	if n := count(t, s, `SELECT count(*) FROM measures WHERE experiment = 'b'`); n != 1 {
		t.Errorf("%d values of b", n)
	}
	statuses := must(e.JobStatuses(t.Context()))(t)
	if statuses[0].Name != "measure" || statuses[0].Last == nil || statuses[0].Last.Error == "" || statuses[1].Last != nil {
		t.Errorf("statuses %+v", statuses)
	}
	if want := start.Add(5 * time.Minute); !statuses[1].Next.Equal(want) {
		t.Errorf("analyze is next due at %v, want %v", statuses[1].Next, want)
	}
	_, err = e.RunJob(t.Context(), "nothing")
	kindOf(t, err, engine.KindNotFound, "not_found")
}
