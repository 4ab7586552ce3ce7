package engine

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/stats"
)

// customersOf draws the value and x of some customers, in quarters, which doubles hold exactly.
func customersOf(t *rapid.T, least int) (y, x []float64) {
	for range rapid.IntRange(least, 30).Draw(t, "customers") {
		y = append(y, float64(rapid.IntRange(-400, 4000).Draw(t, "y"))/4)
		x = append(x, float64(rapid.IntRange(0, 400).Draw(t, "x"))/4)
	}
	return y, x
}

// totalOf sums customers up.
func totalOf(metric MetricKey, variant VariantKey, y, x []float64) ArmTotal {
	t := ArmTotal{Metric: metric, Variant: variant, Mature: int64(len(y))}
	for i := range y {
		a, b := decimal.NewFromFloat(y[i]), decimal.NewFromFloat(x[i])
		if !a.IsZero() {
			t.NonZero++
		}
		t.Sum, t.SumSquares = t.Sum.Add(a), t.SumSquares.Add(a.Mul(a))
		t.SumX, t.SumXX, t.SumXY = t.SumX.Add(b), t.SumXX.Add(b.Mul(b)), t.SumXY.Add(a.Mul(b))
	}
	return t
}

// A ratio from exact sums is the delta method's on the customers themselves.
func TestRatioArm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y, x := customersOf(t, 2)
		got := newArm(totalOf("m", "warm", y, x), KindRatio)
		want, warning := stats.FromPairs(y, x).Linearise()
		if got.warning != warning {
			t.Fatalf("warning %v, want %v", got.warning, warning)
		}
		if diff := cmp.Diff(want, got.moments, cmpopts.EquateApprox(1e-9, 1e-6)); warning == stats.NoWarning && diff != "" {
			t.Fatalf("moments (-of customers +of sums):\n%s", diff)
		}
	})
}

// A ratio without a denominator is no number, in no place of a report.
func TestRatioOfNothing(t *testing.T) {
	s := newScene()
	s.metric(RoleSecondary, Metric{Key: "ratio", Kind: KindRatio, Direction: Increase})
	for _, v := range s.variants {
		s.put(totalOf("ratio", v, []float64{1, 2, 3}, []float64{0, 0, 0}))
	}
	m := s.report().Metrics[1]
	c := m.Comparisons[0]
	if m.Arms[0].Mean != nil || m.Arms[0].StdError != nil || c.Difference != nil || c.PValue != nil || c.Lift != nil || c.Fixed.PValue != nil {
		t.Errorf("numbers of 6 over 0: %s", mustJSON(m))
	}
	if diff := cmp.Diff([]string{"zero_baseline"}, c.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// Four customers of whom one churns on day 2, one is last seen on day 4, and two stay to day
// 10: the curve is 1 to day 2 and 3/4 after, its area 2 + 6. The error is 6 √(1/(4·3))
// (docs/methods/survival.md).
func TestSurvivalArm(t *testing.T) {
	days := []DayCount{{Day: 2, Churned: 1}, {Day: 4, Censored: 1}, {Day: 10, Censored: 1}, {Day: 10, Censored: 1, Contaminated: true}}
	got := newSurvivalArm(ArmTotal{Mature: 2, NonZero: 1}, days, 10)
	if se := got.moments.SE(); got.moments.N != 2 || got.moments.Mean != 8 || math.Abs(se-6/math.Sqrt(12)) > 1e-12 {
		t.Errorf("%+v with error %v", got.moments, se)
	}
	if got := newSurvivalArm(ArmTotal{}, days[:2], 10); got.moments != (stats.Moments{}) {
		t.Errorf("%+v before anybody was followed to day 10", got.moments)
	}
}

// With a covariate the comparison of a fixed plan is CUPED's on the customers themselves, and
// what is shown of the arms is not touched.
func TestCovariate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newScene()
		s.x.Plan.Covariate, s.x.Plan.Method, s.x.Plan.PlannedCustomers = true, MethodFixed, 2
		y1, x1 := customersOf(t, 2)
		y2, x2 := customersOf(t, 2)
		s.put(totalOf("ltv", "control", y1, x1))
		s.put(totalOf("ltv", "warm", y2, x2))
		plain, adjusted := s.plain(), s.report()
		want := stats.Cuped(stats.FromPairs(y1, x1), stats.FromPairs(y2, x2), stats.Test{Level: 0.95})
		got := adjusted.Metrics[0].Comparisons[0]
		near := cmpopts.EquateApprox(1e-6, 1e-7)
		if want.Warning == stats.NoWarning {
			for what, pair := range map[string][2]*float64{
				"difference": {&want.Diff, got.Difference}, "p": {&want.P, got.PValue}, "lower limit": {&want.CI.Lower, got.Interval[0]},
				"gain": {number(1 - want.VarianceRatio), got.CovariateGain},
			} {
				if diff := cmp.Diff(pair[0], pair[1], near); diff != "" {
					t.Fatalf("%s (-of customers +of sums):\n%s", what, diff)
				}
			}
		}
		if diff := cmp.Diff(plain.Metrics[0].Arms, adjusted.Metrics[0].Arms); diff != "" {
			t.Fatalf("arms (-without +with a covariate):\n%s", diff)
		}
		if diff := cmp.Diff(plain.Metrics[0].Comparisons[0].Fixed, got.Fixed); diff != "" {
			t.Fatalf("fixed (-without +with a covariate):\n%s", diff)
		}
	})
}

