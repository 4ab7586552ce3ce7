package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// erasedSince knows who was erased since an export took its picture of the database, on which
// they are still there. Nil knows of nobody.
type erasedSince struct {
	store    *Store
	position int64
	as       engine.Pseudonymizer
	names    map[string]bool
}

// erasedFromNow begins with the picture of tx.
func (s *Store) erasedFromNow(ctx context.Context, tx *sqlx.Tx) (*erasedSince, error) {
	e := &erasedSince{store: s, names: map[string]bool{}}
	var secret []byte
	if err := tx.QueryRowxContext(ctx, `SELECT value, secret FROM ingest_position, configuration`).Scan(&e.position, &secret); err != nil {
		return nil, err
	}
	e.as = engine.NewPseudonymizer(secret)
	return e, nil
}

// look asks for new erasures, outside of the picture.
func (e *erasedSince) look(ctx context.Context) error {
	if e == nil {
		return nil
	}
	var rows []struct {
		Name     string `db:"customer_id"`
		Position int64  `db:"position"`
	}
	if err := e.store.hot.SelectContext(ctx, &rows,
		`SELECT customer_id, position FROM erasures WHERE position > $1`, e.position); err != nil {
		return err
	}
	for _, r := range rows {
		e.names[r.Name], e.position = true, max(e.position, r.Position)
	}
	return nil
}

func (e *erasedSince) has(person string) bool {
	return e != nil && len(e.names) > 0 && e.names[e.as.Name(person)]
}
