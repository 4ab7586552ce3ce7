package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// standAt takes the transaction back to an earlier cut: temporary tables stand before the
// enrolments and the measures and hold what was known then, measured from the events of then.
// They have the same names, so that whoever sums up cannot tell. restated says that a link or
// an erasure came since: what was known then is no longer known in full.
func standAt(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, cut int64) (restated bool, err error) {
	var newest int64
	if err := tx.GetContext(ctx, &newest, `SELECT value FROM ingest_position`); err != nil {
		return false, err
	}
	if cut < 0 || cut > newest {
		return false, &engine.Error{
			Kind: engine.KindInvalid, Code: "unknown_data_cut", Message: "nothing has come in yet at this data_cut",
			Fields: []engine.FieldError{{Pointer: "/data_cut", Detail: "must be that of a report"}},
		}
	}
	if err := tx.GetContext(ctx, &restated, `
		SELECT EXISTS (SELECT FROM experiment_erasures WHERE experiment = $1 AND position > $2) OR EXISTS (
			SELECT FROM identities JOIN enrolments ON enrolments.customer_id = identities.person
			WHERE enrolments.experiment = $1 AND identities.position > $2)`, x.Key, cut); err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE enrolments ON COMMIT DROP AS
		SELECT DISTINCT ON (customer_id) customer_id, experiment, variant, enrolled_at, channel, position,
			min(variant) OVER (PARTITION BY customer_id) <> max(variant) OVER (PARTITION BY customer_id) AS contaminated
		FROM (
			SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, position
			FROM enrolments WHERE experiment = $1 AND position <= $2
			UNION ALL
			SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, position
			FROM enrolments_superseded WHERE experiment = $1 AND position <= $2
		) AS known
		ORDER BY customer_id, enrolled_at, assignment_key COLLATE "C", variant COLLATE "C"`, x.Key, cut); err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `ANALYZE enrolments`); err != nil {
		return false, err
	}
	return restated, measureAfresh(ctx, tx, x, cut)
}

// measureAfresh puts a temporary table of measures before the one that is kept, and measures
// everybody from nothing.
func measureAfresh(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, cut int64) error {
	if _, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE measures ON COMMIT DROP AS
		SELECT customer_id, experiment, metric, value, x FROM measures WHERE false`); err != nil {
		return err
	}
	if _, err := measureAll(ctx, tx, x, cut); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `ANALYZE measures`)
	return err
}

// Recompute implements engine.Measures.
func (s *Store) Recompute(ctx context.Context, x *engine.Experiment) (customers, differences int, err error) {
	err = s.inPicture(ctx, func(tx *sqlx.Tx) error {
		cut, _, err := measure(ctx, tx, x)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			CREATE TEMPORARY TABLE kept ON COMMIT DROP AS
			SELECT customer_id, metric, value, x FROM measures WHERE experiment = $1`, x.Key); err != nil {
			return err
		}
		if err := measureAfresh(ctx, tx, x, cut); err != nil {
			return err
		}
		if err := tx.GetContext(ctx, &customers,
			`SELECT count(*) FROM enrolments WHERE experiment = $1 AND position <= $2`, x.Key, cut); err != nil {
			return err
		}
		return tx.GetContext(ctx, &differences, `
			SELECT count(*) FROM kept FULL JOIN measures USING (customer_id, metric)
			WHERE (kept.value, kept.x) IS DISTINCT FROM (measures.value, measures.x)`)
	})
	return customers, differences, err
}
