package postgres

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// A move brings the rows of several customers, who are one person, under one id. Rows move
// by delete and insert and keep their ingest positions. What of them counts depends on the
// rows alone, not on the order of the links.
type move struct {
	from      []string // all who may have rows, to among them
	to        string
	position  int64         // of the link
	conflicts []conflictRow // that it brought about
}

func (m *move) run(ctx context.Context, tx *sqlx.Tx) error {
	// Most links name an identifier that has just been met: there is nothing to move.
	var some bool
	if err := tx.GetContext(ctx, &some, `
		SELECT EXISTS (SELECT FROM customers WHERE customer_id = ANY ($1))
			OR EXISTS (SELECT FROM events WHERE customer_id = ANY ($1))
			OR EXISTS (SELECT FROM exposures WHERE customer_id = ANY ($1))
			OR EXISTS (SELECT FROM enrolments WHERE customer_id = ANY ($1))`, pq.Array(m.others())); err != nil || !some {
		return err
	}
	for _, step := range []func(context.Context, *sqlx.Tx) error{
		m.customers, m.events, m.exposures, m.enrolments, m.changes,
	} {
		if err := step(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// others are those whose rows leave their id.
func (m *move) others() []string {
	return slices.DeleteFunc(slices.Clone(m.from), func(id string) bool { return id == m.to })
}

// customers gives the person each attribute as it was written last, of two at the same
// microsecond the greater value.
func (m *move) customers(ctx context.Context, tx *sqlx.Tx) error {
	if _, err := tx.ExecContext(ctx, `
		WITH gone AS (
			SELECT customer_id, attributes, attribute_times, created_at, updated_at FROM customers WHERE customer_id = ANY ($1)
		), newest AS (
			SELECT DISTINCT ON (entry.key) entry.key, entry.value, entry.at
			FROM gone CROSS JOIN LATERAL (
				SELECT key, value, coalesce(CAST(attribute_times ->> key AS bigint),
					CAST(extract(epoch FROM updated_at) * 1000000 AS bigint)) AS at
				FROM jsonb_each(attributes)
			) AS entry
			ORDER BY entry.key, entry.at DESC, entry.value DESC
		)
		INSERT INTO customers (customer_id, attributes, attribute_times, created_at, updated_at, position)
		SELECT $2, (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM newest),
			(SELECT coalesce(jsonb_object_agg(key, at), '{}') FROM newest), min(created_at), max(updated_at), $3
		FROM gone HAVING count(*) > 0
		ON CONFLICT (customer_id) DO UPDATE SET attributes = excluded.attributes,
			attribute_times = excluded.attribute_times, created_at = excluded.created_at, updated_at = excluded.updated_at,
			position = excluded.position`,
		pq.Array(m.from), m.to, m.position); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM customers WHERE customer_id = ANY ($1)`, pq.Array(m.others()))
	return err
}

// events lets the first ingested of those with one id count. Rows of earlier versions have
// the position of their transaction: of these the bytewise smallest digest.
func (m *move) events(ctx context.Context, tx *sqlx.Tx) error {
	if err := tx.SelectContext(ctx, &m.conflicts, `
		WITH ranked AS (
			SELECT customer_id, id, row_number() OVER same AS place, first_value(digest) OVER same AS first
			FROM events WHERE customer_id = ANY ($1)
			WINDOW same AS (PARTITION BY id ORDER BY position, digest)
		), later AS (
			DELETE FROM events USING ranked
			WHERE events.customer_id = ranked.customer_id AND events.id = ranked.id AND ranked.place > 1
			RETURNING events.id, events.type, events.occurred_at, events.value, events.currency, events.channel,
				events.touchpoint, events.properties, events.digest, events.position, ranked.first
		)
		INSERT INTO event_conflicts AS old (customer_id, id, type, occurred_at, value, currency, channel, touchpoint,
			properties, digest, position)
		SELECT DISTINCT ON (id, digest) $2, id, type, occurred_at, value, currency, channel, touchpoint, properties,
			digest, position
		FROM later WHERE digest <> first ORDER BY id, digest, position
		ON CONFLICT (customer_id, id, digest) DO UPDATE SET position = least(old.position, excluded.position)
		RETURNING id, type, occurred_at, value, currency, channel, touchpoint`, pq.Array(m.from), m.to); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		WITH moved AS (
			DELETE FROM events WHERE customer_id = ANY ($1)
			RETURNING id, type, occurred_at, value, currency, channel, touchpoint, properties, digest, position
		)
		INSERT INTO events (customer_id, id, type, occurred_at, value, currency, channel, touchpoint, properties,
			digest, position)
		SELECT $2, id, type, occurred_at, value, currency, channel, touchpoint, properties, digest, position
		FROM moved`, pq.Array(m.others()), m.to); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		WITH moved AS (
			DELETE FROM event_conflicts WHERE customer_id = ANY ($1)
			RETURNING id, type, occurred_at, value, currency, channel, touchpoint, properties, digest, position
		)
		INSERT INTO event_conflicts AS old (customer_id, id, type, occurred_at, value, currency, channel, touchpoint,
			properties, digest, position)
		SELECT DISTINCT ON (id, digest) $2, id, type, occurred_at, value, currency, channel, touchpoint, properties,
			digest, position
		FROM moved ORDER BY id, digest, position
		ON CONFLICT (customer_id, id, digest) DO UPDATE SET position = least(old.position, excluded.position)`,
		pq.Array(m.others()), m.to); err != nil {
		return err
	}
	// What one of them had lost an id with may be what the other one has under it.
	_, err := tx.ExecContext(ctx, `
		DELETE FROM event_conflicts USING events
		WHERE event_conflicts.customer_id = $1 AND events.customer_id = $1 AND events.id = event_conflicts.id
			AND events.digest = event_conflicts.digest`, m.to)
	return err
}

// exposures is events for exposures.
func (m *move) exposures(ctx context.Context, tx *sqlx.Tx) error {
	var conflicts []conflictRow
	if err := tx.SelectContext(ctx, &conflicts, `
		WITH ranked AS (
			SELECT customer_id, id, row_number() OVER same AS place, first_value(digest) OVER same AS first
			FROM exposures WHERE customer_id = ANY ($1)
			WINDOW same AS (PARTITION BY id ORDER BY position, digest)
		), later AS (
			DELETE FROM exposures USING ranked
			WHERE exposures.customer_id = ranked.customer_id AND exposures.id = ranked.id AND ranked.place > 1
			RETURNING exposures.id, exposures.touchpoint, exposures.occurred_at, exposures.digest, exposures.position,
				ranked.first
		)
		INSERT INTO exposure_conflicts AS old (customer_id, id, touchpoint, occurred_at, digest, position)
		SELECT DISTINCT ON (id, digest) $2, id, touchpoint, occurred_at, digest, position
		FROM later WHERE digest <> first ORDER BY id, digest, position
		ON CONFLICT (customer_id, id, digest) DO UPDATE SET position = least(old.position, excluded.position)
		RETURNING id, touchpoint, occurred_at`, pq.Array(m.from), m.to); err != nil {
		return err
	}
	m.conflicts = append(m.conflicts, conflicts...)
	if _, err := tx.ExecContext(ctx, `
		WITH moved AS (
			DELETE FROM exposures WHERE customer_id = ANY ($1) RETURNING id, touchpoint, occurred_at, digest, position
		)
		INSERT INTO exposures (customer_id, id, touchpoint, occurred_at, digest, position)
		SELECT $2, id, touchpoint, occurred_at, digest, position FROM moved`, pq.Array(m.others()), m.to); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		WITH moved AS (
			DELETE FROM exposure_conflicts WHERE customer_id = ANY ($1)
			RETURNING id, touchpoint, occurred_at, digest, position
		)
		INSERT INTO exposure_conflicts AS old (customer_id, id, touchpoint, occurred_at, digest, position)
		SELECT DISTINCT ON (id, digest) $2, id, touchpoint, occurred_at, digest, position
		FROM moved ORDER BY id, digest, position
		ON CONFLICT (customer_id, id, digest) DO UPDATE SET position = least(old.position, excluded.position)`,
		pq.Array(m.others()), m.to); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		DELETE FROM exposure_conflicts USING exposures
		WHERE exposure_conflicts.customer_id = $1 AND exposures.customer_id = $1
			AND exposures.id = exposure_conflicts.id AND exposures.digest = exposure_conflicts.digest`, m.to)
	return err
}

// enrolments lets the earliest of those in one experiment count.
func (m *move) enrolments(ctx context.Context, tx *sqlx.Tx) error {
	if _, err := tx.ExecContext(ctx, `
		WITH ranked AS (
			SELECT customer_id, experiment, row_number() OVER (PARTITION BY experiment
				ORDER BY enrolled_at, assignment_key COLLATE "C", variant COLLATE "C", position) AS place
			FROM enrolments WHERE customer_id = ANY ($1)
		), later AS (
			DELETE FROM enrolments USING ranked
			WHERE enrolments.customer_id = ranked.customer_id AND enrolments.experiment = ranked.experiment AND ranked.place > 1
			RETURNING enrolments.experiment, enrolments.variant, enrolments.assignment_key, enrolments.enrolled_at,
				enrolments.channel, enrolments.touchpoint, enrolments.position
		)
		INSERT INTO enrolments_superseded (customer_id, experiment, variant, assignment_key, enrolled_at, channel,
			touchpoint, position, superseded_at)
		SELECT $2, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, $3 FROM later
		ON CONFLICT DO NOTHING`, pq.Array(m.from), m.to, m.position); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		WITH moved AS (
			DELETE FROM enrolments WHERE customer_id = ANY ($1)
			RETURNING experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, contaminated
		)
		INSERT INTO enrolments (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint,
			position, contaminated)
		SELECT $2, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, contaminated
		FROM moved`, pq.Array(m.others()), m.to); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		WITH moved AS (
			DELETE FROM enrolments_superseded WHERE customer_id = ANY ($1)
			RETURNING experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, superseded_at
		)
		INSERT INTO enrolments_superseded (customer_id, experiment, variant, assignment_key, enrolled_at, channel,
			touchpoint, position, superseded_at)
		SELECT $2, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, superseded_at
		FROM moved
		ON CONFLICT DO NOTHING`, pq.Array(m.others()), m.to); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		UPDATE enrolments SET contaminated = true
		WHERE customer_id = $1 AND NOT contaminated AND EXISTS (
			SELECT FROM enrolments_superseded AS other
			WHERE other.customer_id = enrolments.customer_id AND other.experiment = enrolments.experiment
				AND other.variant <> enrolments.variant)`, m.to)
	return err
}

// changes has those measured again who are in an experiment.
func (m *move) changes(ctx context.Context, tx *sqlx.Tx) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO customer_changes (customer_id, position)
		SELECT customer_id, $3 FROM unnest(CAST($1 AS text[])) AS concerned (customer_id)
		WHERE EXISTS (SELECT FROM enrolments WHERE enrolments.customer_id = $2)`, pq.Array(m.from), m.to, m.position)
	return err
}
