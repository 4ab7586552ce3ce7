package engine

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// A Webhook is somebody outside who wants to be told of events.
type Webhook struct {
	ID         string
	URL        string
	Events     []EventName // none: all, also those yet to come
	Secret     []byte      // signs what is sent
	CreatedAt  time.Time
	DisabledAt *time.Time // the receiver said that it is gone for good (410)
}

// WebhookSecret is the secret as Standard Webhooks writes it down.
func (w *Webhook) WebhookSecret() string {
	return "whsec_" + base64.StdEncoding.EncodeToString(w.Secret)
}

// secretBytes is the length of a secret; Standard Webhooks asks for 24 to 64.
const secretBytes = 32

// maxURL is the longest URL of a webhook, in bytes.
const maxURL = 2000

func (w *Webhook) validate() error {
	var v violations
	const rule = "must be an http or https URL of at most %d bytes, without a user and a fragment"
	u, err := url.Parse(w.URL)
	if !validText(w.URL, maxURL) || err != nil || (u.Scheme != "http" && u.Scheme != "https") ||
		u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		v.add("/url", rule, maxURL)
	}
	for i, event := range w.Events {
		switch {
		case i >= len(EventNames):
			v.add("/events", "must name each event at most once")
			return v.err("webhook")
		case !slices.Contains(EventNames, event):
			v.add("/events/"+strconv.Itoa(i), "%s", oneOf(EventNames))
		case slices.Contains(w.Events[:i], event):
			v.add("/events/"+strconv.Itoa(i), "%q stands twice", event)
		}
	}
	return v.err("webhook")
}

// Entry is that of a new webhook.
func (w *Webhook) Entry() Entry {
	d := Detail{"url": w.URL}
	if len(w.Events) > 0 {
		d["events"] = w.Events
	}
	return Entry{"webhook.create", "webhook/" + w.ID, d}
}

// CreateWebhook makes a webhook with a secret of its own. It hears of what happens from now on.
func (e *Engine) CreateWebhook(ctx context.Context, address string, events []EventName) (*Webhook, error) {
	id, err := e.token(8)
	if err != nil {
		return nil, err
	}
	w := &Webhook{ID: "wh_" + id, URL: address, Events: events, Secret: make([]byte, secretBytes), CreatedAt: e.now()}
	if err := w.validate(); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(e.random, w.Secret); err != nil {
		return nil, fmt.Errorf("randomness: %w", err)
	}
	return w, e.store.CreateWebhook(ctx, w)
}

// ListWebhooks lists webhooks by id.
func (e *Engine) ListWebhooks(ctx context.Context, p Page) ([]Webhook, error) {
	return e.store.Webhooks(ctx, p)
}

// DeleteWebhook deletes a webhook with its delivery log.
func (e *Engine) DeleteWebhook(ctx context.Context, id string) error {
	return e.store.DeleteWebhook(ctx, id, e.now())
}

// Deliveries is the delivery log of a webhook, newest first.
func (e *Engine) Deliveries(ctx context.Context, webhook string, p Page) ([]DeliveryRecord, error) {
	return e.store.Deliveries(ctx, webhook, p)
}

// ReplayDelivery sends a message once more, whether or not it was delivered before.
func (e *Engine) ReplayDelivery(ctx context.Context, webhook, message string) error {
	return e.store.ReplayDelivery(ctx, webhook, message, e.now())
}
