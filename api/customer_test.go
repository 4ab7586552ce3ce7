package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestCustomers: attributes are merged over those known; a customer is named by any text of
// 1 to 256 bytes.
func TestCustomers(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.get("/v1/customers/c42").fails(http.StatusNotFound, "not_found")
	s.put("/v1/customers/c42", `{"attributes": {"country": "FR", "age": 42, "a/b": null}}`).is(http.StatusCreated)
	s.put("/v1/customers/c42", `{"attributes": {"age": 43}}`).is(http.StatusOK).has(object{
		"/customer": "c42", "/attributes": object{"country": "FR", "age": 43.0, "a/b": nil}, "/enrolments": []any{}, "/first_seen": nil,
	})
	s.post("/v1/events", events(and(order, object{"customer": "c42"}))).receipt(1, 0, 0)
	s.get("/v1/customers/c42").has(object{"/first_seen": "2026-03-01T10:00:00Z"})
	for _, name := range []string{"a%2Fb", "%C3%BC", "cookie:9f%20a", "100%25", "..", "a%3Fb%23", text(256)} {
		s.put("/v1/customers/"+name, `{"attributes": {}}`).is(http.StatusCreated)
		s.get("/v1/customers/" + name).is(http.StatusOK)
	}
	s.get("/v1/customers/a%2Fb").has(object{"/customer": "a/b"})
	for _, bad := range []string{"%00", "%ff", "%0A", "%7F", text(257), "%C2%85"} {
		s.put("/v1/customers/"+bad, `{"attributes": {}}`).fails(http.StatusUnprocessableEntity, "invalid_identifier")
		s.get("/v1/customers/"+bad).fails(http.StatusUnprocessableEntity, "invalid_identifier")
	}
}

// TestBadAttributes: what cannot be kept is 422 with a pointer.
func TestBadAttributes(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var many []string
	for i := range 201 {
		many = append(many, fmt.Sprintf(`"a%d":1`, i))
	}
	for name, c := range map[string]struct{ attributes, pointer string }{
		"too many":          {`{` + strings.Join(many, ",") + `}`, "/attributes"},
		"large":             {`{"x": "` + text(5000) + `"}`, "/attributes/x"},
		"no name":           {`{"": 1}`, "/attributes"},
		"long name":         {`{"` + text(101) + `": 1}`, "/attributes"},
		"beyond doubles":    {`{"a/b": 1e999999}`, "/attributes/a~1b"},
		"beneath doubles":   {`{"x": [{"y": 1e-999999}]}`, "/attributes/x"},
		"digits and digits": {`{"x": -` + strings.Repeat("9", 400) + `}`, "/attributes/x"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() {
				s.put("/v1/customers/c", `{"attributes":`+c.attributes+`}`).fails(http.StatusUnprocessableEntity, "invalid", c.pointer)
				s.post("/v1/customers", `{"customers":[{"customer":"c","attributes":`+c.attributes+`}]}`).receipt(0, 0, 1)
			})
		})
	}
	s.put("/v1/customers/c", `{"attributes": {"x": 0e999999, "y": -1.5e300, "z": {"deep": [1e-300]}}}`).is(http.StatusCreated)
}

// TestCustomerBatch: many customers at once, with a receipt.
func TestCustomerBatch(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.post("/v1/customers", `{"customers": [
		{"customer": "c1", "attributes": {"a": 1, "b": 1}}, {"customer": "c2"}, {"customer": ""}, {"customer": "c1", "attributes": {"a": 2}},
		{"customer": "c3", "attributes": []}, {"customer": "c3", "colour": "red"}]}`).receipt(3, 0, 3)
	for i, want := range []rejection{{Index: 2, Code: "invalid_identifier"}, {Index: 4, Code: "wrong_type"}, {Index: 5, Code: "unknown_field"}} {
		if x := r.Rejections[i]; x.Index != want.Index || x.Code != want.Code {
			t.Errorf("%+v, want %+v", x, want)
		}
	}
	s.get("/v1/customers/c1").has(object{"/attributes": object{"a": 2.0, "b": 1.0}})
	s.get("/v1/customers/c2").has(object{"/attributes": object{}})
	s.get("/v1/customers/c3").fails(http.StatusNotFound, "not_found")
}

