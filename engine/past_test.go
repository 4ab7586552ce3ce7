package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/stats"
)

// pastOf are tests of the scene's metric that found these effects with this error.
func pastOf(s *scene, se float64, effects ...float64) []PastTest {
	past := []PastTest{}
	for i, effect := range effects {
		past = append(past, PastTest{
			Experiment: ExperimentKey(fmt.Sprint("past-", i)),
			Effects:    []PastEffect{{Metric: "ltv", Measure: s.x.Frozen[0].measure(), Variant: "warm", Effect: effect, StdError: se}},
		})
	}
	return past
}

func (s *scene) reportAfter(past []PastTest) *Report {
	asOf := began.Add(time.Duration(s.days * 24 * float64(time.Hour)))
	r, _ := testEngine(asOf).reportOn(s.x, s.totals, sitting{asOf: asOf, last: s.last, look: true, past: past})
	return r
}

// Effects ±0.06 of error 0.03: with equal errors the likelihood is largest at τ² = mean(y²) − v = 0.0027.
// The scene's winner has 5 of 40, error 50·√(2/3000) = 1.29: λ = τ²/(τ² + (1.29/40)²).
func TestShrunkenEffect(t *testing.T) {
	plus := []float64{0.06, -0.06, 0.06, -0.06, 0.06}
	se := 50 * math.Sqrt(2.0/3000)
	lambda := 0.0027 / (0.0027 + se*se/1600)
	half := 1.959963984540054 * math.Sqrt(lambda) * se // the normal quantile .975, R 4.3 qnorm
	shrunken := func(tests int) *Shrunken {
		return &Shrunken{
			Difference: new(5 * lambda), Interval: [2]*float64{new(5*lambda - half), new(5*lambda + half)},
			Lift: new(lambda / 8), LiftInterval: [2]*float64{new((5*lambda - half) / 40), new((5*lambda + half) / 40)},
			PastTests: tests, Spread: new(math.Sqrt(0.0027)),
		}
	}
	many := slices.Concat(plus, plus, plus, plus)
	for _, tt := range []struct {
		name     string
		effects  []float64
		want     *Shrunken
		warnings []string
		reason   string
		says     []string
	}{
		{"none", nil, nil, []string{"few_past_tests"}, "few_past_tests", []string{"ltv", "5 past tests", "0 so far"}},
		{"four", plus[:4], nil, []string{"few_past_tests"}, "few_past_tests", []string{"4 so far"}},
		{"five", plus, shrunken(5), []string{"few_past_tests"}, "shrunken_effect", []string{"5 past tests of ltv", "+3.608 EUR a customer (95 % interval +1.459 to +5.757)", "+9.0 %", "fewer than 20"}},
		{"nineteen", many[:19], shrunken(19), []string{"few_past_tests"}, "shrunken_effect", []string{"19 past tests"}},
		{"twenty", many, shrunken(20), []string{}, "shrunken_effect", []string{"20 past tests"}},
		{
			"no more than noise",
			[]float64{0.01, -0.01, 0.02, 0, 0.01},
			&Shrunken{Difference: new(0.0), Lift: new(0.0), PastTests: 5, Spread: new(0.0)},
			[]string{"few_past_tests", "no_spread"},
			"shrunken_effect",
			[]string{"no more than noise"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			plain, r := s.report(), s.reportAfter(pastOf(s, 0.03, tt.effects...))
			got := r.Metrics[0].Comparisons[0]
			if diff := cmp.Diff(tt.want, got.Shrunken, cmpopts.EquateApprox(1e-6, 0)); diff != "" {
				t.Errorf("shrunken (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.warnings, got.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			last := r.Verdict.Reasons[len(r.Verdict.Reasons)-1]
			if last.Code != tt.reason {
				t.Errorf("reason %s, want %s", last.Code, tt.reason)
			}
			for _, part := range tt.says {
				if !strings.Contains(last.Detail, part) {
					t.Errorf("%q does not say %q", last.Detail, part)
				}
			}
			// It informs: but for that reason the verdict is the same.
			r.Verdict.Reasons = r.Verdict.Reasons[:len(r.Verdict.Reasons)-1]
			if diff := cmp.Diff(plain.Verdict, r.Verdict); diff != "" {
				t.Errorf("the verdict looks at past tests:\n%s", diff)
			}
		})
	}
}

// Where nothing is promoted there are numbers from five tests on, no note before, and no reason.
func TestNoWinnerNoNote(t *testing.T) {
	s := newScene()
	s.arm("ltv", "warm", 3000, 40.5, 50)
	r := s.reportAfter(pastOf(s, 0.03, 0.06, -0.06, 0.06, -0.06))
	if c := r.Metrics[0].Comparisons[0]; c.Shrunken != nil || len(c.Warnings) > 0 || slices.Contains(codes(r.Verdict), "few_past_tests") {
		t.Errorf("four tests: %+v, %v, %v", c.Shrunken, c.Warnings, codes(r.Verdict))
	}
	r = s.reportAfter(pastOf(s, 0.03, 0.06, -0.06, 0.06, -0.06, 0.06))
	if c := r.Metrics[0].Comparisons[0]; c.Shrunken == nil || slices.Contains(codes(r.Verdict), "shrunken_effect") {
		t.Errorf("five tests: %+v, %v", c.Shrunken, codes(r.Verdict))
	}
}

// Which effects make the prior.
func TestPriorOfPastTests(t *testing.T) {
	s := newScene()
	s.x.Frozen[0].CapQuantile = new(0.99)
	five := func() []PastTest { return pastOf(s, 0.03, 0.06, -0.06, 0.06, -0.06, 0.06) }
	for _, tt := range []struct {
		name   string
		change func(past []PastTest) []PastTest
		tests  int
		tau2   float64
	}{
		{"all alike", func(past []PastTest) []PastTest { return past }, 5, 0.0027},
		{"another metric", func(past []PastTest) []PastTest {
			past[0].Effects[0].Metric = "other"
			return past
		}, 4, math.NaN()},
		{"another definition under the same key", func(past []PastTest) []PastTest {
			m := s.x.Frozen[0]
			m.Window = &Window{ToDay: 8}
			past[0].Effects[0].Measure = m.measure()
			return past
		}, 4, math.NaN()},
		{"another name and cap", func(past []PastTest) []PastTest {
			m := s.x.Frozen[0]
			m.Name, m.CapValue = "Renamed", new(decimal.NewFromInt(120))
			past[0].Effects[0].Measure = m.measure()
			return past
		}, 5, 0.0027},
		{"a second arm counts, but not as a test", func(past []PastTest) []PastTest {
			bold := past[0].Effects[0]
			bold.Variant = "bold"
			past[0].Effects = append(past[0].Effects, bold)
			return past[:4]
		}, 4, math.NaN()},
		{"a second arm", func(past []PastTest) []PastTest {
			bold := past[0].Effects[0]
			bold.Variant, bold.Effect = "bold", 0
			past[0].Effects = append(past[0].Effects, bold)
			return past
		}, 5, 5*0.0036/6 - 0.0009}, // the mean of six squares less v
		{"nothing found", func(past []PastTest) []PastTest {
			past[4].Effects = []PastEffect{}
			return past
		}, 4, math.NaN()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := priorOf(tt.change(five()), &s.x.Frozen[0])
			if diff := cmp.Diff(prior{tt.tests, tt.tau2}, got, cmp.AllowUnexported(prior{}),
				cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-6, 0)); diff != "" {
				t.Errorf("prior (-want +got):\n%s", diff)
			}
		})
	}
}

