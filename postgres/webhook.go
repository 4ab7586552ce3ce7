package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

type webhookRow struct {
	ID         string         `db:"id"`
	URL        string         `db:"url"`
	Events     pq.StringArray `db:"events"`
	Secret     []byte         `db:"secret"`
	CreatedAt  time.Time      `db:"created_at"`
	DisabledAt sql.NullTime   `db:"disabled_at"`
}

func (r *webhookRow) webhook() engine.Webhook {
	return engine.Webhook{
		ID: r.ID, URL: r.URL, Events: texts[engine.EventName](r.Events), Secret: r.Secret,
		CreatedAt: r.CreatedAt, DisabledAt: timeOf(r.DisabledAt),
	}
}

// CreateWebhook implements engine.Webhooks.
func (s *Store) CreateWebhook(ctx context.Context, w *engine.Webhook) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx,
			`INSERT INTO webhooks (id, url, events, secret, created_at) VALUES ($1, $2, $3, $4, $5)`,
			w.ID, w.URL, pq.Array(texts[string](w.Events)), w.Secret, w.CreatedAt); err != nil {
			return err
		}
		return record(ctx, tx, w.CreatedAt, w.Entry())
	})
}

// Webhooks implements engine.Webhooks.
func (s *Store) Webhooks(ctx context.Context, p engine.Page) ([]engine.Webhook, error) {
	var rows []webhookRow
	err := s.hot.SelectContext(ctx, &rows, `
		SELECT id, url, events, secret, created_at, disabled_at
		FROM webhooks WHERE id > $1 ORDER BY id LIMIT $2`, p.After, p.Limit)
	webhooks := make([]engine.Webhook, len(rows))
	for i := range rows {
		webhooks[i] = rows[i].webhook()
	}
	return webhooks, translate(err)
}

// DeleteWebhook implements engine.Webhooks.
func (s *Store) DeleteWebhook(ctx context.Context, id string, at time.Time) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		return deleteOne(ctx, tx, at, "webhook", id, `DELETE FROM webhooks WHERE id = $1`)
	})
}

// post puts messages in the outbox of every webhook that wants them, in the transaction of
// the change they tell of.
func post(ctx context.Context, tx *sqlx.Tx, messages ...engine.Message) error {
	for _, m := range messages {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO messages (id, event, body, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			m.ID, m.Event, string(m.Body), m.At); err != nil {
			return err
		}
		// The lock waits for a webhook that is just being deleted, and then passes it over.
		if _, err := tx.ExecContext(ctx, `
			WITH listening AS (
				SELECT id FROM webhooks WHERE disabled_at IS NULL AND (events = '{}' OR $2 = ANY (events))
				ORDER BY id FOR KEY SHARE)
			INSERT INTO deliveries (webhook, message, created_at, next_attempt_at)
			SELECT id, $1, $3, $3 FROM listening ON CONFLICT DO NOTHING`,
			m.ID, string(m.Event), m.At); err != nil {
			return err
		}
	}
	return nil
}

