package postgres

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
)

func dollars(customer, value string, at time.Time) engine.Event {
	e := order(customer, "usd "+at.String(), value, at)
	e.Currency = "USD"
	return e
}

// A rate has just those measured again whose events it may concern and who are in a test.
func TestRatesHaveTheirCustomersMeasuredAgain(t *testing.T) {
	s := newStore(t)
	midnight := start.Truncate(day)
	rate := func(currency engine.Currency, at time.Time, value string) []engine.Rate {
		return []engine.Rate{{RateDay: engine.RateDay{Currency: currency, Day: at}, Rate: *amount(value)}}
	}
	insert(t, s, dollars("before", "1", midnight.Add(-time.Microsecond)), dollars("first", "1", midnight),
		dollars("last", "1", midnight.Add(8*day-time.Microsecond)), dollars("after", "1", midnight.Add(8*day)),
		dollars("in no test", "1", midnight), order("euros", "o", "1", midnight))
	enrol(t, s, "x", "warm", start, "before", "first", "last", "after", "euros")
	for _, tt := range []struct {
		name    string
		rates   []engine.Rate
		changed int
		again   []string
	}{
		{"another currency", rate("CHF", midnight, "1.1"), 1, nil},
		{"new", rate("USD", midnight, "0.9"), 1, []string{"first", "last"}},
		{"the same", rate("USD", midnight, "0.90"), 0, nil},
		{"corrected", rate("USD", midnight, "0.91"), 1, []string{"first", "last"}},
		{"corrected back", rate("USD", midnight, "0.9"), 1, []string{"first", "last"}},
		{"a week before and a day after", slices.Concat(rate("USD", midnight.Add(-7*day), "1"), rate("USD", midnight.Add(8*day), "1")), 2, []string{"after", "before", "first"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if changed := must(s.PutRates(t.Context(), tt.rates))(t); changed != tt.changed {
				t.Errorf("%d rates changed, want %d", changed, tt.changed)
			}
			var again []string
			if err := s.bulk.Select(&again, `
				SELECT customer_id FROM customer_changes WHERE position = (SELECT value FROM ingest_position) ORDER BY 1`); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.again, again); diff != "" {
				t.Errorf("measured again (-want +got):\n%s", diff)
			}
		})
	}
	known := must(s.RatesKnown(t.Context(), []engine.RateDay{
		{Currency: "CHF", Day: midnight.Add(-day)},
		{Currency: "CHF", Day: midnight},
		{Currency: "CHF", Day: midnight.Add(7 * day)},
		{Currency: "CHF", Day: midnight.Add(8 * day)},
		{Currency: "GBP", Day: midnight},
		{Currency: "CHF", Day: midnight},
	}))(t)
	if diff := cmp.Diff([]bool{false, true, true, false, false, true}, known); diff != "" {
		t.Errorf("rates known (-want +got):\n%s", diff)
	}
}
