package postgres

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/engine"
)

var eventTypes = []string{"order", "refund", "delivery_cost", "discost", "_cost"}

func genMetrics(t *rapid.T) []engine.Metric {
	genTypes := rapid.SliceOfNDistinct(rapid.SampledFrom(eventTypes), 1, 4, rapid.ID[string])
	var metrics []engine.Metric
	for i := range rapid.IntRange(1, 4).Draw(t, "metrics") {
		from := rapid.IntRange(0, 3).Draw(t, "from_day")
		m := engine.Metric{
			Key: engine.MetricKey(fmt.Sprintf("m%d", i)), Kind: rapid.SampledFrom(engine.MetricKinds).Draw(t, "kind"),
			Events: genTypes.Draw(t, "events"),
			Window: &engine.Window{FromDay: from, ToDay: from + rapid.IntRange(1, 4).Draw(t, "days")},
		}
		if m.Kind.IsMoney() && rapid.Bool().Draw(t, "margin") {
			m.MarginRate = amount(rapid.SampledFrom([]string{"0", "0.4", "0.333333333333", "1"}).Draw(t, "margin_rate"))
		}
		if (m.Kind.IsMoney() || m.Kind == engine.KindCount) && rapid.Bool().Draw(t, "capped") {
			m.CapValue = amount(rapid.SampledFrom([]string{"1", "2.5", "1000000"}).Draw(t, "cap_value"))
		}
		switch m.Kind {
		case engine.KindRepeat:
			m.MinCount = rapid.IntRange(1, 3).Draw(t, "min_count")
		case engine.KindRatio:
			m.Denominator = genTypes.Draw(t, "denominator")
		case engine.KindSurvival:
			m.Window.FromDay = 0
			if rapid.Bool().Draw(t, "any event") {
				m.Events = nil
			}
			if m.InactivityDays = rapid.IntRange(0, 3).Draw(t, "inactivity_days"); m.InactivityDays == 0 {
				m.ChurnEvent = "refund"
			}
		case engine.KindLTV, engine.KindRetention, engine.KindRevenue, engine.KindCount, engine.KindConversion, engine.KindClick:
		}
		metrics = append(metrics, m)
	}
	return metrics
}

// genTime is near the edges of windows: whole days from a start, more or less a microsecond.
func genTime(t *rapid.T, label string) time.Time {
	at := start.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, label+" day")) * day)
	return at.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, label+" µs")) * time.Microsecond)
}

func genEvent(t *rapid.T, prefix string) engine.Event {
	e := engine.Event{
		Customer:   engine.CustomerID(prefix + rapid.StringMatching("[a-e]").Draw(t, "customer")),
		ID:         rapid.StringMatching("e[0-9]{1,2}").Draw(t, "id"),
		Type:       rapid.SampledFrom(eventTypes).Draw(t, "type"),
		OccurredAt: genTime(t, "event"),
	}
	if rapid.IntRange(0, 4).Draw(t, "valued") > 0 {
		value := decimal.New(rapid.Int64Range(-1e15, 1e15).Draw(t, "value"), -rapid.Int32Range(0, 12).Draw(t, "decimals"))
		if value.Abs().GreaterThan(decimal.New(1, 12)) {
			value = decimal.New(1, 12)
		}
		e.Value, e.Currency = &value, rapid.SampledFrom([]engine.Currency{"EUR", "EUR", "USD"}).Draw(t, "currency")
	}
	return e
}

func shuffled[T any](t *rapid.T, all []T, label string) []T {
	if len(all) == 0 {
		return nil
	}
	return rapid.Permutation(all).Draw(t, label)
}

// putRate books the rate of USD from a day on.
func putRate(t *rapid.T, s *Store, date time.Time, rate string) {
	t.Helper()
	if _, err := s.PutRates(context.Background(), []engine.Rate{
		{RateDay: engine.RateDay{Currency: "USD", Day: date}, Rate: decimal.RequireFromString(rate)},
	}); err != nil {
		t.Fatal(err)
	}
}

