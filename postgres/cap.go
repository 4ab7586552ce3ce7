package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

// QuantileBefore implements engine.Measures. The position of the quantile lies at
// 1 + (n - 1) q among the sorted values, and between two of them on the line that joins them.
func (s *Store) QuantileBefore(
	ctx context.Context, m *engine.Metric, q decimal.Decimal, at time.Time,
) (customers int64, value decimal.Decimal, err error) {
	p := partsOf([]engine.Metric{*m}, false)
	err = s.inSnapshot(ctx, s.bulk, func(tx *sqlx.Tx) error {
		reporting, err := reportingCurrency(ctx, tx)
		if err != nil {
			return err
		}
		return tx.QueryRowxContext(ctx, `
			WITH customer AS (
				SELECT customer_id, coalesce(sum(CASE
					WHEN part.type IS NULL THEN 0
					WHEN part.counts THEN 1
					WHEN events.value IS NULL THEN part.missing
					WHEN events.currency = $8 THEN events.value * part.factor
					ELSE events.value * part.factor * coalesce((
						SELECT rate FROM rates
						WHERE rates.currency = events.currency
							AND rates.valid_from <= events.occurred_at AND rates.valid_from > events.occurred_at - interval '192 hours'
						ORDER BY rates.valid_from DESC, rates.position DESC LIMIT 1), 1)
					END), 0) AS value
				FROM events
				LEFT JOIN unnest(CAST($3 AS text[]), CAST($4 AS boolean[]), CAST($5 AS bigint[]), CAST($6 AS numeric[]))
					AS part (type, counts, missing, factor) ON part.type = events.type
				WHERE occurred_at >= $1 AND occurred_at < $2
				GROUP BY customer_id
			), ranked AS (
				SELECT value, row_number() OVER (ORDER BY value) AS rank, (count(*) OVER () - 1) * CAST($7 AS numeric) AS position
				FROM customer
			)
			SELECT (SELECT count(*) FROM customer), coalesce(
				min(value) + (max(value) - min(value)) * (max(position) - floor(max(position))), 0)
			FROM ranked WHERE rank = floor(position) + 1 OR rank = ceil(position) + 1`,
			at.Add(-time.Duration(m.Window.ToDay-m.Window.FromDay)*24*time.Hour), at,
			pq.Array(p.types), pq.Array(p.counts), pq.Array(p.missing), pq.Array(p.factors), q, reporting,
		).Scan(&customers, &value)
	})
	return customers, value, err
}
