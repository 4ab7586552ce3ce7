package api_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/internal/pgtest"
)

// A wire is a way to the database that can be cut and mended.
type wire struct {
	listener net.Listener
	mu       sync.Mutex
	cut      bool
	open     map[net.Conn]bool
}

// newWire leads to the database at dsn, and answers the address to reach it by.
func newWire(t *testing.T, dsn string) (w *wire, through string) {
	t.Helper()
	config, err := pq.NewConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	if config.Host[0] == '/' {
		network, address = "unix", config.Host+"/.s.PGSQL."+strconv.Itoa(int(config.Port))
	}
	w = &wire{open: map[net.Conn]bool{}}
	if w.listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.listener.Close() })
	go func() {
		for {
			near, err := w.listener.Accept()
			if err != nil {
				return
			}
			go w.carry(near, network, address)
		}
	}()
	user := url.User(config.User)
	if config.Password != "" {
		user = url.UserPassword(config.User, config.Password)
	}
	u := url.URL{Scheme: "postgres", User: user, Host: w.listener.Addr().String(), Path: "/" + config.Database, RawQuery: "sslmode=disable"}
	return w, u.String()
}

func (w *wire) carry(near net.Conn, network, address string) {
	far, err := net.DialTimeout(network, address, time.Minute)
	if err != nil {
		_ = near.Close()
		return
	}
	w.mu.Lock()
	refuse := w.cut
	w.open[near], w.open[far] = true, true
	w.mu.Unlock()
	if refuse {
		w.Cut()
	}
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = way[0].Close(), way[1].Close()
		}()
	}
}

// Cut ends every connection and lets no new one live.
func (w *wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for conn := range w.open {
		_ = conn.Close()
		delete(w.open, conn)
	}
}

// Mend lets connections live again.
func (w *wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

// TestDatabaseAway: while the database is away everything that needs it is 503 with
// Retry-After, assignments are answered from memory as before, and all is well again when
// it comes back.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	w, dsn := newWire(t, pgtest.Database(t))
	s := newSystemOn(t, dsn).catalogue()
	s.running(welcomeTone)
	reader := s.key("read")
	ask := func(customer string) *answer {
		return s.post("/v1/assignments", object{"customer": customer, "touchpoint": "welcome-email"}).is(http.StatusOK)
	}
	before := ask("c1")
	w.Cut()
	s.away = true

	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/readyz", nil},
		{"GET", "/v1/touchpoints", nil},
		{"PUT", "/v1/touchpoints/t", `{"channel": "web"}`},
		{"DELETE", "/v1/touchpoints/t", nil},
		{"GET", "/v1/metrics/ltv_30", nil},
		{"PUT", "/v1/layers/l", nil},
		{"POST", "/v1/experiments", welcomeTone},
		{"POST", "/v1/experiments/welcome-tone/pause", nil},
		{"POST", "/v1/experiments/welcome-tone/reports", nil},
		{"GET", "/v1/customers/c1", nil},
		{"PUT", "/v1/customers/c1", `{"attributes": {}}`},
		{"POST", "/v1/events", events(order)},
		{"POST", "/v1/exposures", `{"exposures": [{"id": "x", "customer": "c1", "touchpoint": "till", "occurred_at": "2026-03-01T12:00:00Z"}]}`},
		{"POST", "/v1/enrolments", `{"enrolments": [{"experiment": "e", "variant": "v", "customer": "c", "enrolled_at": "2026-03-01T12:00:00Z"}]}`},
		{"POST", "/v1/keys", `{"name": "k", "scopes": ["read"]}`},
		{"GET", "/v1/audit", nil},
		{"GET", "/v1/webhooks", nil},
		{"POST", "/v1/webhooks", `{"url": "https://example.com"}`},
		{"GET", "/v1/jobs", nil},
		{"POST", "/v1/jobs/measure/run", nil},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			s := s.in(t)
			s.do(c.method, c.path, c.body).fails(http.StatusServiceUnavailable, "database_unavailable")
			if c.method == http.MethodPost {
				s.do(c.method, c.path, c.body, idempotencyKey("once")).is(http.StatusServiceUnavailable)
			}
		})
	}
	s.get("/healthz").is(http.StatusOK)
	values := s.scrape()
	if _, ok := values["perennial_assignments_total assigned"]; !ok {
		t.Error("no metrics while the database is away")
	}
	if _, ok := values["perennial_job_runs_total measure"]; ok {
		t.Error("metrics of jobs came from a database that is away")
	}
	s.get("/v1/touchpoints", with("pk_wrong")).fails(http.StatusUnauthorized, "unauthenticated")
	s.post("/v1/assignments", `{}`, with(reader)).fails(http.StatusForbidden, "scope_missing")
	ask("c1").has(object{"/variant": before.at("/variant"), "/reason": "assigned"})
	ask("c2").has(object{"/reason": "assigned"})
	if err := s.engine.Flush(t.Context()); err == nil {
		t.Error("what waits was recorded without a database")
	}
	s.post("/v1/events", "{").fails(http.StatusBadRequest, "malformed_json")

	w.Mend()
	s.away = false
	s.get("/readyz").is(http.StatusOK)
	// Who was answered meanwhile is enrolled now: nothing is lost.
	if err := s.engine.Flush(t.Context()); err != nil || s.engine.Unrecorded() != 0 {
		t.Errorf("flush: %v, %d lost", err, s.engine.Unrecorded())
	}
	s.get("/v1/customers/c2").has(object{"/enrolments/0/experiment": "welcome-tone"})
	s.post("/v1/events", events(order)).receipt(1, 0, 0)
	ask("c2")
	s.get("/v1/customers/c2").is(http.StatusOK)
}
