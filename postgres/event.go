package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// InsertEvents implements engine.Ledger.
func (s *Store) InsertEvents(ctx context.Context, events []engine.Event) ([]engine.RowStatus, error) {
	rows := make([]eventRow, len(events))
	for i := range events {
		rows[i] = rowOf(&events[i])
	}
	return s.events.put(ctx, rows)
}

// eventRow is an event as it is sent to the database: made before the ledger's lock is
// held. What is empty is NULL.
type eventRow struct {
	customer, id, kind, at, value, currency, channel, touchpoint, properties string

	digest []byte
}

func rowOf(e *engine.Event) eventRow {
	r := eventRow{
		customer: string(e.Customer), id: e.ID, kind: e.Type, at: stamps(e.OccurredAt), currency: string(e.Currency),
		channel: string(e.Channel), touchpoint: string(e.Touchpoint), properties: string(e.Properties), digest: e.Digest(),
	}
	if e.Value != nil {
		r.value = e.Value.String()
	}
	return r
}

func (s *Store) insertEvents(ctx context.Context, tx *sqlx.Tx, events []eventRow, at block) ([]engine.RowStatus, error) {
	b := newBodies(len(events))
	columns := make([]column, 7)
	for i := range columns {
		columns[i] = make(column, len(events))
	}
	for i := range events {
		e := &events[i]
		b.customers[i], b.ids[i], b.digests[i] = e.customer, e.id, e.digest
		for c, value := range [...]string{e.kind, e.at, e.value, e.currency, e.channel, e.touchpoint, e.properties} {
			columns[c][i] = value
		}
	}
	inserted, err := tx.StmtxContext(ctx, s.prepared(addEvents)).ExecContext(ctx,
		b.customers, b.ids, columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], columns[6],
		pq.Array(b.digests), at.first)
	if err != nil {
		return nil, err
	}
	return b.statuses(ctx, tx, inserted, at.first, `
		SELECT new.n, events.customer_id, events.id, events.digest, events.position
		FROM unnest(CAST($1 AS text[]), CAST($2 AS text[])) WITH ORDINALITY AS new (customer_id, id, n)
		LEFT JOIN identities ON identities.customer_id = new.customer_id
		JOIN events ON events.customer_id = coalesce(identities.person, new.customer_id) AND events.id = new.id
		ORDER BY new.n`)
}

// addEvents adds them in the order of the key, which is a third faster than any other; of one key in
// the batch's order, so that the first counts.
const addEvents = `
		INSERT INTO events (customer_id, id, type, occurred_at, value, currency, channel, touchpoint,
			properties, digest, position)
		SELECT coalesce(identities.person, new.customer_id), new.id, new.type, new.occurred_at, new.value,
			new.currency, new.channel, new.touchpoint, CAST(new.properties AS json), new.digest, $11 + new.n - 1
		FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS timestamptz[]),
			CAST($5 AS numeric[]), CAST($6 AS text[]), CAST($7 AS text[]), CAST($8 AS text[]),
			CAST($9 AS text[]), CAST($10 AS bytea[])) WITH ORDINALITY
			AS new (customer_id, id, type, occurred_at, value, currency, channel, touchpoint, properties, digest, n)
		LEFT JOIN identities ON identities.customer_id = new.customer_id
		ORDER BY 1, 2, new.n
		ON CONFLICT (customer_id, id) DO NOTHING`
