package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func guarded(t func(s *scene)) func(s *scene) {
	return func(s *scene) {
		s.metric(RoleGuardrail, Metric{Key: "orders", Kind: KindCount, Direction: Increase})
		s.arm("orders", "control", 3000, 10, 5)
		s.arm("orders", "warm", 3000, 10, 5)
		t(s)
	}
}

func TestVerdict(t *testing.T) {
	// Half-width of the sequence of the plain scene: se = 50·√(2/3000) = 1.2910, u = n·ρ² with
	// ρ² = c/5000, c = −2·ln .05 + ln(1 − 2·ln .05) = 7.9362 (docs/methods/confidence-sequence.md): 3.92. So 5 is better.
	for _, tt := range []struct {
		name    string
		change  func(s *scene)
		action  DecisionAction
		variant VariantKey
		codes   []string
		blocked []string
	}{
		{"better", func(*scene) {}, ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"better, a person confirms", func(s *scene) { s.x.Policy.Mode = ModeApprove }, ActionNeedsApproval, "warm", []string{"primary_improved"}, []string{"approval"}},
		{"better, a person decides", func(s *scene) { s.x.Policy.Mode = ModeManual }, ActionPromote, "warm", []string{"primary_improved"}, []string{"manual_mode"}},
		{"harm, a person decides", func(s *scene) { s.x.Policy.Mode = ModeManual; s.arm("ltv", "warm", 3000, 35, 50) }, ActionStopHarm, "warm", []string{"primary_harmed"}, []string{"manual_mode"}},
		{"futile, a person decides", func(s *scene) {
			s.x.Policy.Mode, s.x.Plan.MinEffect = ModeManual, 0.2
			s.arm("ltv", "warm", 3000, 42, 50)
		}, ActionKeepControl, "", []string{"futile"}, []string{"manual_mode"}},
		{"no difference yet, a person decides", func(s *scene) { s.x.Policy.Mode = ModeManual; s.arm("ltv", "warm", 3000, 42, 50) }, ActionContinue, "", []string{"not_decided_yet"}, nil},
		{"no difference yet", func(s *scene) { s.arm("ltv", "warm", 3000, 42, 50) }, ActionContinue, "", []string{"not_decided_yet"}, nil},
		{"nobody yet", func(s *scene) { s.totals = &Totals{} }, ActionContinue, "", []string{"min_customers", "min_customers", "burn_in"}, nil},

		// docs/methods/sample-ratio.md: the sequential test of 3,000 against 4,000 at 1:1 is far below .001.
		{"customers are missing", func(s *scene) { s.enrolled("warm", 4000) }, ActionFixHealth, "", []string{"unhealthy"}, nil},

		{"99 matured of 100", func(s *scene) { s.arm("ltv", "control", 99, 40, 50); s.put(sums("ltv", "warm", 3000, 45, 50, 3000)) }, ActionContinue, "", []string{"min_customers", "burn_in"}, nil},
		{"99 of the smaller arm have a value", func(s *scene) { s.put(sums("ltv", "warm", 3000, 45, 50, 99)) }, ActionContinue, "", []string{"burn_in"}, nil},
		{"100 of the smaller arm have a value", func(s *scene) { s.put(sums("ltv", "warm", 3000, 45, 50, 100)) }, ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"an uneven split needs 400", uneven(399), ActionContinue, "", []string{"burn_in"}, nil},
		{"an uneven split has 400", uneven(400), ActionPromote, "warm", []string{"primary_improved"}, nil},

		// docs/methods/decision-error.md: 400 where the share of the smaller arm is below 40 %.
		{"39 to 61 needs 400", split(39, 61, 399), ActionContinue, "", []string{"burn_in"}, nil},
		{"40 to 60 is even enough", split(40, 60, 100), ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"as many matured as the policy asks for", func(s *scene) { s.x.Policy.MinCustomers = 3000 }, ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"one matured too few", func(s *scene) { s.x.Policy.MinCustomers = 3001 }, ActionContinue, "", []string{"min_customers", "min_customers"}, nil},

		{"a day before two weeks", func(s *scene) { s.days = 13 }, ActionContinue, "", []string{"min_days"}, nil},
		{"a moment before two weeks", func(s *scene) { s.days = 14 - 1e-6 }, ActionContinue, "", []string{"min_days"}, nil},
		{"two weeks", func(s *scene) { s.days = 14 }, ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"8 days are two whole weeks", func(s *scene) { s.x.Policy.MinDays, s.days = 8, 13 }, ActionContinue, "", []string{"min_days"}, nil},
		{"7 days are one", func(s *scene) { s.x.Policy.MinDays, s.days = 7, 7 }, ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"no least age", func(s *scene) { s.x.Policy.MinDays, s.days = 0, 0 }, ActionPromote, "warm", []string{"primary_improved"}, nil},

		{"harm waits for a week", func(s *scene) { s.arm("ltv", "warm", 3000, 35, 50); s.days = 6 }, ActionContinue, "", []string{"harm_burn_in"}, nil},
		{"harm waits no longer", func(s *scene) { s.arm("ltv", "warm", 3000, 35, 50); s.days = 7 }, ActionStopHarm, "warm", []string{"primary_harmed"}, nil},
		{"harm needs nobody's approval", func(s *scene) { s.arm("ltv", "warm", 3000, 35, 50); s.x.Policy.Mode = ModeApprove }, ActionStopHarm, "warm", []string{"primary_harmed"}, nil},

		{"the guardrail holds", guarded(func(*scene) {}), ActionPromote, "warm", []string{"primary_improved", "guardrail_holds"}, nil},
		{"the guardrail is not proved", guarded(func(s *scene) { s.arm("orders", "warm", 3000, 9.1, 5) }), ActionContinue, "", []string{"not_decided_yet", "guardrail_not_proved"}, nil},
		{"the guardrail is surely worse, within its margin", guarded(func(s *scene) { s.arm("orders", "warm", 3000, 9.5, 5) }), ActionPromote, "warm", []string{"primary_improved", "guardrail_holds"}, nil},
		// se of 8.6 − .9·10 is 5·√(1.81/3000) = .1228, its half-width at .05 .373 and at .05/4 .430.
		{"the guardrail is beyond its margin by .4", guarded(func(s *scene) { s.arm("orders", "warm", 3000, 8.6, 5) }), ActionStopHarm, "warm", []string{"guardrail_harmed"}, nil},
		{"the guardrail is beyond its margin", guarded(func(s *scene) { s.arm("orders", "warm", 3000, 8, 5) }), ActionStopHarm, "warm", []string{"guardrail_harmed"}, nil},
		{"99 of each arm have a value of the guardrail", guarded(guardrailOf(99)), ActionContinue, "", []string{"not_decided_yet", "guardrail_not_proved"}, nil},
		{"100 of each arm have a value of the guardrail", guarded(guardrailOf(100)), ActionStopHarm, "warm", []string{"guardrail_harmed"}, nil},
		{"a share is of the absolute value", guarded(func(s *scene) {
			// 10 % of a loss of 10 is 1 more: −10 and −10.2 are within the margin.
			s.arm("orders", "control", 3000, -10, 5)
			s.arm("orders", "warm", 3000, -10.2, 5)
		}), ActionPromote, "warm", []string{"primary_improved", "guardrail_holds"}, nil},

		// The least effect of 20 % is 8: 42 with a half-width of 4 cannot be 48 any more.
		{"futile", func(s *scene) { s.x.Plan.MinEffect = 0.2; s.arm("ltv", "warm", 3000, 42, 50) }, ActionKeepControl, "", []string{"futile"}, nil},
		{"not futile yet", func(s *scene) { s.x.Plan.MinEffect = 0.1; s.arm("ltv", "warm", 3000, 42, 50) }, ActionContinue, "", []string{"not_decided_yet"}, nil},
		{"better is not futile", func(s *scene) { s.x.Plan.MinEffect = 0.5 }, ActionPromote, "warm", []string{"primary_improved"}, nil},

		// The lower limit of the plain scene is 1.08, 2.7 % of 40.
		{"above what the plan asks for", func(s *scene) { s.x.Plan.PromoteAbove = 0.026 }, ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"below what the plan asks for", func(s *scene) { s.x.Plan.PromoteAbove = 0.028 }, ActionContinue, "", []string{"not_decided_yet"}, nil},
		{"a share of a loss is of its absolute value", func(s *scene) {
			// −40 and −35: the lower limit 1.08 is below 2.8 % of 40, and above −2.8 % of it.
			s.x.Plan.PromoteAbove = 0.028
			s.arm("ltv", "control", 3000, -40, 50)
			s.arm("ltv", "warm", 3000, -35, 50)
		}, ActionContinue, "", []string{"not_decided_yet"}, nil},
		{"as good is good enough", func(s *scene) { s.x.Plan.PromoteAbove = -0.1; s.arm("ltv", "warm", 3000, 40, 50) }, ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"not surely as good", func(s *scene) { s.x.Plan.PromoteAbove = -0.1; s.arm("ltv", "warm", 3000, 39.5, 50) }, ActionContinue, "", []string{"not_decided_yet"}, nil},

		// 120 of 6,000 are 2 %: above 1 % a person must look, whoever may act otherwise.
		{"contaminated", contaminated(60, 60), ActionNeedsApproval, "warm", []string{"primary_improved", "contamination"}, []string{"contamination"}},
		{"contaminated, nothing proved", func(s *scene) { contaminated(60, 60)(s); s.arm("ltv", "warm", 3000, 42, 50) }, ActionContinue, "", []string{"not_decided_yet"}, nil},
		{"contaminated and harmful", func(s *scene) { contaminated(60, 60)(s); s.arm("ltv", "warm", 3000, 35, 50) }, ActionStopHarm, "warm", []string{"primary_harmed"}, nil},
		{"contaminated, a person confirms", func(s *scene) { contaminated(60, 60)(s); s.x.Policy.Mode = ModeApprove }, ActionNeedsApproval, "warm", []string{"primary_improved", "contamination"}, []string{"approval", "contamination"}},
		{"contaminated, a person decides", func(s *scene) { contaminated(60, 60)(s); s.x.Policy.Mode = ModeManual }, ActionNeedsApproval, "warm", []string{"primary_improved", "contamination"}, []string{"contamination", "manual_mode"}},
		{"contaminated a little", contaminated(30, 30), ActionPromote, "warm", []string{"primary_improved"}, nil},
		// chi² of 40 to 10 at 1:1 is 18, p = 2.2e-5; one look.
		{"contaminated unequally", fixed(contaminated(40, 10)), ActionNeedsApproval, "warm", []string{"primary_improved", "contamination"}, []string{"contamination"}},

		{"the end of max_days, nothing proved", ended(func(s *scene) { s.arm("ltv", "warm", 3000, 42, 50) }), ActionKeepControl, "", []string{"plan_ended"}, nil},
		{"the end of max_days, better", ended(func(*scene) {}), ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"the end of max_days, too few ever came", ended(func(s *scene) { s.put(sums("ltv", "warm", 3000, 45, 50, 3)) }), ActionKeepControl, "", []string{"plan_ended", "burn_in"}, nil},
		{"max_days are over and the last have not matured", func(s *scene) { s.x.Policy.MaxDays, s.days = 22, 28.9; s.arm("ltv", "warm", 3000, 42, 50) }, ActionContinue, "", []string{"not_decided_yet"}, nil},
		{"max_days end before min_days", func(s *scene) { s.x.Policy.MinDays, s.x.Policy.MaxDays, s.days = 29, 29, 34.9 }, ActionContinue, "", []string{"min_days"}, nil},

		{"fixed, before its end", fixed(func(s *scene) { s.x.Plan.PlannedCustomers = 3001 }), ActionContinue, "", []string{"before_plan_end"}, nil},
		{"fixed, at its size", fixed(func(*scene) {}), ActionPromote, "warm", []string{"primary_improved"}, nil},
		{"fixed, at its size and too young", fixed(func(s *scene) { s.days = 13 }), ActionContinue, "", []string{"before_plan_end"}, nil},
		{"fixed, at its size, which is below min_customers", fixed(func(s *scene) { s.x.Policy.MinCustomers = 3001 }), ActionContinue, "", []string{"min_customers", "min_customers", "before_plan_end"}, nil},
		{"fixed, at its size, nothing proved", fixed(func(s *scene) { s.arm("ltv", "warm", 3000, 42, 50) }), ActionKeepControl, "", []string{"plan_ended"}, nil},
		{"fixed, by max_days", fixed(func(s *scene) { s.x.Plan.PlannedCustomers, s.x.Policy.MaxDays = 0, 21 }), ActionPromote, "warm", []string{"primary_improved"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			tt.change(s)
			got := s.report().Verdict
			if got.Action != tt.action || got.Variant != tt.variant {
				t.Errorf("%s %q, want %s %q: %+v", got.Action, got.Variant, tt.action, tt.variant, got.Reasons)
			}
			if diff := cmp.Diff(tt.codes, codes(got)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s\n%+v", diff, got.Reasons)
			}
			if diff := cmp.Diff(tt.blocked, got.BlockedBy, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("blocked by (-want +got):\n%s", diff)
			}
			if slices.ContainsFunc(got.Reasons, func(r Reason) bool { return r.Detail == "" }) || got.BlockedBy == nil {
				t.Errorf("a reason without words, or null for none: %+v", got)
			}
		})
	}
}

