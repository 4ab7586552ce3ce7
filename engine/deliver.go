package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	maxDue     = 100             // messages to one webhook in one turn
	maxSending = 64              // webhooks served at once
	lookAgain  = time.Second     // for what is due to others, while receivers are waited for
	maxTurn    = 5 * time.Second // of a webhook; what is left then waits for the next run
)

// A turn is that of one webhook in a run: what became of its messages.
type turn struct {
	webhook string
	sent    int
	last    bool // the webhook is away, overloaded or slow: it has no other turn in this run
	err     error
}

// deliverAll is the webhooks job: it sends what is due, each webhook's messages one after
// the other and the webhooks beside each other. While it waits for receivers it goes on looking
// for what is due to others, so that a slow receiver holds up only itself.
func (e *Engine) deliverAll(ctx context.Context) (sent int, err error) {
	if e.sender == nil {
		return 0, nil
	}
	var (
		failures []error
		serving  int
		passed   = map[string]bool{} // webhooks that are being served, or had their last turn
		places   = make(chan struct{}, maxSending)
		ended    = make(chan turn)
		look     = time.NewTicker(lookAgain)
	)
	defer look.Stop()
	for first := true; first || serving > 0; first = false {
		due, err := e.store.DueDeliveries(ctx, e.now(), maxDue)
		if err != nil {
			failures = append(failures, err)
			look.Stop()
		}
		for webhook, queue := range byWebhook(due) {
			if passed[webhook] {
				continue
			}
			passed[webhook] = true
			serving++
			go func() {
				places <- struct{}{}
				defer func() { <-places }()
				ended <- e.deliver(ctx, queue)
			}()
		}
		for waiting := true; waiting && serving > 0; {
			select {
			case t := <-ended:
				serving--
				sent += t.sent
				failures = append(failures, t.err)
				passed[t.webhook] = t.last
			case <-look.C:
				waiting = false
			}
		}
	}
	return sent, errors.Join(failures...)
}

// byWebhook divides deliveries by where they go and keeps their order.
func byWebhook(due []Delivery) map[string][]Delivery {
	queues := map[string][]Delivery{}
	for _, d := range due {
		queues[d.Webhook.ID] = append(queues[d.Webhook.ID], d)
	}
	return queues
}

// deliver gives a webhook its turn: it sends its messages until one shows that the receiver is
// away, or the turn has taken too long.
func (e *Engine) deliver(ctx context.Context, queue []Delivery) turn {
	t, begun := turn{webhook: queue[0].Webhook.ID}, e.now()
	for i := range queue {
		d := &queue[i]
		at := e.now()
		answer := e.sender.Send(ctx, &d.Webhook, &d.Message, at)
		if answer.Status == 0 && ctx.Err() != nil {
			// The job was cut off, which need not be the receiver's fault: the message stays due.
			t.err = fmt.Errorf("webhook %s: %w", t.webhook, ctx.Err())
			return t
		}
		end := e.now()
		a := d.attempt(at, end, answer)
		// What was sent is written down also when the job has just been cut off.
		if t.err = e.store.SaveAttempt(context.WithoutCancel(ctx), a); t.err != nil {
			t.last = true
			return t
		}
		t.sent++
		t.last = answer.Status == 0 || a.Gone || throttled(answer.Status) || end.Sub(begun) > maxTurn
		if t.last {
			break
		}
	}
	return t
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