// TestErasure: an erased customer is gone, under every identifier; what is sent again does
// not count again, and what is new is of a new customer.
func TestErasure(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.put("/v1/customers/c42", `{"attributes": {"country": "FR"}}`).is(http.StatusCreated)
	s.post("/v1/identities", `{"customer": "c42", "identifiers": ["cookie:9f3a"]}`).is(http.StatusOK)
	mine := and(order, object{"customer": "cookie:9f3a"})
	s.post("/v1/events", events(mine)).receipt(1, 0, 0)
	for _, scope := range []string{"ingest", "read", "author", "decide", "assign"} {
		s.delete("/v1/customers/c42", with(s.key(scope))).fails(http.StatusForbidden, "scope_missing")
	}
	s.delete("/v1/customers/c42").is(http.StatusNoContent)
	s.get("/v1/customers/c42").fails(http.StatusNotFound, "not_found")
	s.get("/v1/customers/cookie:9f3a").fails(http.StatusNotFound, "not_found")
	s.delete("/v1/customers/c42").is(http.StatusNoContent)
	s.delete("/v1/customers/never").is(http.StatusNoContent)
	s.delete("/v1/customers/%00").fails(http.StatusUnprocessableEntity, "invalid_identifier")
	s.post("/v1/events", events(mine, and(mine, object{"customer": "c42"}))).receipt(0, 2, 0)
	s.get("/v1/customers/c42").fails(http.StatusNotFound, "not_found")
	s.post("/v1/events", events(and(mine, object{"id": "another"}))).receipt(1, 0, 0)
	s.get("/v1/customers/cookie:9f3a").has(object{"/identifiers": []any{"cookie:9f3a"}, "/attributes": object{}})
	if n := s.count(`SELECT count(*) FROM audit WHERE action = 'customer.erase' AND actor LIKE '%(%'`); n != 3 {
		t.Errorf("%d erasures in the audit log, want 3 with the key that asked", n)
	}
	if n := s.count(`SELECT count(*) FROM audit AS row WHERE row::text LIKE '%c42%' OR row::text LIKE '%cookie%'`); n != 0 {
		t.Error("the audit log names a customer")
	}
}

// TestCustomerView: what a person meets on each channel, what they did, and what it is worth.
func TestCustomerView(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for key, channel := range map[string]string{"mail": "email", "home": "web"} {
		s.put("/v1/touchpoints/"+key, object{"channel": channel, "content": object{"text": "own"}}).is(http.StatusCreated)
	}
	s.put("/v1/rates", object{"rates": []any{object{"date": "2026-03-01", "currency": "USD", "rate": "0.9"}}}).is(http.StatusOK)
	s.post("/v1/identities", `{"customer": "c42", "identifiers": ["cookie:9f3a"]}`).is(http.StatusOK)
	mine := and(order, object{"customer": "cookie:9f3a"})
	at := func(id, kind, value, currency string) object {
		return and(mine, object{"id": id, "type": kind, "value": value, "currency": currency})
	}
	s.post("/v1/events", events(
		at("1", "order", "0.1", "EUR"), at("2", "order", "0.2", "EUR"), at("3", "order", "10.01", "USD"),
		at("4", "refund", "-0.05", "EUR"), at("5", "contact_cost", "-0.004", "EUR"),
		and(mine, object{"id": "6", "type": "visit", "value": nil, "currency": nil}),
	)).receipt(6, 0, 0)
	s.post("/v1/exposures", object{"exposures": []any{
		object{"id": "e1", "customer": "c42", "touchpoint": "mail", "occurred_at": "2026-03-01T10:00:00Z"},
		object{"id": "e2", "customer": "c42", "touchpoint": "mail", "occurred_at": "2026-03-01T11:00:00Z"},
	}}).receipt(2, 0, 0)
	s.get("/v1/customers/c42").has(object{
		"/assignments": []any{
			object{"touchpoint": "home", "channel": "web", "variant": nil, "experiment": nil, "reason": "default"},
			object{"touchpoint": "mail", "channel": "email", "variant": nil, "experiment": nil, "reason": "default"},
		},
		"/exposures": []any{object{
			"channel": "email", "count": 2.0, "first_at": "2026-03-01T10:00:00Z", "last_at": "2026-03-01T11:00:00Z",
		}},
		"/events/0/type": "contact_cost", "/events/0/value": "-0.004",
		// 0.1 + 0.2 + 10.01 × 0.9
		"/events/1/type": "order", "/events/1/count": 3.0, "/events/1/value": "9.309",
		"/events/3/type": "visit", "/events/3/value": nil,
		"/latest_events/0/id": "1", "/latest_events/5/id": "6",
		"/value": object{"currency": "EUR", "gross": "9.259", "net": "9.255"}, "/tier": nil,
	})
}

