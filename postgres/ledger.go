package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// The tables of the ledger have a customer_id: the bytewise smallest identifier of the person.
// A statement that brings rows in takes the ledger's lock first ([nextPosition], or with
// others of its kind [openLane]) and then resolves the identifiers it was sent, so that it
// cannot pass a link on its way in.

// stampLayout writes times into arrays of text, which are cast to timestamptz[].
const stampLayout = "2006-01-02T15:04:05.999999Z"

func stamps(t time.Time) string { return t.UTC().Format(stampLayout) }

// column is an array of the database, in which an empty text is NULL.
type column []string

var arrayEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// Value implements driver.Valuer.
func (t column) Value() (driver.Value, error) {
	size := 2
	for _, s := range t {
		size += len(s) + 5
	}
	array := append(make([]byte, 0, size), '{')
	for i, s := range t {
		if i > 0 {
			array = append(array, ',')
		}
		switch {
		case s == "":
			array = append(array, "NULL"...)
		case strings.ContainsAny(s, `"\`):
			array = append(append(append(array, '"'), arrayEscapes.Replace(s)...), '"')
		default:
			array = append(append(append(array, '"'), s...), '"')
		}
	}
	return string(append(array, '}')), nil
}

// identity is what makes an event or exposure count once.
type identity struct {
	Customer string `db:"customer_id"`
	ID       string `db:"id"`
}

// bodies are what makes the rows of a batch count once: whose they are, under which
// id, and what they say.
type bodies struct {
	customers, ids column
	digests        [][]byte
}

func newBodies(n int) bodies {
	return bodies{make(column, n), make(column, n), make([][]byte, n)}
}

// statuses tells the rows apart after so many were inserted, from the position first on: new
// ones, then, by what lookup reads under their ids, duplicates and conflicts. lookup answers a row for each row of the
// batch, in order. A row may meet its like earlier in the same batch.
func (b *bodies) statuses(ctx context.Context, tx *sqlx.Tx, inserted sql.Result, first int64, lookup string) ([]engine.RowStatus, error) {
	n := len(b.ids)
	statuses := make([]engine.RowStatus, n)
	if fresh, err := inserted.RowsAffected(); err != nil || int(fresh) == n {
		return statuses, err
	}
	var stored []struct {
		identity
		N        int    `db:"n"`
		Digest   []byte `db:"digest"`
		Position int64  `db:"position"`
	}
	if err := tx.SelectContext(ctx, &stored, lookup, b.customers, b.ids); err != nil {
		return nil, err
	}
	met := map[identity]bool{}
	for _, s := range stored {
		switch {
		case s.Position >= first && !met[s.identity]:
			statuses[s.N-1] = engine.RowAccepted
		case string(s.Digest) == string(b.digests[s.N-1]):
			statuses[s.N-1] = engine.RowDuplicate
		default:
			statuses[s.N-1] = engine.RowConflict
		}
		met[s.identity] = true
	}
	return statuses, nil
}
