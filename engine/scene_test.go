package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// began is the first enrolment of the tests below.
var began = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// testEngine can only judge: it has no store.
func testEngine(now time.Time) *Engine {
	return New(Config{Now: func() time.Time { return now }, Reporting: "EUR"})
}

// sums are one arm's customers in short: n with this mean and sample standard deviation,
// of whom so many have a value.
func sums(metric MetricKey, variant VariantKey, n int64, mean, sd float64, nonZero int64) ArmTotal {
	m := decimal.NewFromFloat(mean)
	count := decimal.NewFromInt(n)
	squares := m.Mul(m).Mul(count).Add(decimal.NewFromFloat(sd).Pow(decimal.NewFromInt(2)).Mul(decimal.NewFromInt(n - 1)))
	return ArmTotal{Metric: metric, Variant: variant, Mature: n, NonZero: nonZero, Sum: m.Mul(count), SumSquares: squares}
}

// shares is an arm of n customers of whom x have a 1.
func shares(metric MetricKey, variant VariantKey, n, x int64) ArmTotal {
	ones := decimal.NewFromInt(x)
	return ArmTotal{Metric: metric, Variant: variant, Mature: n, NonZero: x, Sum: ones, SumSquares: ones}
}

// A scene is a running test with what has come of it, 28 days after it began. Its plain
// form is promotable: 3,000 customers an arm spend 40 and 45 with a deviation of 50.
type scene struct {
	x        *Experiment
	totals   *Totals
	days     float64
	last     *Report
	variants []VariantKey
}

func newScene(treatments ...VariantKey) *scene {
	if len(treatments) == 0 {
		treatments = []VariantKey{"warm"}
	}
	s := &scene{x: &Experiment{Status: StatusRunning}, totals: &Totals{First: &began}, days: 28}
	s.x.Key, s.x.Assignment = "tone", AssignedByEngine
	s.x.Plan, s.x.Policy = DefaultPlan(), DefaultPolicy()
	s.x.Plan.Method, s.x.Plan.PlannedCustomers = MethodAnytime, 2500
	s.variants = append([]VariantKey{"control"}, treatments...)
	for i, v := range s.variants {
		s.x.Variants = append(s.x.Variants, Variant{Key: v, Control: i == 0, Weight: 1})
		s.enrolled(v, 3000)
	}
	s.metric(RolePrimary, Metric{Key: "ltv", Kind: KindLTV, Direction: Increase})
	s.arm("ltv", "control", 3000, 40, 50)
	for _, v := range treatments {
		s.arm("ltv", v, 3000, 45, 50)
	}
	return s
}

func (s *scene) enrolled(v VariantKey, n int64) {
	s.totals.Arms = slices.DeleteFunc(s.totals.Arms, func(a ArmCount) bool { return a.Variant == v })
	s.totals.Arms = append(s.totals.Arms, ArmCount{Variant: v, Customers: n})
}

// metric adds a metric of a role; guardrails have a margin of a tenth.
func (s *scene) metric(role Role, m Metric) {
	m.Window = &Window{ToDay: 7}
	index := len(s.x.Frozen)
	switch role {
	case RolePrimary:
		index = len(s.x.Metrics.Primary)
		s.x.Metrics.Primary = append(s.x.Metrics.Primary, m.Key)
	case RoleSecondary:
		s.x.Metrics.Secondary = append(s.x.Metrics.Secondary, m.Key)
	case RoleGuardrail:
		s.x.Metrics.Guardrails = append(s.x.Metrics.Guardrails, Guardrail{Metric: m.Key, Margin: 0.1})
	case RoleDiagnostic:
		s.x.Metrics.Diagnostics = append(s.x.Metrics.Diagnostics, m.Key)
	}
	s.x.Frozen = slices.Insert(s.x.Frozen, index, m)
}

func (s *scene) put(t ArmTotal) {
	s.totals.Values = slices.DeleteFunc(s.totals.Values, func(v ArmTotal) bool { return v.Metric == t.Metric && v.Variant == t.Variant })
	s.totals.Values = append(s.totals.Values, t)
}