// contaminated marks so many of the 3,000 customers of control and warm.
func contaminated(control, warm int64) func(s *scene) {
	return func(s *scene) {
		s.totals.Arms = []ArmCount{
			{Variant: "control", Customers: 3000 - control},
			{Variant: "control", Contaminated: true, Customers: control},
			{Variant: "warm", Customers: 3000 - warm},
			{Variant: "warm", Contaminated: true, Customers: warm},
		}
	}
}

// uneven splits 3:7, of which the smaller arm has so many customers with a value.
func uneven(nonZero int64) func(s *scene) {
	return func(s *scene) {
		s.x.Variants[0].Weight, s.x.Variants[1].Weight = 7, 3
		s.enrolled("control", 7000)
		s.arm("ltv", "control", 7000, 40, 50)
		s.put(sums("ltv", "warm", 3000, 46, 50, nonZero))
	}
}

// split is the plain scene with weights that make the arms of these sizes, in per cent of 5,000.
func split(control, warm int, nonZero int64) func(s *scene) {
	return func(s *scene) {
		s.x.Variants[0].Weight, s.x.Variants[1].Weight = control, warm
		s.enrolled("control", int64(50*control))
		s.enrolled("warm", int64(50*warm))
		s.arm("ltv", "control", int64(50*control), 40, 50)
		s.put(sums("ltv", "warm", int64(50*warm), 46, 50, nonZero))
	}
}

