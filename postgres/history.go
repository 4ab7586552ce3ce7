package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

// latestEvents is how many of a person's events the view of them lists.
const latestEvents = 20

// history reads what a person was shown and did.
func history(ctx context.Context, tx *sqlx.Tx, person string, c *engine.Customer) error {
	for _, part := range []func(context.Context, *sqlx.Tx, string, *engine.Customer) error{exposed, acted, latest} {
		if err := part(ctx, tx, person, c); err != nil {
			return err
		}
	}
	return nil
}

func exposed(ctx context.Context, tx *sqlx.Tx, person string, c *engine.Customer) error {
	var rows []struct {
		Channel string    `db:"channel"`
		Count   int64     `db:"n"`
		First   time.Time `db:"first_at"`
		Last    time.Time `db:"last_at"`
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT coalesce(touchpoints.channel, '') AS channel, count(*) AS n, min(occurred_at) AS first_at, max(occurred_at) AS last_at
		FROM exposures LEFT JOIN touchpoints ON touchpoints.key = exposures.touchpoint
		WHERE customer_id = $1 GROUP BY 1 ORDER BY 1`, person); err != nil {
		return err
	}
	for _, r := range rows {
		c.Exposures = append(c.Exposures, engine.ExposureCount{Channel: engine.Channel(r.Channel), Count: r.Count, First: r.First, Last: r.Last})
	}
	return nil
}

// acted counts the events by type, and sums up their values with the rates that measures
// use, too.
func acted(ctx context.Context, tx *sqlx.Tx, person string, c *engine.Customer) error {
	reporting, err := reportingCurrency(ctx, tx)
	if err != nil {
		return err
	}
	var rows []struct {
		Type  string              `db:"type"`
		Count int64               `db:"n"`
		Value decimal.NullDecimal `db:"value"`
		First time.Time           `db:"first_at"`
		Last  time.Time           `db:"last_at"`
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT type, count(*) AS n, min(occurred_at) AS first_at, max(occurred_at) AS last_at,
			sum(value * CASE WHEN events.currency = $2 THEN 1 ELSE coalesce((
				SELECT rate FROM rates
				WHERE rates.currency = events.currency AND rates.valid_from <= events.occurred_at
					AND rates.valid_from > events.occurred_at - interval '192 hours'
				ORDER BY rates.valid_from DESC, rates.position DESC LIMIT 1), 1) END) AS value
		FROM events WHERE customer_id = $1 GROUP BY type ORDER BY type`, person, reporting); err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		count := engine.EventCount{Type: r.Type, Count: r.Count, First: r.First, Last: r.Last}
		if r.Value.Valid {
			count.Value = &r.Value.Decimal
		}
		c.Events = append(c.Events, count)
	}
	return nil
}

func latest(ctx context.Context, tx *sqlx.Tx, person string, c *engine.Customer) error {
	var rows []struct {
		ID         string              `db:"id"`
		Type       string              `db:"type"`
		OccurredAt time.Time           `db:"occurred_at"`
		Value      decimal.NullDecimal `db:"value"`
		Currency   sql.NullString      `db:"currency"`
		Channel    sql.NullString      `db:"channel"`
		Touchpoint sql.NullString      `db:"touchpoint"`
		Properties []byte              `db:"properties"`
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT id, type, occurred_at, value, currency, channel, touchpoint, properties FROM events
		WHERE customer_id = $1 ORDER BY occurred_at DESC, id LIMIT $2`, person, latestEvents); err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		e := engine.Event{
			ID: r.ID, Customer: c.ID, Type: r.Type, OccurredAt: r.OccurredAt, Currency: engine.Currency(r.Currency.String),
			Channel: engine.Channel(r.Channel.String), Touchpoint: engine.TouchpointKey(r.Touchpoint.String), Properties: r.Properties,
		}
		if r.Value.Valid {
			e.Value = &r.Value.Decimal
		}
		c.Latest = append(c.Latest, e)
	}
	return nil
}

// personTables are the tables that name customers, with how a person's rows of each are
// read; money is text, as everywhere. Hashes of those who were erased name nobody.
var personTables = []struct{ name, statement string }{
	{"identities", `SELECT to_json(r) FROM identities AS r WHERE customer_id = ANY ($1) ORDER BY customer_id COLLATE "C"`},
	{"customers", `SELECT to_json(r) FROM customers AS r WHERE customer_id = ANY ($1)`},
	{"overrides", `SELECT to_json(r) FROM overrides AS r WHERE customer_id = ANY ($1) ORDER BY experiment, customer_id`},
	{"enrolments", `SELECT to_json(r) FROM enrolments AS r WHERE customer_id = ANY ($1) ORDER BY position, experiment`},
	{"enrolments_superseded", `SELECT to_json(r) FROM enrolments_superseded AS r WHERE customer_id = ANY ($1) ORDER BY position, experiment`},
	{"exposures", `SELECT to_json(r) FROM exposures AS r WHERE customer_id = ANY ($1) ORDER BY occurred_at, id`},
	{"exposure_conflicts", `SELECT to_json(r) FROM exposure_conflicts AS r WHERE customer_id = ANY ($1) ORDER BY occurred_at, id`},
	{"events", `SELECT to_jsonb(r) || jsonb_build_object('value', CAST(value AS text)) FROM events AS r WHERE customer_id = ANY ($1) ORDER BY occurred_at, id`},
	{"event_conflicts", `SELECT to_jsonb(r) || jsonb_build_object('value', CAST(value AS text)) FROM event_conflicts AS r WHERE customer_id = ANY ($1) ORDER BY occurred_at, id`},
	{"measures", `SELECT to_jsonb(r) || jsonb_build_object('value', CAST(value AS text), 'x', CAST(x AS text)) FROM measures AS r WHERE customer_id = ANY ($1) ORDER BY experiment, metric`},
	{"customer_changes", `SELECT to_json(r) FROM customer_changes AS r WHERE customer_id = ANY ($1) ORDER BY position`},
}

// ExportCustomer implements engine.Ledger.
func (s *Store) ExportCustomer(ctx context.Context, id engine.CustomerID, row func(table string, row json.RawMessage) error) error {
	return s.inSnapshot(ctx, s.bulk, func(tx *sqlx.Tx) error {
		c, err := customer(ctx, tx, id)
		if err != nil {
			return err
		}
		identifiers := make([]string, len(c.Identifiers))
		for i, identifier := range c.Identifiers {
			identifiers[i] = string(identifier)
		}
		for _, table := range personTables {
			if err := eachRow(ctx, tx, table.statement, identifiers, func(r []byte) error { return row(table.name, r) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachRow hands over the rows of a statement one by one, as they come.
func eachRow(ctx context.Context, tx *sqlx.Tx, statement string, identifiers []string, fn func(row []byte) error) error {
	rows, err := tx.QueryContext(ctx, statement, pq.Array(identifiers))
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is asked below
	for rows.Next() {
		var row []byte
		if err := rows.Scan(&row); err != nil {
			return err
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return rows.Err()
}
