-- Jobs run once for each slot of their schedule, whatever the number of workers and whatever
-- their clocks do: the latest slot that a run was for. A run that a person asked for has none.
-- +goose Up

ALTER TABLE job_runs ADD COLUMN slot timestamptz;

-- What has run before needs no run for its slot again.
UPDATE job_runs SET slot = started_at;

-- +goose Down
ALTER TABLE job_runs DROP COLUMN slot;
