package api

import (
	"context"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

type statusJSON struct {
	Status string `json:"status"`
}

func (s *Server) healthz(*gin.Context) (reply, error) { return ok(statusJSON{"ok"}), nil }

func (s *Server) readyz(c *gin.Context) (reply, error) {
	if err := s.engine.Ready(c.Request.Context()); err != nil {
		if engine.KindOf(err) == engine.KindInternal {
			err = &engine.Error{Kind: engine.KindUnavailable, Code: "not_ready", Message: "the database is not ready", Err: err}
		}
		return reply{}, err
	}
	return ok(statusJSON{"ready"}), nil
}

func (s *Server) getVersion(*gin.Context) (reply, error) {
	return ok(struct {
		Version string `json:"version"`
	}{s.version}), nil
}

type jobJSON struct {
	Name            string          `json:"name"`
	Schedule        string          `json:"schedule"`
	DeadlineSeconds float64         `json:"deadline_seconds"`
	NextRun         time.Time       `json:"next_run"`
	LastRun         *jobRunJSON     `json:"last_run"`
	LastFailure     *jobFailureJSON `json:"last_failure"`
	Runs            int64           `json:"runs"`
	Failures        int64           `json:"failures"`
}

type jobRunJSON struct {
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Seconds    *float64   `json:"seconds"`
	Rows       int        `json:"rows"`
	Error      *string    `json:"error"`
}

type jobFailureJSON struct {
	At    time.Time `json:"at"`
	Error string    `json:"error"`
}

func jobOf(j *engine.JobStatus) jobJSON {
	job := jobJSON{
		Name: j.Name, Schedule: j.Schedule, DeadlineSeconds: j.Deadline.Seconds(), NextRun: j.Next,
		Runs: j.Runs, Failures: j.Failures,
	}
	if last := j.Last; last != nil {
		job.LastRun = &jobRunJSON{
			StartedAt: last.StartedAt.UTC(), FinishedAt: utc(last.FinishedAt), Rows: last.Rows, Error: optional(last.Error),
		}
		if last.FinishedAt != nil {
			took := last.FinishedAt.Sub(last.StartedAt).Seconds()
			job.LastRun.Seconds = &took
		}
	}
	if j.FailedAt != nil {
		job.LastFailure = &jobFailureJSON{j.FailedAt.UTC(), j.Failure}
	}
	return job
}

func (s *Server) listJobs(c *gin.Context) (reply, error) {
	name := func(j *engine.JobStatus) string { return j.Name }
	fetch := func(ctx context.Context, p engine.Page) ([]engine.JobStatus, error) {
		jobs, err := s.engine.JobStatuses(ctx)
		if last := slices.IndexFunc(jobs, func(j engine.JobStatus) bool { return j.Name == p.After }); last >= 0 {
			jobs = jobs[last+1:]
		}
		return jobs[:min(p.Limit, len(jobs))], err
	}
	return list(c, fetch, jobOf, name)
}

// runNowWait is how long a run asked for waits for another one that is under way.
const runNowWait = 10 * time.Second

func (s *Server) runJob(c *gin.Context) (reply, error) {
	name, err := pathKey(c, "name", "job")
	if err != nil {
		return reply{}, err
	}
	if err := readOptional(c, &struct{}{}); err != nil {
		return reply{}, err
	}
	rows, err := s.engine.RunJobNow(c.Request.Context(), name, runNowWait)
	if err != nil {
		return reply{}, err
	}
	return ok(struct {
		Job  string `json:"job"`
		Rows int    `json:"rows"`
	}{name, rows}), nil
}
