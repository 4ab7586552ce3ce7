package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// stampLayout writes times into arrays of text, which are cast to timestamptz[].
const stampLayout = "2006-01-02T15:04:05.999999Z"

func stamps(t time.Time) string { return t.UTC().Format(stampLayout) }

func nullable(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// identity is what makes an event or exposure count once.
type identity struct {
	Customer string `db:"customer_id"`
	ID       string `db:"id"`
}

// rowStatuses tells the rows of a batch apart: inserted ones, then, by the digests that
// lookup reads, duplicates and conflicts. A row may meet its like earlier in the same batch.
func rowStatuses(
	ctx context.Context, tx *sqlx.Tx, ids []identity, digests [][]byte, inserted []identity, lookup string,
) ([]engine.RowStatus, error) {
	stored := map[identity]string{}
	if len(inserted) < len(ids) {
		var err error
		if stored, err = storedDigests(ctx, tx, ids, lookup); err != nil {
			return nil, err
		}
	}
	return compareDigests(ids, digests, inserted, stored), nil
}

func compareDigests(ids []identity, digests [][]byte, inserted []identity, stored map[identity]string) []engine.RowStatus {
	fresh := make(map[identity]bool, len(inserted))
	for _, id := range inserted {
		fresh[id] = true
	}
	statuses := make([]engine.RowStatus, len(ids))
	for i, id := range ids {
		switch {
		case fresh[id]:
			fresh[id] = false
			statuses[i] = engine.RowAccepted
		case stored[id] == string(digests[i]):
			statuses[i] = engine.RowDuplicate
		default:
			statuses[i] = engine.RowConflict
		}
	}
	return statuses
}

func storedDigests(ctx context.Context, tx *sqlx.Tx, ids []identity, lookup string) (map[identity]string, error) {
	customers, names := make([]string, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		customers[i], names[i] = id.Customer, id.ID
	}
	var rows []struct {
		identity
		Digest []byte `db:"digest"`
	}
	if err := tx.SelectContext(ctx, &rows, lookup, pq.Array(customers), pq.Array(names)); err != nil {
		return nil, err
	}
	stored := make(map[identity]string, len(rows))
	for _, r := range rows {
		stored[r.identity] = string(r.Digest)
	}
	return stored, nil
}

// InsertEvents implements engine.Ledger.
func (s *Store) InsertEvents(ctx context.Context, events []engine.Event) (statuses []engine.RowStatus, err error) {
	n := len(events)
	ids, digests := make([]identity, n), make([][]byte, n)
	customers, eventIDs, types, times := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	values, currencies, channels, touchpoints, properties := make([]sql.NullString, n), make([]sql.NullString, n),
		make([]sql.NullString, n), make([]sql.NullString, n), make([]sql.NullString, n)
	for i := range events {
		e := &events[i]
		ids[i], digests[i] = identity{string(e.Customer), e.ID}, e.Digest()
		customers[i], eventIDs[i], types[i], times[i] = string(e.Customer), e.ID, e.Type, stamps(e.OccurredAt)
		if e.Value != nil {
			values[i] = nullable(e.Value.String())
		}
		currencies[i], channels[i] = nullable(string(e.Currency)), nullable(string(e.Channel))
		touchpoints[i], properties[i] = nullable(string(e.Touchpoint)), nullable(string(e.Properties))
	}
	err = s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		position, err := nextPosition(ctx, tx)
		if err != nil {
			return err
		}
		var inserted []identity
		if err := tx.SelectContext(ctx, &inserted, `
			INSERT INTO events (customer_id, id, type, occurred_at, value, currency, channel, touchpoint,
				properties, digest, position)
			SELECT customer_id, id, type, occurred_at, value, currency, channel, touchpoint,
				CAST(properties AS json), digest, $11
			FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS timestamptz[]),
				CAST($5 AS numeric[]), CAST($6 AS text[]), CAST($7 AS text[]), CAST($8 AS text[]),
				CAST($9 AS text[]), CAST($10 AS bytea[]))
				AS new (customer_id, id, type, occurred_at, value, currency, channel, touchpoint, properties, digest)
			ON CONFLICT (customer_id, id) DO NOTHING
			RETURNING customer_id, id`,
			pq.Array(customers), pq.Array(eventIDs), pq.Array(types), pq.Array(times), pq.Array(values),
			pq.Array(currencies), pq.Array(channels), pq.Array(touchpoints), pq.Array(properties),
			pq.Array(digests), position); err != nil {
			return err
		}
		statuses, err = rowStatuses(ctx, tx, ids, digests, inserted, `
			SELECT customer_id, id, digest FROM events
			JOIN unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS new (customer_id, id) USING (customer_id, id)`)
		return err
	})
	return statuses, err
}

