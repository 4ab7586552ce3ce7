package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"
)

// A Job is a piece of work that the worker does on a schedule. The schedule is a cron
// expression in UTC, read by the worker.
type Job struct {
	Name     string
	Schedule string
	Every    time.Duration // the schedule's interval, to say when the next run is due
	Deadline time.Duration
	run      func(*Engine, context.Context) (rows int, err error)
}

// ScheduledJobs are the jobs, in the order in which a day's work wants them.
func ScheduledJobs() []Job {
	return []Job{
		{Name: "measure", Schedule: "* * * * *", Every: time.Minute, Deadline: 10 * time.Minute, run: (*Engine).measureAll},
		{Name: "analyze", Schedule: "*/5 * * * *", Every: 5 * time.Minute, Deadline: 10 * time.Minute, run: (*Engine).analyzeAll},
		{Name: "decide", Schedule: "* * * * *", Every: time.Minute, Deadline: time.Minute, run: (*Engine).decideAll},
		{Name: "ramp", Schedule: "* * * * *", Every: time.Minute, Deadline: time.Minute, run: (*Engine).rampAll},
		{Name: "holdback", Schedule: "*/5 * * * *", Every: 5 * time.Minute, Deadline: 10 * time.Minute, run: (*Engine).holdbackAll},
		{Name: "tiers", Schedule: "0 0 * * *", Every: 24 * time.Hour, Deadline: time.Hour, run: (*Engine).tierAll},
		{Name: "recompute", Schedule: "0 0 * * 1", Every: week, Deadline: 2 * time.Hour, run: (*Engine).recomputeAll},
		{Name: "webhooks", Schedule: "@every 5s", Every: 5 * time.Second, Deadline: time.Minute, run: (*Engine).deliverAll},
	}
}

// slot is the beginning of the slot of the job's schedule that a time lies in.
func (j Job) slot(t time.Time) time.Time { return t.UTC().Truncate(j.Every) }

// slotTrust is how far ahead of the clock the recorded slot of a job may lie. One that lies
// further was written by a clock that was wrong, and must not stop the job for years.
const slotTrust = 48 * time.Hour

// CheckSlot answers why a job has no run for a slot at a time, or nil. last is the job's
// record, nil before its first run. The slots of a clock that was set back have had their
// runs; those that a clock has jumped over are made up for by the one run for the slot that it
// came to. A run that never ended was none, so that its slot is still open.
func CheckSlot(last *JobRun, slot, now time.Time) error {
	if last == nil || last.Slot == nil || slot.After(*last.Slot) || last.Slot.After(now.Add(slotTrust)) ||
		(slot.Equal(*last.Slot) && last.FinishedAt == nil) {
		return nil
	}
	return Errorf(KindConflict, "job_not_due", "the job has run for its slot of %s already", last.Slot.UTC().Format(time.RFC3339))
}

// next is the slot that the job waits for.
func (s *JobStatus) next(now time.Time) time.Time {
	slot := s.slot(now)
	if s.Last != nil && CheckSlot(s.Last, slot, now) != nil && s.Last.Slot.After(slot) {
		slot = s.slot(*s.Last.Slot)
	}
	return slot.Add(s.Every)
}

// A JobStatus is a job with its last and next run.
type JobStatus struct {
	Job
	JobHistory

	Last *JobRun // nil: it has never run
	Next time.Time
}

// JobStatuses lists the jobs with their last run.
func (e *Engine) JobStatuses(ctx context.Context) ([]JobStatus, error) {
	runs, err := e.store.JobRuns(ctx)
	if err != nil {
		return nil, err
	}
	var statuses []JobStatus
	for _, job := range ScheduledJobs() {
		s := JobStatus{Job: job}
		if run, ok := runs[job.Name]; ok {
			s.Last, s.JobHistory = &run, run.History
		}
		s.Next = s.next(e.now())
		statuses = append(statuses, s)
	}
	return statuses, nil
}

// RunJob runs a job now, unless another process is running it: then it answers KindConflict.
func (e *Engine) RunJob(ctx context.Context, name string) (rows int, err error) {
	return e.runJob(ctx, name, func(Job) *time.Time { return nil })
}

// RunDue is RunJob for the schedule: it runs a job for the slot that the clock is in, unless
// that had its run (KindConflict). Any number of workers may ask, as often as they like.
func (e *Engine) RunDue(ctx context.Context, name string) (rows int, err error) {
	return e.runJob(ctx, name, func(j Job) *time.Time { return new(j.slot(e.now())) })
}

