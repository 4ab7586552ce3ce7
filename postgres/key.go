package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

type keyRow struct {
	ID        string         `db:"id"`
	Name      string         `db:"name"`
	Scopes    pq.StringArray `db:"scopes"`
	Hash      []byte         `db:"hash"`
	CreatedAt time.Time      `db:"created_at"`
	RevokedAt sql.NullTime   `db:"revoked_at"`
}

func apiKeys(rows []keyRow) []engine.Key {
	keys := make([]engine.Key, len(rows))
	for i, r := range rows {
		keys[i] = engine.Key{
			ID: r.ID, Name: r.Name, Scopes: texts[engine.Scope](r.Scopes),
			CreatedAt: r.CreatedAt, RevokedAt: timeOf(r.RevokedAt),
		}
		copy(keys[i].Hash[:], r.Hash)
	}
	return keys
}

// selectKeys reads the keys that are valid.
func selectKeys(ctx context.Context, tx *sqlx.Tx) ([]engine.Key, error) {
	var rows []keyRow
	err := tx.SelectContext(ctx, &rows,
		`SELECT id, name, scopes, hash, created_at, revoked_at FROM api_keys WHERE revoked_at IS NULL`)
	return apiKeys(rows), err
}

// CreateKey implements engine.Keys.
func (s *Store) CreateKey(ctx context.Context, k *engine.Key) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx,
			`INSERT INTO api_keys (id, name, scopes, hash, created_at) VALUES ($1, $2, $3, $4, $5)`,
			k.ID, k.Name, pq.Array(texts[string](k.Scopes)), k.Hash[:], k.CreatedAt); err != nil {
			return err
		}
		return record(ctx, tx, k.CreatedAt, k.Entry())
	})
}

// Keys implements engine.Keys.
func (s *Store) Keys(ctx context.Context, p engine.Page) ([]engine.Key, error) {
	var rows []keyRow
	err := s.hot.SelectContext(ctx, &rows, `
		SELECT id, name, scopes, hash, created_at, revoked_at
		FROM api_keys WHERE id > $1 ORDER BY id LIMIT $2`, p.After, p.Limit)
	return apiKeys(rows), translate(err)
}

// RevokeKey implements engine.Keys.
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		var was sql.NullTime
		if err := tx.GetContext(ctx, &was, `SELECT revoked_at FROM api_keys WHERE id = $1 FOR UPDATE`, id); err != nil {
			return found(err, "key", id)
		}
		if was.Valid {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `UPDATE api_keys SET revoked_at = $2 WHERE id = $1`, id, at); err != nil {
			return err
		}
		return record(ctx, tx, at, engine.Entry{Action: "key.revoke", Object: "key/" + id})
	})
}

// ClaimIdempotency implements engine.Keys.
func (s *Store) ClaimIdempotency(
	ctx context.Context, c engine.IdempotencyClaim, at time.Time,
) (answer *engine.IdempotentAnswer, err error) {
	err = s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		result, err := tx.ExecContext(ctx, `
			INSERT INTO idempotency_keys AS old (owner, key, digest, status, claimed_at) VALUES ($1, $2, $3, 0, $4)
			ON CONFLICT (owner, key) DO UPDATE SET digest = excluded.digest, claimed_at = excluded.claimed_at
			WHERE old.status = 0 AND old.claimed_at < $5`,
			c.Owner, c.Key, c.Digest, at, at.Add(-engine.IdempotencyInFlight))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return err
		}
		var r struct {
			Digest []byte `db:"digest"`
			Status int    `db:"status"`
			Body   []byte `db:"body"`
		}
		err = tx.GetContext(ctx, &r,
			`SELECT digest, status, body FROM idempotency_keys WHERE owner = $1 AND key = $2`, c.Owner, c.Key)
		if errors.Is(err, sql.ErrNoRows) {
			return engine.Errorf(engine.KindConflict, "in_flight", "the first request with this Idempotency-Key has just failed: try again")
		}
		answer = &engine.IdempotentAnswer{Digest: r.Digest, Status: r.Status, Body: r.Body}
		return err
	})
	return answer, err
}

// SaveIdempotency implements engine.Keys. A claim that was taken for dead, and is another
// request's by now, is left to that one.
func (s *Store) SaveIdempotency(ctx context.Context, c engine.IdempotencyClaim, answer *engine.IdempotentAnswer) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if answer == nil {
			_, err := tx.ExecContext(ctx,
				`DELETE FROM idempotency_keys WHERE owner = $1 AND key = $2 AND digest = $3 AND status = 0`, c.Owner, c.Key, c.Digest)
			return err
		}
		_, err := tx.ExecContext(ctx, `
			UPDATE idempotency_keys SET status = $4, body = $5
			WHERE owner = $1 AND key = $2 AND digest = $3 AND status = 0`,
			c.Owner, c.Key, c.Digest, answer.Status, answer.Body)
		return err
	})
}