// guardrailOf is a guardrail beyond its margin that so many have a value of.
func guardrailOf(nonZero int64) func(s *scene) {
	return func(s *scene) {
		s.put(sums("orders", "control", 3000, 10, 5, nonZero))
		s.put(sums("orders", "warm", 3000, 8, 5, nonZero))
	}
}

func ended(change func(s *scene)) func(s *scene) {
	return func(s *scene) {
		s.x.Policy.MaxDays = 21 // and 7 until the last have matured
		change(s)
	}
}

func fixed(change func(s *scene)) func(s *scene) {
	return func(s *scene) {
		s.x.Plan.Method, s.x.Plan.PlannedCustomers = MethodFixed, 3000
		change(s)
	}
}

func TestVerdictOfSeveralArms(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(s *scene)
		action  DecisionAction
		variant VariantKey
	}{
		{"the better of two winners", func(s *scene) { s.arm("ltv", "bold", 3000, 47, 50) }, ActionPromote, "bold"},
		{"harm comes before gain", func(s *scene) { s.arm("ltv", "bold", 3000, 33, 50) }, ActionStopHarm, "bold"},
		{"a stopped arm is out of the way", func(s *scene) {
			s.arm("ltv", "bold", 3000, 33, 50)
			s.x.Stopped = []VariantKey{"bold"}
		}, ActionPromote, "warm"},
		{"a stopped arm never wins", func(s *scene) {
			s.arm("ltv", "bold", 3000, 47, 50)
			s.x.Stopped = []VariantKey{"bold"}
		}, ActionPromote, "warm"},
		{"another arm's guardrail is its own matter", guarded(func(s *scene) {
			s.arm("orders", "warm", 3000, 10, 5)
			s.arm("orders", "bold", 3000, 9, 5)
		}), ActionPromote, "warm"},
		{"two guardrails and two arms share the error of harm", func(s *scene) {
			guarded(func(*scene) {})(s)
			s.metric(RoleGuardrail, Metric{Key: "visits", Kind: KindCount, Direction: Increase})
			for _, v := range s.variants {
				s.arm("visits", v, 3000, 10, 5)
				s.arm("orders", v, 3000, 10, 5)
			}
			s.arm("orders", "bold", 3000, 8.6, 5) // beyond at .05, not at .05/4: see above
		}, ActionPromote, "warm"},
		{"one futile arm does not end the test", func(s *scene) {
			s.x.Plan.MinEffect = 0.1
			s.arm("ltv", "bold", 3000, 38, 50)
			s.arm("ltv", "warm", 3000, 43, 50)
		}, ActionContinue, ""},
		{"all arms are futile", func(s *scene) {
			s.x.Plan.MinEffect = 0.1
			s.arm("ltv", "bold", 3000, 38, 50)
			s.arm("ltv", "warm", 3000, 38, 50)
		}, ActionKeepControl, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene("warm", "bold")
			tt.change(s)
			if got := s.report().Verdict; got.Action != tt.action || got.Variant != tt.variant {
				t.Errorf("%s %q, want %s %q: %+v", got.Action, got.Variant, tt.action, tt.variant, got.Reasons)
			}
		})
	}
}

