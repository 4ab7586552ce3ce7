package engine

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/stats"
)

// The p-value of a sequence at later looks is the least so far; the interval is of now.
func TestTheRunningPValueStays(t *testing.T) {
	s := newScene()
	first := s.report()
	s.arm("ltv", "warm", 4000, 42, 50)
	s.arm("ltv", "control", 4000, 40, 50)
	alone := s.report()
	s.last = first
	second := s.report()
	before, now := *first.Metrics[0].Comparisons[0].PValue, *second.Metrics[0].Comparisons[0].PValue
	if now != before || *alone.Metrics[0].Comparisons[0].PValue <= before {
		t.Errorf("p %g after %g, alone %g", now, before, *alone.Metrics[0].Comparisons[0].PValue)
	}
	if diff := cmp.Diff(alone.Metrics[0].Comparisons[0].Interval, second.Metrics[0].Comparisons[0].Interval); diff != "" {
		t.Errorf("the interval depends on the past:\n%s", diff)
	}
	if second.Verdict.Action != ActionContinue {
		t.Errorf("%s although the limit is below 0", second.Verdict.Action)
	}
	// And so does the evidence against the split.
	s = newScene()
	s.last = &Report{Health: Health{Checks: []Check{{Check: "sample_ratio", PValue: new(0.0005)}}}}
	if got := s.report(); got.Verdict.Action != ActionFixHealth {
		t.Errorf("%s although the split was wrong before", got.Verdict.Action)
	}
}

// A report's numbers in the plain scene: the sequence by the formulas of docs/methods/confidence-sequence.md written
// out below; Welch's p-value and the quantile of t with 5,998 degrees of freedom from
// Simpson's rule on its density with 200,000 steps (Python 3, math.lgamma).
func TestNumbersOfAReport(t *testing.T) {
	s := newScene()
	r := s.report()
	got := r.Metrics[0].Comparisons[0]
	se := 50 * math.Sqrt(2.0/3000)
	c := -2*math.Log(0.05) + math.Log(1-2*math.Log(0.05))
	u := 6000 * c / 5000
	half := se * math.Sqrt((u+1)/u*math.Log((u+1)/(0.05*0.05)))
	p := math.Exp(-(u*25/se/se/(2*(u+1)) - math.Log(1+u)/2))
	want := Comparison{
		Variant: "warm", Difference: new(5.0), Interval: [2]*float64{new(5 - half), new(5 + half)},
		Lift: new(0.125), PValue: &p, AdjustedPValue: &p, Decisive: true, Warnings: []string{},
		Fixed: FixedLook{
			StdError: &se, Statistic: new(5 / se), PValue: new(0.000108655179590),
			Interval: [2]*float64{new(5 - 1.96035957338*se), new(5 + 1.96035957338*se)},
		},
	}
	options := cmp.Options{cmpopts.EquateApprox(1e-7, 0), cmpopts.IgnoreFields(Comparison{}, "LiftInterval")}
	if diff := cmp.Diff(want, got, options); diff != "" {
		t.Errorf("comparison (-want +got):\n%s", diff)
	}
	// docs/methods/relative-lift.md, at the critical value of the difference's interval.
	log, spread := math.Log(45.0/40), half/se*math.Sqrt(2500.0/3000*(1/1600.0+1/2025.0))
	lift := [2]*float64{new(math.Exp(log-spread) - 1), new(math.Exp(log+spread) - 1)}
	if diff := cmp.Diff(lift, got.LiftInterval, options); diff != "" {
		t.Errorf("interval of the lift (-want +got):\n%s", diff)
	}
	arms := []ArmReport{
		{Variant: "control", Customers: 3000, Mature: 3000, Mean: new(40.0), StdError: new(50 / math.Sqrt(3000)), Total: "120000.00"},
		{Variant: "warm", Customers: 3000, Mature: 3000, Mean: new(45.0), StdError: new(50 / math.Sqrt(3000)), Total: "135000.00"},
	}
	if diff := cmp.Diff(arms, r.Metrics[0].Arms, options); diff != "" {
		t.Errorf("arms (-want +got):\n%s", diff)
	}
	// 6,000 matured of 2 × 2,500 planned.
	if r.Information != 1.2 || r.Final || r.Method != MethodAnytime || r.Alpha != 0.05 {
		t.Errorf("information %g, final %v", r.Information, r.Final)
	}
}