// Whatever comes in, in whatever order and batches, and whenever it is measured: the
// totals are those of an exact computation over everything, to the last digit. And what was
// once computed can be computed again, whatever came in since.
func TestTotalsEqualAnExactComputation(t *testing.T) {
	s := newStore(t)
	if err := s.FixReportingCurrency(t.Context(), "EUR"); err != nil {
		t.Fatal(err)
	}
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		run++
		prefix := fmt.Sprintf("r%d-", run)
		exec(t, s, `DELETE FROM rates`)
		x := &engine.Experiment{Spec: engine.Spec{Key: engine.ExperimentKey(prefix + "test")}, Frozen: genMetrics(rt)}
		x.Policy.MaxDays = rapid.IntRange(0, 4).Draw(rt, "max_days")
		x.Plan.Covariate = rapid.Bool().Draw(rt, "covariate")
		model := newLedgerModel()

		var events []engine.Event
		for range rapid.IntRange(0, 30).Draw(rt, "events") {
			events = append(events, genEvent(rt, prefix))
		}
		var enrolments []engine.Enrolment
		for range rapid.IntRange(0, 8).Draw(rt, "enrolments") {
			customer := prefix + rapid.StringMatching("[a-e]").Draw(rt, "enrolled")
			enrolments = append(enrolments, engine.Enrolment{
				Customer: engine.CustomerID(customer), AssignmentKey: customer, Experiment: x.Key, EnrolledAt: genTime(rt, "enrolled"),
				Variant: rapid.SampledFrom([]engine.VariantKey{"control", "warm"}).Draw(rt, "variant"),
			})
		}
		type earlier struct {
			view   engine.View
			totals modelTotals
		}
		var before []earlier
		compare := func() {
			asOf := genTime(rt, "as of").Add(time.Duration(rapid.IntRange(0, 6).Draw(rt, "later")) * day)
			got, err := s.Totals(ctx, x, engine.View{AsOf: asOf})
			if err != nil {
				rt.Fatal(err)
			}
			want := model.totals(x, asOf)
			if diff := want.diff(foundTotals(got)); diff != "" {
				rt.Fatalf("totals as of %v (-exact +totals):\n%s", asOf, diff)
			}
			before = append(before, earlier{engine.View{AsOf: asOf, DataCut: &got.DataCut}, want})
		}
		for len(events)+len(enrolments) > 0 {
			switch step := rapid.IntRange(0, 11).Draw(rt, "step"); {
			case step < 4 && len(events) > 0:
				n := rapid.IntRange(1, len(events)).Draw(rt, "batch")
				batch := slices.Clone(events[:n])
				events = events[n:]
				if rapid.Bool().Draw(rt, "send again later") {
					events = append(events, batch[0])
				}
				batch = slices.DeleteFunc(batch, func(e engine.Event) bool { return e.Currency == "USD" && model.rate(e.OccurredAt) == nil })
				statuses, err := s.InsertEvents(ctx, batch)
				if err != nil {
					rt.Fatal(err)
				}
				for i, e := range batch {
					if want := model.addEvent(e); statuses[i] != want {
						rt.Fatalf("event %d of the batch: status %d, want %d", i, statuses[i], want)
					}
				}
			case step < 7 && len(enrolments) > 0:
				n := rapid.IntRange(1, len(enrolments)).Draw(rt, "batch")
				batch := enrolments[:n]
				enrolments = enrolments[n:]
				statuses, err := s.InsertEnrolments(ctx, batch)
				if err != nil {
					rt.Fatal(err)
				}
				for i, e := range batch {
					if want := model.addEnrolment(e); statuses[i] != want {
						rt.Fatalf("enrolment %d of the batch: status %d, want %d", i, statuses[i], want)
					}
				}
			case step == 7:
				if _, err := s.Measure(ctx, x); err != nil {
					rt.Fatal(err)
				}
			case step == 8:
				compare()
			case step == 9:
				date := start.Truncate(day).AddDate(0, 0, rapid.IntRange(-9, 9).Draw(rt, "date"))
				rate := rapid.SampledFrom([]string{"0.9", "1.1", "0.123456789012"}).Draw(rt, "rate")
				putRate(rt, s, date, rate)
				model.rates[date], _ = new(big.Rat).SetString(rate)
			case step == 10:
				var link []engine.CustomerID
				for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching("[a-f]"), 2, 3, rapid.ID[string]).Draw(rt, "link") {
					link = append(link, engine.CustomerID(prefix+name))
				}
				if _, err := s.LinkIdentities(ctx, link); err != nil {
					rt.Fatal(err)
				}
				if person := model.personOf(link[0]); slices.ContainsFunc(link, func(id engine.CustomerID) bool { return model.personOf(id) != person }) {
					model.link(link, int64(count(t, s, `SELECT value FROM ingest_position`)))
				}
			default:
				events, enrolments = shuffled(rt, events, "events"), shuffled(rt, enrolments, "enrolments")
			}
		}
		compare()
		compare()
		for _, b := range before {
			got, err := s.Totals(ctx, x, b.view)
			if err != nil {
				rt.Fatal(err)
			}
			restated := false
			for person := range model.enrolments {
				restated = restated || model.links[person] > *b.view.DataCut
			}
			if got.Restated != restated {
				rt.Fatalf("restated: %v, want %v", got.Restated, restated)
			}
			if diff := b.totals.diff(foundTotals(got)); diff != "" && !restated {
				rt.Fatalf("totals as of %v at cut %d, computed again (-then +now):\n%s", b.view.AsOf, *b.view.DataCut, diff)
			}
		}
		// Measured from nothing, the values are those that grew bit by bit.
		customers, differences, err := s.Recompute(ctx, x)
		if err != nil || differences != 0 || customers != len(model.enrolments) {
			rt.Fatalf("%d of the measures of %d customers differ from a recomputation, %v", differences, customers, err)
		}
	})
}

