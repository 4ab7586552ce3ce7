package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// PutOverride implements engine.Experiments.
func (s *Store) PutOverride(ctx context.Context, o engine.Override, limit int, at time.Time) (created bool, err error) {
	err = s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		if err := tx.GetContext(ctx, &created, `
			INSERT INTO overrides (customer_id, experiment, variant) VALUES ($1, $2, $3)
			ON CONFLICT (customer_id, experiment) DO UPDATE SET variant = excluded.variant
			RETURNING xmax = 0`, o.Customer, o.Experiment, o.Variant); err != nil {
			return err
		}
		var forced int
		if err := tx.GetContext(ctx, &forced, `SELECT count(*) FROM overrides WHERE experiment = $1`, o.Experiment); err != nil {
			return err
		}
		if forced > limit {
			return engine.Errorf(engine.KindInvalid, "too_many_overrides",
				"experiment %q has %d forced customers already, the most there can be: delete some", o.Experiment, limit)
		}
		return record(ctx, tx, at, o.Entry())
	})
	return created, err
}

// DeleteOverride implements engine.Experiments.
func (s *Store) DeleteOverride(ctx context.Context, experiment engine.ExperimentKey, customer engine.CustomerID, at time.Time) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx,
			`DELETE FROM overrides WHERE customer_id = $1 AND experiment = $2`, customer, experiment)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return engine.NotFoundf("override", string(customer))
		}
		return record(ctx, tx, at, engine.Override{Experiment: experiment}.Entry())
	})
}

// dropOverrides takes back the forced variants of a draft but those that it keeps.
func dropOverrides(ctx context.Context, tx *sqlx.Tx, experiment engine.ExperimentKey, kept []engine.Variant) error {
	variants := pq.StringArray{}
	for _, v := range kept {
		variants = append(variants, string(v.Key))
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM overrides WHERE experiment = $1 AND variant <> ALL ($2)`, experiment, variants)
	return err
}
