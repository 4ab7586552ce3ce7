package engine

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// planned makes the plain scene group-sequential, of so many customers an arm.
func planned(customers int) *scene {
	s := newScene()
	s.x.Plan.Method, s.x.Plan.PlannedCustomers = MethodGroupSequential, customers
	return s
}

// grow lets n customers of each arm mature, with a difference of z standard errors of a
// deviation of 50 and a control mean of 40.
func (s *scene) grow(n int64, z float64) {
	for _, v := range s.variants {
		s.enrolled(v, n)
		s.arm("ltv", v, n, 40, 50)
	}
	s.arm("ltv", "warm", n, 40+z*50*math.Sqrt(2/float64(n)), 50)
}

// look takes a look, as the job does, and answers its report.
func (s *scene) look() *Report {
	r := s.report()
	s.last = r
	return r
}

// The boundaries of five equal looks are those of stats/testdata/golden/group_sequential.json
// (bounds/ld_obf_None_K5, which rpact 3.3.4 confirms), and the p-value of 2.2 at the last twice
// that of repeated_p/obf_final.
func TestGroupSequentialLooks(t *testing.T) {
	want := []float64{4.876884948790761, 3.3570119215746415, 2.6802800645449896, 2.289816767711954, 2.0310320433100584}
	s := planned(5000)
	near := cmpopts.EquateApprox(1e-6, 0)
	for k, bound := range want {
		n := int64(1000 * (k + 1))
		s.grow(n, 2.2)
		r := s.look()
		c := r.Metrics[0].Comparisons[0]
		if len(r.Looks) != k+1 || !cmp.Equal(r.Looks[k].Boundary, &bound, near) || !cmp.Equal(c.Boundary, &bound, near) {
			t.Fatalf("look %d: boundary %v of %s, want %g", k+1, show(c.Boundary), mustJSON(r.Looks), bound)
		}
		se := 50 * math.Sqrt(2/float64(n))
		interval := [2]*float64{new((2.2 - bound) * se), new((2.2 + bound) * se)}
		if diff := cmp.Diff(interval, c.Interval, near); diff != "" {
			t.Errorf("look %d: interval (-want +got):\n%s", k+1, diff)
		}
		if last := k == len(want)-1; r.Final != last || (r.Verdict.Action == ActionPromote) != last || (c.Decisive != last) {
			t.Errorf("look %d: final %v, %s", k+1, r.Final, r.Verdict.Action)
		}
	}
	c := s.last.Metrics[0].Comparisons[0]
	if diff := cmp.Diff([]*float64{new(2 * 0.016180011681258596), new(2 * 0.016180011681258596)}, []*float64{c.PValue, c.AdjustedPValue}, near); diff != "" {
		t.Errorf("p (-want +got):\n%s", diff)
	}
	if spent := s.last.Looks[2].AlphaSpent; math.Abs(spent-2*0.003808063310989328) > 1e-12 {
		t.Errorf("spent %g by the third look", spent)
	}
}

func show(x *float64) any {
	if x == nil {
		return nil
	}
	return *x
}

// Spending by the plan and correlation by what came in are two clocks
// (stats/testdata/golden/group_sequential.json, bounds_observed_info).
func TestSpendingAndInformationAreTwoClocks(t *testing.T) {
	for _, tt := range []struct {
		name          string
		spend, inform []float64
		want          float64
	}{
		{"overrun", []float64{0.25, 0.5, 0.75, 1}, []float64{0.22, 0.57, 0.81, 1.09}, 2.0152744408954546},
		{"calendar", []float64{0.2, 0.4, 0.6, 0.8, 1}, []float64{0.1, 0.3, 0.55, 0.7, 0.9}, 2.037746555042431},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := judge{plan: Plan{Alpha: 0.05}, known: &boundaries{}}
			for i := range tt.spend {
				j.looks = append(j.looks, SpentLook{Fraction: tt.spend[i], Information: map[MetricKey]float64{"m": tt.inform[i]}})
			}
			for range 2 { // found, and remembered
				if got := j.boundary("m", 0.05); math.Abs(got-tt.want) > 1e-6 {
					t.Errorf("boundary %g, want %g", got, tt.want)
				}
			}
		})
	}
}

