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

// Run runs the jobs on their schedules until ctx ends. Then it starts no more, gives those
// under way grace to finish, and cuts off the rest.
func Run(ctx context.Context, e *engine.Engine, log *slog.Logger, grace time.Duration) error {
	// The jobs outlive ctx by the grace.
	working, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	logger := cronLog{log}
	c := cron.New(
		cron.WithLocation(time.UTC), cron.WithLogger(logger),
		cron.WithChain(cron.SkipIfStillRunning(logger), cron.Recover(logger)),
	)
	for _, job := range engine.ScheduledJobs() {
		if _, err := c.AddFunc(job.Schedule, func() { run(working, e, log, job.Name) }); err != nil {
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
		<-finished.Done()
	}
	return nil
}

func run(ctx context.Context, e *engine.Engine, log *slog.Logger, name string) {
	rows, err := e.RunJob(ctx, name)
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
