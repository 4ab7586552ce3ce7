package playing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/stats"
)

// TestTotals compares the sums of the ledger at every step with the plain definition: a
// customer counts from the step on at which the horizon is over, with the orders known by then.
func TestTotals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &Config{Weights: []int{1, 1}, Primaries: 2, Horizon: rapid.IntRange(1, 6).Draw(t, "horizon")}
		c.ToDate = rapid.Bool().Draw(t, "to_date")
		step := rapid.SampledFrom([]float64{0.5, 1, 1.75}).Draw(t, "step")
		const steps = 14
		l := newLedger(c, step, steps)
		var customers []Customer
		var arms []int
		for i := range rapid.IntRange(0, 8).Draw(t, "customers") {
			who := Customer{ID: fmt.Sprint(i), Enters: float64(rapid.IntRange(0, 20).Draw(t, "enters")) / 4}
			for range rapid.IntRange(0, 4).Draw(t, "orders") {
				age := float64(rapid.IntRange(0, 40).Draw(t, "age")) / 4
				late := float64(rapid.IntRange(0, 20).Draw(t, "late")) / 4
				who.Orders = append(who.Orders, Order{
					Age: age, known: age + late, Amount: rapid.Int64Range(-30_000, 1e15).Draw(t, "amount"),
				})
			}
			arm := rapid.IntRange(0, 1).Draw(t, "arm")
			customers, arms = append(customers, who), append(arms, arm)
			who.Orders = append([]Order(nil), who.Orders...)
			l.record(&who, arm, who.Orders)
		}
		x := &engine.Experiment{Spec: engine.Spec{
			Variants: []engine.Variant{{Key: "control", Control: true}, {Key: "treatment-1"}},
			Metrics:  engine.Metrics{Primary: []engine.MetricKey{"value", "retained"}},
		}}
		for s := range steps + 1 {
			got := l.totals(s, x, began)
			want := plainTotals(c, customers, arms, float64(s)*step, x)
			if diff := cmp.Diff(want, got.Values); diff != "" {
				t.Fatalf("step %d (-want +got):\n%s", s, diff)
			}
		}
	})
}

func plainTotals(c *Config, customers []Customer, arms []int, now float64, x *engine.Experiment) []engine.ArmTotal {
	var all []engine.ArmTotal
	for arm, v := range x.Variants {
		for metric, key := range x.Metrics.Primary {
			total := engine.ArmTotal{Metric: key, Variant: v.Key, Sum: decimal.New(0, unit), SumSquares: decimal.New(0, 2*unit)}
			for i, who := range customers {
				end := float64(c.Horizon)
				if c.ToDate {
					end = math.Inf(1)
				}
				if arms[i] != arm || who.Enters > now || (!c.ToDate && who.Enters+end > now) {
					continue
				}
				value := decimal.New(0, unit)
				for _, o := range who.Orders {
					switch {
					case who.Enters+o.known > now || o.Age >= end:
					case metric == 0:
						value = value.Add(decimal.New(o.Amount, unit))
					case o.Age >= float64(c.Horizon)/2:
						value = decimal.New(one, unit)
					}
				}
				total.Mature++
				if !value.IsZero() {
					total.NonZero++
				}
				total.Sum, total.SumSquares = total.Sum.Add(value), total.SumSquares.Add(value.Mul(value))
			}
			total.Uncapped = total.Sum
			all = append(all, total)
		}
	}
	return all
}

// TestSpending holds the formulas of a shop's mean and deviation against its customers.
func TestSpending(t *testing.T) {
	for _, scenario := range []Scenario{AA, PullForward} {
		c := &Config{Scenario: scenario, Weights: []int{1, 1}, Customers: 100_000, Looks: 10, Horizon: 28, Zeros: 0.6, LogSD: 0.5}
		s := newShop(c)
		var m stats.Moments
		s.visit(rand.New(rand.NewPCG(1, 2)), func(c *Customer) {
			m = m.Add(stats.Moments{N: 1, Mean: float64(c.spent(28)) / one})
		})
		mean, sd := s.spending()
		if z := (m.Mean - mean) / m.SE(); math.Abs(z) > 4 {
			t.Errorf("%s: mean %v, want %v: %.1f standard errors apart", scenario, m.Mean, mean, z)
		}
		// The relative error of a deviation is about √((kurtosis - 1)/4n), below 1 % here.
		if got := math.Sqrt(m.Var()); math.Abs(got/sd-1) > 0.04 {
			t.Errorf("%s: deviation %v, want %v", scenario, got, sd)
		}
		if want := 200_000; s.size() != want || m.N != int64(want) {
			t.Errorf("%s: %d customers of %d, want %d", scenario, m.N, s.size(), want)
		}
	}
}
