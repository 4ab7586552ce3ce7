package engine

import (
	"context"
	"time"

	"github.com/shopspring/decimal"
)

// A Rate is what one unit of a currency was worth in the reporting currency on a UTC day.
type Rate struct {
	RateDay
	Rate decimal.Decimal
}

// A RateDay is a currency on a UTC day. Day is its midnight.
type RateDay struct {
	Currency Currency
	Day      time.Time
}

// MaxRateAge is how old a rate may be on the day of an event.
const MaxRateAge = 7 * 24 * time.Hour

// dayOf is the UTC day of a time.
func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// PutRates writes rates down and answers how many are new or other than before. Values that
// were computed with others are computed again.
func (e *Engine) PutRates(ctx context.Context, rates []Rate) (changed int, err error) {
	if n := len(rates); n > MaxBatch {
		return 0, Errorf(KindTooLarge, "batch_too_large", "a request has at most %d rates, not %d", MaxBatch, n)
	}
	var v violations
	if len(rates) == 0 {
		v.add("/rates", "must be at least one rate")
	}
	tomorrow := dayOf(e.now()).Add(24 * time.Hour)
	known := map[RateDay]bool{}
	for i, r := range rates {
		switch _, err := ParseCurrency(string(r.Currency)); {
		case err != nil:
			v.addCode("unknown_currency", pointerf("/rates/%d/currency", i), "%q is not an ISO 4217 currency such as USD", r.Currency)
		case r.Currency == e.reporting:
			v.add(pointerf("/rates/%d/currency", i), "%s is the reporting currency: its rate is 1", r.Currency)
		}
		switch {
		case r.Day.Before(earliest):
			v.addCode("before_1970", pointerf("/rates/%d/date", i), "must be a date from 1970 on")
		case r.Day.After(tomorrow):
			v.addCode("in_the_future", pointerf("/rates/%d/date", i), "must be no later than tomorrow")
		case known[r.RateDay]:
			v.add(pointerf("/rates/%d", i), "stands twice: %s on %s", r.Currency, r.Day.Format(time.DateOnly))
		}
		if !r.Rate.IsPositive() {
			v.add(pointerf("/rates/%d/rate", i), "must be above 0")
		}
		known[r.RateDay] = true
	}
	if err := v.err("request"); err != nil {
		return 0, err
	}
	return e.store.PutRates(ctx, rates)
}

// missingRates answers the days on which an event is worth something in another currency
// and no rate is known.
func (e *Engine) missingRates(ctx context.Context, events []Element[Event]) (map[RateDay]bool, error) {
	missing := map[RateDay]bool{}
	var days []RateDay
	for i := range events {
		event := &events[i].Value
		if events[i].Err != nil || event.Value == nil || event.Currency == "" || event.Currency == e.reporting || event.OccurredAt.Before(earliest) {
			continue
		}
		if day := event.rateDay(); !missing[day] {
			missing[day] = true
			days = append(days, day)
		}
	}
	if len(days) == 0 {
		return missing, nil
	}
	known, err := e.store.RatesKnown(ctx, days)
	if err != nil {
		return nil, err
	}
	for i, ok := range known {
		if ok {
			delete(missing, days[i])
		}
	}
	return missing, nil
}

func (e *Event) rateDay() RateDay { return RateDay{e.Currency, dayOf(e.OccurredAt)} }
