package postgres

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
)

// happening is an event so long after enrolment.
type happening struct {
	kind  string
	after time.Duration
	value string // in euros; "" for none
}

// One customer, one metric: every number is worked out in the case's name or beside it.
func TestKinds(t *testing.T) {
	s := newStore(t)
	const µs = time.Microsecond
	third := func(m engine.Metric) engine.Metric {
		m.Key, m.Window = "m", &engine.Window{FromDay: 0, ToDay: 3}
		return m
	}
	orders := []string{"order", "refund", "pick_cost"}
	for i, tt := range []struct {
		name   string
		metric engine.Metric
		events []happening
		y, x   string // x is the covariate, or the denominator
	}{
		{"value: 10.01 - 2 - 0.5", third(engine.Metric{Kind: engine.KindLTV, Events: orders}), []happening{
			{"order", 0, "10.01"}, {"refund", day, "-2"}, {"pick_cost", 3*day - µs, "-0.5"}, {"order", 3 * day, "1000"}, {"visit", day, "1000"},
		}, "7.51", "0"},
		{"profit: 0.4 of 10 - 2, less 0.5", third(engine.Metric{Kind: engine.KindLTV, Events: orders, MarginRate: amount("0.4")}), []happening{
			{"order", 0, "10"}, {"refund", day, "-2"}, {"pick_cost", day, "-0.5"},
		}, "2.7", "0"},
		{"revenue before enrolment is the covariate", third(engine.Metric{Kind: engine.KindRevenue, Events: orders}), []happening{
			{"order", -3*day - µs, "1000"}, {"order", -3 * day, "1"}, {"order", -µs, "20"}, {"order", 0, "300"},
		}, "300", "21"},
		{"the covariate of a later window is as long", engine.Metric{Key: "m", Kind: engine.KindRevenue, Events: orders, Window: &engine.Window{FromDay: 1, ToDay: 3}}, []happening{
			{"order", -2*day - µs, "1000"}, {"order", -2 * day, "1"}, {"order", day - µs, "50"}, {"order", day, "300"},
		}, "300", "1"},
		{"a cap of 25 on both", third(engine.Metric{Kind: engine.KindRevenue, Events: orders, CapValue: amount("25")}), []happening{
			{"order", -day, "26"}, {"order", 0, "20"}, {"order", 1, "20"},
		}, "25", "25"},
		{"a cap leaves losses", third(engine.Metric{Kind: engine.KindLTV, Events: orders, CapValue: amount("25")}), []happening{
			{"refund", 0, "-100"},
		}, "-100", "0"},
		{"count: two orders, one without a value", third(engine.Metric{Kind: engine.KindCount, Events: orders}), []happening{
			{"order", 0, "0"}, {"order", 3*day - µs, ""}, {"order", 3 * day, "1"}, {"refund", -1, "-1"},
		}, "2", "1"},
		{"conversion: any", third(engine.Metric{Kind: engine.KindConversion, Events: orders}), []happening{
			{"order", 0, "0"}, {"order", 1, "0"}, {"order", -day, "0"}, {"order", -day, "0"},
		}, "1", "1"},
		{"retention: none in the window", third(engine.Metric{Kind: engine.KindRetention, Events: orders}), []happening{
			{"order", 3 * day, "1"}, {"order", -µs, "1"},
		}, "0", "1"},
		{"click: any", third(engine.Metric{Kind: engine.KindClick, Events: []string{"open"}}), []happening{{"open", 3*day - µs, ""}}, "1", "0"},
		{"repeat: two of two", third(engine.Metric{Kind: engine.KindRepeat, Events: orders, MinCount: 2}), []happening{
			{"order", 0, "0"}, {"order", 1, "0"}, {"order", -day, "0"},
		}, "1", "0"},
		{"repeat: one of two", third(engine.Metric{Kind: engine.KindRepeat, Events: orders, MinCount: 2}), []happening{
			{"order", 0, "0"}, {"order", -day, "0"}, {"order", -day, "0"},
		}, "0", "1"},
		{"ratio: 30 over one visit of 4 and two without a value", third(engine.Metric{Kind: engine.KindRatio, Events: orders, Denominator: []string{"visit"}}), []happening{
			{"order", 0, "30"}, {"visit", 0, ""}, {"visit", 1, ""}, {"visit", 2, "4"}, {"visit", -1, ""}, {"order", 3 * day, "1"},
		}, "30", "6"},
		{"ratio: an event on both sides", third(engine.Metric{Kind: engine.KindRatio, Events: orders, Denominator: []string{"order"}}), []happening{
			{"order", 0, "30"}, {"refund", 0, "-6"},
		}, "24", "30"},
		{"survival: churn on day 1.000…1 counts on day 2", third(engine.Metric{Kind: engine.KindSurvival, ChurnEvent: "gone"}), []happening{
			{"gone", -1, ""}, {"gone", day + µs, ""}, {"gone", 2 * day, ""},
		}, "2", "0"},
		{"survival: churn at once", third(engine.Metric{Kind: engine.KindSurvival, ChurnEvent: "gone"}), []happening{{"gone", 0, ""}}, "0", "0"},
		{"survival: churn at the end of day 3", third(engine.Metric{Kind: engine.KindSurvival, ChurnEvent: "gone"}), []happening{{"gone", 3 * day, ""}}, "3", "0"},
		{"survival: churn too late", third(engine.Metric{Kind: engine.KindSurvival, ChurnEvent: "gone"}), []happening{{"gone", 3*day + µs, ""}}, "3", "0"},
		{"survival: a day of silence from enrolment", third(engine.Metric{Kind: engine.KindSurvival, Events: orders, InactivityDays: 1}), nil, "1", "0"},
		{"survival: an order just in time, then two days of silence", third(engine.Metric{Kind: engine.KindSurvival, Events: orders, InactivityDays: 2}), []happening{
			{"order", day, "1"}, {"visit", 2 * day, ""}, {"order", 3 * day, "1"},
		}, "3", "0"},
		{"survival: whoever comes back has been away", third(engine.Metric{Kind: engine.KindSurvival, Events: orders, InactivityDays: 1}), []happening{
			{"order", day, "1"}, {"order", day + µs, "1"},
		}, "1", "0"},
		{"survival: any event but costs", third(engine.Metric{Kind: engine.KindSurvival, InactivityDays: 1}), []happening{
			{"visit", day - 12*time.Hour, ""}, {"mail_cost", day, "-1"},
		}, "2", "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := fmt.Sprint("kind-", i)
			x := &engine.Experiment{Spec: engine.Spec{Key: engine.ExperimentKey(key)}, Frozen: []engine.Metric{tt.metric}}
			x.Plan.Covariate = true
			enrol(t, s, x.Key, "warm", start, key)
			var events []engine.Event
			for n, h := range tt.events {
				e := order(key, fmt.Sprint(n), "0", start.Add(h.after))
				if e.Type = h.kind; h.value != "" {
					e.Value = amount(h.value)
				} else {
					e.Value, e.Currency = nil, ""
				}
				events = append(events, e)
			}
			if len(events) > 0 {
				insert(t, s, events...)
			}
			got := must(s.Totals(t.Context(), x, engine.View{AsOf: start.Add(9 * day)}))(t).Values[0]
			want := []string{tt.y, tt.x}
			if diff := cmp.Diff(want, []string{got.Sum.String(), got.SumX.String()}); diff != "" || got.Mature != 1 {
				t.Errorf("value and x of %d customers (-want +got):\n%s", got.Mature, diff)
			}
		})
	}
}