func enrol(t *testing.T, s *Store, x engine.ExperimentKey, variant engine.VariantKey, at time.Time, customers ...string) {
	t.Helper()
	var batch []engine.Enrolment
	for _, c := range customers {
		batch = append(batch, engine.Enrolment{
			Customer: engine.CustomerID(c), Experiment: x, Variant: variant, AssignmentKey: c, EnrolledAt: at,
		})
	}
	must(s.InsertEnrolments(t.Context(), batch))(t)
}

func insert(t *testing.T, s *Store, events ...engine.Event) []engine.RowStatus {
	t.Helper()
	return must(s.InsertEvents(t.Context(), events))(t)
}

func ltv(key engine.ExperimentKey, from, to, maxDays int) *engine.Experiment {
	x := &engine.Experiment{
		Spec: engine.Spec{Key: key},
		Frozen: []engine.Metric{{
			Key: "ltv", Kind: engine.KindLTV, Events: []string{"order"}, Window: &engine.Window{FromDay: from, ToDay: to},
		}},
	}
	x.Policy.MaxDays = maxDays
	return x
}

func TestWindowEdges(t *testing.T) {
	s := newStore(t)
	x := ltv("edges", 1, 3, 0)
	enrol(t, s, x.Key, "warm", start, "c")
	insert(t, s,
		order("c", "before", "1", start.Add(day-time.Microsecond)),
		order("c", "first", "10", start.Add(day)),
		order("c", "last", "100", start.Add(3*day-time.Microsecond)),
		order("c", "after", "1000", start.Add(3*day)),
	)
	got := must(s.Totals(t.Context(), x, engine.View{AsOf: start.Add(9 * day)}))(t)
	// from_day is inside the window and to_day is not: 10 + 100.
	if sum := got.Values[0].Sum.String(); sum != "110" {
		t.Errorf("sum %s, want 110", sum)
	}
}

