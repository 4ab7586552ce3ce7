package api_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestOpenPages: health, readiness and version are open to all.
func TestOpenPages(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.get("/healthz", with("")).is(http.StatusOK).has(object{"/status": "ok"})
	s.get("/readyz", with("")).is(http.StatusOK).has(object{"/status": "ready"})
	s.get("/version", with("")).is(http.StatusOK).has(object{"/version": "test"})
}

// TestNoSuchRoute: what is not there is 404, and another method 405 with Allow; both are
// problem bodies, whatever the path looks like.
func TestNoSuchRoute(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1/touchpoints/", "/v1/nothing", "/V1/touchpoints", "//v1/touchpoints", "/v1/touchpoints/a/b",
		"/v1/touchpoints/../metrics", "/%ff", "/%00", "/v1/%f0%28%8c%28", "/v1/experiments//decisions", "/healthz/",
	} {
		t.Run(path, func(t *testing.T) { s.in(t).get(path).fails(http.StatusNotFound, "no_such_route") })
	}
	a := s.patch("/v1/touchpoints/welcome", "{}").fails(http.StatusMethodNotAllowed, "method_not_allowed")
	if got := a.header.Get("Allow"); got != "GET, PUT, DELETE" {
		t.Errorf("Allow is %q", got)
	}
	s.post("/healthz", nil, with("")).fails(http.StatusMethodNotAllowed, "method_not_allowed")
	s.do(http.MethodOptions, "/v1/assignments", nil, with("")).fails(http.StatusMethodNotAllowed, "method_not_allowed")
}

// TestRequestID: every answer names its request, by the client's own name where it has a
// plain one.
func TestRequestID(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	a := s.get("/v1/touchpoints/none", header("X-Request-Id", "order-7.retry_2")).is(http.StatusNotFound)
	a.has(object{"/request_id": "order-7.retry_2"})
	if got := a.header.Get("X-Request-Id"); got != "order-7.retry_2" {
		t.Errorf("X-Request-Id is %q", got)
	}
	seen := map[string]bool{}
	for _, hostile := range []string{"", "<script>", "a b", "0123456789012345678901234567890123456789012345678901234567890123456789", "ü"} {
		a := s.get("/v1/touchpoints/none", header("X-Request-Id", hostile)).is(http.StatusNotFound)
		id := a.header.Get("X-Request-Id")
		if id == hostile || len(id) != 16 || seen[id] {
			t.Errorf("sent %q: answered under %q, want a new id", hostile, id)
		}
		seen[id] = true
		a.has(object{"/request_id": id})
	}
}

// TestSlowRoutes: what reads much of the ledger is answered however long it took, and all else
// before the write timeout. Here that is over at once.
func TestSlowRoutes(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"key": "running"}))
	s.post("/v1/experiments", welcomeTone).is(http.StatusCreated)
	server := s.api.HTTP()
	server.WriteTimeout = time.Nanosecond
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	for _, c := range []struct {
		method, path, body string
		slow               bool
	}{
		{"GET", "/v1/layers", "", false},
		{"POST", "/v1/events", `{"events": []}`, false},
		{"PUT", "/v1/rates", `{"rates": [{"date": "2026-03-01", "currency": "USD", "rate": "0.9"}]}`, true},
		{"POST", "/v1/plans/size", `{"metric": "ltv_30", "min_effect": 0.1}`, true},
		{"GET", "/v1/experiments/welcome-tone/start-checklist", "", true},
		{"POST", "/v1/experiments/welcome-tone/start", "", true},
		{"POST", "/v1/experiments/running/reports", "", true},
		{"GET", "/v1/export/events", "", true},
		{"POST", "/v1/jobs/measure/run", "", true},
		{"DELETE", "/v1/customers/c1", "", true},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+listener.Addr().String()+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+adminKey)
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		if answered := err == nil; answered != c.slow {
			t.Errorf("%s %s answered: %v, want %v (%v)", c.method, c.path, answered, c.slow, err)
		}
	}
}
