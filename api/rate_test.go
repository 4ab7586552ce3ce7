package api_test

import (
	"net/http"
	"testing"
)

func rates(list ...object) object { return object{"rates": list} }

func rate(date, currency string, value any) object {
	return object{"date": date, "currency": currency, "rate": value}
}

// TestRates: a value in another currency needs a rate on its UTC date or at most seven days
// before.
func TestRates(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	dollars := func(id, at string) object {
		return events(and(order, object{"id": id, "currency": "USD", "occurred_at": at}))
	}
	if r := s.post("/v1/events", dollars("early", "2026-02-20T00:00:00Z")).receipt(0, 0, 1); !r.Rejections[0].Retriable || r.Rejections[0].Code != "rate_missing" {
		t.Errorf("%+v", r)
	}
	s.put("/v1/rates", rates(rate("2026-02-20", "USD", "0.921300000001"), rate("2026-02-20", "JPY", 0.0061))).is(http.StatusOK).has(object{"/rates": 2.0, "/changed": 2.0})
	for _, c := range []struct {
		name, at string
		accepted int
	}{
		{"the microsecond before the date", "2026-02-19T23:59:59.999999Z", 0},
		{"on the date", "2026-02-20T00:00:00Z", 1},
		{"seven days after, at the end", "2026-02-27T23:59:59.999999Z", 1},
		{"the date in UTC counts", "2026-02-28T00:30:00+01:00", 1},
		{"eight days after", "2026-02-28T00:00:00Z", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.in(t).post("/v1/events", dollars(c.name, c.at)).receipt(c.accepted, 0, 1-c.accepted)
		})
	}
	s.post("/v1/events", events(and(order, object{"id": "yen", "currency": "JPY", "value": "-3", "type": "refund", "occurred_at": "2026-02-21T00:00:00Z"}),
		and(order, object{"id": "francs", "currency": "CHF", "occurred_at": "2026-02-21T00:00:00Z"}), order)).receipt(2, 0, 1)
	if n := s.count(`SELECT count(*) FROM events WHERE currency = 'USD' AND value = 49.90`); n != 3 {
		t.Errorf("%d events keep their own value and currency, want 3", n)
	}
	// The same again changes nothing; a correction is a new row.
	s.put("/v1/rates", rates(rate("2026-02-20", "USD", "0.9213000000010"))).is(http.StatusOK).has(object{"/changed": 0.0})
	s.put("/v1/rates", rates(rate("2026-02-20", "USD", "0.93"))).is(http.StatusOK).has(object{"/changed": 1.0})
	if n := s.count(`SELECT count(*) FROM rates WHERE currency = 'USD'`); n != 2 {
		t.Errorf("%d rows of the rate, want the old and the new one", n)
	}
}

// TestBadRates: what is no rate is 422 with a pointer, and none of the request is stored.
func TestBadRates(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	good := rate("2026-02-20", "USD", "0.92")
	for name, c := range map[string]struct {
		body          any
		code, pointer string
	}{
		"none":                {`{"rates": []}`, "invalid", "/rates"},
		"an unknown currency": {rates(good, rate("2026-02-20", "XXX", "1")), "unknown_currency", "/rates/1/currency"},
		"our own currency":    {rates(good, rate("2026-02-20", "EUR", "1")), "invalid", "/rates/1/currency"},
		"no date":             {rates(good, rate("", "CHF", "1")), "invalid_date", "/rates/1/date"},
		"no such date":        {rates(rate("2026-02-30", "CHF", "1")), "invalid_date", "/rates/0/date"},
		"a time":              {rates(rate("2026-02-20T00:00:00Z", "CHF", "1")), "invalid_date", "/rates/0/date"},
		"before 1970":         {rates(rate("1969-12-31", "CHF", "1")), "before_1970", "/rates/0/date"},
		"after tomorrow":      {rates(rate("2026-03-03", "CHF", "1")), "in_the_future", "/rates/0/date"},
		"0":                   {rates(rate("2026-02-20", "CHF", "0")), "invalid", "/rates/0/rate"},
		"below 0":             {rates(rate("2026-02-20", "CHF", "-1")), "invalid", "/rates/0/rate"},
		"left out":            {`{"rates": [{"date": "2026-02-20", "currency": "CHF"}]}`, "invalid_amount", "/rates/0/rate"},
		"too many decimals":   {rates(rate("2026-02-20", "CHF", "0.1234567890123")), "too_many_decimals", "/rates/0/rate"},
		"too large":           {rates(rate("2026-02-20", "CHF", "1e999")), "amount_too_large", "/rates/0/rate"},
		"twice":               {rates(good, rate("2026-02-20", "USD", "0.93")), "invalid", "/rates/1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() { s.put("/v1/rates", c.body).fails(http.StatusUnprocessableEntity, c.code, c.pointer) })
		})
	}
	s.put("/v1/rates", rates(rate("2026-03-02", "CHF", "1"))).is(http.StatusOK)
}