// Of several primaries one must improve and none be surely worse.
func TestVerdictOfSeveralPrimaries(t *testing.T) {
	for _, tt := range []struct {
		name    string
		stayed  int64 // of 3,000 in the treatment; 1,500 in control
		action  DecisionAction
		variant VariantKey
	}{
		{"the other stays", 1500, ActionPromote, "warm"},
		{"the other improves too", 1700, ActionPromote, "warm"},
		{"the other is surely worse", 1300, ActionStopHarm, "warm"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			s.metric(RolePrimary, Metric{Key: "stay", Kind: KindRetention, Direction: Increase})
			s.put(shares("stay", "control", 3000, 1500))
			s.put(shares("stay", "warm", 3000, tt.stayed))
			if got := s.report().Verdict; got.Action != tt.action || got.Variant != tt.variant {
				t.Errorf("%s %q, want %s %q: %+v", got.Action, got.Variant, tt.action, tt.variant, got.Reasons)
			}
		})
	}
}

// Of two winners the one that is better on the first primary, in whatever unit the second is.
func TestTheFirstPrimaryComesFirst(t *testing.T) {
	s := newScene("warm", "bold")
	s.metric(RolePrimary, Metric{Key: "visits", Kind: KindRepeat, Direction: Increase})
	for _, v := range s.variants {
		s.arm("ltv", v, 3000, 40, 50)
		s.arm("visits", v, 3000, 400, 50)
	}
	s.arm("ltv", "warm", 3000, 46, 50)
	s.arm("visits", "bold", 3000, 450, 50) // a limit far above that of warm
	if got := s.report().Verdict; got.Action != ActionPromote || got.Variant != "warm" {
		t.Errorf("%s %q, want warm promoted: %+v", got.Action, got.Variant, got.Reasons)
	}
}

