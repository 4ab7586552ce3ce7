package postgres

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// measuringTries is how often measuring begins again when another process got ahead of it.
const measuringTries = 10

// inPicture runs fn in one transaction on one picture of the ledger, and again from the
// start when another process has changed what it was about to write.
func (s *Store) inPicture(ctx context.Context, fn func(tx *sqlx.Tx) error) (err error) {
	for range measuringTries {
		err = transact(ctx, s.bulk, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}, func(tx *sqlx.Tx) error {
			// The hash of a whole test fits. A page at random costs little more than the next one, on the
			// disks of today: a few customers are found by the index rather than by reading the ledger.
			if _, err := tx.ExecContext(ctx, `SET LOCAL work_mem = '64MB'; SET LOCAL random_page_cost = 1.1`); err != nil {
				return err
			}
			return fn(tx)
		})
		if !overtaken(err) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Measure implements engine.Measures.
func (s *Store) Measure(ctx context.Context, x *engine.Experiment) (customers int, err error) {
	err = s.inPicture(ctx, func(tx *sqlx.Tx) error {
		_, customers, err = measure(ctx, tx, x)
		return err
	})
	return customers, err
}

// measure measures again every customer of the experiment whom something new concerns: an
// event, an enrolment, a link, an erasure or a rate that came in since the last cut. It
// answers the new cut. The row of the cut is locked, so that two processes never measure
// one experiment at once.
func measure(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment) (cut int64, customers int, err error) {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO measure_cuts (experiment, position) VALUES ($1, 0) ON CONFLICT (experiment) DO NOTHING`, x.Key); err != nil {
		return 0, 0, err
	}
	var from int64
	if err := tx.GetContext(ctx, &from,
		`SELECT position FROM measure_cuts WHERE experiment = $1 FOR UPDATE`, x.Key); err != nil {
		return 0, 0, err
	}
	if err := tx.GetContext(ctx, &cut, `SELECT value FROM ingest_position`); err != nil {
		return 0, 0, err
	}
	if cut == from {
		return cut, 0, nil
	}
	if from == 0 {
		customers, err = measureAll(ctx, tx, x, cut)
	} else {
		customers, err = measureTouched(ctx, tx, x, from, cut)
	}
	if err != nil {
		return 0, 0, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE measure_cuts SET position = $2 WHERE experiment = $1`, x.Key, cut)
	return cut, customers, err
}

// measureAll measures every customer of the experiment. touched is a view of all of them,
// which the database may read with several processes at once.
func measureAll(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, cut int64) (customers int, err error) {
	if _, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY VIEW touched AS SELECT customer_id, experiment, enrolled_at, position FROM enrolments`); err != nil {
		return 0, err
	}
	if err := computeValues(ctx, tx, x, cut, true); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM measures WHERE experiment = $1`, x.Key); err != nil {
		return 0, err
	}
	if err := keepValues(ctx, tx, x); err != nil {
		return 0, err
	}
	if err := tx.GetContext(ctx, &customers,
		`SELECT count(*) FROM touched WHERE experiment = $1 AND position <= $2`, x.Key, cut); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `DROP VIEW touched`)
	return customers, err
}

// measureTouched measures the customers whom something concerns that came in after from.
func measureTouched(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, from, cut int64) (customers int, err error) {
	// Erased and linked identifiers lose their measures, whether or not rows are left of them.
	if _, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE changed ON COMMIT DROP AS
		SELECT customer_id FROM customer_changes WHERE position > $1 AND position <= $2
		UNION
		SELECT customer_id FROM erasures WHERE position > $1 AND position <= $2`, from, cut); err != nil {
		return 0, err
	}
	result, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
		SELECT customer_id, experiment, enrolled_at, position FROM enrolments
		WHERE experiment = $1 AND position > $2 AND position <= $3
		UNION
		SELECT customer_id, experiment, enrolled_at, enrolments.position FROM enrolments JOIN events USING (customer_id)
		WHERE experiment = $1 AND enrolments.position <= $3 AND events.position > $2 AND events.position <= $3
		UNION
		SELECT customer_id, experiment, enrolled_at, position FROM enrolments JOIN changed USING (customer_id)
		WHERE experiment = $1 AND position <= $3`,
		x.Key, from, cut)
	if err != nil {
		return 0, err
	}
	touched, err := result.RowsAffected()
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM measures USING changed
		WHERE measures.customer_id = changed.customer_id AND measures.experiment = $1`, x.Key); err != nil {
		return 0, err
	}
	if touched > 0 {
		if _, err := tx.ExecContext(ctx, `ANALYZE touched`); err != nil {
			return 0, err
		}
		if err := computeValues(ctx, tx, x, cut, false); err != nil {
			return 0, err
		}
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM measures USING touched
			WHERE measures.customer_id = touched.customer_id AND measures.experiment = $1`, x.Key); err != nil {
			return 0, err
		}
		if err := keepValues(ctx, tx, x); err != nil {
			return 0, err
		}
	}
	_, err = tx.ExecContext(ctx, `DROP TABLE pg_temp.changed, pg_temp.touched`)
	return int(touched), err
}

// keepValues moves what computeValues has computed to the measures.
func keepValues(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment) error {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO measures (customer_id, experiment, metric, value, x)
		SELECT customer_id, $1, metric, value, x FROM measured`, x.Key); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DROP TABLE pg_temp.measured`)
	return err
}
