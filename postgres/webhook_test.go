package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

// A sender writes down what it is to send, and does what the test says.
type sender struct {
	mu   sync.Mutex
	sent []string // "webhook URL message id"
	do   func(ctx context.Context, url string) engine.Answered
}

func (s *sender) Send(ctx context.Context, w *engine.Webhook, m *engine.Message, _ time.Time) engine.Answered {
	s.mu.Lock()
	s.sent = append(s.sent, w.URL+" "+m.ID)
	s.mu.Unlock()
	if s.do == nil {
		return engine.Answered{Status: 200}
	}
	return s.do(ctx, w.URL)
}

// sendingEngine is newEngine with a sender.
func sendingEngine(t *testing.T, s *Store, c *clock, via *sender) *engine.Engine {
	t.Helper()
	e := engine.New(engine.Config{
		Store: s, Now: c.Now, Random: newRandomness(7), Log: slog.New(slog.DiscardHandler), Reporting: "EUR", Sender: via,
	})
	if err := e.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// messages are the events of the outbox, oldest first, with the number of their deliveries.
func messages(t *testing.T, s *Store) []string {
	t.Helper()
	var rows []string
	if err := s.bulk.SelectContext(t.Context(), &rows, `
		SELECT m.event || ' ' || (SELECT count(*) FROM deliveries d WHERE d.message = m.id)
		FROM messages m ORDER BY m.created_at, m.event`); err != nil {
		t.Fatal(err)
	}
	return rows
}

// The loop tells of each thing it does once, whoever does it, and a change that fails tells
// of nothing.
func TestTheLoopTells(t *testing.T) {
	dsn := pgtest.Database(t)
	s, c := openStore(t, dsn), &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	must(e.CreateWebhook(t.Context(), "https://a.example", nil))(t)
	draft(t, e, spec("tone"))
	broken := errors.New("broken rule")
	if err := s.ChangeExperiment(t.Context(), "tone", func(c *engine.Change) error {
		c.Experiment.Status = engine.StatusRunning
		return broken
	}); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if got := messages(t, s); len(got) > 0 {
		t.Errorf("a refused change tells %v", got)
	}
	must(e.Start(t.Context(), engine.Action{Experiment: "tone"}))(t)
	spend(t, s, "tone", "control", 150, 10, start)
	spend(t, s, "tone", "warm", 150, 20, start)
	c.Set(start.Add(21 * day))
	run(t, e, "measure")
	run(t, e, "analyze")
	c.Set(start.Add(22 * day))
	// Several processes want to carry the decision out.
	var wait sync.WaitGroup
	for i := range 3 {
		other := newEngine(t, openStore(t, dsn), c, byte(2+i))
		wait.Go(func() { _, _ = other.RunJobNow(context.Background(), "decide", time.Minute) })
	}
	wait.Wait()
	if diff := cmp.Diff([]string{
		"experiment.started 1", "experiment.decision 1", "experiment.concluded 1", "experiment.promoted 1",
	}, messages(t, s)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// Data that becomes unhealthy is told of once, until it was healthy again.
func TestUnhealthyIsToldOnce(t *testing.T) {
	s := newStore(t)
	e := newEngine(t, s, &clock{at: start}, 1)
	catalogue(t, e)
	running(t, e, spec("tone"))
	for i, healthy := range []bool{false, false, true, true, false} {
		r := look(i + 1)
		r.Health = engine.Health{OK: healthy, Checks: []engine.Check{
			{Check: "maturity", OK: true}, {Check: "sample_ratio", OK: healthy, Detail: "p 0.0001"},
		}}
		if err := s.SaveReport(t.Context(), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"experiment.started 0", "experiment.unhealthy 0", "experiment.unhealthy 0"}, messages(t, s)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	var body string
	if err := s.bulk.GetContext(t.Context(), &body,
		`SELECT body FROM messages WHERE event = 'experiment.unhealthy' ORDER BY created_at DESC LIMIT 1`); err != nil {
		t.Fatal(err)
	}
	var event struct {
		Data struct {
			Report int
			Checks []struct{ Check, Detail string }
		}
	}
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		t.Fatal(err)
	}
	if d := event.Data; d.Report != 5 || len(d.Checks) != 1 || d.Checks[0].Check != "sample_ratio" {
		t.Errorf("the last says %+v", d)
	}
}

// A receiver that hangs is cut off with its job and is tried again; it holds up nobody else.
func TestAReceiverThatHangs(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	via := &sender{}
	ctx, cutOff := context.WithCancel(t.Context())
	var others sync.WaitGroup
	others.Add(2)
	via.do = func(ctx context.Context, url string) engine.Answered {
		if url == "https://hangs.example" {
			others.Wait()
			cutOff()
			<-ctx.Done()
			return engine.Answered{Failure: ctx.Err().Error()}
		}
		others.Done()
		return engine.Answered{Status: 200}
	}
	e := sendingEngine(t, s, c, via)
	catalogue(t, e)
	for _, url := range []string{"https://hangs.example", "https://a.example", "https://b.example"} {
		must(e.CreateWebhook(t.Context(), url, nil))(t)
	}
	running(t, e, spec("tone"))
	if _, err := e.RunJob(ctx, "webhooks"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was cut off", err)
	}
	via.do = nil
	if n := run(t, e, "webhooks"); n != 1 {
		t.Errorf("%d sent by the next run, want what hung", n)
	}
	counts := map[string]int{}
	for _, line := range via.sent {
		counts[line]++
	}
	if len(counts) != 3 || len(via.sent) != 4 {
		t.Errorf("sent %v, want one id to each of three webhooks, and to one of them twice", via.sent)
	}
	if n := count(t, s, `SELECT count(*) FROM deliveries WHERE delivered_at IS NULL`); n != 0 {
		t.Errorf("%d deliveries were not made", n)
	}
}

// A slow receiver holds up nobody else: what comes to be due while it is waited for is sent.
func TestASlowReceiver(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var fast atomic.Int32
	one, two := make(chan struct{}), make(chan struct{})
	via := &sender{do: func(ctx context.Context, url string) engine.Answered {
		if url == "https://fast.example" {
			switch fast.Add(1) {
			case 1:
				close(one)
			case 2:
				close(two)
			}
			return engine.Answered{Status: 200}
		}
		select {
		case <-two: // it answers after the other has got both
			return engine.Answered{Status: 200}
		case <-ctx.Done():
			return engine.Answered{Failure: ctx.Err().Error()}
		}
	}}
	e := sendingEngine(t, s, c, via)
	catalogue(t, e)
	for _, url := range []string{"https://slow.example", "https://fast.example"} {
		must(e.CreateWebhook(t.Context(), url, nil))(t)
	}
	begin := func(key engine.ExperimentKey) {
		half := spec(key)
		half.Traffic = decimal.NewFromFloat(0.5)
		running(t, e, half)
	}
	begin("tone")
	var wait sync.WaitGroup
	var sent int
	wait.Go(func() {
		var err error
		if sent, err = e.RunJob(ctx, "webhooks"); err != nil {
			t.Error(err)
		}
	})
	<-one
	begin("tone-2")
	wait.Wait()
	// Two messages to two webhooks. The slow one's second may be left to the next run.
	if sent += run(t, e, "webhooks"); sent != 4 || fast.Load() != 2 {
		t.Errorf("%d sent, %d of them to the fast one; want 4 and 2", sent, fast.Load())
	}
}

// Webhooks come and go while tests start: no start fails over it, and none is told of twice.
func TestWebhooksComeAndGo(t *testing.T) {
	dsn := pgtest.Database(t)
	s, c, via := openStore(t, dsn), &clock{at: start}, &sender{}
	e := sendingEngine(t, s, c, via)
	const tests = 12
	for i := range tests {
		key := engine.TouchpointKey(fmt.Sprintf("t%d", i))
		must(e.PutTouchpoint(t.Context(), &engine.Touchpoint{Key: key, Channel: "web"}))(t)
	}
	catalogue(t, e)
	for i := range tests {
		x := spec(engine.ExperimentKey(fmt.Sprintf("x%d", i)))
		x.Touchpoints = []engine.TouchpointKey{engine.TouchpointKey(fmt.Sprintf("t%d", i))}
		x.Variants[1].Content = nil
		draft(t, e, x)
	}
	var wait sync.WaitGroup
	failures := make(chan error, 100)
	wait.Go(func() {
		for i := range tests {
			_, err := e.Start(context.Background(), engine.Action{Experiment: engine.ExperimentKey(fmt.Sprintf("x%d", i))})
			failures <- err
		}
	})
	for range 2 {
		wait.Go(func() {
			for range tests {
				w, err := e.CreateWebhook(context.Background(), "https://a.example", nil)
				failures <- err
				if err == nil {
					_, err = e.RunJobNow(context.Background(), "webhooks", time.Minute)
					failures <- err
					failures <- e.DeleteWebhook(context.Background(), w.ID)
				}
			}
		})
	}
	wait.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			t.Error(err)
		}
	}
	if n := count(t, s, `SELECT count(*) FROM messages`); n != tests {
		t.Errorf("%d messages, want %d", n, tests)
	}
	auditLog(t, s)
}
