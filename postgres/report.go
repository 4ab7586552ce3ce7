package postgres

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// SaveReport implements engine.Reports.
func (s *Store) SaveReport(ctx context.Context, r *engine.Report, decision *engine.Decision) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		x, err := insertReport(ctx, tx, r)
		if err != nil || r.Look == nil {
			return err
		}
		var superseded []string
		if err := tx.SelectContext(ctx, &superseded, `
			UPDATE decisions SET superseded_at = $2
			WHERE experiment = $1 AND applied_at IS NULL AND superseded_at IS NULL
			RETURNING id`, r.Experiment, r.ComputedAt); err != nil {
			return err
		}
		entries := engine.Superseded(r.Experiment, superseded)
		if decision != nil {
			decision.ReportVersion = r.Version
			if err := insertDecision(ctx, tx, decision); err != nil {
				return err
			}
			entries = append(entries, decision.Entry())
		}
		wasHealthy, err := healthyBefore(ctx, tx, r)
		if err != nil {
			return err
		}
		messages, err := engine.LookMessages(x, r, decision, wasHealthy)
		if err != nil {
			return err
		}
		if err := post(ctx, tx, messages...); err != nil {
			return err
		}
		return record(ctx, tx, r.ComputedAt, entries...)
	})
}

// insertReport gives a report its version and stores it. The experiment's row is the lock
// under which versions are given out.
func insertReport(ctx context.Context, tx *sqlx.Tx, r *engine.Report) (*engine.Experiment, error) {
	x, err := lockedExperiment(ctx, tx, r.Experiment)
	if err != nil {
		return nil, err
	}
	if r.Look != nil && x.Status != engine.StatusRunning {
		return nil, engine.Errorf(engine.KindConflict, "wrong_status", "experiment %q is %s: it takes no look", x.Key, x.Status)
	}
	if err := tx.GetContext(ctx, &r.Version,
		`SELECT coalesce(max(version), 0) + 1 FROM reports WHERE experiment = $1`, r.Experiment); err != nil {
		return nil, err
	}
	document, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx,
		`INSERT INTO reports (experiment, version, as_of, look, document) VALUES ($1, $2, $3, $4, $5)`,
		r.Experiment, r.Version, r.AsOf, r.Look, document)
	return x, err
}

// healthyBefore reports whether the look before this one, if any, found the data healthy.
func healthyBefore(ctx context.Context, tx *sqlx.Tx, r *engine.Report) (bool, error) {
	var healthy []bool
	err := tx.SelectContext(ctx, &healthy, `
		SELECT CAST(document #>> '{health,ok}' AS boolean) FROM reports
		WHERE experiment = $1 AND look < $2 ORDER BY look DESC LIMIT 1`, r.Experiment, r.Look)
	return len(healthy) == 0 || healthy[0], err
}

// LatestReport implements engine.Reports.
func (s *Store) LatestReport(ctx context.Context, key engine.ExperimentKey) (*engine.Report, error) {
	return s.report(ctx, key,
		`SELECT document FROM reports WHERE experiment = $1 ORDER BY as_of DESC, version DESC LIMIT 1`, key)
}

// LatestLook implements engine.Reports.
func (s *Store) LatestLook(ctx context.Context, key engine.ExperimentKey, asOf time.Time) (*engine.Report, error) {
	return s.report(ctx, key, `
		SELECT document FROM reports WHERE experiment = $1 AND look IS NOT NULL AND as_of <= $2
		ORDER BY look DESC LIMIT 1`, key, asOf)
}

func (s *Store) report(ctx context.Context, key engine.ExperimentKey, statement string, args ...any) (*engine.Report, error) {
	var document []byte
	if err := s.hot.GetContext(ctx, &document, statement, args...); err != nil {
		return nil, found(err, "report", string(key))
	}
	r := &engine.Report{}
	return r, json.Unmarshal(document, r)
}

// Reports implements engine.Reports: oldest first; a page goes on after a version.
func (s *Store) Reports(ctx context.Context, key engine.ExperimentKey, p engine.Page) ([]engine.Report, error) {
	after := 0
	if p.After != "" {
		var err error
		if after, err = strconv.Atoi(p.After); err != nil {
			return nil, engine.Errorf(engine.KindMalformed, "invalid_cursor", "the cursor is not one of this list")
		}
	}
	var documents [][]byte
	if err := s.hot.SelectContext(ctx, &documents, `
		SELECT document FROM reports WHERE experiment = $1 AND version > $2 ORDER BY version LIMIT $3`,
		key, after, p.Limit); err != nil {
		return nil, translate(err)
	}
	return decodeAll[engine.Report](documents)
}