// plain is the report of the same test without a covariate.
func (s *scene) plain() *Report {
	s.x.Plan.Covariate = false
	defer func() { s.x.Plan.Covariate = true }()
	return s.report()
}

// An arm in parts makes the same report as the whole, and so does the part that is all of it.
func TestPartsOfArms(t *testing.T) {
	s := newScene()
	whole := s.report()
	half := func(v VariantKey, mean float64) {
		t := sums("ltv", v, 1500, mean, 50, 1500)
		s.totals.Values = append(s.totals.Values, t)
		t.Contaminated, t.Segment = true, "email"
		s.totals.Values = append(s.totals.Values, t)
		s.totals.Arms = append(s.totals.Arms, ArmCount{Variant: v, Customers: 1500}, ArmCount{Variant: v, Customers: 1500, Contaminated: true, Segment: "email"})
	}
	s.totals.Values, s.totals.Arms = nil, nil
	half("control", 40)
	half("warm", 45)
	asOf := began.AddDate(0, 0, 28)
	parts, c := testEngine(asOf).reportOn(s.x, s.totals, sitting{asOf: asOf, look: true})
	near := cmpopts.EquateApprox(1e-2, 0) // the halves' deviations are about their own means
	if diff := cmp.Diff(whole.Metrics, parts.Metrics, near); diff != "" {
		t.Errorf("metrics (-whole +parts):\n%s", diff)
	}
	met := c.contamination(s.totals)
	if met.Share != 0.5 || met.Customers["warm"] != 1500 || met.Without[0].Arms[0].Mature != 1500 || *met.Without[0].Arms[1].Mean != 45 {
		t.Errorf("contaminated: %s", mustJSON(met))
	}
	segments := c.segments(s.totals)
	if len(segments) != 2 || segments[1].Segment != "email" || segments[1].Customers["control"] != 1500 || segments[1].Metrics[0].Comparisons[0].Decisive {
		t.Errorf("segments: %s", mustJSON(segments))
	}
	if c := newScene(); len(c.totals.Arms) == 0 {
		t.Error("the plain scene has no arms")
	} else if _, file := testEngine(asOf).reportOn(c.x, c.totals, sitting{asOf: asOf, look: true}); file.contamination(c.totals) != nil {
		t.Error("contamination without contaminated customers")
	}
}
