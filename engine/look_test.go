package engine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// said is a verdict for this reason.
func said(action DecisionAction, code string) Verdict {
	return Verdict{Action: action, Variant: "warm", Reasons: []Reason{{Code: code}}}
}

// The contract: a look is taken when information grew by at least 1 % of the plan since the last,
// or the plan ends; besides, when the last one could decide nothing and this one can. At the end of
// a plan testing is over, but for plans without an end.
func TestWhenALookIsDue(t *testing.T) {
	for _, tt := range []struct {
		name   string
		method Method
		mature int64   // of 5,000 an arm; 2,000 at the last look
		days   float64 // max_days and the window end after 28
		last   Verdict
		final  bool // the last look
		now    Verdict
		due    bool
		idle   bool // that no look is due is plain without judging
	}{
		{"exactly 1 % more", MethodGroupSequential, 2050, 21, said(ActionContinue, "not_decided_yet"), false, said(ActionContinue, "not_decided_yet"), true, false},
		{"less than 1 % more", MethodGroupSequential, 2049, 21, said(ActionContinue, "not_decided_yet"), false, said(ActionContinue, "not_decided_yet"), false, true},
		{"less than 1 % more, decided", MethodGroupSequential, 2049, 21, said(ActionPromote, "primary_improved"), false, said(ActionPromote, "primary_improved"), false, false},
		{"less than 1 % more at the end", MethodGroupSequential, 2049, 28, said(ActionContinue, "not_decided_yet"), false, said(ActionKeepControl, "plan_ended"), true, false},
		{"after the end", MethodGroupSequential, 3000, 28, said(ActionContinue, "not_decided_yet"), true, said(ActionContinue, "not_decided_yet"), false, true},
		{"after the end of max_days, at any time", MethodAnytime, 3000, 28, said(ActionContinue, "not_decided_yet"), true, said(ActionContinue, "not_decided_yet"), true, false},
		{"after the end of max_days, nothing new", MethodAnytime, 2049, 28, said(ActionContinue, "not_decided_yet"), true, said(ActionContinue, "not_decided_yet"), false, true},
		{"no longer too young", MethodGroupSequential, 2000, 21, said(ActionContinue, "min_days"), false, said(ActionContinue, "not_decided_yet"), true, false},
		{"still too young", MethodGroupSequential, 2000, 21, said(ActionContinue, "min_days"), false, said(ActionContinue, "min_days"), false, false},
		{"healthy again", MethodGroupSequential, 2000, 21, said(ActionFixHealth, "unhealthy"), false, said(ActionContinue, "not_decided_yet"), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := planned(5000)
			s.x.Plan.Method, s.x.Policy.MaxDays, s.days = tt.method, 21, tt.days
			s.grow(tt.mature, 1)
			now := began.AddDate(0, 0, int(tt.days))
			last := &Report{Information: 0.4, Final: tt.final, Verdict: tt.last}
			if idle := s.x.nothingNew(s.totals, now, last); idle != tt.idle {
				t.Errorf("plain without judging: %v, want %v", idle, tt.idle)
			}
			information := s.x.information(s.totals)
			c := &caseFile{judge: judge{plan: s.x.Plan}, experiment: s.x, healthy: tt.now.Action != ActionFixHealth}
			c.planEnd = planEnded(s.x, s.totals, now, information)
			if due := c.due(&Report{Information: information, Verdict: tt.now}, last); due != tt.due {
				t.Errorf("due: %v, want %v", due, tt.due)
			}
		})
	}
	s := planned(5000)
	if s.x.nothingNew(s.totals, began, nil) || !(&caseFile{judge: judge{plan: s.x.Plan}, experiment: s.x}).due(&Report{}, nil) {
		t.Error("the first look is not due")
	}
}

// The contract: with approve a person confirms, which is asked for promotions only, since control is
// safe; with manual nothing is decided; what is contaminated waits for a person in every mode.
func TestWhatALookDecides(t *testing.T) {
	type decided struct {
		Action DecisionAction
		Mode   Mode
	}
	for _, tt := range []struct {
		mode   Mode
		action DecisionAction
		want   *decided
	}{
		{ModeAuto, ActionPromote, &decided{ActionPromote, ModeAuto}},
		{ModeAuto, ActionNeedsApproval, &decided{ActionPromote, ModeApprove}},
		{ModeAuto, ActionStopHarm, &decided{ActionStopHarm, ModeAuto}},
		{ModeAuto, ActionKeepControl, &decided{ActionKeepControl, ModeAuto}},
		{ModeAuto, ActionContinue, nil},
		{ModeAuto, ActionFixHealth, nil},
		{ModeApprove, ActionNeedsApproval, &decided{ActionPromote, ModeApprove}},
		{ModeApprove, ActionStopHarm, &decided{ActionStopHarm, ModeAuto}},
		{ModeApprove, ActionKeepControl, &decided{ActionKeepControl, ModeAuto}},
		{ModeApprove, ActionContinue, nil},
		{ModeManual, ActionPromote, nil},
		{ModeManual, ActionNeedsApproval, nil},
		{ModeManual, ActionStopHarm, nil},
		{ModeManual, ActionKeepControl, nil},
	} {
		t.Run(string(tt.mode)+" "+string(tt.action), func(t *testing.T) {
			x := newScene().x
			x.Policy.Mode = tt.mode
			e := New(Config{Random: strings.NewReader(strings.Repeat("r", 16)), Now: nil})
			d, err := e.decisionOf(x, &Report{Verdict: said(tt.action, "why"), ComputedAt: began})
			if err != nil {
				t.Fatal(err)
			}
			var got *decided
			if d != nil {
				got = &decided{d.Action, d.Mode}
				if d.Variant != "warm" || d.Experiment != "tone" || !d.DecidedAt.Equal(began) || d.DecidedBy != "engine" || len(d.Reasons) != 1 {
					t.Errorf("decision %+v", d)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("decided (-want +got):\n%s", diff)
			}
		})
	}
}

// docs/methods/decision-error.md: the smaller arm needs 400 customers with a value where its share is
// below 40 %, else 100. Who watches a winner that few are held back from compares many with few:
// few customers of control hide harm and do not invent it, so that 100 are enough there, and only there.
func TestBurnIn(t *testing.T) {
	for _, tt := range []struct {
		name          string
		control, warm int // weights
		promoted      bool
		want          int64
	}{
		{"even", 1, 1, false, 100},
		{"uneven", 5, 95, false, 400},
		{"uneven the other way", 95, 5, false, 400},
		{"few held back from a winner", 5, 95, true, 100},
		{"as many held back as not", 1, 1, true, 100},
		{"a winner of few, ramped up", 95, 5, true, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			s.x.Variants[0].Weight, s.x.Variants[1].Weight = tt.control, tt.warm
			c := &caseFile{experiment: s.x, promoted: tt.promoted}
			if got := c.burnIn(&assessment{treatment: arm{variant: "warm"}}); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}
