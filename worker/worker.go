// Package worker runs the engine's scheduled jobs with cron, in UTC. What a job does is a
// method of the engine; here is only when. Any number of workers may run beside each
// other: the engine lets one of them at a time run a job.
package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/perennial-engine/perennial/engine"
)

// Jobs runs a job by its name: the engine does.
type Jobs interface {
	RunJob(ctx context.Context, name string) (rows int, err error)
}

// Run runs the jobs on their schedules until ctx ends. Then it starts no more, gives those
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
		if _, err := c.AddFunc(job.Schedule, func() { run(working, jobs, log, job.Name) }); err != nil {
			return fmt.Errorf("worker: schedule of %s: %w", job.Name, err)
		}
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

func run(ctx context.Context, jobs Jobs, log *slog.Logger, name string) {
	rows, err := jobs.RunJob(ctx, name)
	switch {
	case engine.KindOf(err) == engine.KindConflict:
		log.DebugContext(ctx, "job left to another process", "job", name)
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