// A test that goes on says when its plan will be full: of 6,000 planned 3,000 have matured in
// the 21 days since the first could have, so the other half takes 21 more.
func TestProjection(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *scene)
		want   float64 // days after the first enrolment; 0: none
	}{
		{"at the present rate", func(*scene) {}, 49},
		{"not beyond max_days", func(s *scene) { s.x.Policy.MaxDays = 40 }, 47},
		{"not before min_days", func(s *scene) { s.x.Policy.MinDays = 55 }, 56},
		// 6,000 enrolled at 1,500 an arm in 3 days, and 7 to mature.
		{"nobody has matured", func(s *scene) { s.days, s.totals.Values, s.x.Policy.MinDays = 3, nil, 7 }, 13},
		{"nobody", func(s *scene) { s.totals = &Totals{} }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := planned(3000)
			s.grow(1500, 0)
			tt.change(s)
			got := s.report().Verdict
			if got.Action != ActionContinue {
				t.Fatalf("%s: %+v", got.Action, got.Reasons)
			}
			if tt.want == 0 {
				if got.ProjectedAt != nil {
					t.Errorf("projected for %v", got.ProjectedAt)
				}
				return
			}
			if want := began.Add(time.Duration(tt.want * 24 * float64(time.Hour))); got.ProjectedAt == nil || !got.ProjectedAt.Equal(want) {
				t.Errorf("projected for %v, want %v", got.ProjectedAt, want)
			}
		})
	}
	if s := newScene(); s.report().Verdict.ProjectedAt != nil {
		t.Error("a promotion is projected")
	}
}