// TestTiers: the job tiers tells the customers of value apart, for the view, audiences and the
// export. What a client writes stands before it, and what comes with a request before both.
func TestTiers(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"traffic": 1, "audience": "customer.country == 'FR' && customer.ltv_tier != 'low'"}))
	var orders []any
	for i := range 10 {
		customer := fmt.Sprint("c", i)
		s.put("/v1/customers/"+customer, `{"attributes": {"country": "FR"}}`).is(http.StatusCreated)
		orders = append(orders, and(order, object{"customer": customer, "value": 1 + i}))
	}
	s.post("/v1/events", events(orders...)).receipt(10, 0, 0)
	reason := func(customer string, attributes object) any {
		return s.post("/v1/assignments", object{
			"customer": customer, "touchpoint": "welcome-email", "attributes": attributes, "record": false,
		}).is(http.StatusOK).at("/reason")
	}
	if got := reason("c9", nil); got != "not_eligible" {
		t.Errorf("%v before the job", got)
	}
	s.get("/v1/customers/c9").has(object{"/tier": nil})
	s.post("/v1/jobs/tiers/run", nil, with(s.key("read"))).fails(http.StatusForbidden, "scope_missing")
	if n := s.run("tiers"); n != 10 {
		t.Errorf("%v written, want 10", n)
	}
	for customer, want := range map[string][2]string{"c9": {"high", "assigned"}, "c5": {"medium", "assigned"}, "c4": {"low", "not_eligible"}} {
		s.get("/v1/customers/" + customer).has(object{"/tier": want[0], "/attributes": object{"country": "FR", "ltv_tier": want[0]}})
		if got := reason(customer, nil); got != want[1] {
			t.Errorf("%s is %v, want %s", customer, got, want[1])
		}
	}
	if got := reason("c4", object{"ltv_tier": "high"}); got != "assigned" {
		t.Errorf("%v with the request's own tier", got)
	}
	s.put("/v1/customers/c4", `{"attributes": {"ltv_tier": "platinum"}}`).is(http.StatusOK).has(object{"/tier": "platinum"})
	if n := s.run("tiers"); n != 0 || reason("c4", nil) != "assigned" {
		t.Errorf("%v written over a client's", n)
	}
	s.get("/v1/customers/c4/export").has(object{"/tables/customers/0/attributes/ltv_tier": "platinum"})
	s.put("/v1/customers/c4", `{"attributes": {"ltv_tier": null}}`).is(http.StatusOK).has(object{"/tier": nil})
	if n := s.run("tiers"); n != 1 {
		t.Errorf("%v written after null", n)
	}
	s.get("/v1/customers/c4").has(object{"/tier": "low"})
	s.delete("/v1/customers/c9").is(http.StatusNoContent)
	if n := s.run("tiers"); n != 1 { // of 1 to 9 the limits are 5 and 7.4: c7, of 8, becomes high
		t.Errorf("%v written after an erasure, want 1", n)
	}
	s.get("/v1/customers/c9").fails(http.StatusNotFound, "not_found")
}

// TestCustomerExport: every row of the person, and nothing of anybody else.
func TestCustomerExport(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.get("/v1/customers/c42/export").fails(http.StatusNotFound, "not_found")
	s.put("/v1/customers/c42", `{"attributes": {"country": "FR"}}`).is(http.StatusCreated)
	s.post("/v1/identities", `{"customer": "c42", "identifiers": ["cookie:9f3a"]}`).is(http.StatusOK)
	var many []any
	for i := range 2000 {
		many = append(many, and(order, object{"id": fmt.Sprint(i), "customer": "c42", "value": "49.90"}))
	}
	s.post("/v1/events", events(many...)).receipt(2000, 0, 0)
	s.post("/v1/events", events(and(order, object{"customer": "somebody"}))).receipt(1, 0, 0)
	a := s.get("/v1/customers/cookie:9f3a/export").is(http.StatusOK)
	a.has(object{"/customer": "cookie:9f3a", "/tables/customers/0/attributes/country": "FR", "/tables/events/0/value": "49.9"})
	var document struct{ Tables map[string][]map[string]any }
	a.into(&document)
	got := map[string]int{}
	for table, rows := range document.Tables {
		got[table] = len(rows)
	}
	if want := map[string]int{"customers": 1, "identities": 2, "events": 2000}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	if contains(string(a.body), "somebody") {
		t.Error("the export has somebody else's row")
	}
	s.get("/v1/customers/c42/export", with(s.key("ingest"))).fails(http.StatusForbidden, "scope_missing")
}
