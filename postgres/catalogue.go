package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

type touchpointRow struct {
	Key             string              `db:"key"`
	Name            string              `db:"name"`
	Channel         string              `db:"channel"`
	Stage           string              `db:"stage"`
	Content         []byte              `db:"content"`
	CostAmount      decimal.NullDecimal `db:"cost_amount"`
	CostCurrency    sql.NullString      `db:"cost_currency"`
	CreatedAt       time.Time           `db:"created_at"`
	UpdatedAt       time.Time           `db:"updated_at"`
	PromotedBy      string              `db:"promoted_by"`
	PromotedVariant string              `db:"promoted_variant"`
}

func (r *touchpointRow) touchpoint() engine.Touchpoint {
	t := engine.Touchpoint{
		Key: engine.TouchpointKey(r.Key), Name: r.Name, Channel: engine.Channel(r.Channel), Stage: engine.Stage(r.Stage),
		Content: r.Content, PromotedBy: engine.ExperimentKey(r.PromotedBy), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.CostAmount.Valid {
		t.CostPerContact = &engine.Money{Amount: r.CostAmount.Decimal, Currency: engine.Currency(r.CostCurrency.String)}
	}
	return t
}

// PutTouchpoint implements engine.Catalogue.
func (s *Store) PutTouchpoint(ctx context.Context, t *engine.Touchpoint) (created bool, err error) {
	var amount decimal.NullDecimal
	var currency sql.NullString
	if c := t.CostPerContact; c != nil {
		amount = decimal.NewNullDecimal(c.Amount)
		currency = sql.NullString{String: string(c.Currency), Valid: true}
	}
	err = s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		var exists bool
		if err := tx.GetContext(ctx, &exists,
			`SELECT EXISTS (SELECT FROM touchpoints WHERE key = $1)`, t.Key); err != nil {
			return err
		}
		created = !exists
		if err := tx.GetContext(ctx, &t.CreatedAt, `
			INSERT INTO touchpoints AS old
				(key, name, channel, stage, content, cost_amount, cost_currency, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (key) DO UPDATE SET
				name = excluded.name, channel = excluded.channel, stage = excluded.stage,
				content = excluded.content, cost_amount = excluded.cost_amount,
				cost_currency = excluded.cost_currency, updated_at = excluded.updated_at,
				promoted_by = CASE WHEN CAST(old.content AS text) = CAST(excluded.content AS text) THEN old.promoted_by END
			RETURNING created_at`,
			t.Key, t.Name, t.Channel, t.Stage, []byte(t.Content), amount, currency, t.CreatedAt, t.UpdatedAt); err != nil {
			return err
		}
		return record(ctx, tx, t.UpdatedAt, t.Entry(created))
	})
	return created, err
}

// Touchpoint implements engine.Catalogue.
func (s *Store) Touchpoint(ctx context.Context, key engine.TouchpointKey) (*engine.Touchpoint, error) {
	var r touchpointRow
	err := s.hot.GetContext(ctx, &r, `
		SELECT key, name, channel, stage, content, coalesce(promoted_by, '') AS promoted_by,
			cost_amount, cost_currency, created_at, updated_at
		FROM touchpoints WHERE key = $1`, key)
	if err != nil {
		return nil, found(err, "touchpoint", string(key))
	}
	t := r.touchpoint()
	return &t, nil
}

// Touchpoints implements engine.Catalogue.
func (s *Store) Touchpoints(ctx context.Context, p engine.Page) ([]engine.Touchpoint, error) {
	var rows []touchpointRow
	err := s.hot.SelectContext(ctx, &rows, `
		SELECT key, name, channel, stage, content, coalesce(promoted_by, '') AS promoted_by,
			cost_amount, cost_currency, created_at, updated_at
		FROM touchpoints WHERE key > $1 ORDER BY key LIMIT $2`, p.After, p.Limit)
	touchpoints := make([]engine.Touchpoint, len(rows))
	for i := range rows {
		touchpoints[i] = rows[i].touchpoint()
	}
	return touchpoints, translate(err)
}

