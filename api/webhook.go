package api

import (
	"context"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

type webhookJSON struct {
	ID         string     `json:"id"`
	URL        string     `json:"url"`
	Events     []string   `json:"events"`
	Secret     string     `json:"secret,omitzero"` // once
	CreatedAt  time.Time  `json:"created_at"`
	DisabledAt *time.Time `json:"disabled_at"`
}

func webhookOf(w *engine.Webhook) webhookJSON {
	j := webhookJSON{ID: w.ID, URL: w.URL, Events: strs(w.Events), CreatedAt: w.CreatedAt.UTC(), DisabledAt: utc(w.DisabledAt)}
	if len(w.Events) == 0 {
		j.Events = strs(engine.EventNames)
	}
	return j
}

func (s *Server) createWebhook(c *gin.Context) (reply, error) {
	var b struct {
		URL    string   `json:"url"`
		Events []string `json:"events"`
	}
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	w, err := s.engine.CreateWebhook(c.Request.Context(), b.URL, named[engine.EventName](b.Events))
	if err != nil {
		return reply{}, err
	}
	j := webhookOf(w)
	j.Secret = w.WebhookSecret()
	return created(j), nil
}

func (s *Server) listWebhooks(c *gin.Context) (reply, error) {
	return list(c, s.engine.ListWebhooks, webhookOf, func(w *engine.Webhook) string { return w.ID })
}

func (s *Server) deleteWebhook(c *gin.Context) (reply, error) {
	id, err := pathKey(c, "id", "webhook")
	if err != nil {
		return reply{}, err
	}
	return noContent(), s.engine.DeleteWebhook(c.Request.Context(), id)
}

type deliveryJSON struct {
	ID            string        `json:"id"` // of the message: webhook-id
	Event         string        `json:"event"`
	Status        string        `json:"status"`
	CreatedAt     time.Time     `json:"created_at"`
	DeliveredAt   *time.Time    `json:"delivered_at"`
	NextAttemptAt *time.Time    `json:"next_attempt_at"`
	Attempts      []attemptJSON `json:"attempts"`
}

type attemptJSON struct {
	At           time.Time `json:"at"`
	Milliseconds int64     `json:"milliseconds"`
	Status       *int      `json:"status"`
	Error        *string   `json:"error"`
}

func deliveryOf(d *engine.DeliveryRecord) deliveryJSON {
	j := deliveryJSON{
		ID: d.Message, Event: string(d.Event), CreatedAt: d.CreatedAt.UTC(), DeliveredAt: utc(d.DeliveredAt),
		NextAttemptAt: utc(d.NextAt), Attempts: []attemptJSON{},
	}
	switch {
	case d.NextAt != nil:
		j.Status = "waiting"
	case d.DeliveredAt != nil:
		j.Status = "delivered"
	default:
		j.Status = "given_up"
	}
	for _, a := range d.Attempts {
		j.Attempts = append(j.Attempts, attemptJSON{a.At.UTC(), a.Took.Milliseconds(), positive(a.Status), optional(a.Error)})
	}
	return j
}

func (s *Server) listDeliveries(c *gin.Context) (reply, error) {
	id, err := pathKey(c, "id", "webhook")
	if err != nil {
		return reply{}, err
	}
	fetch := func(ctx context.Context, p engine.Page) ([]engine.DeliveryRecord, error) {
		return s.engine.Deliveries(ctx, id, p)
	}
	return list(c, fetch, deliveryOf, func(d *engine.DeliveryRecord) string { return d.Message })
}

func (s *Server) replayDelivery(c *gin.Context) (reply, error) {
	id, err := pathKey(c, "id", "webhook")
	if err != nil {
		return reply{}, err
	}
	message, err := pathKey(c, "message", "delivery")
	if err != nil {
		return reply{}, err
	}
	if err := readOptional(c, &struct{}{}); err != nil {
		return reply{}, err
	}
	if err := s.engine.ReplayDelivery(c.Request.Context(), id, message); err != nil {
		return reply{}, err
	}
	return ok(struct {
		ID     string `json:"id"`
		Status string `json:"status"`
	}{message, "waiting"}), nil
}
