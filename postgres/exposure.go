package postgres

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// InsertExposures implements engine.Ledger.
func (s *Store) InsertExposures(ctx context.Context, exposures []engine.Exposure) ([]engine.RowStatus, error) {
	return s.exposures.put(ctx, exposures)
}

func insertExposures(ctx context.Context, tx *sqlx.Tx, exposures []engine.Exposure, at block) ([]engine.RowStatus, error) {
	n := len(exposures)
	b := newBodies(n)
	touchpoints, times := make(column, n), make(column, n)
	for i := range exposures {
		x := &exposures[i]
		b.customers[i], b.ids[i], b.digests[i] = string(x.Customer), x.ID, x.Digest()
		touchpoints[i], times[i] = string(x.Touchpoint), stamps(x.OccurredAt)
	}
	// In the order of the key, which is a third faster than any other; of one key in the
	// batch's order, so that the first counts.
	inserted, err := tx.ExecContext(ctx, `
		INSERT INTO exposures (customer_id, id, touchpoint, occurred_at, digest, position)
		SELECT coalesce(identities.person, new.customer_id), new.id, new.touchpoint, new.occurred_at, new.digest,
			$6 + new.n - 1
		FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS timestamptz[]),
			CAST($5 AS bytea[])) WITH ORDINALITY AS new (customer_id, id, touchpoint, occurred_at, digest, n)
		LEFT JOIN identities ON identities.customer_id = new.customer_id
		ORDER BY 1, 2, new.n
		ON CONFLICT (customer_id, id) DO NOTHING`,
		b.customers, b.ids, touchpoints, times, pq.Array(b.digests), at.first)
	if err != nil {
		return nil, err
	}
	statuses, err := b.statuses(ctx, tx, inserted, at.first, `
		SELECT new.n, exposures.customer_id, exposures.id, exposures.digest, exposures.position
		FROM unnest(CAST($1 AS text[]), CAST($2 AS text[])) WITH ORDINALITY AS new (customer_id, id, n)
		LEFT JOIN identities ON identities.customer_id = new.customer_id
		JOIN exposures ON exposures.customer_id = coalesce(identities.person, new.customer_id) AND exposures.id = new.id
		ORDER BY new.n`)
	if err != nil {
		return nil, err
	}
	var enrolments []engine.Enrolment
	for i, x := range exposures {
		if statuses[i] != engine.RowConflict {
			enrolments = append(enrolments, x.Enrols...)
		}
	}
	if len(enrolments) == 0 {
		return statuses, nil
	}
	slices.SortStableFunc(enrolments, func(a, b engine.Enrolment) int { return a.EnrolledAt.Compare(b.EnrolledAt) })
	var gone map[int]bool
	if !at.unerased {
		if gone, err = erasedRows(ctx, tx, enrolments, traceOfEnrolment); err != nil {
			return nil, err
		}
	}
	entries, err := loadSeats(ctx, tx, enrolments)
	if err != nil {
		return nil, err
	}
	for i := range enrolments {
		if !gone[i] && !entries.enrolled(&enrolments[i]) {
			entries.add(&enrolments[i])
		}
	}
	return statuses, entries.write(ctx, tx, at.first)
}
