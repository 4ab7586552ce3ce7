package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/journal"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// start is when the tests' clocks begin.
var start = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func newStore(t *testing.T) *Store {
	t.Helper()
	return openStore(t, pgtest.Database(t))
}

func openStore(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A clock goes only when it is told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// randomness is reproducible and may be read by many at once.
type randomness struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func newRandomness(seed byte) *randomness {
	return &randomness{src: rand.NewChaCha8([32]byte{seed})}
}

func (r *randomness) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.Read(b)
}

// newEngine is one process on the store: seed tells its random ids from another's.
func newEngine(t *testing.T, s *Store, c *clock, seed byte) *engine.Engine {
	t.Helper()
	kept, err := journal.Open(t.TempDir(), journal.Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	e := engine.New(engine.Config{
		Store: s, Journal: kept, Now: c.Now, Random: newRandomness(seed), Log: slog.New(slog.DiscardHandler), Reporting: "EUR",
	})
	if err := e.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// exec changes the database behind the store's back.
func exec(t *testing.T, s *Store, statement string, args ...any) {
	t.Helper()
	if _, err := s.bulk.ExecContext(context.Background(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, s *Store, query string, args ...any) int {
	t.Helper()
	var n int
	if err := s.bulk.GetContext(context.Background(), &n, query, args...); err != nil {
		t.Fatal(err)
	}
	return n
}

func amount(text string) *decimal.Decimal {
	d := decimal.RequireFromString(text)
	return &d
}

func order(customer, id, value string, at time.Time) engine.Event {
	return engine.Event{
		ID: id, Customer: engine.CustomerID(customer), Type: "order", OccurredAt: at, Value: amount(value), Currency: "EUR",
	}
}

func content(text string) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"text":%q}`, text)) }

// catalogue makes what specs name: two touchpoints and a few metrics.
func catalogue(t *testing.T, e *engine.Engine) {
	t.Helper()
	for _, key := range []engine.TouchpointKey{"mail", "web"} {
		must(e.PutTouchpoint(t.Context(), &engine.Touchpoint{Key: key, Channel: "email", Content: content("own")}))(t)
	}
	window := &engine.Window{FromDay: 0, ToDay: 7}
	for _, m := range []engine.Metric{
		{Key: "ltv_7", Kind: engine.KindLTV, Events: []string{"order"}, Window: window},
		{Key: "retention_7", Kind: engine.KindRetention, Events: []string{"order"}, Window: window},
		{Key: "refunds_7", Kind: engine.KindCount, Events: []string{"refund"}, Window: window, Direction: engine.Decrease},
	} {
		must(e.PutMetric(t.Context(), &m))(t)
	}
}

// spec is a test of two arms on the touchpoint mail.
func spec(key engine.ExperimentKey) *engine.Spec {
	s := &engine.Spec{
		Key: key, Touchpoints: []engine.TouchpointKey{"mail"}, Traffic: decimal.NewFromInt(1),
		Assignment: engine.AssignedByEngine,
		Variants: []engine.Variant{
			{Key: "control", Control: true, Weight: 1},
			{Key: "warm", Weight: 1, Content: map[engine.TouchpointKey]json.RawMessage{"mail": content("warm")}},
		},
		Metrics: engine.Metrics{Primary: []engine.MetricKey{"ltv_7"}},
		Plan:    engine.DefaultPlan(), Policy: engine.DefaultPolicy(),
	}
	s.Plan.Method = engine.MethodAnytime
	return s
}

func draft(t *testing.T, e *engine.Engine, s *engine.Spec) *engine.Experiment {
	t.Helper()
	return must(e.CreateExperiment(t.Context(), s))(t)
}

func running(t *testing.T, e *engine.Engine, s *engine.Spec) *engine.Experiment {
	t.Helper()
	draft(t, e, s)
	return must(e.Start(t.Context(), engine.Action{Experiment: s.Key, By: "tester"}))(t)
}

func kindOf(t *testing.T, err error, want engine.Kind, code string) {
	t.Helper()
	var known *engine.Error
	if e, ok := err.(*engine.Error); ok { //nolint:errorlint // the store answers it bare
		known = e
	}
	if known == nil || known.Kind != want || (code != "" && known.Code != code) {
		t.Fatalf("error %v (%T), want kind %d with code %q", err, err, want, code)
	}
}
