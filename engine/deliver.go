package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A Sender carries a message to a webhook, signed.
type Sender interface {
	Send(ctx context.Context, w *Webhook, m *Message, at time.Time) Answered
}

// Answered is what a receiver said, or why it said nothing.
type Answered struct {
	Status     int           // 0: nothing
	RetryAfter time.Duration // 0: it did not say
	Failure    string        // why it said nothing, in words
}

// A Delivery is a message on its way to a webhook.
type Delivery struct {
	Webhook  Webhook
	Message  Message
	Attempts int // so far
}

// An Attempt is one sending of a message, and what is next.
type Attempt struct {
	Webhook   string
	Message   string
	At        time.Time
	Took      time.Duration
	Status    int    // 0: no answer
	Error     string // why it failed, in words
	Delivered bool
	NextAt    *time.Time // nil: no more
	Gone      bool       // the receiver never wants to hear of it again
}

// A DeliveryRecord is one line of a webhook's delivery log.
type DeliveryRecord struct {
	Message     string
	Event       EventName
	CreatedAt   time.Time
	DeliveredAt *time.Time
	NextAt      *time.Time
	Attempts    []AttemptRecord // oldest first
}

// An AttemptRecord is one attempt as the log has it.
type AttemptRecord struct {
	At     time.Time
	Took   time.Duration
	Status int
	Error  string
}

// retrySchedule is the one of Standard Webhooks 1.0: how long after a failed attempt the
// next one follows. After the last the message is given up.
var retrySchedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// maxRetryAfter bounds how long a receiver may ask to be left alone.
const maxRetryAfter = 24 * time.Hour

const (
	maxDue     = 100 // messages to one webhook in one run
	maxSending = 8   // webhooks served at once
)

// deliverAll is the webhooks job: it sends what is due, each webhook's messages one after
// the other and the webhooks beside each other, so that a slow receiver holds up only itself.
func (e *Engine) deliverAll(ctx context.Context) (int, error) {
	if e.sender == nil {
		return 0, nil
	}
	due, err := e.store.DueDeliveries(ctx, e.now(), maxDue)
	if err != nil {
		return 0, err
	}
	byWebhook := map[string][]Delivery{}
	for _, d := range due {
		byWebhook[d.Webhook.ID] = append(byWebhook[d.Webhook.ID], d)
	}
	var (
		wait     sync.WaitGroup
		mu       sync.Mutex
		sent     int
		failures []error
		places   = make(chan struct{}, maxSending)
	)
	for _, queue := range byWebhook {
		wait.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			n, err := e.deliver(ctx, queue)
			mu.Lock()
			defer mu.Unlock()
			sent += n
			failures = append(failures, err)
		})
	}
	wait.Wait()
	return sent, errors.Join(failures...)
}

// deliver sends a webhook's messages until one shows that the receiver is away.
func (e *Engine) deliver(ctx context.Context, queue []Delivery) (sent int, err error) {
	for i := range queue {
		d := &queue[i]
		at := e.now()
		answer := e.sender.Send(ctx, &d.Webhook, &d.Message, at)
		if answer.Status == 0 && ctx.Err() != nil {
			// The job was cut off, which need not be the receiver's fault: the message stays due.
			return sent, fmt.Errorf("webhook %s: %w", d.Webhook.ID, ctx.Err())
		}
		a := d.attempt(at, e.now(), answer)
		// What was sent is written down also when the job has just been cut off.
		if err := e.store.SaveAttempt(context.WithoutCancel(ctx), a); err != nil {
			return sent, err
		}
		sent++
		if answer.Status == 0 || a.Gone || throttled(answer.Status) {
			break
		}
	}
	return sent, nil
}

// throttled: the receiver is overloaded, so that the rest waits for the next run.
func throttled(status int) bool {
	return status == 429 || status == 502 || status == 503 || status == 504
}

// attempt judges an answer: delivered, to be tried again, or given up.
func (d *Delivery) attempt(at, end time.Time, answer Answered) *Attempt {
	a := &Attempt{Webhook: d.Webhook.ID, Message: d.Message.ID, At: at, Took: end.Sub(at), Status: answer.Status}
	switch {
	case answer.Status == 0:
		a.Error = shortText(answer.Failure)
	case answer.Status >= 200 && answer.Status <= 299:
		a.Delivered = true
		return a
	case answer.Status >= 300 && answer.Status <= 399:
		a.Error = "redirects are not followed: change the URL of the webhook"
	case answer.Status == 410:
		a.Error, a.Gone = "the receiver is gone for good: the webhook is disabled", true
		return a
	default:
		a.Error = "the receiver did not take it"
	}
	if d.Attempts < len(retrySchedule) {
		pause := max(retrySchedule[d.Attempts], min(answer.RetryAfter, maxRetryAfter))
		next := end.Add(pause)
		a.NextAt = &next
	}
	return a
}

// shortText makes what somebody else wrote fit for the log.
func shortText(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