// DeleteTouchpoint implements engine.Catalogue.
func (s *Store) DeleteTouchpoint(ctx context.Context, key engine.TouchpointKey, at time.Time) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		var users []string
		if err := tx.SelectContext(ctx, &users,
			`SELECT key FROM experiments WHERE $1 = ANY (touchpoints) ORDER BY key LIMIT 1`, key); err != nil {
			return err
		}
		if len(users) > 0 {
			return engine.Errorf(engine.KindConflict, "in_use", "touchpoint %q is named by experiment %q", key, users[0])
		}
		return deleteOne(ctx, tx, at, "touchpoint", string(key), `DELETE FROM touchpoints WHERE key = $1`)
	})
}

func deleteOne(ctx context.Context, tx *sqlx.Tx, at time.Time, noun, key, statement string) error {
	result, err := tx.ExecContext(ctx, statement, key)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return engine.NotFoundf(noun, key)
	}
	return record(ctx, tx, at, engine.Deleted(noun, key))
}

// PutMetric implements engine.Catalogue.
func (s *Store) PutMetric(ctx context.Context, m *engine.Metric, at time.Time) (created bool, err error) {
	definition, err := json.Marshal(m)
	if err != nil {
		return false, err
	}
	err = s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := tx.GetContext(ctx, &created, `
			INSERT INTO metrics (key, definition, updated_at) VALUES ($1, $2, $3)
			ON CONFLICT (key) DO UPDATE SET definition = excluded.definition, updated_at = excluded.updated_at
			RETURNING xmax = 0`, m.Key, definition, at); err != nil {
			return err
		}
		return record(ctx, tx, at, m.Entry(created))
	})
	return created, err
}

// Metric implements engine.Catalogue.
func (s *Store) Metric(ctx context.Context, key engine.MetricKey) (*engine.Metric, error) {
	var definition []byte
	if err := s.hot.GetContext(ctx, &definition, `SELECT definition FROM metrics WHERE key = $1`, key); err != nil {
		return nil, found(err, "metric", string(key))
	}
	m := &engine.Metric{}
	return m, json.Unmarshal(definition, m)
}

// Metrics implements engine.Catalogue.
func (s *Store) Metrics(ctx context.Context, p engine.Page) ([]engine.Metric, error) {
	var definitions [][]byte
	if err := s.hot.SelectContext(ctx, &definitions,
		`SELECT definition FROM metrics WHERE key > $1 ORDER BY key LIMIT $2`, p.After, p.Limit); err != nil {
		return nil, translate(err)
	}
	return decodeAll[engine.Metric](definitions)
}

func decodeAll[T any](documents [][]byte) ([]T, error) {
	values := make([]T, len(documents))
	for i, d := range documents {
		if err := json.Unmarshal(d, &values[i]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// DeleteMetric implements engine.Catalogue.
func (s *Store) DeleteMetric(ctx context.Context, key engine.MetricKey, at time.Time) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		var users []string
		if err := tx.SelectContext(ctx, &users, `
			SELECT key FROM experiments WHERE status = 'draft' AND $1 = ANY (metrics) ORDER BY key LIMIT 1`, key); err != nil {
			return err
		}
		if len(users) > 0 {
			return engine.Errorf(engine.KindConflict, "in_use", "metric %q is named by the draft %q", key, users[0])
		}
		return deleteOne(ctx, tx, at, "metric", string(key), `DELETE FROM metrics WHERE key = $1`)
	})
}

// PutLayer implements engine.Catalogue.
func (s *Store) PutLayer(ctx context.Context, l *engine.Layer, at time.Time) (created bool, err error) {
	err = s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx,
			`INSERT INTO layers (key, salt) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`, l.Key, l.Salt)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if created = n == 1; !created || err != nil {
			return err
		}
		return record(ctx, tx, at, l.Entry())
	})
	return created, err
}

// Layer implements engine.Catalogue.
func (s *Store) Layer(ctx context.Context, key engine.LayerKey) (*engine.Layer, error) {
	l := &engine.Layer{Key: key}
	if err := s.hot.GetContext(ctx, &l.Salt, `SELECT salt FROM layers WHERE key = $1`, key); err != nil {
		return nil, found(err, "layer", string(key))
	}
	return l, nil
}

// Layers implements engine.Catalogue.
func (s *Store) Layers(ctx context.Context, p engine.Page) ([]engine.Layer, error) {
	layers := []engine.Layer{}
	err := s.hot.SelectContext(ctx, &layers,
		`SELECT key, salt FROM layers WHERE key > $1 ORDER BY key LIMIT $2`, p.After, p.Limit)
	return layers, translate(err)
}