// What a report teaches: every treatment on every primary, as shares of control's mean, by the
// error of a single look with what a covariate takes out.
func TestWhatAReportTeaches(t *testing.T) {
	s := newScene("warm", "bold")
	s.arm("ltv", "bold", 3000, 36, 50)
	s.metric(RolePrimary, Metric{Key: "left", Kind: KindCount, Direction: Decrease})
	s.metric(RoleSecondary, Metric{Key: "kept", Kind: KindLTV, Direction: Increase})
	for _, v := range s.variants {
		s.arm("left", v, 3000, -20, 10)
		s.arm("kept", v, 3000, 1, 1)
	}
	s.arm("left", "warm", 3000, -19, 10)
	se := 50 * math.Sqrt(2.0/3000) / 40
	less := 10 * math.Sqrt(2.0/3000) / 20
	ltv, left := s.x.Frozen[0].measure(), s.x.Frozen[1].measure()
	want := []PastEffect{
		{"ltv", ltv, "warm", 0.125, se},
		{"ltv", ltv, "bold", -0.1, se},
		{"left", left, "warm", 0.05, less},
		{"left", left, "bold", 0, less},
	}
	r := s.report()
	if diff := cmp.Diff(want, s.x.past(r), cmpopts.EquateApprox(1e-9, 1e-12)); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	r.Metrics[0].Comparisons[0].CovariateGain = new(0.36) // an error of 0.8
	if got := s.x.past(r)[0].StdError; math.Abs(got-0.8*se) > 1e-12 {
		t.Errorf("with a covariate: error %g, want %g", got, 0.8*se)
	}
	for name, change := range map[string]func(){
		"a baseline like zero": func() { s.arm("ltv", "control", 3000, 1.7, 50) }, // 1.86 errors
		"nobody":               func() { s.arm("ltv", "control", 0, 0, 0) },
		"nothing varies": func() {
			s.arm("ltv", "control", 3000, 40, 0)
			s.arm("ltv", "warm", 3000, 40, 0)
			s.arm("ltv", "bold", 3000, 40, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			change()
			if got := s.x.past(s.report()); len(got) != 2 || got[0].Metric != "left" {
				t.Errorf("%+v", got)
			}
		})
	}
	s.enrolled("bold", 2000)
	if got := s.x.past(s.report()); len(got) != 0 {
		t.Errorf("of a test with a wrong split: %+v", got)
	}
	if got := s.x.past(nil); got == nil || len(got) != 0 {
		t.Errorf("without a report: %+v", got)
	}
}

