package postgres

import (
	"context"
	"math"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// An insertion writes rows into a block, under the ledger's lock.
type insertion[T any] func(ctx context.Context, tx *sqlx.Tx, rows []T, at block) ([]engine.RowStatus, error)

// A trace is how a row of an erased customer would be known again: by its hash under one of
// the identifiers, or because whoever made it knew the ledger up to a position only.
type trace struct {
	identifiers []string
	hash        []byte
	knownUpTo   int64
}

func traceOfEvent(as engine.Pseudonymizer, e *eventRow) trace {
	return trace{[]string{e.customer}, as.Event(e.id), math.MaxInt64}
}

func traceOfExposure(as engine.Pseudonymizer, x *engine.Exposure) trace {
	return trace{[]string{string(x.Customer)}, as.Exposure(x.ID), math.MaxInt64}
}

func traceOfEnrolment(as engine.Pseudonymizer, r *engine.Enrolment) trace {
	identifiers := []string{string(r.Customer)}
	if r.AssignmentKey != string(r.Customer) {
		identifiers = append(identifiers, r.AssignmentKey)
	}
	return trace{identifiers, as.Enrolment(r), r.KnownUpTo}
}

// exceptErased is an insertion that leaves out what erased customers had: it answers RowErased.
func exceptErased[T any](into insertion[T], traceOf func(engine.Pseudonymizer, *T) trace) insertion[T] {
	return func(ctx context.Context, tx *sqlx.Tx, rows []T, at block) ([]engine.RowStatus, error) {
		if at.unerased {
			return into(ctx, tx, rows, at)
		}
		gone, err := erasedRows(ctx, tx, rows, traceOf)
		if err != nil {
			return nil, err
		}
		if len(gone) == 0 {
			return into(ctx, tx, rows, at)
		}
		var kept []T
		for i := range rows {
			if !gone[i] {
				kept = append(kept, rows[i])
			}
		}
		inserted, err := into(ctx, tx, kept, at)
		if err != nil {
			return nil, err
		}
		statuses := make([]engine.RowStatus, len(rows))
		for i := range statuses {
			if gone[i] {
				statuses[i] = engine.RowErased
			} else {
				statuses[i], inserted = inserted[0], inserted[1:]
			}
		}
		return statuses, nil
	}
}

// erasedRows tells which rows erased customers had. The ledger's lock is held, so that no
// erasure comes in between.
func erasedRows[T any](ctx context.Context, tx *sqlx.Tx, rows []T, traceOf func(engine.Pseudonymizer, *T) trace) (map[int]bool, error) {
	var secrets [][]byte // none while nobody was ever erased
	if err := tx.SelectContext(ctx, &secrets,
		`SELECT secret FROM configuration WHERE EXISTS (SELECT FROM erasures)`); err != nil || len(secrets) == 0 {
		return nil, err
	}
	as := engine.NewPseudonymizer(secrets[0])
	var places, knownUpTo []int64
	var names []string
	var hashes [][]byte
	for i := range rows {
		t := traceOf(as, &rows[i])
		for _, identifier := range t.identifiers {
			places, names = append(places, int64(i)), append(names, as.Name(identifier))
			hashes, knownUpTo = append(hashes, t.hash), append(knownUpTo, t.knownUpTo)
		}
	}
	var found []int
	if err := tx.SelectContext(ctx, &found, `
		SELECT DISTINCT sent.place
		FROM unnest(CAST($1 AS bigint[]), CAST($2 AS text[]), CAST($3 AS bytea[]), CAST($4 AS bigint[]))
			AS sent (place, customer_id, id, known_up_to)
		JOIN erasures ON erasures.customer_id = sent.customer_id
		LEFT JOIN erased_ids ON erased_ids.customer_id = erasures.person AND erased_ids.id = sent.id
		WHERE erased_ids.id IS NOT NULL OR erasures.position > sent.known_up_to`,
		pq.Array(places), pq.Array(names), pq.Array(hashes), pq.Array(knownUpTo)); err != nil {
		return nil, err
	}
	gone := make(map[int]bool, len(found))
	for _, i := range found {
		gone[i] = true
	}
	return gone, nil
}
