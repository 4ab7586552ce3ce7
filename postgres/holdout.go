package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

type holdoutRow struct {
	Key       string    `db:"key"`
	Parts     int       `db:"parts"`
	Salt      string    `db:"salt"`
	Contents  []byte    `db:"contents"`
	CreatedAt time.Time `db:"created_at"`
}

func (r *holdoutRow) holdout() (*engine.Holdout, error) {
	h := &engine.Holdout{Key: engine.HoldoutKey(r.Key), Parts: r.Parts, Salt: r.Salt, CreatedAt: r.CreatedAt}
	return h, json.Unmarshal(r.Contents, &h.Contents)
}

func allHoldouts(rows []holdoutRow) ([]engine.Holdout, error) {
	all := make([]engine.Holdout, 0, len(rows))
	for i := range rows {
		h, err := rows[i].holdout()
		if err != nil {
			return nil, err
		}
		all = append(all, *h)
	}
	return all, nil
}

// PutHoldout implements engine.Catalogue.
func (s *Store) PutHoldout(ctx context.Context, h *engine.Holdout) (created bool, err error) {
	err = s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `
			INSERT INTO holdouts (key, parts, salt, contents, created_at)
			SELECT $1, $2, $3, coalesce((SELECT json_object_agg(key, content) FROM touchpoints), '{}'), $4
			ON CONFLICT (key) DO NOTHING`, h.Key, h.Parts, h.Salt, h.CreatedAt)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if created = n == 1; err != nil || !created {
			return err
		}
		return record(ctx, tx, h.CreatedAt, h.Entry())
	})
	return created, err
}

// holdContent keeps what a touchpoint served before its first promotion for the holdouts that
// are older than it.
func holdContent(ctx context.Context, tx *sqlx.Tx, key engine.TouchpointKey, content json.RawMessage) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE holdouts SET contents = (SELECT json_object_agg(key, value) FROM (
			SELECT key, value FROM json_each(contents) UNION ALL SELECT CAST($1 AS text), CAST($2 AS json)) AS both_of_them)
		WHERE contents -> CAST($1 AS text) IS NULL`, key, []byte(content))
	return err
}

// Holdout implements engine.Catalogue.
func (s *Store) Holdout(ctx context.Context, key engine.HoldoutKey) (*engine.Holdout, error) {
	var r holdoutRow
	if err := s.hot.GetContext(ctx, &r,
		`SELECT key, parts, salt, contents, created_at FROM holdouts WHERE key = $1`, key); err != nil {
		return nil, found(err, "holdout", string(key))
	}
	return r.holdout()
}

// Holdouts implements engine.Catalogue.
func (s *Store) Holdouts(ctx context.Context, p engine.Page) ([]engine.Holdout, error) {
	var rows []holdoutRow
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT key, parts, salt, contents, created_at FROM holdouts WHERE key > $1 ORDER BY key LIMIT $2`,
		p.After, p.Limit); err != nil {
		return nil, translate(err)
	}
	return allHoldouts(rows)
}
