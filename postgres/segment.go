package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// maxSegments is how many segments a report has at most.
const maxSegments = 50

// divide makes the view members: the enrolments, each with the segment that its customer is in.
// Who is in none is in the segment "", as all are where the report has none. Without a table of
// segments the database may read them with several processes at once.
func divide(ctx context.Context, tx *sqlx.Tx, sc scope) error {
	var err error
	switch sc.segment {
	case "":
		_, err = tx.ExecContext(ctx, `
			CREATE TEMPORARY VIEW members AS
			SELECT customer_id, experiment, variant, contaminated, enrolled_at, position, '' AS segment FROM enrolments`)
		return err
	case engine.SegmentChannel:
		_, err = tx.ExecContext(ctx, `
			CREATE TEMPORARY VIEW members AS
			SELECT customer_id, experiment, variant, contaminated, enrolled_at, position, channel AS segment FROM enrolments`)
	default:
		if err := sortInto(ctx, tx, sc); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			ANALYZE segments;
			CREATE TEMPORARY VIEW members AS
			SELECT customer_id, experiment, variant, contaminated, enrolled_at, position, coalesce(segment, '') AS segment
			FROM enrolments LEFT JOIN segments USING (customer_id)`)
	}
	if err != nil {
		return err
	}
	var n int
	if err := tx.GetContext(ctx, &n, `
		SELECT count(*) FROM (SELECT DISTINCT segment FROM members WHERE experiment = $1 AND segment <> '' LIMIT $2) AS name`,
		sc.key, maxSegments+1); err != nil {
		return err
	}
	if n > maxSegments {
		return engine.Errorf(engine.KindInvalid, "too_many_segments",
			"the attribute %q has more than %d values among the customers of experiment %q: segments are for a few", sc.segment, maxSegments, sc.key)
	}
	return nil
}

// sortInto makes the table segments: the tier of each customer, or an attribute.
func sortInto(ctx context.Context, tx *sqlx.Tx, sc scope) error {
	if sc.segment == engine.SegmentTier {
		return divideByTier(ctx, tx, sc)
	}
	found, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE segments ON COMMIT DROP AS
		SELECT customer_id, attributes ->> $2 AS segment FROM enrolments JOIN customers USING (customer_id)
		WHERE experiment = $1 AND attributes ->> $2 IS NOT NULL`, sc.key, sc.segment)
	if err != nil {
		return err
	}
	if n, err := found.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return engine.Errorf(engine.KindInvalid, "unknown_segment",
		"no customer of experiment %q has the attribute %q: segments are %s, %s, %s or a stored attribute", sc.key, sc.segment,
		engine.SegmentChannel, engine.SegmentTier, engine.SegmentObjective)
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
		CREATE TEMPORARY TABLE segments ON COMMIT DROP AS
		SELECT customer_id, coalesce(tier, $2) AS segment FROM enrolments LEFT JOIN tiers USING (customer_id) WHERE experiment = $1`,
		sc.key, engine.TierNone)
	return err
}