// runJob runs a job for a slot, or nil for no slot.
func (e *Engine) runJob(ctx context.Context, name string, slot func(Job) *time.Time) (rows int, err error) {
	jobs := ScheduledJobs()
	i := slices.IndexFunc(jobs, func(j Job) bool { return j.Name == name })
	if i < 0 {
		return 0, NotFoundf("job", name)
	}
	ctx, cancel := context.WithTimeout(ctx, jobs[i].Deadline)
	defer cancel()
	ctx = WithActor(ctx, ActorWorker)
	ran, err := e.store.RunExclusively(ctx, name, slot(jobs[i]), e.now, func(ctx context.Context) (n int, err error) {
		rows, err = contained(func() (int, error) { return jobs[i].run(e, ctx) })
		return rows, err
	})
	if err == nil && !ran {
		err = Errorf(KindConflict, jobRunning, "another process is running the job %q", name)
	}
	return rows, err
}

// contained makes a panic in fn a failure of what fn does, and of nothing else.
func contained(fn func() (int, error)) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return fn()
}

// actAlone is act for a job that changes many experiments: a panic is a failure of this
// change and stops none of the others'.
func (e *Engine) actAlone(ctx context.Context, key ExperimentKey, change func(c *Change) error) error {
	_, err := contained(func() (int, error) {
		_, err := e.act(ctx, key, change)
		return 0, err
	})
	return err
}

// RunJobNow is RunJob for a person: it sees what this process has answered, and a run under
// way elsewhere, such as the scheduled one, is waited for first, for at most so long.
func (e *Engine) RunJobNow(ctx context.Context, name string, wait time.Duration) (rows int, err error) {
	if err := e.Flush(ctx); err != nil {
		return 0, err
	}
	patience := time.NewTimer(wait)
	defer patience.Stop()
	for {
		rows, err := e.RunJob(ctx, name)
		if running, ok := errors.AsType[*Error](err); !ok || running.Code != jobRunning {
			return rows, err
		}
		select {
		case <-ctx.Done():
			return rows, err
		case <-patience.C:
			return rows, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// jobRunning is the code of the answer that another process is running a job.
const jobRunning = "job_running"

// testTimeout bounds the work on one test in one run of a job.
const testTimeout = 5 * time.Minute

// forEachRunning calls fn for every running experiment.
func (e *Engine) forEachRunning(
	ctx context.Context, fn func(ctx context.Context, x *Experiment) (int, error),
) (rows int, err error) {
	running, err := e.running(ctx)
	if err != nil {
		return 0, err
	}
	return e.forEachTest(ctx, running, fn)
}

// forEachTest is forEachRunning for some experiments.
func (e *Engine) forEachTest(
	ctx context.Context, tests []Experiment, fn func(ctx context.Context, x *Experiment) (int, error),
) (rows int, err error) {
	return forEach(ctx, e.now(), tests, func(x *Experiment) ExperimentKey { return x.Key }, fn)
}

func (e *Engine) running(ctx context.Context) ([]Experiment, error) {
	c, err := e.store.Configuration(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(c.Live, func(x Experiment) bool { return x.Status != StatusRunning }), nil
}

// forEachPromoted calls fn for every experiment with a promotion in force.
func (e *Engine) forEachPromoted(
	ctx context.Context, fn func(ctx context.Context, x *PromotedExperiment) (int, error),
) (rows int, err error) {
	c, err := e.store.Configuration(ctx)
	if err != nil {
		return 0, err
	}
	return forEach(ctx, e.now(), c.Promoted, func(x *PromotedExperiment) ExperimentKey { return x.Key }, fn)
}

// forEach calls fn for every test. A failure, a panic or a hang of one never stops the
// others; all are answered together. Each run begins with one drawn by lot, so that those behind
// one that takes all the time have their turn as well.
func forEach[T any](
	ctx context.Context, now time.Time, tests []T, key func(*T) ExperimentKey, fn func(context.Context, *T) (int, error),
) (rows int, err error) {
	first := drawn(now, len(tests))
	var failures []error
	for i := range tests {
		x := &tests[(first+i)%len(tests)]
		n, err := contained(func() (int, error) {
			ctx, cancel := context.WithTimeout(ctx, testTimeout)
			defer cancel()
			return fn(ctx, x)
		})
		rows += n
		if err != nil {
			failures = append(failures, fmt.Errorf("experiment %s: %w", key(x), err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return rows, errors.Join(failures...)
}

// drawn is which of n tests a run at a time begins with. The times of a schedule have too much in
// common to be counted through, such as being multiples of five minutes: they seed a draw.
func drawn(now time.Time, n int) int {
	if n == 0 {
		return 0
	}
	return rand.New(rand.NewPCG(uint64(now.UnixNano()), 0)).IntN(n)
}

// week begins on Monday, as the zero time does.
const week = 7 * 24 * time.Hour

// measureAll is the measure job: running tests, and concluded ones until they are closed.
func (e *Engine) measureAll(ctx context.Context) (int, error) {
	tests, err := e.running(ctx)
	if err != nil {
		return 0, err
	}
	unclosed, err := e.store.Unclosed(ctx)
	if err != nil {
		return 0, err
	}
	for i := range unclosed {
		tests = append(tests, unclosed[i].Experiment)
	}
	return e.forEachTest(ctx, tests, e.store.Measure)
}
