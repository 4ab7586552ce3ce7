package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// Evidence implements engine.Measures.
func (s *Store) Evidence(ctx context.Context, x *engine.Experiment, span engine.Span) (*engine.Evidence, error) {
	e := &engine.Evidence{}
	err := s.inSnapshot(ctx, s.bulk, func(tx *sqlx.Tx) error {
		if x.Assignment == engine.AssignedByEngine {
			if err := recomputeVariants(ctx, tx, x, span, e); err != nil {
				return err
			}
			if err := countSeen(ctx, tx, x, span, e); err != nil {
				return err
			}
		}
		// One of an identifier's enrolments counts at most: the others are superseded.
		if err := tx.GetContext(ctx, &e.Several, `
			SELECT count(DISTINCT assignment_key) FROM enrolments_superseded AS other
			WHERE experiment = $1 AND position <= $2 AND enrolled_at <= $3 AND EXISTS (
				SELECT FROM (
					SELECT customer_id, experiment, assignment_key, variant, position, enrolled_at FROM enrolments
					UNION ALL
					SELECT customer_id, experiment, assignment_key, variant, position, enrolled_at FROM enrolments_superseded
				) AS known
				WHERE known.experiment = $1 AND known.customer_id = other.customer_id
					AND known.assignment_key = other.assignment_key AND known.variant <> other.variant
					AND known.position <= $2 AND known.enrolled_at <= $3)`, x.Key, span.UpTo, span.AsOf); err != nil {
			return err
		}
		var lost []struct {
			Count  int64     `db:"count"`
			LastAt time.Time `db:"last_at"`
		}
		if err := tx.SelectContext(ctx, &lost, `
			SELECT count, last_at FROM unrecorded_enrolments WHERE experiment = $1 AND last_at <= $2`, x.Key, span.AsOf); err != nil {
			return err
		}
		for _, l := range lost {
			e.Lost, e.LostAt = l.Count, l.LastAt
		}
		return nil
	})
	return e, err
}

// recomputeVariants counts the enrolments of the span, and those whose variant is not that of
// the contract's arithmetic.
func recomputeVariants(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, span engine.Span, e *engine.Evidence) error {
	var variants []string
	var upTo []int64 // cumulative weights
	total := int64(0)
	for _, v := range x.Variants {
		total += int64(v.Weight)
		variants, upTo = append(variants, string(v.Key)), append(upTo, total)
	}
	return tx.QueryRowxContext(ctx, `
		SELECT count(*), count(*) FILTER (WHERE variant IS DISTINCT FROM
			(CAST($5 AS text[]))[1 + width_bucket((u32 * $7) >> 32, CAST($6 AS bigint[]))])
		FROM (
			SELECT variant, CAST(CAST('x' || left(encode(sha256(convert_to($4 || ':' || assignment_key, 'UTF8')), 'hex'), 8)
				AS bit(32)) AS bigint) & 4294967295 AS u32
			FROM enrolments WHERE experiment = $1 AND position > $2 AND position <= $3
		) AS drawn`,
		x.Key, span.Since, span.UpTo, x.Salt, pq.Array(variants), pq.Array(upTo), total,
	).Scan(&e.Enrolments, &e.Mismatched)
}

// countSeen counts by channel and day the customers enrolled in the span, and those who were
// seen to meet a touchpoint of the test from then on.
func countSeen(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, span engine.Span, e *engine.Evidence) error {
	var rows []struct {
		Channel  string    `db:"channel"`
		Day      time.Time `db:"day"`
		Enrolled int64     `db:"enrolled"`
		Exposed  int64     `db:"exposed"`
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT channel, date_trunc('day', enrolled_at, 'UTC') AS day, count(*) AS enrolled,
			count(*) FILTER (WHERE EXISTS (
				SELECT FROM exposures
				WHERE exposures.customer_id = enrolments.customer_id AND exposures.touchpoint = ANY ($4)
					AND exposures.occurred_at >= enrolments.enrolled_at AND exposures.position <= $3)) AS exposed
		FROM enrolments WHERE experiment = $1 AND position > $2 AND position <= $3 AND enrolled_at <= $5
		GROUP BY channel, day ORDER BY day, channel`,
		x.Key, span.Since, span.UpTo, pq.Array(x.Touchpoints), span.AsOf); err != nil {
		return err
	}
	for _, r := range rows {
		e.Days = append(e.Days, engine.ChannelDay{
			Channel: engine.Channel(r.Channel), Day: r.Day.UTC(), Enrolled: r.Enrolled, Exposed: r.Exposed,
		})
	}
	return nil
}
