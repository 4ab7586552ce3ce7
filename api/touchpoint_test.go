package api_test

import (
	"net/http"
	"testing"
	"time"
)

var welcomeEmail = object{
	"key": "welcome-email", "name": "Welcome e-mail", "channel": "email", "stage": "loyalty",
	"content": object{"subject": "Welcome"}, "cost_per_contact": object{"amount": "0.004", "currency": "EUR"},
}

// TestTouchpoints: PUT makes (201) and replaces (200), GET answers what was put, DELETE
// ends it.
func TestTouchpoints(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.get("/v1/touchpoints/welcome-email").fails(http.StatusNotFound, "not_found")
	s.put("/v1/touchpoints/welcome-email", welcomeEmail).is(http.StatusCreated)
	s.pass(time.Hour)
	s.put("/v1/touchpoints/welcome-email", and(welcomeEmail, object{"name": "Hello", "stage": nil, "key": nil})).is(http.StatusOK)
	s.get("/v1/touchpoints/welcome-email").is(http.StatusOK).has(object{
		"/key": "welcome-email", "/name": "Hello", "/channel": "email", "/stage": nil, "/content/subject": "Welcome",
		"/cost_per_contact/amount": "0.004", "/cost_per_contact/currency": "EUR",
		"/created_at": "2026-03-01T12:00:00Z", "/updated_at": "2026-03-01T13:00:00Z",
	})
	s.delete("/v1/touchpoints/welcome-email").is(http.StatusNoContent)
	s.delete("/v1/touchpoints/welcome-email").fails(http.StatusNotFound, "not_found")
}

// TestTouchpointDefaults: only the channel must be said.
func TestTouchpointDefaults(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.put("/v1/touchpoints/shop.1_A-b", `{"channel": "store"}`).is(http.StatusCreated).has(object{
		"/name": "shop.1_A-b", "/stage": nil, "/content": object{}, "/cost_per_contact": nil,
	})
	s.put("/v1/touchpoints/shop", `{"channel": "store", "name": null, "stage": null, "cost_per_contact": null, "key": null}`).is(http.StatusCreated)
}

// TestTouchpointContent: content is any JSON value but null and lists, and comes back as it
// says.
func TestTouchpointContent(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for name, content := range map[string]any{
		"text": "none", "number": 1.5, "boolean": false, "object": object{"a": object{"b": []any{1.0, nil}}},
		"markup": "<b>10 % off & more</b>", "unicode": "Grüße 🎁",
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.put("/v1/touchpoints/"+name, object{"channel": "web", "content": content}).is(http.StatusCreated)
			s.get("/v1/touchpoints/" + name).has(object{"/content": content})
			s.post("/v1/assignments", object{"customer": "c", "touchpoint": name}).is(200).has(object{"/content": content, "/reason": "default"})
		})
	}
	exact := `{"channel":"web","content":{"big":12345678901234567890.10,"tiny":1e-999}}`
	s.put("/v1/touchpoints/exact", exact).is(http.StatusCreated)
	if got := string(s.get("/v1/touchpoints/exact").body); !contains(got, `{"big":12345678901234567890.10,"tiny":1e-999}`) {
		t.Errorf("numbers of content do not come back digit for digit: %s", got)
	}
}

// TestTouchpointMoney: an amount is exact, as a number or as a string.
func TestTouchpointMoney(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for sent, stored := range map[string]string{
		`"0.10"`: "0.1", `0.10`: "0.1", `"49.90"`: "49.9", `1e-12`: "0.000000000001", `"1000000000000"`: "1000000000000",
		`0`: "0", `9007199254740993`: "", `123456789.123456789012`: "123456789.123456789012",
	} {
		t.Run(sent, func(t *testing.T) {
			a := s.in(t).put("/v1/touchpoints/t", `{"channel":"web","cost_per_contact":{"currency":"EUR","amount":`+sent+`}}`)
			if stored == "" {
				a.fails(http.StatusUnprocessableEntity, "amount_too_large", "/cost_per_contact/amount")
			} else {
				a.has(object{"/cost_per_contact/amount": stored})
			}
		})
	}
}

// TestTouchpointInUse: a touchpoint that an experiment names stays.
func TestTouchpointInUse(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.post("/v1/experiments", welcomeTone).is(http.StatusCreated)
	s.delete("/v1/touchpoints/welcome-email").fails(http.StatusConflict, "in_use")
	s.delete("/v1/touchpoints/checkout").is(http.StatusNoContent)
}

// TestBadTouchpoints: what breaks a rule is 422 with a pointer to each field to blame.
func TestBadTouchpoints(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for name, c := range map[string]struct {
		changes  object
		code     string
		pointers []string
	}{
		"another key":       {object{"key": "other"}, "key_mismatch", []string{"/key"}},
		"long name":         {object{"name": text(201)}, "invalid", []string{"/name"}},
		"control character": {object{"name": "a\tb"}, "invalid", []string{"/name"}},
		"no channel":        {object{"channel": nil}, "invalid", []string{"/channel"}},
		"unknown channel":   {object{"channel": "Email"}, "invalid", []string{"/channel"}},
		"unknown stage":     {object{"stage": "love"}, "invalid", []string{"/stage"}},
		"list as content":   {object{"content": []any{1}}, "invalid", []string{"/content"}},
		"large content":     {object{"content": text(64 << 10)}, "invalid", []string{"/content"}},
		"negative cost":     {object{"cost_per_contact": object{"amount": "-1", "currency": "EUR"}}, "invalid", []string{"/cost_per_contact/amount"}},
		"not money":         {object{"cost_per_contact": object{"amount": "NaN", "currency": "EUR"}}, "invalid_amount", []string{"/cost_per_contact/amount"}},
		"unknown currency":  {object{"cost_per_contact": object{"amount": "1", "currency": "eur"}}, "unknown_currency", []string{"/cost_per_contact/currency"}},
		"several at once":   {object{"name": text(201), "channel": "x", "stage": "y"}, "invalid", []string{"/name", "/channel", "/stage"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() {
				s.put("/v1/touchpoints/welcome-email", and(welcomeEmail, c.changes)).
					fails(http.StatusUnprocessableEntity, c.code, c.pointers...)
			})
		})
	}
	for _, key := range []string{"-a", "a%20b", "%C3%BC", text(101), "a%2Fb", "a%00", "%ff"} {
		s.put("/v1/touchpoints/"+key, `{"channel": "web"}`).fails(http.StatusUnprocessableEntity, "invalid", "/key")
	}
	s.put("/v1/touchpoints/%ff", `{"key": "a", "channel": "web"}`).fails(http.StatusUnprocessableEntity, "key_mismatch", "/key")
}
