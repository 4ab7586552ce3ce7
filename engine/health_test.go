package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every report answers every question, in the contract's order. What the ledger shows besides
// the sums keeps the engine from deciding.
func TestHealth(t *testing.T) {
	now := began.AddDate(0, 0, 28)
	for _, tt := range []struct {
		name     string
		change   func(s *scene)
		evidence *Evidence
		failed   string // the check, "" for none
		words    string
	}{
		{"all is well", func(*scene) {}, &Evidence{Enrolments: 6000}, "", "new ones computed again: 6000"},
		{"customers are missing", func(s *scene) { s.enrolled("warm", 4000) }, nil, "sample_ratio", "do not fit the weights"},
		{"a wrong variant", func(*scene) {}, &Evidence{Enrolments: 6000, Mismatched: 1}, "assignment_hash", "1 of 6000 customers"},
		{"of another's making", func(s *scene) { s.x.Assignment = AssignedElsewhere }, nil, "", "given elsewhere"},
		{"60 of 6,000 had several variants", func(*scene) {}, &Evidence{Several: 60}, "", "60 identifiers, 1 %"},
		{"61 of 6,000 had several variants", func(*scene) {}, &Evidence{Several: 61}, "multiple_variants", "61 identifiers"},
		{"lost a day ago", func(*scene) {}, &Evidence{Lost: 3, LostAt: now.Add(-24 * time.Hour)}, "", "3 enrolments were lost"},
		{"lost since", func(*scene) {}, &Evidence{Lost: 3, LostAt: now.Add(time.Minute - 24*time.Hour)}, "data_freshness", "3 enrolments were answered"},
		{"no event", func(s *scene) { s.put(shares("ltv", "control", 3000, 0)); s.put(shares("ltv", "warm", 3000, 0)) }, nil, "data_freshness", "have the events been sent"},
		{"seen", func(*scene) {}, &Evidence{Enrolments: 30, Days: []ChannelDay{
			{Channel: "email", Day: began, Enrolled: 10, Exposed: 10}, {Channel: "web", Day: began, Enrolled: 10, Exposed: 5}, {Channel: "web", Day: began.AddDate(0, 0, 1), Enrolled: 10, Exposed: 10},
		}}, "", "100.0 % on email, 75.0 % on web were seen to meet it (fewest: 5 of 10 on web, 2026-03-01)"},
		{"nothing is sent of exposures", func(*scene) {}, &Evidence{Enrolments: 30, Days: []ChannelDay{{Channel: "email", Day: began, Enrolled: 30}}}, "", "new ones computed again: 30"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene()
			tt.change(s)
			r, _ := testEngine(now).reportOn(s.x, s.totals, sitting{asOf: now, look: true, evidence: tt.evidence})
			var names, failed, words []string
			for _, check := range r.Health.Checks {
				names, words = append(names, check.Check), append(words, check.Detail)
				if !check.OK {
					failed = append(failed, check.Check)
				}
			}
			want := []string{"sample_ratio", "multiple_variants", "contamination", "assignment_hash", "data_freshness", "maturity"}
			if diff := cmp.Diff(want, names); diff != "" {
				t.Errorf("checks (-want +got):\n%s", diff)
			}
			if got := strings.Join(failed, " "); got != tt.failed || r.Health.OK != (tt.failed == "") {
				t.Errorf("failed %q, want %q; ok %v", got, tt.failed, r.Health.OK)
			}
			if all := strings.Join(words, "\n"); !strings.Contains(all, tt.words) {
				t.Errorf("no %q in\n%s", tt.words, all)
			}
			if (r.Verdict.Action == ActionFixHealth) != (tt.failed != "") {
				t.Errorf("%s: %+v", r.Verdict.Action, r.Verdict.Reasons)
			}
		})
	}
}
