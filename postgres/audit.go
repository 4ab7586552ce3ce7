package postgres

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/engine/audit"
)

// record writes entries of the audit log in the transaction of the change they tell of. It
// takes the head's lock, which must be the last lock of a transaction.
func record(ctx context.Context, tx *sqlx.Tx, at time.Time, entries ...engine.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	var last struct {
		Seq  int64  `db:"seq"`
		Hash []byte `db:"hash"`
	}
	if err := tx.GetContext(ctx, &last, `SELECT seq, hash FROM audit_head FOR UPDATE`); err != nil {
		return err
	}
	head := audit.Head{Seq: last.Seq}
	copy(head.Hash[:], last.Hash)
	for _, e := range entries {
		row, err := e.Row(engine.ActorOf(ctx), at)
		if err != nil {
			return err
		}
		head = row.Seal(head)
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO audit (seq, at, actor, action, object, detail, previous, hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			row.Seq, row.At, row.Actor, row.Action, row.Object, row.Detail, row.Previous[:], row.Hash[:]); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `UPDATE audit_head SET seq = $1, hash = $2`, head.Seq, head.Hash[:])
	return err
}

// AuditRows implements engine.AuditLog: oldest first; a page goes on after a number.
func (s *Store) AuditRows(ctx context.Context, object string, p engine.Page) ([]audit.Row, error) {
	// A row that somebody has put before the first shows too.
	after := int64(math.MinInt64)
	if p.After != "" {
		var err error
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil {
			return nil, engine.Errorf(engine.KindMalformed, "invalid_cursor", "the cursor is not one of this list")
		}
	}
	var rows []struct {
		Seq      int64     `db:"seq"`
		At       time.Time `db:"at"`
		Actor    string    `db:"actor"`
		Action   string    `db:"action"`
		Object   string    `db:"object"`
		Detail   string    `db:"detail"`
		Previous []byte    `db:"previous"`
		Hash     []byte    `db:"hash"`
	}
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT seq, at, actor, action, object, detail, previous, hash
		FROM audit WHERE seq > $1 AND ($3 = '' OR object = $3) ORDER BY seq LIMIT $2`, after, p.Limit, object); err != nil {
		return nil, translate(err)
	}
	log := make([]audit.Row, len(rows))
	for i, r := range rows {
		log[i] = audit.Row{Seq: r.Seq, At: r.At, Actor: r.Actor, Action: r.Action, Object: r.Object, Detail: r.Detail}
		copy(log[i].Previous[:], r.Previous)
		copy(log[i].Hash[:], r.Hash)
	}
	return log, nil
}
