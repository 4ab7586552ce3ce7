package postgres

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/perennial-engine/perennial/engine"
)

// bought lets 200 customers, each seen before the newest window of seven days, spend 10 and 30
// in turns within it; every second pair is French.
func bought(t *testing.T, s *Store) {
	t.Helper()
	var events []engine.Event
	var customers []engine.Customer
	for i := range 200 {
		id := fmt.Sprintf("c%d", i)
		events = append(events,
			order(id, "before", "99", start.Add(-10*day)), order(id, "within", fmt.Sprint(10+20*(i%2)), start.Add(-3*day)))
		country := "DE"
		if i%4 < 2 {
			country = "FR"
		}
		customers = append(customers, engine.Customer{ID: engine.CustomerID(id), Attributes: engine.Attributes{
			"country": json.RawMessage(strconv.Quote(country)), "name": json.RawMessage(strconv.Quote(id)),
		}})
	}
	// One who was not seen before the window does not belong to it, but comes all the same.
	events = append(events, order("new", "o", "1000", start.Add(-3*day)))
	insert(t, s, events...)
	must(s.MergeCustomers(t.Context(), customers, start))(t)
}

// The values are 100 of 10 and 100 of 30: mean 20 and variance 20000/199 = 100.5025, of the
// French half 10000/99. A size is 1.0495815824757655 (inflation/obf30 of the golden file) · 7.848880
// · 2 · variance/2² for an effect of a tenth.
func TestPlanFromTheLedger(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	plan := engine.DefaultPlan()
	plan.MinEffect = 0.1
	q := engine.SizeQuery{Metric: "ltv_7", Weights: []int{1, 1}, Primaries: 1, Plan: plan}
	_, err := e.PlanSize(t.Context(), q)
	kindOf(t, err, engine.KindInvalid, "plan_needs_history")

	// A test that starts without history goes by the default.
	x := spec("blind")
	x.Plan = plan
	if x := running(t, e, x); x.Plan.PlannedCustomers != 2500 {
		t.Errorf("planned %d without history", x.Plan.PlannedCustomers)
	}
	must(e.Stop(t.Context(), engine.Action{Experiment: "blind", By: "test"}))(t)
	bought(t, s)
	for _, tt := range []struct {
		audience      string
		customers     int64
		variance, day float64
		want          int64
	}{
		{"", 200, 20000.0 / 199, 201.0 / 28, 414},
		{"customer.country == 'FR'", 100, 10000.0 / 99, 100.0 / 28, 417},
		{"customer.country == 'FR' && channel == 'store'", 100, 10000.0 / 99, 100.0 / 28, 417},
	} {
		q.Audience = tt.audience
		got := must(e.PlanSize(t.Context(), q))(t)
		if b := got.Baseline; b.Customers != tt.customers || b.Mean != 20 || math.Abs(b.StdDev-math.Sqrt(tt.variance)) > 1e-9 {
			t.Errorf("%q: baseline %+v", tt.audience, b)
		}
		if got.CustomersPerArm != tt.want || got.Customers != 2*tt.want || math.Abs(got.CustomersPerDay-tt.day) > 1e-9 || got.DaysToMature != 7 {
			t.Errorf("%q: %+v, want %d an arm", tt.audience, got, tt.want)
		}
		if days := float64(2*tt.want) / tt.day; got.DaysToEnrol == nil || math.Abs(*got.DaysToEnrol-days) > 1e-9 {
			t.Errorf("%q: %v days to enrol, want %g", tt.audience, got.DaysToEnrol, days)
		}
	}
	q.Audience = "customer.country == 'IT'"
	_, err = e.PlanSize(t.Context(), q)
	kindOf(t, err, engine.KindInvalid, "plan_needs_history")

	// What starts now gets the size, frozen; the checklist says that it takes too long.
	x = spec("sized")
	x.Plan, x.Policy.MaxDays = plan, 30
	draft(t, e, x)
	list := must(e.StartChecklist(t.Context(), "sized"))(t)
	found := false
	for _, item := range list.Items {
		found = found || item.Code == "too_few_customers"
	}
	if !list.Ready || !found {
		t.Errorf("checklist %+v", list)
	}
	if x := must(e.Start(t.Context(), engine.Action{Experiment: "sized", By: "test"}))(t); x.Plan.PlannedCustomers != 414 {
		t.Errorf("planned %d, want 414", x.Plan.PlannedCustomers)
	}

	// An audience that asks for the channel is met on that of the touchpoints, which is email.
	for _, tt := range []struct {
		key     engine.ExperimentKey
		channel string
		want    int
	}{{"here", "email", 417}, {"elsewhere", "web", 2500}} {
		must(e.Stop(t.Context(), engine.Action{Experiment: x.Key, By: "test"}))(t)
		x = spec(tt.key)
		x.Plan, x.Audience = plan, "customer.country == 'FR' && channel == '"+tt.channel+"'"
		if x := running(t, e, x); x.Plan.PlannedCustomers != tt.want {
			t.Errorf("%s: planned %d, want %d", tt.key, x.Plan.PlannedCustomers, tt.want)
		}
	}
}
