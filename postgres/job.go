package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// jobLock is the class of the advisory locks of jobs, so that they meet no others.
const jobLock = 0x70657265

// RunExclusively implements engine.Jobs. The lock belongs to a connection of its own and
// ends with it, so a process that dies leaves no lock behind. The server ends the connection of
// one that is frozen, and another process takes over; what the first writes when it goes on is
// refused by the state that it finds.
func (s *Store) RunExclusively(
	ctx context.Context, job string, slot *time.Time, clock func() time.Time, fn func(context.Context) (int, error),
) (ran bool, err error) {
	conn, err := s.locks.Connx(ctx)
	if err != nil {
		return false, translate(err)
	}
	defer conn.Close() //nolint:errcheck // the lock is released below, or with the connection
	var locked bool
	if err := conn.GetContext(ctx, &locked, `SELECT pg_try_advisory_lock($1, hashtext($2))`, jobLock, job); err != nil {
		return false, translate(err)
	}
	if !locked {
		return false, nil
	}
	defer func() {
		var unlocked bool
		if err := conn.GetContext(context.WithoutCancel(ctx), &unlocked,
			`SELECT pg_advisory_unlock($1, hashtext($2)) FROM set_config('idle_session_timeout', '0', false)`, jobLock, job); err != nil || !unlocked {
			// A connection that still holds the lock must not go back to the pool.
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}()
	if deadline, ok := ctx.Deadline(); ok {
		var set string
		if err := conn.GetContext(ctx, &set, `SELECT set_config('idle_session_timeout', $1, false)`,
			milliseconds(deadline.Sub(now())+s.frozen)); err != nil {
			return false, translate(err)
		}
	}
	started := clock()
	if err := s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := checkSlot(ctx, tx, job, slot, started); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO job_runs AS last (job, started_at, slot) VALUES ($1, $2, $3)
			ON CONFLICT (job) DO UPDATE SET started_at = excluded.started_at, finished_at = NULL, row_count = 0, error = '',
				slot = coalesce(excluded.slot, last.slot),
				runs = last.runs + CASE WHEN last.finished_at IS NULL THEN 1 ELSE 0 END,
				failures = last.failures + CASE WHEN last.finished_at IS NULL THEN 1 ELSE 0 END,
				failed_at = CASE WHEN last.finished_at IS NULL THEN last.started_at ELSE last.failed_at END,
				failure = CASE WHEN last.finished_at IS NULL THEN 'the process ended during the run' ELSE last.failure END`,
			job, started, slot)
		return err
	}); err != nil {
		return false, err
	}
	rows, failure := fn(ctx)
	message := ""
	if failure != nil {
		message = strings.ReplaceAll(strings.ToValidUTF8(failure.Error(), "?"), "\x00", "?")
	}
	// The record is kept also when the deadline of the job is over, but not on the run of another
	// process that took over.
	ctx = context.WithoutCancel(ctx)
	if err := s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		ended := clock()
		_, err := tx.ExecContext(ctx, `
			UPDATE job_runs SET finished_at = $2, row_count = $3, error = $4, runs = runs + 1, milliseconds = milliseconds + $5,
				failures = failures + CASE WHEN $4 = '' THEN 0 ELSE 1 END,
				failed_at = CASE WHEN $4 = '' THEN failed_at ELSE $2 END,
				failure = CASE WHEN $4 = '' THEN failure ELSE $4 END
			WHERE job = $1 AND started_at = $6 AND finished_at IS NULL`,
			job, ended, rows, message, max(0, ended.Sub(started)).Milliseconds(), started)
		return err
	}); err != nil && failure == nil {
		failure = err
	}
	return true, failure
}

// checkSlot checks that a slot of a job, if any, has had no run. The job's lock is held.
func checkSlot(ctx context.Context, tx *sqlx.Tx, job string, slot *time.Time, now time.Time) error {
	if slot == nil {
		return nil
	}
	var last []struct {
		Slot       sql.NullTime `db:"slot"`
		FinishedAt sql.NullTime `db:"finished_at"`
	}
	if err := tx.SelectContext(ctx, &last, `SELECT slot, finished_at FROM job_runs WHERE job = $1`, job); err != nil || len(last) == 0 {
		return err
	}
	return engine.CheckSlot(&engine.JobRun{Slot: timeOf(last[0].Slot), FinishedAt: timeOf(last[0].FinishedAt)}, *slot, now)
}

// JobRuns implements engine.Jobs.
func (s *Store) JobRuns(ctx context.Context) (map[string]engine.JobRun, error) {
	var rows []struct {
		Job          string       `db:"job"`
		StartedAt    time.Time    `db:"started_at"`
		FinishedAt   sql.NullTime `db:"finished_at"`
		Slot         sql.NullTime `db:"slot"`
		Rows         int          `db:"row_count"`
		Error        string       `db:"error"`
		Runs         int64        `db:"runs"`
		Failures     int64        `db:"failures"`
		Milliseconds int64        `db:"milliseconds"`
		FailedAt     sql.NullTime `db:"failed_at"`
		Failure      string       `db:"failure"`
	}
	err := s.hot.SelectContext(ctx, &rows, `
		SELECT job, started_at, finished_at, slot, row_count, error, runs, failures, milliseconds, failed_at, failure
		FROM job_runs`)
	runs := make(map[string]engine.JobRun, len(rows))
	for _, r := range rows {
		runs[r.Job] = engine.JobRun{
			StartedAt: r.StartedAt, FinishedAt: timeOf(r.FinishedAt), Slot: timeOf(r.Slot), Rows: r.Rows, Error: r.Error,
			History: engine.JobHistory{
				Runs: r.Runs, Failures: r.Failures, Busy: time.Duration(r.Milliseconds) * time.Millisecond,
				FailedAt: timeOf(r.FailedAt), Failure: r.Failure,
			},
		}
	}
	return runs, translate(err)
}