// InsertExposures implements engine.Ledger.
func (s *Store) InsertExposures(ctx context.Context, exposures []engine.Exposure) (statuses []engine.RowStatus, err error) {
	n := len(exposures)
	ids, digests := make([]identity, n), make([][]byte, n)
	customers, exposureIDs, touchpoints, times := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i := range exposures {
		x := &exposures[i]
		ids[i], digests[i] = identity{string(x.Customer), x.ID}, x.Digest()
		customers[i], exposureIDs[i], touchpoints[i], times[i] = string(x.Customer), x.ID, string(x.Touchpoint), stamps(x.OccurredAt)
	}
	err = s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		position, err := nextPosition(ctx, tx)
		if err != nil {
			return err
		}
		var inserted []identity
		if err := tx.SelectContext(ctx, &inserted, `
			INSERT INTO exposures (customer_id, id, touchpoint, occurred_at, digest, position)
			SELECT customer_id, id, touchpoint, occurred_at, digest, $6
			FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS timestamptz[]),
				CAST($5 AS bytea[])) AS new (customer_id, id, touchpoint, occurred_at, digest)
			ON CONFLICT (customer_id, id) DO NOTHING
			RETURNING customer_id, id`,
			pq.Array(customers), pq.Array(exposureIDs), pq.Array(touchpoints), pq.Array(times), pq.Array(digests),
			position); err != nil {
			return err
		}
		if statuses, err = rowStatuses(ctx, tx, ids, digests, inserted, `
			SELECT customer_id, id, digest FROM exposures
			JOIN unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS new (customer_id, id) USING (customer_id, id)`); err != nil {
			return err
		}
		var enrolments []engine.Enrolment
		for i, x := range exposures {
			if x.Enrols != nil && statuses[i] != engine.RowConflict {
				enrolments = append(enrolments, *x.Enrols)
			}
		}
		slices.SortStableFunc(enrolments, func(a, b engine.Enrolment) int { return a.EnrolledAt.Compare(b.EnrolledAt) })
		_, err = insertEnrolments(ctx, tx, enrolments, position)
		return err
	})
	return statuses, err
}

// InsertEnrolments implements engine.Ledger. For an assignment, which waits for it with a
// short deadline, it is a hot one; for an import it may queue behind other batches.
func (s *Store) InsertEnrolments(ctx context.Context, enrolments []engine.Enrolment) (statuses []engine.RowStatus, err error) {
	pool := s.bulk
	if deadline, ok := ctx.Deadline(); ok && deadline.Sub(now()) < hotLimits.silence {
		pool = s.hot
	}
	err = s.inTx(ctx, pool, func(tx *sqlx.Tx) error {
		// Most contacts are of customers who are enrolled already: they need not queue for
		// the ledger's lock.
		ids, variants := enrolmentDigests(enrolments)
		stored, err := storedDigests(ctx, tx, ids, enrolledVariants)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(ids, func(id identity) bool { _, known := stored[id]; return !known }) {
			statuses = compareDigests(ids, variants, nil, stored)
			return nil
		}
		position, err := nextPosition(ctx, tx)
		if err != nil {
			return err
		}
		statuses, err = insertEnrolments(ctx, tx, enrolments, position)
		return err
	})
	return statuses, err
}

const enrolledVariants = `
	SELECT customer_id, experiment AS id, convert_to(variant, 'UTF8') AS digest FROM enrolments
	JOIN unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS new (customer_id, experiment)
		USING (customer_id, experiment)`

// enrolmentDigests are the identities of enrolments, and the variants that tell a
// duplicate from a conflict.
func enrolmentDigests(enrolments []engine.Enrolment) (ids []identity, variants [][]byte) {
	for i := range enrolments {
		e := &enrolments[i]
		ids = append(ids, identity{string(e.Customer), string(e.Experiment)})
		variants = append(variants, []byte(e.Variant))
	}
	return ids, variants
}

