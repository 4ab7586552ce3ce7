package postgres

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
)

// ledgerModel is what the ledger should hold, in memory and obviously right: the first
// event of a customer and id counts, the earliest enrolment of the first variant, and the last rate of a day.
type ledgerModel struct {
	events     map[identity]engine.Event
	enrolments map[engine.CustomerID]engine.Enrolment
	rates      map[time.Time]*big.Rat // of USD, by UTC date
}

func newLedgerModel() *ledgerModel {
	return &ledgerModel{
		events: map[identity]engine.Event{}, enrolments: map[engine.CustomerID]engine.Enrolment{}, rates: map[time.Time]*big.Rat{},
	}
}

// rate is the newest of the day of the event or the seven days before, nil without any.
func (m *ledgerModel) rate(at time.Time) *big.Rat {
	date := at.UTC().Truncate(day)
	for age := range 8 {
		if r, ok := m.rates[date.AddDate(0, 0, -age)]; ok {
			return r
		}
	}
	return nil
}

// happened lists the events of a customer of some types from a time to another.
func (m *ledgerModel) happened(e *engine.Enrolment, types []string, from, to time.Time) []engine.Event {
	var some []engine.Event
	for _, event := range m.events {
		if event.Customer == e.Customer && slices.Contains(types, event.Type) &&
			!event.OccurredAt.Before(from) && event.OccurredAt.Before(to) {
			some = append(some, event)
		}
	}
	return some
}

// worth sums up events in euros; each that has no value counts missing.
func (m *ledgerModel) worth(events []engine.Event, margin *big.Rat, missing int64) *big.Rat {
	sum := new(big.Rat)
	for _, event := range events {
		value := new(big.Rat).SetInt64(missing)
		if event.Value != nil {
			value = event.Value.Rat()
			if event.Currency == "USD" {
				value.Mul(value, m.rate(event.OccurredAt))
			}
			if margin != nil && !strings.HasSuffix(event.Type, "_cost") {
				value.Mul(value, margin)
			}
		}
		sum.Add(sum, value)
	}
	return sum
}

// measure is a customer's value of a metric over the days [from, to) since enrolment.
func (m *ledgerModel) measure(metric *engine.Metric, types []string, e *engine.Enrolment, from, to int) *big.Rat {
	events := m.happened(e, types, e.EnrolledAt.Add(time.Duration(from)*day), e.EnrolledAt.Add(time.Duration(to)*day))
	n := int64(len(events))
	switch metric.Kind {
	case engine.KindLTV, engine.KindRevenue:
		var margin *big.Rat
		if metric.MarginRate != nil {
			margin = metric.MarginRate.Rat()
		}
		return m.worth(events, margin, 0)
	case engine.KindCount:
		return new(big.Rat).SetInt64(n)
	case engine.KindRatio:
		return m.worth(events, nil, 1)
	case engine.KindRepeat:
		if n < int64(metric.MinCount) {
			return new(big.Rat)
		}
		return new(big.Rat).SetInt64(1)
	case engine.KindRetention, engine.KindConversion, engine.KindClick:
		return new(big.Rat).SetInt64(min(n, 1))
	case engine.KindSurvival:
	}
	panic("survival has no sum")
}

// values are a customer's value and its x.
func (m *ledgerModel) values(metric *engine.Metric, e *engine.Enrolment, covariate bool) (y, x *big.Rat) {
	w := metric.Window
	y, x = m.measure(metric, metric.Events, e, w.FromDay, w.ToDay), new(big.Rat)
	switch {
	case metric.Kind == engine.KindRatio:
		x = m.measure(metric, metric.Denominator, e, w.FromDay, w.ToDay)
	case covariate:
		x = m.measure(metric, metric.Events, e, w.FromDay-w.ToDay, 0)
	}
	return y, x
}

// stay is how long a customer stayed, and whether they churned at all.
func (m *ledgerModel) stay(metric *engine.Metric, e *engine.Enrolment) (time.Duration, bool) {
	types := metric.Events
	switch {
	case metric.ChurnEvent != "":
		types = []string{metric.ChurnEvent}
	case len(types) == 0:
		types = []string{"order", "refund", "discost"} // all that are no costs
	}
	var times []time.Time
	for _, event := range m.happened(e, types, e.EnrolledAt, e.EnrolledAt.Add(1000*day)) {
		times = append(times, event.OccurredAt)
	}
	slices.SortFunc(times, time.Time.Compare)
	if metric.ChurnEvent != "" {
		if len(times) == 0 {
			return 0, false
		}
		return times[0].Sub(e.EnrolledAt), true
	}
	silence, last := time.Duration(metric.InactivityDays)*day, e.EnrolledAt
	for _, at := range times {
		if at.Sub(last) >= silence {
			break
		}
		last = at
	}
	return last.Add(silence).Sub(e.EnrolledAt), true
}

// day is the day on which a customer churned, or up to which they were seen to stay.
func (m *ledgerModel) day(metric *engine.Metric, e *engine.Enrolment, asOf time.Time) (on int, churned bool) {
	seen := min(int(asOf.Sub(e.EnrolledAt)/day), metric.Window.ToDay)
	stay, ended := m.stay(metric, e)
	if on = int((stay + day - 1) / day); ended && on <= seen {
		return on, true
	}
	return seen, false
}

