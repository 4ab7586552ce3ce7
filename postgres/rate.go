package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// PutRates implements engine.Rates.
func (s *Store) PutRates(ctx context.Context, rates []engine.Rate) (changed int, err error) {
	err = s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		changed, err = putRates(ctx, tx, rates)
		return err
	})
	return changed, err
}

func putRates(ctx context.Context, tx *sqlx.Tx, rates []engine.Rate) (changed int, err error) {
	currencies, days, values := make([]string, len(rates)), make([]string, len(rates)), make([]string, len(rates))
	for i, r := range rates {
		currencies[i], days[i], values[i] = string(r.Currency), stamps(r.Day), r.Rate.String()
	}
	position, err := nextPosition(ctx, tx)
	if err != nil {
		return 0, err
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO rates (currency, valid_from, rate, position)
		SELECT new.currency, new.valid_from, new.rate, $4
		FROM unnest(CAST($1 AS text[]), CAST($2 AS timestamptz[]), CAST($3 AS numeric[])) AS new (currency, valid_from, rate)
		LEFT JOIN LATERAL (
			SELECT rate FROM rates
			WHERE rates.currency = new.currency AND rates.valid_from = new.valid_from
			ORDER BY position DESC LIMIT 1
		) AS newest ON true
		WHERE newest.rate IS DISTINCT FROM new.rate`,
		pq.Array(currencies), pq.Array(days), pq.Array(values), position)
	if err != nil {
		return 0, err
	}
	inserted, err := result.RowsAffected()
	if err != nil || inserted == 0 {
		return 0, err
	}
	// A rate may concern the events of its day and of the seven after it, whose customers are
	// in an experiment. The bounds let the block-range index find them.
	_, err = tx.ExecContext(ctx, `
		WITH changed AS (
			SELECT currency, valid_from FROM rates WHERE position = $1 AND currency = ANY ($2)
		)
		INSERT INTO customer_changes (customer_id, position)
		SELECT DISTINCT events.customer_id, $1
		FROM events JOIN changed ON changed.currency = events.currency
			AND events.occurred_at >= changed.valid_from AND events.occurred_at < changed.valid_from + interval '192 hours'
		WHERE events.currency = ANY ($2)
			AND events.occurred_at >= (SELECT min(valid_from) FROM changed)
			AND events.occurred_at < (SELECT max(valid_from) FROM changed) + interval '192 hours'
			AND EXISTS (SELECT FROM enrolments WHERE enrolments.customer_id = events.customer_id)`,
		position, pq.Array(currencies))
	return int(inserted), err
}

// RatesKnown implements engine.Rates.
func (s *Store) RatesKnown(ctx context.Context, days []engine.RateDay) ([]bool, error) {
	currencies, midnights := make([]string, len(days)), make([]string, len(days))
	for i, d := range days {
		currencies[i], midnights[i] = string(d.Currency), stamps(d.Day)
	}
	var known []bool
	err := s.hot.SelectContext(ctx, &known, `
		SELECT EXISTS (
			SELECT FROM rates WHERE rates.currency = asked.currency
				AND rates.valid_from <= asked.day AND rates.valid_from >= asked.day - interval '168 hours')
		FROM unnest(CAST($1 AS text[]), CAST($2 AS timestamptz[])) WITH ORDINALITY AS asked (currency, day, n)
		ORDER BY asked.n`, pq.Array(currencies), pq.Array(midnights))
	return known, translate(err)
}