// A stay that is not over by as_of counts as far as it was seen: in whole days.
func TestStaysAsOf(t *testing.T) {
	s := newStore(t)
	x := &engine.Experiment{Spec: engine.Spec{Key: "stay"}, Frozen: []engine.Metric{{
		Key: "stay", Kind: engine.KindSurvival, ChurnEvent: "gone", Window: &engine.Window{ToDay: 5},
	}}}
	enrol(t, s, x.Key, "warm", start, "c")
	gone := order("c", "gone", "0", start.Add(36*time.Hour))
	gone.Type = "gone"
	insert(t, s, gone)
	for _, tt := range []struct {
		after time.Duration
		want  engine.DayCount
	}{
		{0, engine.DayCount{Day: 0, Censored: 1}},
		{day, engine.DayCount{Day: 1, Censored: 1}},
		{2*day - time.Microsecond, engine.DayCount{Day: 1, Censored: 1}},
		{2 * day, engine.DayCount{Day: 2, Churned: 1}},
		{9 * day, engine.DayCount{Day: 2, Churned: 1}},
	} {
		got := must(s.Totals(t.Context(), x, engine.View{AsOf: start.Add(tt.after)}))(t)
		tt.want.Metric, tt.want.Variant = "stay", "warm"
		if diff := cmp.Diff([]engine.DayCount{tt.want}, got.Days); diff != "" {
			t.Errorf("%v after enrolment (-want +got):\n%s", tt.after, diff)
		}
	}
}

