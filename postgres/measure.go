package postgres

import (
	"context"
	"database/sql"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// measuringTries is how often measuring begins again when another process got ahead of it.
const measuringTries = 10

// inPicture runs fn in one transaction on one picture of the ledger, and again from the
// start when another process has changed what it was about to write.
func (s *Store) inPicture(ctx context.Context, fn func(tx *sqlx.Tx) error) (err error) {
	return inPictureOn(ctx, s.bulk, fn)
}

func inPictureOn(ctx context.Context, on beginner, fn func(tx *sqlx.Tx) error) (err error) {
	for range measuringTries {
		err = transact(ctx, on, &sql.TxOptions{Isolation: sql.LevelRepeatableRead}, func(tx *sqlx.Tx) error {
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
	if err := computeValues(ctx, tx, x, known{cut: cut, all: true}); err != nil {
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

// measureTouched measures what came in after from. Where new events only add to what is there
// they are added; other customers whom something concerns are measured from nothing.
func measureTouched(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, from, cut int64) (customers int, err error) {
	// Linked identifiers lose their measures, whether or not rows are left of them.
	if _, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE changed ON COMMIT DROP AS
		SELECT customer_id FROM customer_changes WHERE position > $1 AND position <= $2`, from, cut); err != nil {
		return 0, err
	}
	// Those of erased customers went with them, unless the process ended in between.
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM measures
		WHERE experiment = $1 AND EXISTS (SELECT FROM experiment_erasures WHERE experiment = $1 AND position > $2)
			AND NOT EXISTS (
				SELECT FROM enrolments
				WHERE enrolments.customer_id = measures.customer_id AND enrolments.experiment = measures.experiment)`,
		x.Key, from); err != nil {
		return 0, err
	}
	result, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
		SELECT customer_id, experiment, enrolled_at, position FROM enrolments
		WHERE experiment = $1 AND position > $2 AND position <= $3
		UNION
		SELECT customer_id, experiment, enrolled_at, position FROM enrolments JOIN changed USING (customer_id)
		WHERE experiment = $1 AND position <= $3
		UNION
		SELECT customer_id, experiment, enrolled_at, enrolments.position FROM enrolments JOIN events USING (customer_id)
		WHERE experiment = $1 AND enrolments.position <= $3 AND events.position > $2 AND events.position <= $3 AND NOT $4`,
		x.Key, from, cut, addsUp(x.Frozen))
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
		if err := remeasure(ctx, tx, x, cut); err != nil {
			return 0, err
		}
	}
	added := int64(0)
	if addsUp(x.Frozen) {
		if added, err = addNew(ctx, tx, x, from, cut); err != nil {
			return 0, err
		}
	}
	_, err = tx.ExecContext(ctx, `DROP TABLE IF EXISTS pg_temp.changed, pg_temp.touched, pg_temp.again`)
	return int(touched + added), err
}

// remeasure measures the customers in the table touched from nothing.
func remeasure(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, cut int64) error {
	if _, err := tx.ExecContext(ctx, `ANALYZE touched`); err != nil {
		return err
	}
	if err := computeValues(ctx, tx, x, known{cut: cut}); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM measures USING touched
		WHERE measures.customer_id = touched.customer_id AND measures.experiment = $1`, x.Key); err != nil {
		return err
	}
	return keepValues(ctx, tx, x)
}

// addsUp: a new event changes every metric by what it is worth itself. Days of survival and
// the number of repeats depend on what there was before.
func addsUp(metrics []engine.Metric) bool {
	return !slices.ContainsFunc(metrics, func(m engine.Metric) bool {
		return m.Kind == engine.KindSurvival || m.MinCount > 1
	})
}

// addNew adds what came in after from to the measures of the customers who have not just been
// measured from nothing. It answers how many customers it concerns.
func addNew(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, from, cut int64) (customers int64, err error) {
	if _, err := tx.ExecContext(ctx, `ALTER TABLE pg_temp.touched RENAME TO again`); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY VIEW touched AS
		SELECT customer_id, experiment, enrolled_at, position FROM enrolments
		WHERE NOT EXISTS (SELECT FROM again WHERE again.customer_id = enrolments.customer_id)`); err != nil {
		return 0, err
	}
	if err := computeValues(ctx, tx, x, known{after: from, cut: cut}); err != nil {
		return 0, err
	}
	if err := tx.GetContext(ctx, &customers, `SELECT count(DISTINCT customer_id) FROM measured`); err != nil {
		return 0, err
	}
	shares := pq.StringArray{}
	for i := range x.Frozen {
		if x.Frozen[i].Kind.IsBinary() {
			shares = append(shares, string(x.Frozen[i].Key))
		}
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO measures AS old (customer_id, experiment, metric, value, x)
		SELECT customer_id, $1, metric, value, x FROM measured
		ON CONFLICT (customer_id, experiment, metric) DO UPDATE SET
			value = CASE WHEN old.metric = ANY ($2) THEN greatest(old.value, excluded.value) ELSE old.value + excluded.value END,
			x = CASE WHEN old.metric = ANY ($2) THEN greatest(old.x, excluded.x) ELSE old.x + excluded.x END`, x.Key, shares); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM measures AS m USING measured
		WHERE m.customer_id = measured.customer_id AND m.experiment = $1 AND m.metric = measured.metric
			AND m.value = 0 AND m.x = 0`, x.Key); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `DROP VIEW touched; DROP TABLE pg_temp.measured`)
	return customers, err
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
