package api_test

import (
	"net/http"
	"testing"
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
