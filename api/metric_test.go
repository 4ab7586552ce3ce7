package api_test

import (
	"net/http"
	"testing"
)

// TestMetrics: PUT makes and replaces, GET answers what was put with the defaults, DELETE ends it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.put("/v1/metrics/ltv_90", `{"key": "ltv_90", "name": "Value, 90 days", "kind": "ltv", "events": ["order", "refund"],
		"window": {"from_day": 0, "to_day": 90}, "direction": "increase", "cap_quantile": null, "margin_rate": "0.40"}`).is(http.StatusCreated)
	s.put("/v1/metrics/ltv_90", `{"kind": "ltv", "events": ["order"], "window": {"to_day": 30}}`).is(http.StatusOK)
	s.get("/v1/metrics/ltv_90").is(http.StatusOK).has(object{
		"/key": "ltv_90", "/name": "ltv_90", "/kind": "ltv", "/events": []any{"order"}, "/window/from_day": 0.0, "/window/to_day": 30.0,
		"/direction": "increase", "/cap_quantile": nil, "/margin_rate": nil,
	})
	s.delete("/v1/metrics/ltv_90").is(http.StatusNoContent)
	s.get("/v1/metrics/ltv_90").fails(http.StatusNotFound, "not_found")
	s.delete("/v1/metrics/ltv_90").fails(http.StatusNotFound, "not_found")
}

// TestMetricKinds: a draft of any kind of the contract can be written down.
func TestMetricKinds(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for kind, more := range map[string]object{
		"ltv":        {"margin_rate": "0.4"},
		"retention":  {},
		"survival":   {"churn_event": "cancelled"},
		"repeat":     {"min_count": 2},
		"revenue":    {"cap_value": 1000},
		"count":      {"direction": "decrease"},
		"conversion": {},
		"ratio":      {"denominator": []string{"visit"}},
		"click":      {},
	} {
		t.Run(kind, func(t *testing.T) {
			body := and(object{"kind": kind, "events": []string{"order"}, "window": object{"from_day": 0, "to_day": 30}}, more)
			s.in(t).put("/v1/metrics/m_"+kind, body).is(http.StatusCreated).has(object{"/kind": kind})
		})
	}
}

// TestBadMetrics: what breaks a rule is 422 with a pointer.
func TestBadMetrics(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	good := object{"kind": "ltv", "events": []string{"order"}, "window": object{"from_day": 0, "to_day": 30}}
	many := make([]string, 51)
	for i := range many {
		many[i] = text(i + 1)
	}
	for name, c := range map[string]struct {
		changes object
		pointer string
	}{
		"no kind":                  {object{"kind": nil}, "/kind"},
		"unknown kind":             {object{"kind": "value"}, "/kind"},
		"no events":                {object{"events": nil}, "/events"},
		"an empty event":           {object{"events": []string{""}}, "/events/0"},
		"an event twice":           {object{"events": []string{"a", "a"}}, "/events/1"},
		"too many events":          {object{"events": many}, "/events"},
		"no window":                {object{"window": nil}, "/window"},
		"a window backwards":       {object{"window": object{"from_day": 30, "to_day": 30}}, "/window/to_day"},
		"a window before":          {object{"window": object{"from_day": -1, "to_day": 30}}, "/window/from_day"},
		"a window of eleven years": {object{"window": object{"from_day": 0, "to_day": 4000}}, "/window/to_day"},
		"unknown direction":        {object{"direction": "up"}, "/direction"},
		"margin above 1":           {object{"margin_rate": 1.5}, "/margin_rate"},
		"margin of a count":        {object{"kind": "count", "margin_rate": 0.5}, "/margin_rate"},
		"repeat without a count":   {object{"kind": "repeat"}, "/min_count"},
		"count of another kind":    {object{"min_count": 2}, "/min_count"},
		"survival without churn":   {object{"kind": "survival"}, "/churn_event"},
		"ratio without a quotient": {object{"kind": "ratio"}, "/denominator"},
		"a cap of shares":          {object{"kind": "retention", "cap_value": 1}, "/cap_value"},
		"a cap of a ratio":         {object{"kind": "ratio", "denominator": []string{"visit"}, "cap_value": 1}, "/cap_value"},
		"survival from day 1":      {object{"kind": "survival", "churn_event": "gone", "window": object{"from_day": 1, "to_day": 30}}, "/window/from_day"},
		"a cap at the median":      {object{"cap_quantile": 0.5}, "/cap_quantile"},
		"a cap of nothing":         {object{"cap_value": 0}, "/cap_value"},
		"a cap of yes or no":       {object{"kind": "retention", "cap_value": 5}, "/cap_value"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() {
				s.put("/v1/metrics/m", and(good, c.changes)).fails(http.StatusUnprocessableEntity, "invalid", c.pointer)
			})
		})
	}
}

// TestMetricInUse: a metric that a draft names stays; a started test keeps a copy, so its
// metric may change and go.
func TestMetricInUse(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.post("/v1/experiments", welcomeTone).is(http.StatusCreated)
	s.delete("/v1/metrics/ltv_30").fails(http.StatusConflict, "in_use")
	s.post("/v1/experiments/welcome-tone/start", nil).is(http.StatusOK)
	s.delete("/v1/metrics/ltv_30").is(http.StatusNoContent)
	s.post("/v1/experiments/welcome-tone/reports", nil).is(http.StatusCreated).has(object{"/metrics/0/metric": "ltv_30"})
}

// TestLayers: the layer default is there; others are made with PUT, with or without a body,
// and keep their salt for ever.
func TestLayers(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.get("/v1/layers/default").is(http.StatusOK).has(object{"/key": "default"})
	made := s.put("/v1/layers/onboarding", nil).is(http.StatusCreated)
	again := s.put("/v1/layers/onboarding", `{"key": "onboarding"}`).is(http.StatusOK)
	if made.at("/salt") != again.at("/salt") || made.at("/salt") == s.get("/v1/layers/default").at("/salt") {
		t.Errorf("salts: made %v, put again %v", made.at("/salt"), again.at("/salt"))
	}
	s.put("/v1/layers/onboarding", `{"key": "other"}`).fails(http.StatusUnprocessableEntity, "key_mismatch", "/key")
	s.put("/v1/layers/no%20spaces", nil).fails(http.StatusUnprocessableEntity, "invalid", "/key")
	s.get("/v1/layers/none").fails(http.StatusNotFound, "not_found")
}