// armValue is one metric of one arm in exact arithmetic.
type armValue struct {
	Mature, NonZero                                      int64
	Sum, SumSquares, Uncapped, SumX, SumXX, SumXY, Stays string
}

// modelTotals is Totals in a form that can be compared.
type modelTotals struct {
	First  string
	Arms   map[string]int64
	Values map[string]armValue
}

// totals computes what Totals should answer, arm by arm.
func (m *ledgerModel) totals(x *engine.Experiment, asOf time.Time) modelTotals {
	t := modelTotals{Arms: map[string]int64{}, Values: map[string]armValue{}}
	var first *time.Time
	for _, e := range m.enrolments {
		if !e.EnrolledAt.After(asOf) && (first == nil || e.EnrolledAt.Before(*first)) {
			first = &e.EnrolledAt
		}
	}
	if first == nil {
		return t
	}
	t.First = stamps(*first)
	type accumulator struct {
		mature, nonZero                   int64
		sum, squares, uncapped, x, xx, xy big.Rat
		stays                             map[string]int
	}
	all := map[string]*accumulator{}
	for _, e := range m.enrolments {
		if e.EnrolledAt.After(asOf) || (x.Policy.MaxDays > 0 && !e.EnrolledAt.Before(first.Add(time.Duration(x.Policy.MaxDays)*day))) {
			continue
		}
		t.Arms[string(e.Variant)]++
		for i := range x.Frozen {
			metric := &x.Frozen[i]
			key := string(metric.Key) + "/" + string(e.Variant)
			if all[key] == nil {
				all[key] = &accumulator{stays: map[string]int{}}
			}
			a := all[key]
			mature := !e.EnrolledAt.Add(time.Duration(metric.Window.ToDay) * day).After(asOf)
			if mature {
				a.mature++
			}
			if metric.Kind == engine.KindSurvival {
				on, churned := m.day(metric, &e, asOf)
				a.stays[fmt.Sprintf("%04d %t", on, churned)]++
				a.sum.Add(&a.sum, new(big.Rat).SetInt64(int64(on)))
				if churned {
					a.nonZero++
				}
				continue
			}
			if !mature {
				continue
			}
			y, xx := m.values(metric, &e, x.Plan.Covariate)
			if y.Sign() != 0 {
				a.nonZero++
			}
			a.uncapped.Add(&a.uncapped, y)
			if limit := metric.CapValue; limit != nil {
				y, xx = atMost(y, limit.Rat()), atMost(xx, limit.Rat())
			}
			for sum, product := range map[*big.Rat][2]*big.Rat{
				&a.sum: {y, big.NewRat(1, 1)}, &a.squares: {y, y}, &a.x: {xx, big.NewRat(1, 1)}, &a.xx: {xx, xx}, &a.xy: {xx, y},
			} {
				sum.Add(sum, new(big.Rat).Mul(product[0], product[1]))
			}
		}
	}
	for key, a := range all {
		if a.mature == 0 {
			continue // and its stays are not asked for
		}
		v := armValue{
			a.mature, a.nonZero, a.sum.RatString(), a.squares.RatString(), a.uncapped.RatString(),
			a.x.RatString(), a.xx.RatString(), a.xy.RatString(), "",
		}
		for _, stay := range slices.Sorted(maps.Keys(a.stays)) {
			v.Stays += fmt.Sprintf("%s: %d; ", stay, a.stays[stay])
		}
		t.Values[key] = v
	}
	return t
}

func atMost(x, limit *big.Rat) *big.Rat {
	if x.Cmp(limit) > 0 {
		return limit
	}
	return x
}

// foundTotals is Totals in the form of the model.
func foundTotals(t *engine.Totals) modelTotals {
	found := modelTotals{Arms: map[string]int64{}, Values: map[string]armValue{}}
	if t.First != nil {
		found.First = stamps(*t.First)
	}
	for _, a := range t.Arms {
		found.Arms[string(a.Variant)] += a.Customers
	}
	for _, v := range t.Values {
		stays := map[string]int64{}
		for _, d := range t.Days {
			if d.Metric == v.Metric && d.Variant == v.Variant {
				stays[fmt.Sprintf("%04d true", d.Day)] += d.Churned
				stays[fmt.Sprintf("%04d false", d.Day)] += d.Censored
			}
		}
		value := armValue{
			v.Mature, v.NonZero, v.Sum.Rat().RatString(), v.SumSquares.Rat().RatString(), v.Uncapped.Rat().RatString(),
			v.SumX.Rat().RatString(), v.SumXX.Rat().RatString(), v.SumXY.Rat().RatString(), "",
		}
		for _, stay := range slices.Sorted(maps.Keys(stays)) {
			if stays[stay] > 0 {
				value.Stays += fmt.Sprintf("%s: %d; ", stay, stays[stay])
			}
		}
		found.Values[string(v.Metric)+"/"+string(v.Variant)] = value
	}
	return found
}

func (t modelTotals) diff(other modelTotals) string { return cmp.Diff(t, other) }