func TestMaturityEdge(t *testing.T) {
	s := newStore(t)
	x := ltv("maturity", 0, 3, 0)
	enrol(t, s, x.Key, "warm", start, "c")
	for _, tt := range []struct {
		asOf            time.Time
		enrolled, ripen int64
	}{
		{start.Add(-time.Microsecond), 0, 0},
		{start, 1, 0},
		{start.Add(3*day - time.Microsecond), 1, 0},
		{start.Add(3 * day), 1, 1},
	} {
		got := must(s.Totals(t.Context(), x, engine.View{AsOf: tt.asOf}))(t)
		var enrolled, mature int64
		for _, a := range got.Arms {
			enrolled += a.Customers
		}
		for _, v := range got.Values {
			mature += v.Mature
		}
		if enrolled != tt.enrolled || mature != tt.ripen {
			t.Errorf("as of %v: %d enrolled and %d mature, want %d and %d", tt.asOf, enrolled, mature, tt.enrolled, tt.ripen)
		}
	}
}

// A report as of a past time sees nobody who came later, and the events that were late.
func TestAsOfInThePast(t *testing.T) {
	s := newStore(t)
	x := ltv("past", 0, 2, 0)
	enrol(t, s, x.Key, "warm", start, "early")
	enrol(t, s, x.Key, "warm", start.Add(day), "later")
	insert(t, s, order("early", "o1", "5", start.Add(time.Hour)), order("later", "o2", "7", start.Add(day+time.Hour)))
	past := start.Add(2 * day)
	if got := must(s.Totals(t.Context(), x, engine.View{AsOf: past}))(t); got.Values[0].Mature != 1 || got.Values[0].Sum.String() != "5" {
		t.Errorf("as of day 2: %+v, want the early customer's 5", got.Values)
	}
	insert(t, s, order("early", "o3", "0.5", start.Add(2*time.Hour)))
	if got := must(s.Totals(t.Context(), x, engine.View{AsOf: past}))(t); got.Values[0].Sum.String() != "5.5" {
		t.Errorf("after a late event: %s, want 5.5", got.Values[0].Sum)
	}
}

// A customer who is enrolled earlier, or with another variant, after a report was computed is
// in it as before when it is computed again: every enrolment that counted is kept, also where
// one batch brought several of one identifier and variant.
func TestEnrolmentsAsKnownThen(t *testing.T) {
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	for _, tt := range []struct {
		name        string
		first, next []engine.Enrolment
		sum         string // of the orders from the enrolment that counts at first
		several     int64  // identifiers that were in both variants at first
	}{
		{
			"later and other variant",
			[]engine.Enrolment{enrolment("c", "warm", at(3))},
			[]engine.Enrolment{enrolment("c", "control", at(4))},
			"11000", 0,
		},
		{
			"earlier and other variant",
			[]engine.Enrolment{enrolment("c", "warm", at(3))},
			[]engine.Enrolment{enrolment("c", "control", at(1))},
			"11000", 0,
		},
		{
			"both variants, then earlier by another identifier",
			[]engine.Enrolment{enrolment("c", "warm", at(3)), enrolment("c", "control", at(4))},
			[]engine.Enrolment{enrolment("d", "control", at(1))},
			"11000", 1,
		},
		{
			"twice the same in one batch around another variant",
			[]engine.Enrolment{enrolment("c", "warm", at(4)), enrolment("c", "control", at(3)), enrolment("c", "warm", at(2))},
			[]engine.Enrolment{enrolment("c", "control", at(1))},
			"11100", 1,
		},
		{
			"twice the same in one batch around another identifier",
			[]engine.Enrolment{enrolment("c", "warm", at(4)), enrolment("d", "warm", at(3)), enrolment("c", "warm", at(2))},
			[]engine.Enrolment{enrolment("d", "warm", at(1))},
			"11100", 0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			x := ltv("x", 0, 1, 0)
			linked(t, s, "c", "d")
			for i, value := range []string{"1", "10", "100", "1000", "10000"} {
				insert(t, s, order("c", value, value, at(i)))
			}
			must(s.InsertEnrolments(t.Context(), tt.first))(t)
			v := engine.View{AsOf: start.Add(9 * day)}
			then := must(s.Totals(t.Context(), x, v))(t)
			span := engine.Span{AsOf: v.AsOf, UpTo: then.DataCut}
			if got := must(s.Evidence(t.Context(), x, span))(t); got.Several != tt.several {
				t.Errorf("%d identifiers in several variants, want %d", got.Several, tt.several)
			}
			if got := then.Values[0].Sum.String(); got != tt.sum {
				t.Errorf("sum %s, want %s", got, tt.sum)
			}
			must(s.InsertEnrolments(t.Context(), tt.next))(t)
			v.DataCut = &then.DataCut
			if diff := cmp.Diff(then, must(s.Totals(t.Context(), x, v))(t)); diff != "" {
				t.Errorf("computed again (-then +now):\n%s", diff)
			}
			if got := must(s.Evidence(t.Context(), x, span))(t); got.Several != tt.several {
				t.Errorf("computed again, %d identifiers in several variants, want %d", got.Several, tt.several)
			}
		})
	}
}

