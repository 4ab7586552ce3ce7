package postgres

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// maxSegments is how many segments a report has at most.
const maxSegments = 50

// divide makes the table segments: which segment each customer of an experiment is in. Who is
// not in it is in the segment "", as all are where the report has none.
func divide(ctx context.Context, tx *sqlx.Tx, sc scope) error {
	if _, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE segments (customer_id text NOT NULL, segment text NOT NULL) ON COMMIT DROP`); err != nil {
		return err
	}
	var err error
	var found sql.Result
	switch sc.segment {
	case "":
		return nil
	case engine.SegmentChannel:
		_, err = tx.ExecContext(ctx, `
			INSERT INTO segments (customer_id, segment) SELECT customer_id, channel FROM enrolments WHERE experiment = $1`, sc.key)
	case engine.SegmentTier:
		err = divideByTier(ctx, tx, sc)
	default:
		found, err = tx.ExecContext(ctx, `
			INSERT INTO segments (customer_id, segment)
			SELECT customer_id, attributes ->> $2 FROM enrolments JOIN customers USING (customer_id)
			WHERE experiment = $1 AND attributes ->> $2 IS NOT NULL`, sc.key, sc.segment)
	}
	if err != nil {
		return err
	}
	if found != nil {
		if n, err := found.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return engine.Errorf(engine.KindInvalid, "unknown_segment",
				"no customer of experiment %q has the attribute %q: segments are %s, %s, %s or a stored attribute", sc.key, sc.segment,
				engine.SegmentChannel, engine.SegmentTier, engine.SegmentObjective)
		}
	}
	if _, err := tx.ExecContext(ctx, `ANALYZE segments`); err != nil {
		return err
	}
	var n int
	if err := tx.GetContext(ctx, &n, `SELECT count(*) FROM (SELECT DISTINCT segment FROM segments LIMIT $1) AS name`, maxSegments+1); err != nil {
		return err
	}
	if n > maxSegments {
		return engine.Errorf(engine.KindInvalid, "too_many_segments",
			"the attribute %q has more than %d values among the customers of experiment %q: segments are for a few", sc.segment, maxSegments, sc.key)
	}
	return nil
}

// divideByTier divides by value before enrolment: what came after it may be what the variant
// did. All arms have the same limits, those among the customers of the report.
func divideByTier(ctx context.Context, tx *sqlx.Tx, sc scope) error {
	reporting, err := reportingCurrency(ctx, tx)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE history ON COMMIT DROP AS
		SELECT e.customer_id, sum(CASE WHEN events.currency = $6 THEN events.value ELSE events.value * coalesce((
			SELECT rate FROM rates
			WHERE rates.currency = events.currency AND rates.position <= $3
				AND rates.valid_from <= events.occurred_at AND rates.valid_from > events.occurred_at - interval '192 hours'
			ORDER BY rates.valid_from DESC, rates.position DESC LIMIT 1), 1) END) AS value
		FROM enrolments AS e
		JOIN events ON events.customer_id = e.customer_id AND events.position <= $3 AND events.value IS NOT NULL
			AND events.occurred_at < e.enrolled_at
		WHERE e.experiment = $1 AND e.enrolled_at <= $2 AND e.position <= $3 AND e.enrolled_at < $4 AND e.customer_id <> ALL ($5)
		GROUP BY e.customer_id HAVING bool_or(right(events.type, 5) <> '_cost')`,
		sc.key, sc.asOf, sc.cut, sc.end, sc.forced, reporting); err != nil {
		return err
	}
	if err := rankHistory(ctx, tx); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO segments (customer_id, segment)
		SELECT customer_id, coalesce(tier, $2) FROM enrolments LEFT JOIN tiers USING (customer_id) WHERE experiment = $1`,
		sc.key, engine.TierNone)
	return err
}
