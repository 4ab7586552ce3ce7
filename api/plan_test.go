package api_test

import (
	"net/http"
	"testing"
)

// TestSizePlan: what the planner asks for and what it refuses; its figures are tested with the
// engine and with the ledger.
func TestSizePlan(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	good := object{"metric": "ltv_30", "audience": "", "variants": 2, "min_effect": 0.1, "alpha": 0.05, "power": 0.8}
	s.post("/v1/plans/size", good).fails(http.StatusUnprocessableEntity, "plan_needs_history")
	for field, value := range (object{
		"min_effect": 0, "alpha": 1, "power": 0.1, "variants": 1, "method": "guess", "metric": "",
	}) {
		s.post("/v1/plans/size", and(good, object{field: value})).fails(http.StatusUnprocessableEntity, "invalid", "/"+field)
	}
	s.post("/v1/plans/size", and(good, object{"audience": "customer."})).fails(http.StatusUnprocessableEntity, "invalid_audience", "/audience")
	s.post("/v1/plans/size", and(good, object{"metric": "none"})).fails(http.StatusUnprocessableEntity, "unknown_metric", "/metric")
}
