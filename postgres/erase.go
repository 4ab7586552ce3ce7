package postgres

import (
	"cmp"
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// erasedPage is how many hashes one statement writes.
const erasedPage = 10_000

// Erase implements engine.Identities. Measures go in transactions of their own, which wait
// for a measuring that is under way, and not with the ledger's lock.
func (s *Store) Erase(ctx context.Context, identifier engine.CustomerID, at time.Time) error {
	var gone *erasure
	if err := s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		var err error
		gone, err = erase(ctx, tx, string(identifier), at)
		return err
	}); err != nil {
		return err
	}
	for _, experiment := range slices.Sorted(maps.Keys(gone.experiments)) {
		if err := s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error { return gone.measures(ctx, tx, experiment) }); err != nil {
			return err
		}
	}
	return nil
}

// An erasure is of one person.
type erasure struct {
	as          engine.Pseudonymizer
	identifiers []string
	person      string // stands for all of them
	position    int64
	experiments map[string]bool // that they were enrolled in
}

func erase(ctx context.Context, tx *sqlx.Tx, identifier string, at time.Time) (*erasure, error) {
	var secret []byte
	if err := tx.GetContext(ctx, &secret, `SELECT secret FROM configuration`); err != nil {
		return nil, err
	}
	e := &erasure{as: engine.NewPseudonymizer(secret), experiments: map[string]bool{}}
	var err error
	if e.position, err = nextPosition(ctx, tx); err != nil {
		return nil, err
	}
	people, err := personsOf(ctx, tx, []string{identifier})
	if err != nil {
		return nil, err
	}
	root := cmp.Or(people[identifier], identifier)
	all, err := identifiersOf(ctx, tx, root)
	if err != nil {
		return nil, err
	}
	for _, id := range all {
		e.identifiers = append(e.identifiers, string(id))
	}
	e.person = hex.EncodeToString(e.as.Hash("person", root, strconv.FormatInt(e.position, 10)))
	for _, step := range []func(context.Context, *sqlx.Tx) error{
		e.events, e.exposures, e.enrolments, e.rest, e.overrides, e.feed,
	} {
		if err := step(ctx, tx); err != nil {
			return nil, err
		}
	}
	return e, record(ctx, tx, at, engine.Erased(len(e.identifiers)))
}

func (e *erasure) events(ctx context.Context, tx *sqlx.Tx) error {
	return e.keep(ctx, tx, `DELETE FROM events WHERE customer_id = ANY ($1) RETURNING id`, e.as.Event)
}

func (e *erasure) exposures(ctx context.Context, tx *sqlx.Tx) error {
	return e.keep(ctx, tx, `DELETE FROM exposures WHERE customer_id = ANY ($1) RETURNING id`, e.as.Exposure)
}

// keep deletes rows and keeps the hashes of their ids.
func (e *erasure) keep(ctx context.Context, tx *sqlx.Tx, statement string, hash func(id string) []byte) error {
	var ids []string
	if err := tx.SelectContext(ctx, &ids, statement, pq.Array(e.identifiers)); err != nil {
		return err
	}
	for page := range slices.Chunk(ids, erasedPage) {
		hashes := make([][]byte, len(page))
		for i, id := range page {
			hashes[i] = hash(id)
		}
		if err := e.keepHashes(ctx, tx, hashes); err != nil {
			return err
		}
	}
	return nil
}

func (e *erasure) keepHashes(ctx context.Context, tx *sqlx.Tx, hashes [][]byte) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO erased_ids (customer_id, id) SELECT $1, id FROM unnest(CAST($2 AS bytea[])) AS erased (id)
		ON CONFLICT DO NOTHING`, e.person, pq.Array(hashes))
	return err
}

func (e *erasure) enrolments(ctx context.Context, tx *sqlx.Tx) error {
	var rows []enrolmentRow
	if err := tx.SelectContext(ctx, &rows, `
		WITH counted AS (
			DELETE FROM enrolments WHERE customer_id = ANY ($1) RETURNING experiment, variant, assignment_key, enrolled_at
		), superseded AS (
			DELETE FROM enrolments_superseded WHERE customer_id = ANY ($1)
			RETURNING experiment, variant, assignment_key, enrolled_at
		)
		SELECT experiment, variant, assignment_key, enrolled_at FROM counted
		UNION ALL SELECT experiment, variant, assignment_key, enrolled_at FROM superseded`, pq.Array(e.identifiers)); err != nil {
		return err
	}
	hashes := make([][]byte, len(rows))
	for i := range rows {
		enrolment := rows[i].enrolment()
		hashes[i] = e.as.Enrolment(&enrolment)
		e.experiments[rows[i].Experiment] = true
	}
	if len(rows) == 0 {
		return nil
	}
	if err := e.keepHashes(ctx, tx, hashes); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO experiment_erasures (experiment, position)
		SELECT experiment, $2 FROM unnest(CAST($1 AS text[])) AS concerned (experiment) ORDER BY experiment
		ON CONFLICT (experiment) DO UPDATE SET position = excluded.position`,
		pq.Array(slices.Sorted(maps.Keys(e.experiments))), e.position)
	return err
}

// rest deletes what nothing is kept of.
func (e *erasure) rest(ctx context.Context, tx *sqlx.Tx) error {
	for _, statement := range []string{
		`DELETE FROM event_conflicts WHERE customer_id = ANY ($1)`,
		`DELETE FROM exposure_conflicts WHERE customer_id = ANY ($1)`,
		`DELETE FROM customers WHERE customer_id = ANY ($1)`,
		`DELETE FROM customer_changes WHERE customer_id = ANY ($1)`,
		`DELETE FROM identities WHERE customer_id = ANY ($1)`,
	} {
		if _, err := tx.ExecContext(ctx, statement, pq.Array(e.identifiers)); err != nil {
			return err
		}
	}
	return nil
}

// overrides deletes forced variants, which every server has in its configuration.
func (e *erasure) overrides(ctx context.Context, tx *sqlx.Tx) error {
	result, err := tx.ExecContext(ctx, `DELETE FROM overrides WHERE customer_id = ANY ($1)`, pq.Array(e.identifiers))
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return touchConfiguration(ctx, tx)
}

// feed tells the servers whom to forget.
func (e *erasure) feed(ctx context.Context, tx *sqlx.Tx) error {
	for page := range slices.Chunk(e.identifiers, erasedPage) {
		names, digests := make([]string, len(page)), make([][]byte, len(page))
		for i, identifier := range page {
			digest := e.as.Digest(identifier)
			names[i], digests[i] = e.as.Name(identifier), digest[:]
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO erasures (customer_id, person, digest, position)
			SELECT name, $3, digest, $4 FROM unnest(CAST($1 AS text[]), CAST($2 AS bytea[])) AS erased (name, digest)`,
			pq.Array(names), pq.Array(digests), e.person, e.position); err != nil {
			return err
		}
	}
	return nil
}

// measures deletes the measures in one experiment. Whoever measures it at this moment is
// waited for, or has to begin again: measures cannot come back. Those of a customer who has
// come back stay.
func (e *erasure) measures(ctx context.Context, tx *sqlx.Tx, experiment string) error {
	if _, err := tx.ExecContext(ctx,
		`UPDATE measure_cuts SET position = position WHERE experiment = $1`, experiment); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		DELETE FROM measures WHERE customer_id = ANY ($1) AND experiment = $2 AND NOT EXISTS (
			SELECT FROM enrolments
			WHERE enrolments.customer_id = measures.customer_id AND enrolments.experiment = measures.experiment)`,
		pq.Array(e.identifiers), experiment)
	return err
}