// Early in a sequence its limits reach so far that Fieller's g of docs/methods/relative-lift.md
// is 1 or more, and the lift has no interval. With an error of control of 50·√20/√200 = 15.81,
// g is 0.60 at the 1.96 of a single look, so 45 is told to be 12.5 % more than 40; with 28.28 it
// is 1.92, and nothing relative is told. At the 4.09 of the sequence here (the formula of
// docs/methods/confidence-sequence.md with u = 400 c/5000) it is 2.6 and 8.3.
func TestALiftWithoutLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		sd   float64
		want *float64
	}{
		{"told", 50 * math.Sqrt(20), new(0.125)},
		{"not told", 400, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			s.arm("ltv", "control", 200, 40, tt.sd)
			s.arm("ltv", "warm", 200, 45, tt.sd)
			c := s.report().Metrics[0].Comparisons[0]
			if diff := cmp.Diff(tt.want, c.Lift, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
				t.Errorf("lift (-want +got):\n%s", diff)
			}
			if c.LiftInterval != [2]*float64{} || !slices.Contains(c.Warnings, "uncertain_baseline") {
				t.Errorf("interval %s, warnings %v", mustJSON(c.LiftInterval), c.Warnings)
			}
		})
	}
}

// One customer in an arm has no spread, whatever the kind and the plan: nothing is told but the
// difference, and why. The answer of a single look stays: the pooled z of 1 of 1 against 1,000 of
// 3,000 is (2/3)/√((1001/3001)(2000/3001)(1/3000 + 1)) = 1.41374.
func TestOneCustomerIsTooFew(t *testing.T) {
	for _, method := range []Method{MethodGroupSequential, MethodAnytime, MethodFixed} {
		t.Run(string(method), func(t *testing.T) {
			s := newScene()
			s.x.Plan.Method = method
			s.metric(RoleSecondary, Metric{Key: "kept", Kind: KindRetention, Direction: Increase})
			s.put(shares("kept", "control", 3000, 1000))
			s.put(shares("kept", "warm", 1, 1))
			got := s.report().Metrics[1].Comparisons[0]
			want := Comparison{Variant: "warm", Difference: new(2.0 / 3), Warnings: []string{"too_few_customers"}}
			options := cmp.Options{cmpopts.EquateApprox(1e-12, 0), cmpopts.IgnoreFields(Comparison{}, "Fixed")}
			if diff := cmp.Diff(want, got, options); diff != "" {
				t.Errorf("comparison (-want +got):\n%s", diff)
			}
			if z := orNaN(got.Fixed.Statistic); !(math.Abs(z-1.41374) < 5e-6) {
				t.Errorf("z %g of a single look, want 1.41374", z)
			}
		})
	}
}

// The error that decides is the larger of Welch's and the pooled one (docs/methods/decision-error.md).
func TestTheDecisionErrorIsTheLarger(t *testing.T) {
	s := newScene()
	uneven(3000)(s)
	s.arm("ltv", "control", 7000, 40, 80)
	s.arm("ltv", "warm", 3000, 46, 40)
	pooled := math.Sqrt((6999*6400 + 2999*1600) / 9998.0 * (1/7000.0 + 1/3000.0)) // 1.54; Welch's is 1.20
	c := -2*math.Log(0.05) + math.Log(1-2*math.Log(0.05))
	u := 10000 * c / 5000
	half := pooled * math.Sqrt((u+1)/u*math.Log((u+1)/(0.05*0.05)))
	got := s.report().Metrics[0].Comparisons[0].Interval
	if diff := cmp.Diff([2]*float64{new(6 - half), new(6 + half)}, got, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("interval (-want +got):\n%s", diff)
	}
}

// Whatever the sums: a report can be written as JSON, and what it does not know is null
// with a warning, never NaN, and never a decision.
func TestReportsHoldOnlyNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genScene(t, true)
		for _, v := range s.variants {
			s.enrolled(v, rapid.SampledFrom([]int64{0, 1, 1000, 1001}).Draw(t, "enrolled"))
		}
		if rapid.Bool().Draw(t, "later look") {
			s.last = s.report()
		}
		r := s.report()
		document, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(document); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Fatalf("not a number in %s", text)
		}
		back := &Report{}
		if err := json.Unmarshal(document, back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, back, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the stored report differs (-made +read):\n%s", diff)
		}
		for _, m := range r.Metrics {
			for _, c := range m.Comparisons {
				missing := c.PValue == nil || c.Interval[0] == nil || c.Interval[1] == nil || c.Lift == nil
				if missing && len(c.Warnings) == 0 {
					t.Fatalf("numbers are missing without a warning: %+v", c)
				}
				if c.PValue != nil && (*c.PValue < 0 || *c.PValue > 1) {
					t.Fatalf("p = %g", *c.PValue)
				}
				if c.PValue == nil && c.Decisive {
					t.Fatalf("decisive without a p-value: %+v", c)
				}
			}
		}
		if v := r.Verdict; len(v.Reasons) == 0 || (v.Variant != "") != slices.Contains([]DecisionAction{ActionPromote, ActionNeedsApproval, ActionStopHarm}, v.Action) {
			t.Fatalf("verdict %+v", v)
		}
	})
}

