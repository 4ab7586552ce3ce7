package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// A tier that the engine wrote has this time among the attribute_times: it is older than
// whatever a client writes, also where a link brings both together.
const tierTime = 0

// WriteTiers implements engine.Ledger. The tiers are computed on one picture of the ledger and
// written a thousand to a transaction. A run that breaks off leaves what it has written, and
// the next one finds what is missing.
func (s *Store) WriteTiers(ctx context.Context, at time.Time) (changed int, err error) {
	err = s.inPicture(ctx, func(tx *sqlx.Tx) error {
		// The hash of a million customers fits: without, the sums take five times as long.
		if _, err := tx.ExecContext(ctx, `SET LOCAL work_mem = '256MB'`); err != nil {
			return err
		}
		var cut int64
		if err := tx.GetContext(ctx, &cut, `SELECT value FROM ingest_position`); err != nil {
			return err
		}
		if err := valueAll(ctx, tx); err != nil {
			return err
		}
		if err := rankHistory(ctx, tx); err != nil {
			return err
		}
		if err := compareTiers(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			DECLARE changed CURSOR FOR SELECT customer_id, tier FROM changed_tiers ORDER BY customer_id`); err != nil {
			return err
		}
		for {
			var page []tierRow
			if err := tx.SelectContext(ctx, &page, `FETCH 1000 FROM changed`); err != nil || len(page) == 0 {
				return err
			}
			n, err := s.keepTiers(ctx, page, cut, at)
			if err != nil {
				return err
			}
			changed += n
		}
	})
	return changed, err
}

type tierRow struct {
	Customer string `db:"customer_id"`
	Tier     string `db:"tier"` // "" of who has none any more
}

// valueAll makes the table history: the value to date of every customer who has one. It is
// the sum of what their view shows by type.
func valueAll(ctx context.Context, tx *sqlx.Tx) error {
	reporting, err := reportingCurrency(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE history ON COMMIT DROP AS
		SELECT customer_id, sum(CASE WHEN events.currency = $1 THEN events.value ELSE events.value * coalesce((
			SELECT rate FROM rates
			WHERE rates.currency = events.currency AND rates.valid_from <= events.occurred_at
				AND rates.valid_from > events.occurred_at - interval '192 hours'
			ORDER BY rates.valid_from DESC, rates.position DESC LIMIT 1), 1) END) AS value
		FROM events WHERE value IS NOT NULL
		GROUP BY customer_id HAVING bool_or(right(type, 5) <> '_cost')`, reporting)
	return err
}

// rankHistory makes the table tiers out of the values in history.
func rankHistory(ctx context.Context, tx *sqlx.Tx) error {
	_, medium, err := quantile(ctx, tx, engine.MediumAbove)
	if err != nil {
		return err
	}
	_, high, err := quantile(ctx, tx, engine.HighAbove)
	if err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE tiers ON COMMIT DROP AS
		SELECT customer_id, CASE
			WHEN value > CAST($1 AS numeric) THEN CAST($2 AS text)
			WHEN value > CAST($3 AS numeric) THEN CAST($4 AS text)
			ELSE CAST($5 AS text) END AS tier
		FROM history`, high, engine.TierHigh, medium, engine.TierMedium, engine.TierLow); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `ANALYZE tiers`)
	return err
}

// compareTiers makes the table changed_tiers: the customers whose stored tier is another than
// that in tiers, but for those who have one from a client.
func compareTiers(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE changed_tiers ON COMMIT DROP AS
		SELECT customer_id, coalesce(tiers.tier, '') AS tier
		FROM tiers FULL JOIN (
			SELECT customer_id, attributes ->> $1 AS tier,
				attribute_times ->> $1 = CAST($2 AS text) OR attributes -> $1 = 'null' AS ours
			FROM customers WHERE jsonb_exists(attributes, $1)
		) AS stored USING (customer_id)
		WHERE tiers.tier IS DISTINCT FROM stored.tier AND stored.ours IS NOT FALSE`, engine.AttributeTier, tierTime)
	return err
}

// keepTiers writes the tiers of a page of customers. A customer who has been erased or linked
// to another since the cut has no event from before it any more and is left out.
func (s *Store) keepTiers(ctx context.Context, page []tierRow, cut int64, at time.Time) (kept int, err error) {
	customers, tiers := make(column, len(page)), make(column, len(page))
	for i, r := range page {
		customers[i], tiers[i] = r.Customer, r.Tier
	}
	err = s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		position, err := nextPosition(ctx, tx)
		if err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `
			INSERT INTO customers AS old (customer_id, attributes, attribute_times, created_at, updated_at, position)
			SELECT customer_id, CASE WHEN tier IS NULL THEN '{}' ELSE jsonb_build_object(CAST($3 AS text), tier) END,
				CASE WHEN tier IS NULL THEN '{}' ELSE jsonb_build_object(CAST($3 AS text), CAST($4 AS bigint)) END, $5, $5, $6
			FROM unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS new (customer_id, tier)
			WHERE EXISTS (SELECT FROM events WHERE events.customer_id = new.customer_id AND events.position <= $7)
			ON CONFLICT (customer_id) DO UPDATE SET
				attributes = old.attributes - CAST($3 AS text) || excluded.attributes,
				attribute_times = old.attribute_times - CAST($3 AS text) || excluded.attribute_times,
				position = excluded.position
			WHERE NOT jsonb_exists(old.attributes, $3) OR old.attributes -> $3 = 'null'
				OR old.attribute_times ->> $3 = CAST($4 AS text)`,
			customers, tiers, engine.AttributeTier, tierTime, at, position, cut)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		kept = int(n)
		return err
	})
	return kept, err
}
