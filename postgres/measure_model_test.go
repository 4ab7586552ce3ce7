package postgres

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
)

// ledgerModel is what the ledger should hold, in memory and obviously right. Of a person's
// events of one id the first ingested counts, of the enrolments the earliest, and of a day's
// rates the last.
type ledgerModel struct {
	person     map[engine.CustomerID]engine.CustomerID // of linked identifiers
	links      map[engine.CustomerID]int64             // when a person was linked last
	events     map[identity]modelEvent                 // by person and id
	enrolments map[engine.CustomerID][]engine.Enrolment
	rates      map[time.Time]*big.Rat // of USD, by UTC date
	sent       int                    // events
}

type modelEvent struct {
	engine.Event
	place int // in the order in which they were sent
}

func newLedgerModel() *ledgerModel {
	return &ledgerModel{
		person: map[engine.CustomerID]engine.CustomerID{}, links: map[engine.CustomerID]int64{},
		events: map[identity]modelEvent{}, enrolments: map[engine.CustomerID][]engine.Enrolment{}, rates: map[time.Time]*big.Rat{},
	}
}

func (m *ledgerModel) personOf(id engine.CustomerID) engine.CustomerID {
	return cmp.Or(m.person[id], id)
}

// addEvent takes an event in and answers what becomes of it.
func (m *ledgerModel) addEvent(e engine.Event) engine.RowStatus {
	key := identity{string(m.personOf(e.Customer)), e.ID}
	m.sent++
	switch stored, known := m.events[key]; {
	case !known:
		m.events[key] = modelEvent{e, m.sent}
		return engine.RowAccepted
	case slices.Equal(stored.Digest(), e.Digest()):
		return engine.RowDuplicate
	}
	return engine.RowConflict
}

// addEnrolment likewise. The assignment key is the identifier that was sent.
func (m *ledgerModel) addEnrolment(e engine.Enrolment) engine.RowStatus {
	status, person := engine.RowAccepted, m.personOf(e.Customer)
	first := true
	for _, known := range m.enrolments[person] {
		if known.AssignmentKey == e.AssignmentKey && known.Variant == e.Variant {
			status = engine.RowDuplicate
		}
		first = first && earlier(&e, &known)
	}
	if first {
		status = engine.RowAccepted
	}
	m.enrolments[person] = append(m.enrolments[person], e)
	return status
}

// enrolled is the enrolment that counts, and whether the person met another variant too.
func (m *ledgerModel) enrolled(person engine.CustomerID) (e engine.Enrolment, contaminated bool) {
	all := m.enrolments[person]
	first := slices.MinFunc(all, func(a, b engine.Enrolment) int {
		if earlier(&a, &b) {
			return -1
		}
		return 1
	})
	first.Customer = person
	return first, slices.ContainsFunc(all, func(o engine.Enrolment) bool { return o.Variant != first.Variant })
}

// link makes identifiers one person, at an ingest position.
func (m *ledgerModel) link(identifiers []engine.CustomerID, position int64) {
	members, root := map[engine.CustomerID]bool{}, identifiers[0]
	for _, id := range identifiers {
		members[id], members[m.personOf(id)] = true, true
	}
	for id, person := range m.person {
		if members[person] {
			members[id] = true
		}
	}
	for id := range members {
		root = min(root, id)
	}
	for id := range members {
		m.person[id] = root
		if all := m.enrolments[id]; id != root && len(all) > 0 {
			m.enrolments[root] = append(m.enrolments[root], all...)
			delete(m.enrolments, id)
		}
	}
	m.links[root] = position
	for key, e := range m.events {
		if !members[engine.CustomerID(key.Customer)] || key.Customer == string(root) {
			continue
		}
		delete(m.events, key)
		key.Customer = string(root)
		if other, both := m.events[key]; !both || e.place < other.place {
			m.events[key] = e
		}
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
	for key, event := range m.events {
		if key.Customer == string(e.Customer) && slices.Contains(types, event.Type) &&
			!event.OccurredAt.Before(from) && event.OccurredAt.Before(to) {
			some = append(some, event.Event)
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
	First              string
	Arms, Contaminated map[string]int64
	Values             map[string]armValue
}

// totals computes what Totals should answer, arm by arm.
func (m *ledgerModel) totals(x *engine.Experiment, asOf time.Time) modelTotals {
	t := modelTotals{Arms: map[string]int64{}, Contaminated: map[string]int64{}, Values: map[string]armValue{}}
	var first *time.Time
	for person := range m.enrolments {
		e, _ := m.enrolled(person)
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
	for person := range m.enrolments {
		e, contaminated := m.enrolled(person)
		if e.EnrolledAt.After(asOf) || (x.Policy.MaxDays > 0 && !e.EnrolledAt.Before(first.Add(time.Duration(x.Policy.MaxDays)*day))) {
			continue
		}
		t.Arms[string(e.Variant)]++
		if contaminated {
			t.Contaminated[string(e.Variant)]++
		}
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
	found := modelTotals{Arms: map[string]int64{}, Contaminated: map[string]int64{}, Values: map[string]armValue{}}
	if t.First != nil {
		found.First = stamps(*t.First)
	}
	for _, a := range t.Arms {
		found.Arms[string(a.Variant)] += a.Customers
		if a.Contaminated {
			found.Contaminated[string(a.Variant)] += a.Customers
		}
	}
	for _, v := range addUp(t.Values) {
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

// addUp adds the parts of arms up.
func addUp(parts []engine.ArmTotal) (all []engine.ArmTotal) {
	for _, p := range parts {
		i := slices.IndexFunc(all, func(t engine.ArmTotal) bool { return t.Metric == p.Metric && t.Variant == p.Variant })
		if i < 0 {
			all = append(all, p)
			continue
		}
		t := &all[i]
		t.Mature += p.Mature
		t.NonZero += p.NonZero
		t.Sum, t.SumSquares, t.Uncapped = t.Sum.Add(p.Sum), t.SumSquares.Add(p.SumSquares), t.Uncapped.Add(p.Uncapped)
		t.SumX, t.SumXX, t.SumXY = t.SumX.Add(p.SumX), t.SumXX.Add(p.SumXX), t.SumXY.Add(p.SumXY)
	}
	return all
}

func (t modelTotals) diff(other modelTotals) string { return gocmp.Diff(t, other) }
