package postgres

import (
	"context"
	"database/sql"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// InsertEvents implements engine.Ledger.
func (s *Store) InsertEvents(ctx context.Context, events []engine.Event) ([]engine.RowStatus, error) {
	return s.events.put(ctx, events)
}

func insertEvents(ctx context.Context, tx *sqlx.Tx, events []engine.Event, position int64) ([]engine.RowStatus, error) {
	n := len(events)
	b := newBodies(n)
	types, times := make([]string, n), make([]string, n)
	values, currencies, channels, touchpoints, properties := make([]sql.NullString, n), make([]sql.NullString, n),
		make([]sql.NullString, n), make([]sql.NullString, n), make([]sql.NullString, n)
	for i := range events {
		e := &events[i]
		b.set(i, e.Customer, e.ID, e.Digest())
		types[i], times[i] = e.Type, stamps(e.OccurredAt)
		if e.Value != nil {
			values[i] = nullable(e.Value.String())
		}
		currencies[i], channels[i] = nullable(string(e.Currency)), nullable(string(e.Channel))
		touchpoints[i], properties[i] = nullable(string(e.Touchpoint)), nullable(string(e.Properties))
	}
	// In the order of the key, which is a third faster than any other; of one key in the
	// batch's order, so that the first counts.
	inserted, err := tx.ExecContext(ctx, `
		INSERT INTO events (customer_id, id, type, occurred_at, value, currency, channel, touchpoint,
			properties, digest, position)
		SELECT coalesce(identities.person, new.customer_id), new.id, new.type, new.occurred_at, new.value,
			new.currency, new.channel, new.touchpoint, CAST(new.properties AS json), new.digest, $11
		FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS timestamptz[]),
			CAST($5 AS numeric[]), CAST($6 AS text[]), CAST($7 AS text[]), CAST($8 AS text[]),
			CAST($9 AS text[]), CAST($10 AS bytea[])) WITH ORDINALITY
			AS new (customer_id, id, type, occurred_at, value, currency, channel, touchpoint, properties, digest, n)
		LEFT JOIN identities ON identities.customer_id = new.customer_id
		ORDER BY 1, 2, new.n
		ON CONFLICT (customer_id, id) DO NOTHING`,
		pq.Array(b.customers), pq.Array(b.ids), pq.Array(types), pq.Array(times), pq.Array(values),
		pq.Array(currencies), pq.Array(channels), pq.Array(touchpoints), pq.Array(properties),
		pq.Array(b.digests), position)
	if err != nil {
		return nil, err
	}
	return b.statuses(ctx, tx, inserted, position, `
		SELECT new.n, events.customer_id, events.id, events.digest, events.position
		FROM unnest(CAST($1 AS text[]), CAST($2 AS text[])) WITH ORDINALITY AS new (customer_id, id, n)
		LEFT JOIN identities ON identities.customer_id = new.customer_id
		JOIN events ON events.customer_id = coalesce(identities.person, new.customer_id) AND events.id = new.id
		ORDER BY new.n`)
}
