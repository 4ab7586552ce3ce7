package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// attributePage is how many customers one page has.
const attributePage = 20_000

// AttributesSince implements engine.Ledger.
func (s *Store) AttributesSince(ctx context.Context, names []string, after engine.AttributesAt) ([]engine.CustomerAttributes, error) {
	var rows []struct {
		Customer   string `db:"customer_id"`
		Attributes []byte `db:"attributes"`
		Position   int64  `db:"position"`
	}
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT customer_id, position, (
			SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(attributes) WHERE key = ANY ($1)
		) AS attributes
		FROM customers WHERE (position, customer_id) > ($2, $3) ORDER BY position, customer_id LIMIT $4`,
		pq.Array(names), after.Position, after.Customer, attributePage); err != nil {
		return nil, translate(err)
	}
	page := make([]engine.CustomerAttributes, len(rows))
	for i, r := range rows {
		customer := engine.CustomerID(r.Customer)
		page[i] = engine.CustomerAttributes{
			Customer: customer, Attributes: r.Attributes, At: engine.AttributesAt{Position: r.Position, Customer: customer},
		}
	}
	return page, nil
}

// AddUnrecorded implements engine.Ledger.
func (s *Store) AddUnrecorded(ctx context.Context, from map[engine.ExperimentKey]int64, at time.Time) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		for experiment, n := range from {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO unrecorded_enrolments AS old (experiment, count, last_at) VALUES ($1, $2, $3)
				ON CONFLICT (experiment) DO UPDATE SET count = old.count + excluded.count,
					last_at = greatest(old.last_at, excluded.last_at)`, experiment, n, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// SeenAttributes implements engine.Ledger.
func (s *Store) SeenAttributes(ctx context.Context, names []string) ([]string, error) {
	seen := []string{}
	err := s.bulk.SelectContext(ctx, &seen, `
		SELECT name FROM unnest(CAST($1 AS text[])) AS name
		WHERE EXISTS (SELECT FROM customers WHERE jsonb_exists(attributes, name))`, pq.Array(names))
	return seen, translate(err)
}

// SeenEvents implements engine.Ledger.
func (s *Store) SeenEvents(ctx context.Context, types []string, since time.Time) ([]string, error) {
	seen := []string{}
	err := s.bulk.SelectContext(ctx, &seen, `
		SELECT wanted.type FROM unnest(CAST($1 AS text[])) AS wanted (type)
		WHERE EXISTS (SELECT FROM events WHERE events.type = wanted.type AND occurred_at >= $2)`, pq.Array(types), since)
	return seen, translate(err)
}
