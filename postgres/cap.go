package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

// QuantileBefore implements engine.Measures.
func (s *Store) QuantileBefore(
	ctx context.Context, m *engine.Metric, q decimal.Decimal, at time.Time, among func(attributes []byte) bool,
) (customers int64, value decimal.Decimal, err error) {
	err = s.inPicture(ctx, func(tx *sqlx.Tx) error {
		if err := computeHistory(ctx, tx, m, at); err != nil {
			return err
		}
		if among == nil {
			customers, value, err = quantile(ctx, tx, q)
			return err
		}
		customers, value = 0, decimal.Zero
		if err := walkHistory(ctx, tx, among, func(decimal.Decimal) bool { customers++; return true }); err != nil || customers == 0 {
			return err
		}
		below, rest := place(customers, q)
		var around []decimal.Decimal
		n := int64(0)
		if err := walkHistory(ctx, tx, among, func(v decimal.Decimal) bool {
			if n++; n > below {
				around = append(around, v)
			}
			return len(around) < 2
		}); err != nil {
			return err
		}
		value = between(around, rest)
		return nil
	})
	return customers, value, err
}

// place is where the type-7 quantile of n sorted values lies, at 1 + (n - 1) q and between two
// of them on the line that joins them: how many come before these two, and how far along.
func place(n int64, q decimal.Decimal) (below int64, rest decimal.Decimal) {
	at := decimal.NewFromInt(n - 1).Mul(q)
	return at.IntPart(), at.Sub(at.Floor())
}

// between is the point on the line from the first of one or two values to the second.
func between(around []decimal.Decimal, rest decimal.Decimal) decimal.Decimal {
	if len(around) == 1 {
		return around[0]
	}
	return around[0].Add(around[1].Sub(around[0]).Mul(rest))
}

// quantile is the type-7 quantile of the values in the table history, 0 without any.
func quantile(ctx context.Context, tx *sqlx.Tx, q decimal.Decimal) (customers int64, value decimal.Decimal, err error) {
	if err := tx.GetContext(ctx, &customers, `SELECT count(*) FROM history`); err != nil || customers == 0 {
		return 0, decimal.Zero, err
	}
	below, rest := place(customers, q)
	var around []decimal.Decimal
	if err := tx.SelectContext(ctx, &around, `SELECT value FROM history ORDER BY value OFFSET $1 LIMIT 2`, below); err != nil {
		return 0, decimal.Zero, err
	}
	return customers, between(around, rest), nil
}

// computeHistory makes the table history: the values of everybody who did anything in the
// length of the metric's window up to a time.
func computeHistory(ctx context.Context, tx *sqlx.Tx, m *engine.Metric, at time.Time) error {
	p := partsOf([]engine.Metric{*m}, false)
	reporting, err := reportingCurrency(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE history ON COMMIT DROP AS
		SELECT customer_id, coalesce(sum(CASE
			WHEN part.type IS NULL THEN 0
			WHEN part.counts THEN 1
			WHEN events.value IS NULL THEN part.missing
			WHEN events.currency = $7 THEN events.value * part.factor
			ELSE events.value * part.factor * coalesce((
				SELECT rate FROM rates
				WHERE rates.currency = events.currency
					AND rates.valid_from <= events.occurred_at AND rates.valid_from > events.occurred_at - interval '192 hours'
				ORDER BY rates.valid_from DESC, rates.position DESC LIMIT 1), 1)
			END), 0) AS value
		FROM events
		LEFT JOIN unnest(CAST($3 AS text[]), CAST($4 AS boolean[]), CAST($5 AS bigint[]), CAST($6 AS numeric[]))
			AS part (type, counts, missing, factor) ON part.type = events.type
		WHERE occurred_at >= CAST($2 AS timestamptz) - CAST($1 AS interval) AND occurred_at < $2
		GROUP BY customer_id`,
		hours(m.Window.ToDay-m.Window.FromDay), at,
		pq.Array(p.types), pq.Array(p.counts), pq.Array(p.missing), pq.Array(p.factors), reporting)
	return err
}

// walkHistory visits the values of the customers whom among accepts by their attributes, the
// smallest first, until visit has enough.
func walkHistory(ctx context.Context, tx *sqlx.Tx, among func(attributes []byte) bool, visit func(decimal.Decimal) bool) error {
	rows, err := tx.QueryxContext(ctx, `
		SELECT value, coalesce(attributes, '{}') FROM history LEFT JOIN customers USING (customer_id)
		ORDER BY value, customer_id`)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is asked below
	for rows.Next() {
		var value decimal.Decimal
		var attributes []byte
		if err := rows.Scan(&value, &attributes); err != nil {
			return err
		}
		if among(attributes) && !visit(value) {
			break
		}
	}
	return rows.Err()
}
