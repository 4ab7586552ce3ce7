package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// crowd are so many customers' names.
func crowd(name string, n int) []string {
	customers := make([]string, n)
	for i := range customers {
		customers[i] = fmt.Sprintf("%s-%d", name, i)
	}
	return customers
}

// meets sends customers to a touchpoint.
func (s *system) meets(touchpoint string, customers []string) {
	s.t.Helper()
	s.post("/v1/assignments", object{"touchpoint": touchpoint, "customers": customers}).is(http.StatusOK)
}

// does gives each customer for whom some is true an event now.
func (s *system) does(kind string, customers []string, some func(customer string, i int) bool) {
	s.t.Helper()
	var events []object
	for i, customer := range customers {
		if some(customer, i) {
			events = append(events, object{
				"id": kind + customer, "customer": customer, "type": kind, "occurred_at": s.now(), "value": "-1", "currency": "EUR",
			})
		}
	}
	s.post("/v1/events", object{"events": events}).is(http.StatusOK)
	if n := s.count(`SELECT count(*) FROM events WHERE type = $1`, kind); n < len(events) {
		s.t.Fatalf("%d events of %d", n, len(events))
	}
}

// TestHoldbackComparison: of those who met the winner first after it was promoted, the ones
// held back are compared with all others, and a winner that makes things worse is rolled
// back: once, with its reason, whoever looks again. The three who came before the promotion
// are not among them, and a comparison gives nobody a key.
func TestHoldbackComparison(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		held, others int // of ten, how many unsubscribe
		mode         string
		outcome      string
		code         string
		blocked      any
	}{
		"worse":            {2, 4, "auto", "rolled_back", "primary_harmed", nil},
		"worse, approve":   {2, 4, "approve", "rolled_back", "primary_harmed", nil},
		"worse, by person": {2, 4, "manual", "promoted", "primary_harmed", "manual_mode"},
		"the same":         {3, 3, "auto", "promoted", "no_harm_seen", nil},
		"better":           {4, 2, "auto", "promoted", "no_harm_seen", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t).catalogue()
			s.put("/v1/metrics/stays", object{
				"kind": "retention", "events": []string{"unsubscribed"}, "window": object{"to_day": 3}, "direction": "decrease",
			}).is(http.StatusCreated)
			x := s.running(and(welcomeTone, object{
				"metrics": object{"primary": "stays"},
				"policy":  object{"holdback": 0.3, "holdback_days": 20, "mode": tt.mode},
			}))
			s.meets("welcome-email", crowd("early", 3))
			s.get("/v1/experiments/welcome-tone/holdback").fails(http.StatusNotFound, "no_report")
			s.pass(time.Hour)
			s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
			late := crowd("late", 2000)
			s.meets("welcome-web", late)
			s.meets("welcome-email", append(late, crowd("early", 3)...)) // nobody comes twice
			if n := s.run("holdback"); n != 1 {
				t.Errorf("%v looks", n)
			}
			// By the contract's arithmetic: p = u32(salt + "/promotion", key) × 10,000 >> 32.
			heldBack := func(customer string) bool {
				return u32(fmt.Sprint(x.at("/salt"))+"/promotion", customer)*10_000>>32 < 3000
			}
			held := 0
			for _, customer := range late {
				if heldBack(customer) {
					held++
				}
			}
			s.get("/v1/experiments/welcome-tone/holdback").is(http.StatusOK).has(object{
				"/experiment": "welcome-tone/holdback", "/method": "anytime", "/alpha": 0.05, "/look": 1.0, "/verdict/action": "continue",
				"/customers": object{"held_back": float64(held), "promoted": float64(2000 - held)},
			})
			s.does("unsubscribed", late, func(customer string, i int) bool {
				if heldBack(customer) {
					return i%10 < tt.held
				}
				return i%10 < tt.others
			})
			s.pass(4 * day)
			s.run("holdback")
			s.get("/v1/experiments/welcome-tone").has(object{"/outcome": "promoted"}) // not in the first week
			s.pass(4 * day)
			s.run("holdback")
			r := s.get("/v1/experiments/welcome-tone/holdback").is(http.StatusOK).has(object{
				"/health/ok": true, "/verdict/reasons/0/code": tt.code, "/verdict/blocked_by/0": tt.blocked,
				"/metrics/0/arms/0/mature": float64(held), "/metrics/0/arms/1/mature": float64(2000 - held), "/metrics/1": nil,
			})
			s.run("holdback")
			s.run("ramp")
			s.get("/v1/experiments/welcome-tone").has(object{"/outcome": tt.outcome})
			rolledBack := 0
			if tt.outcome == "rolled_back" {
				rolledBack = 1
				r.has(object{"/verdict/action": "rollback", "/verdict/variant": "promoted"})
				s.get("/v1/experiments/welcome-tone/decisions").has(object{
					"/data/0/action": "rollback", "/data/0/decided_by": "engine", "/data/0/reasons/0": r.at("/verdict/reasons/0"), "/data/2": nil,
				})
				s.post("/v1/assignments", `{"customer": "new", "touchpoint": "welcome-email"}`).has(object{
					"/reason": "default", "/content": object{"from": "welcome-email"},
				})
			}
			for what, query := range map[string]string{
				"audit rows": `SELECT count(*) FROM audit WHERE action = 'experiment.rollback'`,
				"messages":   `SELECT count(*) FROM messages WHERE event = 'experiment.rolled_back'`,
			} {
				if n := s.count(query); n != rolledBack {
					t.Errorf("%d %s of a rollback, want %d", n, what, rolledBack)
				}
			}
			s.get("/v1/customers/late-2").is(http.StatusOK).has(object{"/enrolments": []any{}})
			s.get("/v1/customers/late-2/export").is(http.StatusOK)
			s.get("/v1/customers/nobody").fails(http.StatusNotFound, "not_found")
			s.post("/v1/identities", `{"customer": "late-1", "identifiers": ["a"]}`).is(http.StatusOK)
			s.running(and(welcomeTone, object{"key": "next", "touchpoints": []string{"till"}, "variants": []object{
				{"key": "control", "control": true, "weight": 1}, {"key": "warm", "weight": 1},
			}}))
			s.meets("till", []string{"late-1"})
			if n := s.count(`SELECT count(*) FROM enrolments WHERE experiment = 'next' AND assignment_key = 'a'`); n != 1 {
				t.Error("the comparison gave somebody a key")
			}
		})
	}
}