// DueDeliveries implements engine.Webhooks.
func (s *Store) DueDeliveries(ctx context.Context, at time.Time, limit int) ([]engine.Delivery, error) {
	var rows []struct {
		webhookRow

		Attempts  int       `db:"attempts"`
		MessageID string    `db:"message_id"`
		Event     string    `db:"event"`
		Body      string    `db:"body"`
		MessageAt time.Time `db:"message_at"`
	}
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT w.id, w.url, w.events, w.secret, w.created_at, w.disabled_at,
			d.attempts, m.id AS message_id, m.event, m.body, m.created_at AS message_at
		FROM webhooks w
		CROSS JOIN LATERAL (
			SELECT message, attempts, next_attempt_at FROM deliveries
			WHERE webhook = w.id AND next_attempt_at <= $1 ORDER BY next_attempt_at, message LIMIT $2) d
		JOIN messages m ON m.id = d.message
		WHERE w.disabled_at IS NULL ORDER BY d.next_attempt_at, m.created_at, m.id`, at, limit); err != nil {
		return nil, translate(err)
	}
	due := make([]engine.Delivery, len(rows))
	for i := range rows {
		r := &rows[i]
		due[i] = engine.Delivery{
			Webhook: r.webhook(), Attempts: r.Attempts,
			Message: engine.Message{ID: r.MessageID, Event: engine.EventName(r.Event), At: r.MessageAt, Body: []byte(r.Body)},
		}
	}
	return due, nil
}

// SaveAttempt implements engine.Webhooks. A webhook that was deleted meanwhile has no log.
func (s *Store) SaveAttempt(ctx context.Context, a *engine.Attempt) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		// The webhook before its deliveries, as whoever deletes it locks them.
		var known []string
		if err := tx.SelectContext(ctx, &known,
			`SELECT id FROM webhooks WHERE id = $1 FOR KEY SHARE`, a.Webhook); err != nil || len(known) == 0 {
			return err
		}
		var delivered *time.Time
		if a.Delivered {
			delivered = &a.At
		}
		var numbers []int
		if err := tx.SelectContext(ctx, &numbers, `
			UPDATE deliveries SET attempts = attempts + 1, next_attempt_at = $3, delivered_at = coalesce($4, delivered_at)
			WHERE webhook = $1 AND message = $2 RETURNING attempts`,
			a.Webhook, a.Message, a.NextAt, delivered); err != nil || len(numbers) == 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO delivery_attempts (webhook, message, attempt, at, status, error, milliseconds)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			a.Webhook, a.Message, numbers[0], a.At, a.Status, a.Error, a.Took.Milliseconds()); err != nil {
			return err
		}
		if !a.Gone {
			return nil
		}
		if _, err := tx.ExecContext(ctx,
			`UPDATE webhooks SET disabled_at = $2 WHERE id = $1`, a.Webhook, a.At); err != nil {
			return err
		}
		return record(ctx, tx, a.At, engine.Entry{Action: "webhook.disable", Object: "webhook/" + a.Webhook})
	})
}

// Deliveries implements engine.Webhooks: newest first; a page goes on after a message.
func (s *Store) Deliveries(ctx context.Context, webhook string, p engine.Page) ([]engine.DeliveryRecord, error) {
	var known bool
	if err := s.hot.GetContext(ctx, &known, `SELECT EXISTS (SELECT FROM webhooks WHERE id = $1)`, webhook); err != nil {
		return nil, translate(err)
	}
	if !known {
		return nil, engine.NotFoundf("webhook", webhook)
	}
	var rows []struct {
		Message     string       `db:"message"`
		Event       string       `db:"event"`
		CreatedAt   time.Time    `db:"created_at"`
		DeliveredAt sql.NullTime `db:"delivered_at"`
		NextAt      sql.NullTime `db:"next_attempt_at"`
		Attempts    []byte       `db:"attempts"`
	}
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT d.message, m.event, d.created_at, d.delivered_at, d.next_attempt_at, coalesce((
			SELECT json_agg(json_build_object('at', a.at, 'status', a.status, 'error', a.error, 'milliseconds', a.milliseconds)
				ORDER BY a.attempt)
			FROM delivery_attempts a WHERE a.webhook = d.webhook AND a.message = d.message), '[]') AS attempts
		FROM deliveries d JOIN messages m ON m.id = d.message
		WHERE d.webhook = $1 AND ($2 = '' OR (d.created_at, d.message) < (
			SELECT b.created_at, b.message FROM deliveries b WHERE b.webhook = $1 AND b.message = $2))
		ORDER BY d.created_at DESC, d.message DESC LIMIT $3`, webhook, p.After, p.Limit); err != nil {
		return nil, translate(err)
	}
	records := make([]engine.DeliveryRecord, len(rows))
	for i, r := range rows {
		var attempts []struct {
			At           time.Time `json:"at"`
			Status       int       `json:"status"`
			Error        string    `json:"error"`
			Milliseconds int64     `json:"milliseconds"`
		}
		if err := json.Unmarshal(r.Attempts, &attempts); err != nil {
			return nil, err
		}
		records[i] = engine.DeliveryRecord{
			Message: r.Message, Event: engine.EventName(r.Event), CreatedAt: r.CreatedAt,
			DeliveredAt: timeOf(r.DeliveredAt), NextAt: timeOf(r.NextAt),
		}
		for _, a := range attempts {
			records[i].Attempts = append(records[i].Attempts, engine.AttemptRecord{
				At: a.At, Took: time.Duration(a.Milliseconds) * time.Millisecond, Status: a.Status, Error: a.Error,
			})
		}
	}
	return records, nil
}

// ReplayDelivery implements engine.Webhooks.
func (s *Store) ReplayDelivery(ctx context.Context, webhook, message string, at time.Time) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		var disabled sql.NullTime
		if err := tx.GetContext(ctx, &disabled,
			`SELECT disabled_at FROM webhooks WHERE id = $1 FOR KEY SHARE`, webhook); err != nil {
			return found(err, "webhook", webhook)
		}
		if disabled.Valid {
			return engine.Errorf(engine.KindConflict, "webhook_disabled",
				"the receiver of webhook %q said that it is gone: make a new webhook", webhook)
		}
		result, err := tx.ExecContext(ctx, `
			UPDATE deliveries SET next_attempt_at = $3 WHERE webhook = $1 AND message = $2`, webhook, message, at)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return engine.NotFoundf("delivery", message)
		}
		return record(ctx, tx, at, engine.Entry{
			Action: "webhook.replay", Object: "webhook/" + webhook, Detail: engine.Detail{"message": message},
		})
	})
}
