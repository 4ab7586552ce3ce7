// Package worker asks the engine with cron to run its scheduled jobs. What a job does is a
// method of the engine, and whether a slot of its schedule has had its run is known to the
// engine alone: any number of workers may ask, and their clocks may be set.
package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/perennial-engine/perennial/engine"
)

// Jobs runs a job by its name where it is due: the engine does.
type Jobs interface {
	RunDue(ctx context.Context, name string) (rows int, err error)
}

// Run runs the jobs on their schedules until ctx ends, at once those whose slot has had no run
// yet. Then it starts no more, gives those
// under way grace to finish, and cuts off the rest; a job that does not end then either,
// because it waits on a dead connection, is left behind with an error after another grace.
func Run(ctx context.Context, jobs Jobs, log *slog.Logger, grace time.Duration) error {
	// The jobs outlive ctx by the grace.
	working, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	logger := cronLog{log}
	c := cron.New(
		cron.WithLocation(time.UTC), cron.WithLogger(logger),
		cron.WithChain(cron.SkipIfStillRunning(logger), cron.Recover(logger)),
	)
	for _, job := range engine.ScheduledJobs() {
		c.Schedule(&slots{every: job.Every}, cron.FuncJob(func() { run(working, jobs, log, job.Name) }))
	}
	c.Start()
	<-ctx.Done()
	finished := c.Stop()
	select {
	case <-finished.Done():
	case <-time.After(grace):
		log.WarnContext(ctx, "jobs cut off at shutdown", "grace", grace)
		cutOff()
		select {
		case <-finished.Done():
		case <-time.After(grace):
			return fmt.Errorf("worker: a job did not end within %v of being cut off", grace)
		}
	}
	return nil
}

// slots are when a job is asked for: at once, and then at the beginning of each slot.
type slots struct {
	every time.Duration
	begun bool
}

// longestWait is the longest between two times at which a job is asked for. A slot whose run
// died, or that a clock has jumped to, waits no longer.
const longestWait = time.Minute

// Next implements cron.Schedule. It counts on from t: how long is waited does not change when
// the clock is set meanwhile.
func (s *slots) Next(t time.Time) time.Time {
	if !s.begun {
		s.begun = true
		return t
	}
	return t.Add(min(t.Truncate(s.every).Add(s.every).Sub(t), longestWait))
}

func run(ctx context.Context, jobs Jobs, log *slog.Logger, name string) {
	rows, err := jobs.RunDue(ctx, name)
	switch {
	case engine.KindOf(err) == engine.KindConflict:
		log.DebugContext(ctx, "job not due, or left to another process", "job", name)
	case err != nil:
		log.ErrorContext(ctx, "job failed", "job", name, "rows", rows, "error", err)
	default:
		log.DebugContext(ctx, "job done", "job", name, "rows", rows)
	}
}

// cronLog lets cron log through slog.
type cronLog struct{ log *slog.Logger }

// Info implements cron.Logger.
func (l cronLog) Info(message string, pairs ...any) {
	l.log.Debug("cron", append(pairs, "event", message)...)
}

// Error implements cron.Logger.
func (l cronLog) Error(err error, message string, pairs ...any) {
	l.log.Error("cron", append(pairs, "event", message, "error", err)...)
}