// Of primaries the adjusted p-values are Holm's, of secondaries Benjamini and Hochberg's, and at
// one look the interval excludes 0 exactly when the correction rejects. (For shares in a fixed plan the interval is unpooled and the
// p-value pooled, as the contract has it, so the two may differ by a hair.)
func TestIntervalsFollowTheCorrection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genScene(t, rapid.Bool().Draw(t, "shares"))
		s.last = nil
		shares := slices.ContainsFunc(s.x.Frozen, func(m Metric) bool { return m.Kind.IsBinary() })
		if shares {
			s.x.Plan.Method = MethodAnytime
		}
		r := s.report()
		for _, role := range []Role{RolePrimary, RoleSecondary} {
			var p, adjusted []float64
			for _, m := range r.Metrics {
				if m.Role != role {
					continue
				}
				for _, c := range m.Comparisons {
					p = append(p, orNaN(c.PValue))
					adjusted = append(adjusted, orNaN(c.AdjustedPValue))
					rejected := c.AdjustedPValue != nil && *c.AdjustedPValue <= s.x.Plan.Alpha
					excluded := (c.Interval[0] != nil && *c.Interval[0] > 0) || (c.Interval[1] != nil && *c.Interval[1] < 0)
					if rejected != excluded {
						t.Fatalf("rejected: %v, the interval excludes 0: %v: %s", rejected, excluded, mustJSON(c))
					}
				}
			}
			correction := stats.Holm
			if role == RoleSecondary {
				correction = stats.BenjaminiHochberg
			}
			if diff := cmp.Diff(stats.Adjust(p, correction), adjusted, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("adjusted p-values (-by hand +report):\n%s", diff)
			}
		}
	})
}

func orNaN(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// A metric that should decrease is judged like its negative that should increase.
func TestDecreaseIsTheMirrorImageOfIncrease(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genScene(t, false)
		for _, v := range s.variants {
			s.enrolled(v, 3000)
		}
		r := s.report()
		for i := range s.x.Frozen {
			m := &s.x.Frozen[i]
			if m.Direction == Increase {
				m.Direction = Decrease
			} else {
				m.Direction = Increase
			}
		}
		for i := range s.totals.Values {
			s.totals.Values[i].Sum = s.totals.Values[i].Sum.Neg()
		}
		mirrored := s.report()
		if r.Verdict.Action != mirrored.Verdict.Action || r.Verdict.Variant != mirrored.Verdict.Variant {
			t.Fatalf("%s %q, mirrored %s %q", r.Verdict.Action, r.Verdict.Variant, mirrored.Verdict.Action, mirrored.Verdict.Variant)
		}
		if diff := cmp.Diff(codes(r.Verdict), codes(mirrored.Verdict)); diff != "" {
			t.Fatalf("reasons (-plain +mirrored):\n%s", diff)
		}
		for i, m := range r.Metrics {
			for j, c := range m.Comparisons {
				o := mirrored.Metrics[i].Comparisons[j]
				if (c.Interval[0] == nil) != (o.Interval[1] == nil) || (c.Interval[0] != nil && *c.Interval[0] != -*o.Interval[1]) {
					t.Fatalf("limits %s, mirrored %s", mustJSON(c.Interval), mustJSON(o.Interval))
				}
				if diff := cmp.Diff(c.NonInferior, o.NonInferior); diff != "" {
					t.Fatalf("non-inferior (-plain +mirrored):\n%s", diff)
				}
			}
		}
	})
}

// Moments made from exact sums are those of the values themselves.
func TestMomentsFromExactSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.SampledFrom([]int64{0, 1_000_000, 1_000_000_000}).Draw(t, "offset")
		var values []float64
		total := ArmTotal{}
		for range rapid.IntRange(1, 50).Draw(t, "customers") {
			cents := offset*4 + rapid.Int64Range(-5000, 5000).Draw(t, "quarters")
			value := decimal.NewFromInt(cents).Div(decimal.NewFromInt(4)) // exact in binary too
			values = append(values, value.InexactFloat64())
			total.Mature++
			total.Sum = total.Sum.Add(value)
			total.SumSquares = total.SumSquares.Add(value.Mul(value))
		}
		want := stats.FromValues(values)
		got := newArm(total, KindLTV).moments
		// Two passes over doubles near 1e9 keep about 1e-13 of the mean; M2 is exact here.
		if diff := cmp.Diff(want, got, cmpopts.EquateApprox(1e-9, 1e-6)); diff != "" {
			t.Fatalf("moments (-of values +of sums):\n%s", diff)
		}
	})
	// Where sums of squares of doubles lose every digit: 1e12 and 1e12 + 1 have M2 = 1/2.
	total := ArmTotal{Mature: 2, Sum: decimal.RequireFromString("2000000000001"), SumSquares: decimal.RequireFromString("2000000000002000000000001")}
	if got := newArm(total, KindLTV).moments; got.M2 != 0.5 || got.Mean != 1000000000000.5 {
		t.Errorf("moments %+v", got)
	}
}
