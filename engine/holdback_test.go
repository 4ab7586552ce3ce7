package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// TestHoldbackFalseAlarms plays winners that change nothing, on money that most customers
// never spend and some spend much of, with a twentieth held back: the worst case of
// docs/methods/decision-error.md. Each comparison is looked at every day for two months. A
// false rollback may come in at most the comparison's error of .05, plus three standard
// errors of the simulation; of a winner that is truly better hardly ever.
func TestHoldbackFalseAlarms(t *testing.T) {
	const runs, days, perDay = 200, 60, 800
	for _, tt := range []struct {
		name   string
		factor float64 // what the winner makes of a value
		least  float64 // share of runs that roll back
		most   float64
	}{
		{"changes nothing", 1, 0, 0.05 + 3*math.Sqrt(0.05*0.95/runs)},
		{"is better by a quarter", 1.25, 0, 0.01},
		{"is worse by two thirds", 1 / 3., 0.9, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := &PromotedExperiment{}
			x.Key, x.Assignment, x.Salt = "tone", AssignedByEngine, "s"
			x.Plan, x.Policy = DefaultPlan(), DefaultPolicy()
			x.Plan.PlannedCustomers, x.Policy.Holdback, x.Policy.HoldbackDays = 20_000, 0.05, 90
			x.Metrics.Primary = []MetricKey{"ltv"}
			x.Frozen = []Metric{{Key: "ltv", Kind: KindLTV, Direction: Increase, Window: &Window{ToDay: 1}}}
			random, rollbacks := rand.New(rand.NewPCG(7, 7)), 0
			for range runs {
				if playHoldback(x.comparison(), random, days, perDay, tt.factor) {
					rollbacks++
				}
			}
			share := float64(rollbacks) / runs
			t.Logf("%.1f %% of %d rolled back", 100*share, runs)
			if share < tt.least || share > tt.most {
				t.Errorf("%.3f rolled back, want %.3f to %.3f", share, tt.least, tt.most)
			}
		})
	}
}

// playHoldback reports whether one comparison ever rolls back. Nine of ten customers spend
// nothing, the others a lognormal amount with a deviation of 1.5 of its logarithm.
func playHoldback(c *Experiment, random *rand.Rand, days, perDay int, factor float64) bool {
	var n, payers [2]int64
	var sum, squares [2]float64
	var last *Report
	for day := 1; day <= days; day++ {
		for range perDay {
			arm, value := 1, 0.0
			if random.IntN(20) == 0 {
				arm = 0
			}
			if random.IntN(10) == 0 {
				value = math.Round(100*math.Exp(1.5*random.NormFloat64())) / 100
				payers[arm]++
				if arm == 1 {
					value *= factor
				}
			}
			n[arm]++
			sum[arm] += value
			squares[arm] += value * value
		}
		totals := &Totals{First: &began}
		for i, v := range c.Variants {
			totals.Arms = append(totals.Arms, ArmCount{Variant: v.Key, Customers: n[i]})
			totals.Values = append(totals.Values, ArmTotal{
				Metric: "ltv", Variant: v.Key, Mature: n[i], NonZero: payers[i],
				Sum: decimal.NewFromFloat(sum[i]), SumSquares: decimal.NewFromFloat(squares[i]),
			})
		}
		asOf := began.Add(time.Duration(day+1) * 24 * time.Hour)
		r, _ := testEngine(asOf).reportOn(c, totals, sitting{asOf: asOf, last: last, look: true, promoted: true})
		if r.Verdict.rollsBack() {
			return true
		}
		number := day
		r.Look, last = &number, r
	}
	return false
}

func TestComparisonKeys(t *testing.T) {
	for key, test := range map[ExperimentKey]ExperimentKey{"tone": "tone", ExperimentKey("tone").comparison(): "tone"} {
		if key.test() != test {
			t.Errorf("%s belongs to %s, want %s", key, key.test(), test)
		}
	}
	if validKey(fmt.Sprint(ExperimentKey("tone").comparison())) {
		t.Error("an experiment can have the key of a comparison")
	}
}

// The contract: those held back, p below holdback × 10,000, are compared with the others, anytime-valid
// and at an error of its own of .05; it is no look at anything that decides nothing.
func TestWhatAComparisonIs(t *testing.T) {
	s := newScene()
	s.metric(RoleSecondary, Metric{Key: "visits", Kind: KindCount, Direction: Increase})
	s.metric(RoleGuardrail, Metric{Key: "orders", Kind: KindCount, Direction: Increase})
	s.metric(RoleDiagnostic, Metric{Key: "clicks", Kind: KindClick, Direction: Increase})
	x := &PromotedExperiment{Experiment: *s.x}
	x.Salt, x.Plan.Method, x.Plan.Alpha, x.Policy.Holdback, x.Stopped = "s", MethodGroupSequential, 0.01, 0.05, []VariantKey{"cold"}
	c := x.comparison()
	var frozen []MetricKey
	for _, m := range c.Frozen {
		frozen = append(frozen, m.Key)
	}
	want := []MetricKey{"ltv", "orders"}
	if !slices.Equal(frozen, want) || !slices.Equal(c.Metrics.Keys(), want) {
		t.Errorf("metrics %v, measured by %v, want %v", c.Metrics.Keys(), frozen, want)
	}
	if c.Plan.Method != MethodAnytime || c.Plan.Alpha != 0.05 || c.Salt != "s/promotion" || len(c.Stopped) != 0 {
		t.Errorf("%s at %g with the salt %q, stopped %v", c.Plan.Method, c.Plan.Alpha, c.Salt, c.Stopped)
	}
	if control := c.Control(); control.Key != "held_back" || control.Weight != 500 || c.Variants[1].Weight != 9500 {
		t.Errorf("arms %+v", c.Variants)
	}
}

// Every weekday counts once before a winner is rolled back (docs/methods/decision-error.md).
func TestAWinnerIsWatchedForAWeek(t *testing.T) {
	for _, tt := range []struct {
		name   string
		days   float64
		mean   float64
		action DecisionAction
		code   string
	}{
		{"a moment before a week", 7 - 1e-6, 35, ActionContinue, "harm_burn_in"},
		{"a week", 7, 35, ActionRollback, "primary_harmed"},
		{"no harm", 7, 40, ActionContinue, "no_harm_seen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			s.arm("ltv", "warm", 3000, tt.mean, 50)
			asOf := began.Add(time.Duration(tt.days * 24 * float64(time.Hour)))
			r, _ := testEngine(asOf).reportOn(s.x, s.totals, sitting{asOf: asOf, look: true, promoted: true})
			if r.Verdict.Action != tt.action || !r.Verdict.because(tt.code) {
				t.Errorf("%s %v, want %s %s", r.Verdict.Action, codes(r.Verdict), tt.action, tt.code)
			}
		})
	}
}
