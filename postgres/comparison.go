package postgres

import (
	"context"
	"encoding/json"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// SaveComparison implements engine.Reports.
func (s *Store) SaveComparison(ctx context.Context, key engine.ExperimentKey, r *engine.Report) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		r.Version = *r.Look
		document, err := json.Marshal(r)
		if err != nil {
			return err
		}
		saved, err := tx.ExecContext(ctx, `
			INSERT INTO holdback_reports (experiment, version, document) VALUES ($1, $2, $3)
			ON CONFLICT (experiment, version) DO NOTHING`, key, r.Version, document)
		if err != nil {
			return err
		}
		if n, err := saved.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return engine.Errorf(engine.KindConflict, "look_taken", "another worker has compared the holdback of %q", key)
	})
}

// LatestComparison implements engine.Reports.
func (s *Store) LatestComparison(ctx context.Context, key engine.ExperimentKey) (*engine.Report, error) {
	return s.report(ctx, key,
		`SELECT document FROM holdback_reports WHERE experiment = $1 ORDER BY version DESC LIMIT 1`, key)
}