func insertEnrolments(ctx context.Context, tx *sqlx.Tx, enrolments []engine.Enrolment, position int64) ([]engine.RowStatus, error) {
	if len(enrolments) == 0 {
		return nil, nil
	}
	ids, variants := enrolmentDigests(enrolments)
	columns := make([][]string, 7)
	for i := range enrolments {
		e := &enrolments[i]
		for c, value := range []string{
			string(e.Customer), string(e.Experiment), string(e.Variant), e.AssignmentKey, stamps(e.EnrolledAt),
			string(e.Channel), string(e.Touchpoint),
		} {
			columns[c] = append(columns[c], value)
		}
	}
	var inserted []identity
	if err := tx.SelectContext(ctx, &inserted, `
		INSERT INTO enrolments (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position)
		SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, $8
		FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS text[]),
			CAST($5 AS timestamptz[]), CAST($6 AS text[]), CAST($7 AS text[]))
			AS new (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint)
		ON CONFLICT (customer_id, experiment) DO NOTHING
		RETURNING customer_id, experiment AS id`,
		pq.Array(columns[0]), pq.Array(columns[1]), pq.Array(columns[2]), pq.Array(columns[3]), pq.Array(columns[4]),
		pq.Array(columns[5]), pq.Array(columns[6]), position); err != nil {
		return nil, err
	}
	return rowStatuses(ctx, tx, ids, variants, inserted, enrolledVariants)
}

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
		// In the order of the key, so that two batches cannot wait for each other. A
		// customer who stands twice in a batch is merged in the batch's order first.
		return tx.GetContext(ctx, &created, `
			WITH flat AS (
				SELECT DISTINCT ON (new.customer_id, entry.key) new.customer_id, entry.key, entry.value
				FROM unnest(CAST($1 AS text[]), CAST($2 AS jsonb[])) WITH ORDINALITY AS new (customer_id, attributes, n)
				LEFT JOIN jsonb_each(new.attributes) AS entry ON true
				ORDER BY new.customer_id, entry.key, new.n DESC
			), merged AS (
				INSERT INTO customers AS old (customer_id, attributes, created_at, updated_at)
				SELECT customer_id, coalesce(jsonb_object_agg(key, value) FILTER (WHERE key IS NOT NULL), '{}'), $3, $3
				FROM flat GROUP BY customer_id ORDER BY customer_id
				ON CONFLICT (customer_id) DO UPDATE SET
					attributes = old.attributes || excluded.attributes, updated_at = excluded.updated_at
				RETURNING xmax = 0 AS created
			)
			SELECT count(*) FILTER (WHERE created) FROM merged`, pq.Array(ids), pq.Array(attributes), at)
	})
	return created, err
}

// Customer implements engine.Ledger.
func (s *Store) Customer(ctx context.Context, id engine.CustomerID) (*engine.Customer, error) {
	c := &engine.Customer{ID: id, Identifiers: []engine.CustomerID{id}, Attributes: engine.Attributes{}}
	var attributes []byte
	err := s.hot.GetContext(ctx, &attributes, `SELECT attributes FROM customers WHERE customer_id = $1`, id)
	known := err == nil
	if err != nil && engine.KindOf(found(err, "customer", string(id))) != engine.KindNotFound {
		return nil, translate(err)
	}
	if known {
		if err := json.Unmarshal(attributes, &c.Attributes); err != nil {
			return nil, err
		}
	}
	var first sql.NullTime
	if err := s.hot.GetContext(ctx, &first, `SELECT min(occurred_at) FROM events WHERE customer_id = $1`, id); err != nil {
		return nil, translate(err)
	}
	c.FirstSeen = timeOf(first)
	var rows []struct {
		Experiment    string    `db:"experiment"`
		Variant       string    `db:"variant"`
		AssignmentKey string    `db:"assignment_key"`
		EnrolledAt    time.Time `db:"enrolled_at"`
		Channel       string    `db:"channel"`
		Touchpoint    string    `db:"touchpoint"`
	}
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT experiment, variant, assignment_key, enrolled_at, channel, touchpoint
		FROM enrolments WHERE customer_id = $1 ORDER BY enrolled_at, experiment`, id); err != nil {
		return nil, translate(err)
	}
	for _, r := range rows {
		c.Enrolments = append(c.Enrolments, engine.Enrolment{
			Customer: id, Experiment: engine.ExperimentKey(r.Experiment), Variant: engine.VariantKey(r.Variant),
			AssignmentKey: r.AssignmentKey, EnrolledAt: r.EnrolledAt, Channel: engine.Channel(r.Channel),
			Touchpoint: engine.TouchpointKey(r.Touchpoint),
		})
	}
	if !known && c.FirstSeen == nil && len(c.Enrolments) == 0 {
		return nil, engine.NotFoundf("customer", string(id))
	}
	return c, nil
}