// TestWinnersCurse: programmes of tests whose true lifts are normal around zero, judged by a
// fixed plan and promoted by its verdict; the past of each is all tests of its programme before,
// of which the first hundred are only that. On average what was measured of the promoted ones
// exceeds what is true of them; what remains after shrinkage does not.
func TestWinnersCurse(t *testing.T) {
	const programmes, before, tests, spread = 40, 100, 200, 0.05
	random := rand.New(rand.NewPCG(6, 112))
	s := newScene()
	s.x.Plan.Method, s.x.Plan.PlannedCustomers = MethodFixed, 3000
	var raw, shrunken stats.Moments // of the excess over the truth
	for range programmes {
		past := []PastTest{}
		for i := range tests {
			truth := spread * random.NormFloat64()
			s.arm("ltv", "control", 3000, 40+50/math.Sqrt(3000)*random.NormFloat64(), 50)
			s.arm("ltv", "warm", 3000, 40*(1+truth)+50/math.Sqrt(3000)*random.NormFloat64(), 50)
			r := s.report()
			if r.Verdict.Action == ActionPromote && i >= before {
				c := s.reportAfter(past).Metrics[0].Comparisons[0]
				if c.Shrunken == nil || len(c.Warnings) > 0 {
					t.Fatalf("after %d tests: %+v, %v", i, c.Shrunken, c.Warnings)
				}
				raw = raw.Add(stats.FromValues([]float64{*c.Difference/40 - truth}))
				shrunken = shrunken.Add(stats.FromValues([]float64{*c.Shrunken.Difference/40 - truth}))
			}
			past = append(past, PastTest{Effects: s.x.past(r)})
		}
	}
	t.Logf("%d promoted: raw lifts exceed the truth by %.3f ± %.3f points, shrunken ones by %.3f ± %.3f",
		raw.N, 100*raw.Mean, 100*raw.SE(), 100*shrunken.Mean, 100*shrunken.SE())
	if raw.Mean < 5*raw.SE() {
		t.Errorf("no winner's curse: %g ± %g", raw.Mean, raw.SE())
	}
	if math.Abs(shrunken.Mean) > 3*shrunken.SE() {
		t.Errorf("shrunken effects are off by %g ± %g", shrunken.Mean, shrunken.SE())
	}
}

// Whatever the sums and the past: only numbers, each null of a primary with a warning, and the
// verdict of a report without a past.
func TestThePastOnlyInforms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genScene(t, true)
		past := []PastTest{}
		for range rapid.IntRange(0, 25).Draw(t, "tests") {
			p := PastTest{}
			for i := range s.x.Metrics.Primary {
				p.Effects = append(p.Effects, PastEffect{
					Metric: s.x.Frozen[i].Key, Measure: s.x.Frozen[i].measure(),
					Effect:   rapid.OneOf(rapid.Float64Range(-1, 1), rapid.Float64Range(-1e9, 1e9)).Draw(t, "effect"),
					StdError: rapid.OneOf(rapid.Float64Range(1e-6, 1), rapid.Float64Range(1e-150, 1e150)).Draw(t, "error"),
				})
			}
			past = append(past, p)
		}
		plain, r := s.report(), s.reportAfter(past)
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
		if r.Verdict.Action != plain.Verdict.Action || r.Verdict.Variant != plain.Verdict.Variant ||
			cmp.Diff(plain.Verdict.Reasons, r.Verdict.Reasons[:len(plain.Verdict.Reasons)]) != "" {
			t.Fatalf("%+v\nwithout a past %+v", r.Verdict, plain.Verdict)
		}
		if promoted := slices.Contains([]DecisionAction{ActionPromote, ActionNeedsApproval}, r.Verdict.Action); promoted !=
			(len(r.Verdict.Reasons) == len(plain.Verdict.Reasons)+1) {
			t.Fatalf("%s for %v", r.Verdict.Action, codes(r.Verdict))
		}
		for _, m := range r.Metrics {
			for _, c := range m.Comparisons {
				switch s := c.Shrunken; {
				case s == nil:
				case s.Difference == nil || s.Lift == nil || s.Spread == nil || m.Role != RolePrimary:
					t.Fatalf("%+v", s)
				case (s.Interval[0] == nil) != slices.Contains(c.Warnings, "no_spread"):
					t.Fatalf("%+v with warnings %v", s, c.Warnings)
				case math.Abs(*s.Difference) > math.Abs(*c.Difference)*(1+1e-9):
					t.Fatalf("%g grew to %g", *c.Difference, *s.Difference)
				}
			}
		}
	})
}