func (s *scene) arm(metric MetricKey, v VariantKey, n int64, mean, sd float64) {
	s.put(sums(metric, v, n, mean, sd, n))
}

func (s *scene) report() *Report {
	asOf := began.Add(time.Duration(s.days * 24 * float64(time.Hour)))
	r, _ := testEngine(asOf).reportOn(s.x, s.totals, sitting{asOf: asOf, last: s.last, look: true})
	return r
}

func codes(v Verdict) []string {
	var all []string
	for _, r := range v.Reasons {
		all = append(all, r.Code)
	}
	return all
}

// genScene makes any test of any outcome: several arms, metrics, directions and shapes.
func genScene(t *rapid.T, binary bool) *scene {
	arms := []VariantKey{"warm", "bold", "calm"}[:rapid.IntRange(1, 3).Draw(t, "treatments")]
	s := newScene(arms...)
	s.x.Metrics, s.x.Frozen, s.totals.Values = Metrics{}, nil, nil
	s.x.Plan.Method = rapid.SampledFrom([]Method{MethodGroupSequential, MethodAnytime, MethodFixed}).Draw(t, "method")
	s.x.Plan.MinEffect = rapid.SampledFrom([]float64{0, 0.01, 0.2}).Draw(t, "min_effect")
	s.x.Plan.PromoteAbove = rapid.SampledFrom([]float64{0, 0.02, -0.1}).Draw(t, "promote_above")
	s.x.Policy.MaxDays = rapid.SampledFrom([]int{0, 14}).Draw(t, "max_days")
	s.x.Policy.Mode = rapid.SampledFrom([]Mode{ModeAuto, ModeApprove, ModeManual}).Draw(t, "mode")
	roles := []Role{RolePrimary, RolePrimary, RoleSecondary, RoleGuardrail, RoleDiagnostic}
	for i, role := range roles[rapid.IntRange(0, 1).Draw(t, "primaries"):] {
		m := Metric{Key: MetricKey(fmt.Sprint("m", i)), Kind: KindLTV, Direction: Increase}
		if rapid.Bool().Draw(t, "decrease") {
			m.Direction = Decrease
		}
		if binary && rapid.Bool().Draw(t, "binary") {
			m.Kind = KindRetention
		}
		s.metric(role, m)
		near := rapid.Bool().Draw(t, "near the boundary") && !m.Kind.IsBinary()
		for _, v := range s.variants {
			s.put(genTotal(t, m.Key, v, m.Kind.IsBinary()))
			if near { // 3 to 5 are 2.3 to 3.9 standard errors, where decisions change
				s.arm(m.Key, v, 3000, 40, 50)
				if v != "control" {
					s.arm(m.Key, v, 3000, 40+rapid.Float64Range(2, 5).Draw(t, "effect"), 50)
				}
			}
		}
	}
	return s
}

// genTotal sums up customers of at most four different values.
func genTotal(t *rapid.T, metric MetricKey, variant VariantKey, binary bool) ArmTotal {
	total := ArmTotal{Metric: metric, Variant: variant}
	for range rapid.IntRange(0, 4).Draw(t, "values") {
		value := decimal.New(rapid.Int64Range(-1000, 4000).Draw(t, "value"), rapid.Int32Range(-2, 0).Draw(t, "exponent"))
		switch {
		case binary:
			value = decimal.NewFromInt(rapid.Int64Range(0, 1).Draw(t, "bit"))
		case rapid.IntRange(0, 9).Draw(t, "extreme") == 0:
			value = decimal.New(1, rapid.Int32Range(-12, 12).Draw(t, "size"))
		}
		n := rapid.SampledFrom([]int64{1, 1, 2, 30, 99, 100, 400, 2000, 1_000_000}).Draw(t, "customers")
		total.Mature += n
		if !value.IsZero() {
			total.NonZero += n
		}
		total.Sum = total.Sum.Add(value.Mul(decimal.NewFromInt(n)))
		total.SumSquares = total.SumSquares.Add(value.Mul(value).Mul(decimal.NewFromInt(n)))
	}
	return total
}
