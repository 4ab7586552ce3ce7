package postgres

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/perennial-engine/perennial/engine"
)

// Transactions of events go side by side, in lanes: one waits for the disk while another
// writes its rows. Three locks keep the order that everybody else relies on.
//
//   - The ledger's lock, which a lane shares with other lanes and everybody else has alone:
//     no link or erasure comes between the reading of identities and the commit.
//   - The block's lock. A lane takes the next groupRows positions behind the newest that
//     nobody has taken: those of blocks under way are locked, those of earlier ones are not
//     beyond the newest position any more.
//   - The lock of the block before, at the end: it is let go of when that block is in or given
//     up. So blocks become visible in their order, and everything up to the newest position is
//     the same set for ever.
//
// All of them end with the transaction, also when its process dies.
const (
	ledgerLock = 0x70656c65 // class of the ledger's lock, which is number 0
	blockLock  = 0x70656c62 // class of the blocks' locks, each numbered as its last position
)

// A block is groupRows ingest positions, from first on, of a transaction that has the ledger's
// lock. Where nobody was ever erased, that is known with it.
type block struct {
	first    int64
	unerased bool
}

// errOvertaken is about a block that was written by another transaction before it was locked.
var errOvertaken = engine.Errorf(engine.KindUnavailable, "ledger_busy", "another transaction took the same ingest positions: try again")

// contended reports whether a transaction failed for another lane's sake: tried again it
// finds what the other has written.
func contended(err error) bool {
	return errors.Is(err, errOvertaken) || pq.As(err, pqerror.TRDeadlockDetected) != nil
}

// openLane takes the ledger's lock, shared, and a block. Each statement sees what was
// committed when it began, in one round trip.
func openLane(ctx context.Context, tx *sqlx.Tx) (b block, err error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT pg_advisory_xact_lock_shared(1885695077, 0);
		SELECT last FROM (SELECT value + 1000 * n AS last FROM ingest_position, generate_series(1, 1000) AS n) AS block
		WHERE pg_try_advisory_xact_lock(1885695074, CAST(last % 2147483647 AS integer)) LIMIT 1;
		SELECT value, NOT EXISTS (SELECT FROM erasures) FROM ingest_position`)
	if err != nil {
		return b, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	var last, newest sql.NullInt64
	for _, into := range [][]any{{new(sql.NullString)}, {&last}, {&newest, &b.unerased}} {
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				return b, err
			}
		}
		rows.NextResultSet()
	}
	if err := rows.Err(); err != nil {
		return b, err
	}
	if !last.Valid || newest.Int64 >= last.Int64 {
		return b, errOvertaken
	}
	b.first = last.Int64 - groupRows + 1
	return b, nil
}

// closeLane waits until the block before is in or given up, and makes this one the newest.
func (s *Store) closeLane(ctx context.Context, tx *sqlx.Tx, b block) error {
	result, err := tx.StmtxContext(ctx, s.prepared(publishBlock)).
		ExecContext(ctx, blockLock, b.first-1, b.first+groupRows-1, b.first)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, errOvertaken)
	}
	return nil
}

const publishBlock = `
		WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared($1, CAST(CAST($2 AS bigint) % 2147483647 AS integer)))
		UPDATE ingest_position SET value = $3 FROM turn WHERE value < $4`

// alone takes the ledger's lock and a block, which is published with the transaction: how many
// rows there will be is not known before. What the statement sees of erasures is from before
// it had the lock, and holds where nothing was published in between.
func (s *Store) alone(ctx context.Context, tx *sqlx.Tx) (b block, err error) {
	err = tx.StmtxContext(ctx, s.prepared(takeBlock)).QueryRowContext(ctx, groupRows, ledgerLock).Scan(&b.first, &b.unerased)
	return b, err
}

const takeBlock = `
		WITH seen AS MATERIALIZED (SELECT value, EXISTS (SELECT FROM erasures) AS erasures FROM ingest_position),
		ledger AS MATERIALIZED (SELECT pg_advisory_xact_lock($2, 0)),
		taken AS (UPDATE ingest_position SET value = value + $1 FROM ledger RETURNING value - $1 AS before)
		SELECT before + 1, before = seen.value AND NOT seen.erasures FROM taken, seen`

// prepare has the statements of the queues ready, which the bulk pool's connections parse once
// each. The first time it takes a connection: who holds one, and the ledger's lock perhaps, must
// not wait for another.
func (s *Store) prepare(ctx context.Context) error {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	for _, query := range []string{takeBlock, publishBlock, addEvents} {
		if s.statements[query] != nil {
			continue
		}
		statement, err := s.bulk.PreparexContext(ctx, query) //nolint:sqlclosecheck // it lasts as long as the pool
		if err != nil {
			return translate(err)
		}
		s.statements[query] = statement
	}
	return nil
}

// prepared is a statement that prepare has made ready.
func (s *Store) prepared(query string) *sqlx.Stmt {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	return s.statements[query]
}

// published is the end of a transaction that is alone.
func published(context.Context, *sqlx.Tx, block) error { return nil }