// At its end a plan spends all that is left, whatever was reached, and then testing is over.
func TestTheEndOfAGroupSequentialPlan(t *testing.T) {
	s := planned(5000)
	s.x.Policy.MaxDays, s.days = 21, 27.9 // and 7 until the last have matured
	s.grow(3000, 1)
	if r := s.look(); r.Final || r.Verdict.Action != ActionContinue {
		t.Errorf("a moment before the end: final %v, %s", r.Final, r.Verdict.Action)
	}
	s.days = 28
	end := s.look()
	if !end.Final || end.Looks[1].Fraction != 1 || math.Abs(end.Looks[1].AlphaSpent-0.05) > 1e-15 || end.Verdict.Action != ActionKeepControl {
		t.Errorf("at the end: %s, %s", mustJSON(end.Looks), end.Verdict.Action)
	}
	s.grow(5000, 1)
	c := &caseFile{judge: judge{plan: s.x.Plan}, experiment: s.x, healthy: true}
	if later := s.report(); c.due(later, end) || !s.x.nothingNew(s.totals, began.AddDate(0, 0, 40), withAction(end, ActionContinue)) || len(later.Looks) != 2 {
		t.Errorf("another look after the end: %s", mustJSON(later.Looks))
	}
}

// A look counts where information grew by at least 1 % of the plan; at the end of the plan it
// counts whatever it added, because all that is left is spent, and after it none does.
func TestNextLooks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before []float64
		next   float64
		counts bool
	}{
		{"the first, however little", nil, 0.001, true},
		{"exactly 1 % more", []float64{0.40}, 0.41, true},
		{"less than 1 % more", []float64{0.40}, 0.4099, false},
		{"less than 1 % more at the end", []float64{0.40, 0.995}, 1, true},
		{"after the end", []float64{0.40, 1}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before []SpentLook
			for _, fraction := range tt.before {
				before = append(before, SpentLook{Fraction: fraction})
			}
			want := before
			if tt.counts {
				want = append(slices.Clone(before), SpentLook{Fraction: tt.next})
			}
			if diff := cmp.Diff(want, nextLooks(before, SpentLook{Fraction: tt.next})); diff != "" {
				t.Errorf("looks (-want +got):\n%s", diff)
			}
		})
	}
}

func withAction(r *Report, a DecisionAction) *Report {
	other := *r
	other.Verdict = Verdict{Action: a}
	return &other
}

// A look that comes too early, or on unhealthy data, could decide nothing and spends nothing:
// at the planned size the first look that can decide has all of alpha.
func TestLooksThatCannotDecideSpendNothing(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *scene)
	}{
		{"too young", func(s *scene) { s.days = 6.9 }},
		{"too few customers", func(s *scene) { s.x.Policy.MinCustomers = 3001 }},
		{"too few values", func(s *scene) { s.put(sums("ltv", "warm", 3000, 40, 50, 99)) }},
		{"unhealthy", func(s *scene) { s.put(shares("ltv", "control", 3000, 0)); s.put(shares("ltv", "warm", 3000, 0)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := planned(3000)
			s.grow(3000, 1)
			tt.change(s)
			r := s.look()
			if len(r.Looks) != 0 || (r.Final && r.Verdict.Action != ActionFixHealth) {
				t.Fatalf("%s: %s", r.Verdict.Action, mustJSON(r.Looks))
			}
			s.days, s.x.Policy.MinCustomers = 28, 100
			s.grow(3001, 1.97)
			// bounds/ld_obf_None_K1 of the golden file: one look, 1.95996398454006.
			if r := s.look(); r.Verdict.Action != ActionPromote || math.Abs(*r.Looks[0].Boundary-1.95996398454006) > 1e-6 {
				t.Errorf("%s: %s", r.Verdict.Action, mustJSON(r.Looks))
			}
		})
	}
}

// Between the first week and min_days an arm can be stopped for harm, so a look has spent its part;
// and until min_days a part is left, however many have matured. The boundaries of two looks, the
// second with twice the information, are those of bounds/ld_obf_None_K2 in
// stats/testdata/golden/group_sequential.json (only the ratio of informations counts).
func TestLooksBeforeMinDaysSpend(t *testing.T) {
	want := []float64{2.9625880427275666, 1.968595640593656}
	for _, tt := range []struct {
		name    string
		planned int
	}{
		{"half of the plan in half of the time", 6000},
		{"the whole plan in half of the time", 3000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := planned(tt.planned)
			s.days = 7
			s.grow(3000, -2.9)
			first := s.look()
			if first.Verdict.Action != ActionContinue || len(first.Looks) != 1 || first.Looks[0].Fraction != 0.5 {
				t.Fatalf("%s after a week: %s", first.Verdict.Action, mustJSON(first.Looks))
			}
			s.days = 14
			s.grow(6000, 1.97)
			last := s.look()
			if last.Verdict.Action != ActionPromote || len(last.Looks) != 2 || last.Looks[1].Fraction != 1 {
				t.Fatalf("%s at min_days: %s", last.Verdict.Action, mustJSON(last.Looks))
			}
			got := []float64{*last.Looks[0].Boundary, *last.Looks[1].Boundary}
			if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
				t.Errorf("boundaries (-want +got):\n%s", diff)
			}
		})
	}
}

