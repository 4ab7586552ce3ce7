package engine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRehearse: a scene's test is decided and acted upon as the jobs do it (that they agree,
// look by look, is tested where there is a database).
func TestRehearse(t *testing.T) {
	tests := []struct {
		name    string
		alter   func(*scene)
		reports bool
		look    bool
		outcome Outcome
		winner  VariantKey
		stopped []VariantKey
	}{
		{"promoted", func(*scene) {}, true, true, OutcomePromoted, "warm", nil},
		{"stopped", func(s *scene) { s.arm("ltv", "warm", 3000, 35, 50) }, true, true, OutcomeStopped, "", []VariantKey{"warm"}},
		{"goes on", func(s *scene) { s.arm("ltv", "warm", 3000, 40, 50) }, true, true, "", "", nil},
		{"a person decides", func(s *scene) { s.x.Policy.Mode = ModeApprove }, true, true, "", "", nil},
		{"fixed, watched", func(s *scene) {
			s.x.Plan.Method, s.x.Plan.PlannedCustomers = MethodFixed, 5000
		}, true, false, "", "", nil},
		{"nobody yet", func(s *scene) { s.totals = &Totals{} }, false, false, "", "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScene()
			test.alter(s)
			now := began.Add(time.Duration(s.days*24) * time.Hour)
			r, err := New(Config{Random: zeros{}, Now: func() time.Time { return began }, Reporting: "EUR"}).Rehearse(s.x, s.totals, now, nil)
			if err != nil {
				t.Fatal(err)
			}
			if (r != nil) != test.reports || (r != nil && (r.Look != nil) != test.look) {
				t.Fatalf("report %+v, want one: %v, a look: %v", r, test.reports, test.look)
			}
			if r != nil && !r.ComputedAt.Equal(now) {
				t.Errorf("computed at %v, want %v", r.ComputedAt, now)
			}
			if s.x.Outcome != test.outcome || s.x.Winner != test.winner {
				t.Errorf("outcome %q, winner %q, want %q, %q", s.x.Outcome, s.x.Winner, test.outcome, test.winner)
			}
			if diff := cmp.Diff(test.stopped, s.x.Stopped); diff != "" {
				t.Errorf("stopped (-want +got):\n%s", diff)
			}
			if r == nil || r.Look == nil || s.x.Status == StatusConcluded {
				return
			}
			if again, err := testEngine(now).Rehearse(s.x, s.totals, now, r); again != nil || err != nil {
				t.Errorf("a second look at the same customers: %+v, %v", again, err)
			}
		})
	}
}

// zeros is randomness that does not matter.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
