package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestIdentities: what is sent under any identifier of a person is that person's.
func TestIdentities(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.post("/v1/events", events(and(order, object{"customer": "c42"}))).receipt(1, 0, 0)
	s.post("/v1/events", events(
		and(order, object{"customer": "cookie:9f3a", "value": "1"}), and(order, object{"customer": "cookie:9f3a", "id": "o-2"}))).receipt(2, 0, 0)
	s.put("/v1/customers/cookie:9f3a", `{"attributes": {"country": "FR"}}`).is(http.StatusCreated)
	s.post("/v1/identities", `{"customer": "cookie:9f3a", "identifiers": ["c42", "c42"]}`).is(http.StatusOK).has(object{
		"/customer": "c42", "/identifiers": []any{"c42", "cookie:9f3a"}, "/conflicts/0/code": "id_conflict",
		"/conflicts/0/kind": "event", "/conflicts/0/id": "o-1", "/conflicts/0/value": "1", "/conflicts/0/currency": "EUR",
	})
	for _, id := range []string{"c42", "cookie:9f3a"} {
		s.get("/v1/customers/" + id).is(http.StatusOK).has(object{
			"/customer": "c42", "/identifiers": []any{"c42", "cookie:9f3a"}, "/attributes": object{"country": "FR"}, "/id_conflicts/0/id": "o-1",
		})
	}
	s.post("/v1/events", events(and(order, object{"customer": "cookie:9f3a", "value": "1"}))).receipt(0, 0, 1)
	s.post("/v1/events", events(and(order, object{"customer": "cookie:9f3a"}))).receipt(0, 1, 0)
	s.put("/v1/customers/cookie:9f3a", `{"attributes": {"age": 42}}`).is(http.StatusOK).has(object{"/customer": "c42"})
	// Sent again, nothing changes, and nothing is reported twice.
	s.post("/v1/identities", `{"customer": "c42", "identifiers": ["cookie:9f3a"]}`).is(http.StatusOK).has(object{"/conflicts": []any{}})
	// Two people nobody has met are one from the start.
	s.post("/v1/identities", `{"customer": "new", "identifiers": ["never seen"]}`).is(http.StatusOK).has(object{"/customer": "never seen"})
	s.get("/v1/customers/new").has(object{"/customer": "never seen", "/enrolments": []any{}})
}

// TestContaminatedCustomers: of two enrolments of one person the earlier counts.
func TestContaminatedCustomers(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(mailing)
	enrol := func(customer, variant, at string) object {
		return object{"experiment": mailing["key"], "variant": variant, "customer": customer, "enrolled_at": at}
	}
	s.post("/v1/enrolments", object{"enrolments": []any{
		enrol("a", "warm", "2026-03-01T11:00:00Z"), enrol("b", "plain", "2026-03-01T10:00:00Z"),
	}}).receipt(2, 0, 0)
	s.post("/v1/identities", `{"customer": "a", "identifiers": ["b"]}`).is(http.StatusOK)
	s.get("/v1/customers/a").has(object{
		"/enrolments/0/variant": "plain", "/enrolments/0/enrolled_at": "2026-03-01T10:00:00Z", "/enrolments/0/contaminated": true,
	})
	s.post("/v1/enrolments", object{"enrolments": []any{
		enrol("b", "warm", "2026-03-01T09:00:00Z"), // under the same identifier
		enrol("b", "plain", "2026-03-01T10:00:00Z"), enrol("c", "plain", "2026-03-01T10:00:00Z"),
	}}).receipt(2, 1, 0)
	s.get("/v1/customers/a").has(object{"/enrolments/0/variant": "warm", "/enrolments/0/enrolled_at": "2026-03-01T09:00:00Z"})
	s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated).has(object{
		"/health/checks/1/check": "multiple_variants", "/health/checks/1/ok": false, "/verdict/action": "fix_health",
	})
	s.get("/v1/customers/c").has(object{"/enrolments/0/contaminated": false})
}

// TestBadLinks: what cannot be linked is 422 with a pointer, and links nobody.
func TestBadLinks(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for name, c := range map[string]struct{ body, code, pointer string }{
		"no customer":         {`{"identifiers": ["b"]}`, "invalid_identifier", "/customer"},
		"nobody":              {`{"customer": "a", "identifiers": []}`, "invalid", "/identifiers"},
		"no list":             {`{"customer": "a"}`, "invalid", "/identifiers"},
		"an empty identifier": {`{"customer": "a", "identifiers": ["b", ""]}`, "invalid_identifier", "/identifiers/1"},
		"a long one":          {`{"customer": "a", "identifiers": ["` + text(257) + `"]}`, "invalid_identifier", "/identifiers/0"},
		"a control character": {`{"customer": "a", "identifiers": ["b\u0007"]}`, "invalid_identifier", "/identifiers/0"},
		"too many":            {`{"customer": "a", "identifiers": ["b"` + strings.Repeat(`,"b"`, 1000) + `]}`, "invalid", "/identifiers"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() {
				s.post("/v1/identities", c.body).fails(http.StatusUnprocessableEntity, c.code, c.pointer)
			})
		})
	}
	var thousand []string
	for i := range 1000 {
		thousand = append(thousand, fmt.Sprintf("%q", fmt.Sprint("id", i)))
	}
	s.post("/v1/identities", `{"customer": "a", "identifiers": [`+strings.Join(thousand, ",")+`]}`).is(http.StatusOK).has(object{"/customer": "a"})
}