// A report on demand is at the boundary of the last look and spends nothing; before the first
// look there is none.
func TestReportsOnDemandSpendNothing(t *testing.T) {
	s := planned(5000)
	s.grow(2000, 2.5)
	demand := func() *Report {
		asOf := began.AddDate(0, 0, 28)
		r, _ := testEngine(asOf).reportOn(s.x, s.totals, sitting{asOf: asOf, last: s.last})
		return r
	}
	before := demand().Metrics[0].Comparisons[0]
	if before.PValue != nil || before.Interval != [2]*float64{} || before.Boundary != nil || !slices.Contains(before.Warnings, "no_look_yet") {
		t.Errorf("before the first look: %s", mustJSON(before))
	}
	first := s.look()
	s.grow(4000, 2.5) // enough for the boundary there, 2.2898 of five looks, but not for that of the first
	r := demand()
	if diff := cmp.Diff(first.Looks, r.Looks); diff != "" || r.Verdict.Action != ActionContinue {
		t.Errorf("%s, looks (-first +now):\n%s", r.Verdict.Action, diff)
	}
	if got, want := *r.Metrics[0].Comparisons[0].Boundary, *first.Metrics[0].Comparisons[0].Boundary; got != want {
		t.Errorf("boundary %g, that of the last look is %g", got, want)
	}
	if r := s.look(); r.Verdict.Action != ActionPromote || len(r.Looks) != 2 {
		t.Errorf("the look: %s", r.Verdict.Action)
	}
}

// With less than a 13th of the plan the boundary is beyond 8: nothing stops, however large.
func TestFirstLooksCannotStop(t *testing.T) {
	s := planned(50_000)
	s.grow(3000, -20)
	r := s.look()
	c := r.Metrics[0].Comparisons[0]
	if r.Verdict.Action != ActionContinue || c.Boundary != nil || r.Looks[0].Boundary != nil || c.Interval[0] != nil || !slices.Contains(c.Warnings, "unbounded") {
		t.Errorf("%s: %s", r.Verdict.Action, mustJSON(c))
	}
	if c.PValue == nil || *c.PValue <= 0.05 {
		t.Errorf("p = %v", show(c.PValue))
	}
}

// Of survival a look's information is the number of customers, all followed to the end of the window,
// who would tell as much. Worked out by hand: of 500 customers an arm, of 1,000 planned, two in five
// churn on day 2 of 7, so that a life has the variance .4·2² + .6·7² − 5² = 6, and by Greenwood
// the mean of n such lives the squared error 3²·.4/.6/n = 6/n.
func TestInformationOfSurvival(t *testing.T) {
	for _, tt := range []struct {
		name   string
		mature int64
		days   []DayCount
		want   float64
	}{
		{"nobody has matured", 0, []DayCount{{Day: 3, Censored: 100}}, 0},
		{"everybody has", 500, []DayCount{{Day: 2, Churned: 200}, {Day: 7, Censored: 300}}, 0.5},
		{"as many again came before anything happens", 500, []DayCount{{Day: 1, Censored: 500}, {Day: 2, Churned: 200}, {Day: 7, Censored: 300}}, 0.5},
		{"as many again have met all that happens", 500, []DayCount{{Day: 2, Churned: 400}, {Day: 3, Censored: 300}, {Day: 7, Censored: 300}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := planned(1000)
			s.metric(RoleSecondary, Metric{Key: "stay", Kind: KindSurvival, Direction: Increase})
			for _, v := range s.variants {
				s.put(ArmTotal{Metric: "stay", Variant: v, Mature: tt.mature})
				for _, d := range tt.days {
					d.Metric, d.Variant = "stay", v
					s.totals.Days = append(s.totals.Days, d)
				}
			}
			if got := (&caseFile{experiment: s.x}).thisLook(s.totals, &Report{Information: 0.5}).Information["stay"]; math.IsNaN(got) || math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("information %g, want %g", got, tt.want)
			}
		})
	}
}