// Dollars count by the newest rate of the day or the seven before, and a corrected rate
// restates what it concerns.
func TestRates(t *testing.T) {
	s := newStore(t)
	if err := s.FixReportingCurrency(t.Context(), "EUR"); err != nil {
		t.Fatal(err)
	}
	x := ltv("rates", 0, 20, 0)
	enrol(t, s, x.Key, "warm", start, "c")
	book := func(date, rate string) int64 {
		t.Helper()
		midnight := must(time.Parse(time.DateOnly, date))(t)
		must(s.PutRates(t.Context(), []engine.Rate{
			{RateDay: engine.RateDay{Currency: "USD", Day: midnight}, Rate: *amount(rate)},
		}))(t)
		return int64(count(t, s, `SELECT value FROM ingest_position`))
	}
	value := func(cut *int64) string {
		t.Helper()
		return must(s.Totals(t.Context(), x, engine.View{AsOf: start.Add(99 * day), DataCut: cut}))(t).Values[0].Sum.String()
	}
	book("2026-03-01", "0.9")
	dollars := order("c", "o1", "10", time.Date(2026, 3, 8, 23, 59, 59, 999_999_000, time.UTC))
	dollars.Currency = "USD"
	insert(t, s, dollars, order("c", "o2", "1", start))
	if got := value(nil); got != "10" {
		t.Errorf("10 dollars at 0.9 and a euro are %s", got)
	}
	before := book("2026-03-09", "0.5") // from the day after on
	if got := value(nil); got != "10" {
		t.Errorf("after a rate of the next day %s", got)
	}
	book("2026-03-08", "0.123456789012")
	if got := value(nil); got != "2.23456789012" {
		t.Errorf("after a newer rate %s", got)
	}
	book("2026-03-08", "0.8")
	if got := value(nil); got != "9" {
		t.Errorf("after its correction %s", got)
	}
	if got := value(&before); got != "10" {
		t.Errorf("as known before %s", got)
	}
}

// The sum of a million amounts is that of rationals, and so is the sum of their squares.
func TestManyAmounts(t *testing.T) {
	s := newStore(t)
	x := ltv("many", 0, 9, 0)
	const customers, orders = 1000, 1000
	exec(t, s, `
		INSERT INTO enrolments (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position)
		SELECT 'c' || n, 'many', 'warm', 'c' || n, $2, '', '', 1 FROM generate_series(1, $1) AS n`, customers, start)
	exec(t, s, `
		INSERT INTO events (customer_id, id, type, occurred_at, value, currency, digest, position)
		SELECT 'c' || n, k, 'order', $3, (n * k + 1) / power(CAST(10 AS numeric), (n + k) % 13) * CASE k % 3 WHEN 0 THEN -1 ELSE 1 END, 'EUR', '', 1
		FROM generate_series(1, $1) AS n, generate_series(1, $2) AS k`, customers, orders, start)
	exec(t, s, `UPDATE ingest_position SET value = 1`)
	sum, squares := new(big.Rat), new(big.Rat)
	for n := int64(1); n <= customers; n++ {
		one := new(big.Rat)
		for k := int64(1); k <= orders; k++ {
			scale := new(big.Int).Exp(big.NewInt(10), big.NewInt((n+k)%13), nil)
			value := new(big.Rat).SetFrac(big.NewInt(n*k+1), scale)
			if k%3 == 0 {
				value.Neg(value)
			}
			one.Add(one, value)
		}
		sum.Add(sum, one)
		squares.Add(squares, one.Mul(one, one))
	}
	got := must(s.Totals(t.Context(), x, engine.View{AsOf: start.Add(99 * day)}))(t).Values[0]
	if got.Sum.Rat().Cmp(sum) != 0 || got.SumSquares.Rat().Cmp(squares) != 0 {
		t.Errorf("sum %s and squares %s, want %s and %s", got.Sum, got.SumSquares, sum.FloatString(12), squares.FloatString(24))
	}
}
