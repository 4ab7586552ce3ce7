package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

// MergeCustomers implements engine.Ledger.
func (s *Store) MergeCustomers(ctx context.Context, customers []engine.Customer, at time.Time) (created int, err error) {
	ids, attributes := make([]string, len(customers)), make([]string, len(customers))
	for i, c := range customers {
		ids[i] = string(c.ID)
		attributes[i] = "{}"
		if len(c.Attributes) == 0 {
			continue
		}
		object, err := json.Marshal(c.Attributes)
		if err != nil {
			return 0, err
		}
		attributes[i] = string(object)
	}
	err = s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		position, err := nextPosition(ctx, tx)
		if err != nil {
			return err
		}
		// A customer who stands twice in a batch is merged in the batch's order first.
		return tx.GetContext(ctx, &created, `
			WITH flat AS (
				SELECT DISTINCT ON (customer_id, entry.key) coalesce(identities.person, new.customer_id) AS customer_id,
					entry.key, entry.value
				FROM unnest(CAST($1 AS text[]), CAST($2 AS jsonb[])) WITH ORDINALITY AS new (customer_id, attributes, n)
				LEFT JOIN identities ON identities.customer_id = new.customer_id
				LEFT JOIN jsonb_each(new.attributes) AS entry ON true
				ORDER BY customer_id, entry.key, new.n DESC
			), merged AS (
				INSERT INTO customers AS old (customer_id, attributes, attribute_times, created_at, updated_at, position)
				SELECT customer_id, coalesce(jsonb_object_agg(key, value) FILTER (WHERE key IS NOT NULL), '{}'),
					coalesce(jsonb_object_agg(key, CAST($4 AS bigint)) FILTER (WHERE key IS NOT NULL), '{}'), $3, $3, $5
				FROM flat GROUP BY customer_id
				ON CONFLICT (customer_id) DO UPDATE SET
					attributes = old.attributes || excluded.attributes,
					attribute_times = old.attribute_times || excluded.attribute_times, updated_at = excluded.updated_at,
					position = excluded.position
				RETURNING xmax = 0 AS created
			)
			SELECT count(*) FILTER (WHERE created) FROM merged`,
			pq.Array(ids), pq.Array(attributes), at, at.UnixMicro(), position)
	})
	return created, err
}

// Customer implements engine.Ledger.
func (s *Store) Customer(ctx context.Context, id engine.CustomerID) (c *engine.Customer, err error) {
	err = s.inSnapshot(ctx, s.hot, func(tx *sqlx.Tx) error {
		c, err = customer(ctx, tx, id)
		return err
	})
	return c, err
}

func customer(ctx context.Context, tx *sqlx.Tx, id engine.CustomerID) (*engine.Customer, error) {
	c := &engine.Customer{Attributes: engine.Attributes{}}
	people, err := personsOf(ctx, tx, []string{string(id)})
	if err != nil {
		return nil, err
	}
	person, linked := people[string(id)]
	if !linked {
		person = string(id)
	}
	c.ID = engine.CustomerID(person)
	if c.Identifiers, err = identifiersOf(ctx, tx, person); err != nil {
		return nil, err
	}
	var attributes []byte
	err = tx.GetContext(ctx, &attributes, `SELECT attributes FROM customers WHERE customer_id = $1`, person)
	known := err == nil
	if err != nil && engine.KindOf(found(err, "customer", person)) != engine.KindNotFound {
		return nil, err
	}
	if known {
		if err := json.Unmarshal(attributes, &c.Attributes); err != nil {
			return nil, err
		}
	}
	var first sql.NullTime
	if err := tx.GetContext(ctx, &first, `SELECT min(occurred_at) FROM events WHERE customer_id = $1`, person); err != nil {
		return nil, err
	}
	c.FirstSeen = timeOf(first)
	var rows []enrolmentRow
	if err := tx.SelectContext(ctx, &rows, `
		SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, contaminated
		FROM enrolments WHERE customer_id = $1 AND experiment NOT LIKE '%/holdback' ORDER BY enrolled_at, experiment`, person); err != nil {
		return nil, err
	}
	c.Enrolments = enrolmentsOf(rows)
	var conflicts []conflictRow
	if err := tx.SelectContext(ctx, &conflicts, `
		SELECT id, type, occurred_at, value, currency, channel, touchpoint FROM event_conflicts WHERE customer_id = $1
		UNION ALL
		SELECT id, '', occurred_at, NULL, NULL, NULL, touchpoint FROM exposure_conflicts WHERE customer_id = $1`, person); err != nil {
		return nil, err
	}
	c.IDConflicts = conflictsOf(conflicts)
	if err := history(ctx, tx, person, c); err != nil {
		return nil, err
	}
	if !known && !linked && c.FirstSeen == nil && len(c.Enrolments) == 0 && len(c.Exposures) == 0 {
		// The comparison of a holdback and a forced variant are not shown here, and are kept.
		if err := tx.GetContext(ctx, &known, `
			SELECT EXISTS (SELECT FROM enrolments WHERE customer_id = $1) OR EXISTS (SELECT FROM overrides WHERE customer_id = $1)`,
			person); err != nil {
			return nil, err
		}
		if !known {
			return nil, engine.NotFoundf("customer", string(id))
		}
	}
	return c, nil
}

// conflictRow is an event or exposure that lost its id to another one in a link.
type conflictRow struct {
	ID         string              `db:"id"`
	Type       string              `db:"type"`
	OccurredAt time.Time           `db:"occurred_at"`
	Value      decimal.NullDecimal `db:"value"`
	Currency   sql.NullString      `db:"currency"`
	Channel    sql.NullString      `db:"channel"`
	Touchpoint sql.NullString      `db:"touchpoint"`
}

func conflictsOf(rows []conflictRow) []engine.IDConflict {
	var all []engine.IDConflict
	for _, r := range rows {
		c := engine.IDConflict{
			ID: r.ID, Type: r.Type, OccurredAt: r.OccurredAt, Currency: engine.Currency(r.Currency.String),
			Channel: engine.Channel(r.Channel.String), Touchpoint: engine.TouchpointKey(r.Touchpoint.String),
		}
		if r.Value.Valid {
			c.Value = &r.Value.Decimal
		}
		all = append(all, c)
	}
	slices.SortFunc(all, engine.IDConflict.Compare)
	return all
}