// max_days ends the enrolment that counts: whoever comes exactly then is out.
func TestMaxDaysEdge(t *testing.T) {
	s := newStore(t)
	x := ltv("end", 0, 1, 2)
	enrol(t, s, x.Key, "warm", start, "first")
	enrol(t, s, x.Key, "warm", start.Add(2*day-time.Microsecond), "last")
	enrol(t, s, x.Key, "warm", start.Add(2*day), "too late")
	got := must(s.Totals(t.Context(), x, engine.View{AsOf: start.Add(10 * day)}))(t)
	if got.Arms[0].Customers != 2 || got.Values[0].Mature != 2 {
		t.Errorf("%d customers, %d mature, want the first and the last", got.Arms[0].Customers, got.Values[0].Mature)
	}
}

// Two processes that measure one experiment at once, while events come in, agree with a
// measurement from nothing.
func TestMeasuringAtOnce(t *testing.T) {
	s := newStore(t)
	x := ltv("busy", 0, 9, 0)
	enrol(t, s, x.Key, "warm", start, "a", "b", "c")
	done := make(chan error)
	const writers, rounds = 3, 15
	for w := range writers {
		go func() {
			for i := range rounds {
				_, err := s.InsertEvents(context.Background(), []engine.Event{
					order(string(rune('a'+w)), fmt.Sprint(i), "1.1", start.Add(time.Duration(i)*time.Minute)),
				})
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		go func() {
			var err error
			for i := 0; i < rounds && err == nil; i++ {
				_, err = s.Measure(context.Background(), x)
			}
			done <- err
		}()
	}
	for range writers + 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	got := must(s.Totals(t.Context(), x, engine.View{AsOf: start.Add(20 * day)}))(t)
	// 3 customers × 15 events × 1.1 = 49.5; squares 3 × 16.5² = 816.75.
	if v := got.Values[0]; v.Sum.String() != "49.5" || v.SumSquares.String() != "816.75" {
		t.Errorf("sum %s and squares %s, want 49.5 and 816.75", v.Sum, v.SumSquares)
	}
}

// A link takes the measures to the person, and leaves none behind.
func TestLinksTakeMeasuresAlong(t *testing.T) {
	s := newStore(t)
	x := ltv("linked", 0, 9, 0)
	enrol(t, s, x.Key, "warm", start, "b")
	insert(t, s, order("b", "o1", "5", start), order("a", "o2", "7", start))
	if n := must(s.Measure(t.Context(), x))(t); n != 1 {
		t.Errorf("%d customers measured, want 1", n)
	}
	must(s.LinkIdentities(t.Context(), []engine.CustomerID{"a", "b"}))(t)
	if n := must(s.Measure(t.Context(), x))(t); n != 1 {
		t.Errorf("%d customers measured again after a link, want 1", n)
	}
	if of := count(t, s, `SELECT count(*) FROM measures WHERE customer_id <> 'a'`); of != 0 {
		t.Errorf("%d measures of an identifier that has no rows", of)
	}
	got := must(s.Totals(t.Context(), x, engine.View{AsOf: start.Add(20 * day)}))(t)
	if sum := got.Values[0].Sum.String(); sum != "12" {
		t.Errorf("the person spent %s, want 12", sum)
	}
	if _, differences, err := s.Recompute(t.Context(), x); err != nil || differences != 0 {
		t.Errorf("%d differences, %v", differences, err)
	}
}

// A value that is not what the ledger says fails the recomputation, and stays to be looked at.
func TestRecomputeFindsADifference(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	x := running(t, e, spec("tone"))
	enrol(t, s, x.Key, "warm", start, "a", "b", "c")
	insert(t, s, order("a", "o", "5", start), order("b", "o", "5", start))
	if rows, err := e.RunJob(t.Context(), "recompute"); err != nil || rows != 3 {
		t.Errorf("%d customers, %v", rows, err)
	}
	exec(t, s, `UPDATE measures SET value = 4 WHERE customer_id = 'a'`)
	exec(t, s, `DELETE FROM measures WHERE customer_id = 'b'`)
	exec(t, s, `INSERT INTO measures (customer_id, experiment, metric, value) VALUES ('c', 'tone', 'ltv_7', 1)`)
	if rows, err := e.RunJob(t.Context(), "recompute"); rows != 3 || err == nil || !strings.Contains(err.Error(), "3 measures differ") {
		t.Errorf("%d customers, error %v, want three differences", rows, err)
	}
	if n := count(t, s, `SELECT count(*) FROM measures WHERE customer_id = 'a' AND value = 4`); n != 1 {
		t.Error("the recomputation has changed what it found")
	}
}

// New events are added to what is there, and after each the measures are those of everything.
func TestNewEventsAreAdded(t *testing.T) {
	s := newStore(t)
	window := &engine.Window{ToDay: 9}
	x := &engine.Experiment{Spec: engine.Spec{Key: "added"}, Frozen: []engine.Metric{
		{Key: "ltv", Kind: engine.KindLTV, Events: []string{"order"}, Window: window},
		{Key: "any", Kind: engine.KindConversion, Events: []string{"order"}, Window: window},
		{Key: "number", Kind: engine.KindCount, Events: []string{"order"}, Window: window},
		{Key: "ratio", Kind: engine.KindRatio, Events: []string{"order"}, Denominator: []string{"visit", "order"}, Window: window},
	}}
	x.Plan.Covariate = true
	enrol(t, s, x.Key, "warm", start, "c", "other")
	must(s.Measure(t.Context(), x))(t)
	for i, e := range []struct {
		value     string
		after     time.Duration
		sum, sumX string // of ltv
		rows      int
	}{
		{"5", 0, "5", "0", 4},
		{"7", -day, "5", "7", 4},
		{"-5", day, "0", "7", 3},      // the ratio is 0 over 0
		{"-7", -2 * day, "0", "0", 2}, // neither a value nor a ratio is left
		{"1", 9 * day, "0", "0", 2},
		{"2.5", 2 * day, "2.5", "0", 4},
	} {
		insert(t, s, order("c", fmt.Sprint(i), e.value, start.Add(e.after)))
		must(s.Measure(t.Context(), x))(t)
		got := must(s.Totals(t.Context(), x, engine.View{AsOf: start.Add(20 * day)}))(t).Values
		ltv := got[slices.IndexFunc(got, func(v engine.ArmTotal) bool { return v.Metric == "ltv" })]
		if ltv.Sum.String() != e.sum || ltv.SumX.String() != e.sumX {
			t.Errorf("after event %d value %s and covariate %s, want %s and %s", i, ltv.Sum, ltv.SumX, e.sum, e.sumX)
		}
		if n := count(t, s, `SELECT count(*) FROM measures`); n != e.rows {
			t.Errorf("after event %d %d measures, want %d", i, n, e.rows)
		}
		if _, differences, err := s.Recompute(t.Context(), x); err != nil || differences != 0 {
			t.Errorf("after event %d %d measures differ from a recomputation, %v", i, differences, err)
		}
	}
}
