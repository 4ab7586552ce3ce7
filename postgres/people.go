package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/engine/people"
)

// peoplePage is about how many links or enrolments a page has: the rows of one ingest
// position are never parted. A page is read well within the limit of a hot statement, also
// on a busy machine.
const peoplePage = 5_000

// PeopleSince implements engine.Identities.
func (s *Store) PeopleSince(ctx context.Context, position int64) (people *engine.People, upTo int64, err error) {
	err = s.inSnapshot(ctx, s.hot, func(tx *sqlx.Tx) error {
		people, upTo, err = peopleSince(ctx, tx, position, peoplePage)
		return err
	})
	return people, upTo, err
}

func peopleSince(ctx context.Context, tx *sqlx.Tx, since int64, limit int) (p *engine.People, upTo int64, err error) {
	if err := tx.GetContext(ctx, &upTo, `SELECT value FROM ingest_position`); err != nil {
		return nil, 0, err
	}
	p = &engine.People{}
	if upTo <= since {
		return p, since, nil
	}
	for _, statement := range []string{
		`SELECT position FROM enrolments WHERE position > $1 ORDER BY position OFFSET $2 LIMIT 1`,
		`SELECT position FROM identities WHERE position > $1 ORDER BY position OFFSET $2 LIMIT 1`,
	} {
		if upTo, err = pageEnd(ctx, tx, statement, since, upTo, limit); err != nil {
			return nil, 0, err
		}
	}
	if err := tx.SelectContext(ctx, &p.Links, `
		SELECT customer_id AS identifier, person FROM identities WHERE position > $1 AND position <= $2`, since, upTo); err != nil {
		return nil, 0, err
	}
	var rows []enrolmentRow
	if err := tx.SelectContext(ctx, &rows, `
		SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, contaminated
		FROM enrolments WHERE position > $1 AND position <= $2
		UNION
		SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, enrolments.position,
			contaminated
		FROM (SELECT DISTINCT person FROM identities WHERE position > $1 AND position <= $2) AS linked
		JOIN enrolments ON enrolments.customer_id = linked.person`, since, upTo); err != nil {
		return nil, 0, err
	}
	p.Enrolments = enrolmentsOf(rows)
	var erased [][]byte
	if err := tx.SelectContext(ctx, &erased, `
		SELECT digest FROM erasures WHERE position > $1 AND position <= $2`, since, upTo); err != nil {
		return nil, 0, err
	}
	for _, digest := range erased {
		p.Erased = append(p.Erased, people.Digest(digest))
	}
	return p, upTo, nil
}

// pageEnd answers where a page of about limit rows ends, upTo at the latest. beyond reads
// the position of the first row that is too much: the page ends before it, but for a
// position that has more rows than a page.
func pageEnd(ctx context.Context, tx *sqlx.Tx, beyond string, since, upTo int64, limit int) (int64, error) {
	var over, first int64
	switch err := tx.GetContext(ctx, &over, beyond, since, limit); {
	case errors.Is(err, sql.ErrNoRows):
		return upTo, nil
	case err != nil:
		return 0, err
	}
	if err := tx.GetContext(ctx, &first, beyond, since, 0); err != nil {
		return 0, err
	}
	return min(upTo, max(over-1, first)), nil
}

// IngestPosition implements engine.Identities.
func (s *Store) IngestPosition(ctx context.Context) (int64, error) {
	var position int64
	err := s.hot.GetContext(ctx, &position, `SELECT value FROM ingest_position`)
	return position, translate(err)
}