// TestHoldbackEnds: held back until holdback_days are over, and watched until the last of
// them has matured.
func TestHoldbackEnds(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	x := s.running(and(welcomeTone, object{"policy": object{"holdback": 0.5, "holdback_days": 10}}))
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
	back := someone(fmt.Sprint(x.at("/salt"))+"/promotion", 0, 5000)
	compared := func() int {
		return s.count(`SELECT count(*) FROM enrolments WHERE experiment = 'welcome-tone/holdback'`)
	}
	s.meets("welcome-email", []string{back})
	s.pass(10*day - time.Second)
	s.run("ramp")
	s.post("/v1/assignments", object{"customer": back, "touchpoint": "welcome-email"}).has(object{"/reason": "held_back"})
	s.pass(time.Second)
	s.run("ramp")
	s.post("/v1/assignments", object{"customer": back, "touchpoint": "welcome-email"}).has(object{"/reason": "promoted"})
	s.meets("welcome-email", crowd("later", 10))
	if s.run("holdback"); compared() != 1 {
		t.Errorf("%d are compared, want the one who came while some were held back", compared())
	}
	s.pass(30*day - time.Second) // ltv_30
	if n := s.run("ramp"); n != 0 {
		t.Error("the watch ended before everybody had matured")
	}
	s.run("holdback")
	s.get("/v1/experiments/welcome-tone/holdback").is(http.StatusOK).has(object{"/metrics/0/arms/0/mature": 1.0})
	s.pass(time.Second)
	if n := s.run("ramp"); n != 1 {
		t.Error("the watch did not end")
	}
	s.get("/v1/experiments/welcome-tone/timeline").has(object{
		"/data/3/action": "experiment.release", "/data/4/action": "experiment.end_watch", "/data/5": nil,
	})
	s.running(and(welcomeTone, object{"key": "other", "policy": object{}}))
	s.get("/v1/experiments/other/holdback").fails(http.StatusNotFound, "no_holdback")
}

// TestRampIsWatched: before each step the guardrails are asked, of the test's own customers.
func TestRampIsWatched(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode    string
		warm    int // of ten, how many unsubscribe; of control's, two
		outcome string
		reach   string // what those whom the first step did not reach get a day later
	}{
		"all well":         {"auto", 2, "promoted", "promoted"},
		"harm":             {"auto", 5, "rolled_back", "default"},
		"harm, approve":    {"approve", 5, "rolled_back", "default"},
		"harm, by person":  {"manual", 5, "promoted", "default"},
		"worse, in margin": {"auto", 3, "promoted", "promoted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t).catalogue()
			s.put("/v1/metrics/gone_7", object{
				"kind": "conversion", "events": []string{"unsubscribed"}, "window": object{"to_day": 7}, "direction": "decrease",
			}).is(http.StatusCreated)
			s.put("/v1/metrics/kept_7", object{"kind": "retention", "events": []string{"order_cost"}, "window": object{"to_day": 7}}).is(http.StatusCreated)
			x := s.running(and(welcomeTone, object{
				"metrics": object{"primary": "kept_7", "guardrails": []object{{"metric": "gone_7", "margin": 0.6}}},
				"policy":  object{"ramp": []float64{0.25, 1}, "ramp_hours": 24, "mode": tt.mode},
			}))
			all := crowd("c", 2000)
			s.meets("welcome-email", all)
			warm := func(customer string) bool { return u32(x.at("/salt"), customer)*2>>32 == 1 }
			s.does("order_cost", all, func(_ string, i int) bool { return i%2 == 0 })
			s.does("unsubscribed", all, func(customer string, i int) bool { return i%10 < 2 || warm(customer) && i%10 < tt.warm })
			s.pass(8 * day)
			s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
			rest := someone(fmt.Sprint(x.at("/salt"))+"/promotion", 2500, 10_000)
			ask := func() *answer {
				return s.post("/v1/assignments", object{"customer": rest, "touchpoint": "welcome-email"})
			}
			s.run("ramp")
			ask().has(object{"/reason": "default"})
			s.pass(day)
			s.run("ramp")
			s.run("ramp")
			ask().has(object{"/reason": tt.reach})
			s.get("/v1/experiments/welcome-tone").has(object{"/outcome": tt.outcome})
			if tt.outcome == "rolled_back" {
				s.get("/v1/experiments/welcome-tone/decisions").has(object{
					"/data/0/action": "rollback", "/data/0/variant": "warm", "/data/0/reasons/0/code": "guardrail_harmed", "/data/2": nil,
				})
			}
		})
	}
}