// When a look is due: 1 % more information, the end of the plan once, and again when an
// arm was stopped or the data have become healthy. A fixed plan is judged once.
func TestDue(t *testing.T) {
	r := func(information float64, final bool, action DecisionAction, variant VariantKey) *Report {
		return &Report{Information: information, Final: final, Verdict: Verdict{Action: action, Variant: variant}}
	}
	for _, tt := range []struct {
		name    string
		method  Method
		now     *Report
		last    *Report
		stopped []VariantKey
		healthy bool
		want    bool
	}{
		{"the first", MethodAnytime, r(0, false, ActionContinue, ""), nil, nil, true, true},
		{"less than 1 % more", MethodAnytime, r(0.5099, false, ActionContinue, ""), r(0.5, false, ActionContinue, ""), nil, true, false},
		{"1 % more", MethodAnytime, r(0.51, false, ActionContinue, ""), r(0.5, false, ActionContinue, ""), nil, true, true},
		// 410 of 1,000 after 400: the doubles 0.4 + 0.01 > 0.41.
		{"1 % more of a share that is rounded", MethodAnytime, r(0.41, false, ActionContinue, ""), r(0.4, false, ActionContinue, ""), nil, true, true},
		{"the plan ended", MethodAnytime, r(0.5, true, ActionKeepControl, ""), r(0.5, false, ActionContinue, ""), nil, true, true},
		{"the plan had ended", MethodAnytime, r(0.5, true, ActionKeepControl, ""), r(0.5, true, ActionKeepControl, ""), nil, true, false},
		{"harm not stopped yet", MethodAnytime, r(0.5, true, ActionStopHarm, "b"), r(0.5, true, ActionStopHarm, "b"), nil, true, false},
		{"the others after a harmful arm", MethodAnytime, r(0.5, true, ActionPromote, "c"), r(0.5, true, ActionStopHarm, "b"), []VariantKey{"b"}, true, true},
		{"the others after a harmful arm, fixed", MethodFixed, r(1, true, ActionPromote, "c"), r(1, true, ActionStopHarm, "b"), []VariantKey{"b"}, true, true},
		{"still unhealthy at the end", MethodFixed, r(1, true, ActionFixHealth, ""), r(1, true, ActionFixHealth, ""), nil, false, false},
		{"healthy at last", MethodFixed, r(1, true, ActionPromote, "b"), r(1, true, ActionFixHealth, ""), nil, true, true},
		{"fixed is judged once", MethodFixed, r(2, true, ActionPromote, "b"), r(1, true, ActionKeepControl, ""), nil, true, false},
		{"anytime goes on", MethodAnytime, r(2, true, ActionPromote, "b"), r(1, true, ActionKeepControl, ""), nil, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &caseFile{experiment: &Experiment{Stopped: tt.stopped}, healthy: tt.healthy}
			c.plan.Method, c.planEnd = tt.method, tt.now.Final
			if got := c.due(tt.now, tt.last); got != tt.want {
				t.Errorf("due: %v, want %v", got, tt.want)
			}
		})
	}
}
