package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

type decisionRow struct {
	ID            string        `db:"id"`
	Experiment    string        `db:"experiment"`
	ReportVersion sql.NullInt64 `db:"report_version"`
	Action        string        `db:"action"`
	Variant       string        `db:"variant"`
	Mode          string        `db:"mode"`
	Reasons       []byte        `db:"reasons"`
	DecidedBy     string        `db:"decided_by"`
	ApprovedBy    string        `db:"approved_by"`
	Note          string        `db:"note"`
	DecidedAt     time.Time     `db:"decided_at"`
	AppliedAt     sql.NullTime  `db:"applied_at"`
	SupersededAt  sql.NullTime  `db:"superseded_at"`
}

func (r *decisionRow) decision() (*engine.Decision, error) {
	d := &engine.Decision{
		ID: r.ID, Experiment: engine.ExperimentKey(r.Experiment), ReportVersion: int(r.ReportVersion.Int64),
		Action: engine.DecisionAction(r.Action), Variant: engine.VariantKey(r.Variant), Mode: engine.Mode(r.Mode),
		DecidedBy: r.DecidedBy, ApprovedBy: r.ApprovedBy, Note: r.Note, DecidedAt: r.DecidedAt,
		AppliedAt: timeOf(r.AppliedAt), SupersededAt: timeOf(r.SupersededAt),
	}
	return d, json.Unmarshal(r.Reasons, &d.Reasons)
}

func decisions(rows []decisionRow) ([]engine.Decision, error) {
	all := make([]engine.Decision, 0, len(rows))
	for i := range rows {
		d, err := rows[i].decision()
		if err != nil {
			return nil, err
		}
		all = append(all, *d)
	}
	return all, nil
}

// Decisions implements engine.Experiments: newest first; a page goes on after an id.
func (s *Store) Decisions(ctx context.Context, key engine.ExperimentKey, p engine.Page) ([]engine.Decision, error) {
	var rows []decisionRow
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT id, experiment, report_version, action, variant, mode, reasons, decided_by, approved_by, note,
			decided_at, applied_at, superseded_at
		FROM decisions
		WHERE ($1 = '' OR experiment = $1)
			AND ($2 = '' OR (decided_at, id) < (SELECT a.decided_at, a.id FROM decisions a WHERE a.id = $2))
		ORDER BY decided_at DESC, id DESC LIMIT $3`, string(key), p.After, p.Limit); err != nil {
		return nil, translate(err)
	}
	return decisions(rows)
}

// PendingDecisions implements engine.Experiments.
func (s *Store) PendingDecisions(ctx context.Context) ([]engine.Decision, error) {
	var rows []decisionRow
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT id, experiment, report_version, action, variant, mode, reasons, decided_by, approved_by, note,
			decided_at, applied_at, superseded_at
		FROM decisions WHERE applied_at IS NULL AND superseded_at IS NULL ORDER BY decided_at, id`); err != nil {
		return nil, translate(err)
	}
	return decisions(rows)
}

func loadPending(ctx context.Context, tx *sqlx.Tx, key engine.ExperimentKey) (*engine.Decision, error) {
	var r decisionRow
	err := tx.GetContext(ctx, &r, `
		SELECT id, experiment, report_version, action, variant, mode, reasons, decided_by, approved_by, note,
			decided_at, applied_at, superseded_at
		FROM decisions WHERE experiment = $1 AND applied_at IS NULL AND superseded_at IS NULL FOR UPDATE`, key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // most experiments have no decision waiting
	}
	if err != nil {
		return nil, err
	}
	return r.decision()
}

// saveDecisions writes the altered pending decision and the new one.
func saveDecisions(ctx context.Context, tx *sqlx.Tx, c *engine.Change) error {
	if d := c.Pending; d != nil {
		if _, err := tx.ExecContext(ctx, `
			UPDATE decisions SET approved_by = $2, note = $3, applied_at = $4, superseded_at = $5
			WHERE id = $1 AND applied_at IS NULL`,
			d.ID, d.ApprovedBy, d.Note, d.AppliedAt, d.SupersededAt); err != nil {
			return err
		}
	}
	if c.Decision == nil {
		return nil
	}
	return insertDecision(ctx, tx, c.Decision)
}

func insertDecision(ctx context.Context, tx *sqlx.Tx, d *engine.Decision) error {
	reasons, err := json.Marshal(d.Reasons)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO decisions (id, experiment, report_version, action, variant, mode, reasons,
			decided_by, approved_by, note, decided_at, applied_at)
		VALUES ($1, $2, nullif($3, 0), $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		d.ID, d.Experiment, d.ReportVersion, d.Action, d.Variant, d.Mode, reasons,
		d.DecidedBy, d.ApprovedBy, d.Note, d.DecidedAt, d.AppliedAt)
	return err
}
