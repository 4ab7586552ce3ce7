package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/internal/pgtest"
)

// someone is a customer whose u32(salt, customer) * 10000 >> 32 lies in [from, to).
func someone(salt any, from, to uint64) string {
	for i := 0; ; i++ {
		customer := fmt.Sprintf("who-%d", i)
		if n := u32(salt, customer) * 10_000 >> 32; n >= from && n < to {
			return customer
		}
	}
}

// TestHoldouts: a holdout binds those without an enrolment before it, on all touchpoints,
// and serves what these served at its creation, whatever is promoted later.
func TestHoldouts(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"traffic": 1}))
	ask := func(customer, touchpoint string) *answer {
		return s.post("/v1/assignments", object{"customer": customer, "touchpoint": touchpoint}).is(http.StatusOK)
	}
	for i := range 30 {
		ask(fmt.Sprintf("early-%d", i), "welcome-email").has(object{"/reason": "assigned"})
	}
	s.pass(time.Hour)
	h := s.put("/v1/holdouts/all-year", `{"share": 0.1}`).is(http.StatusCreated)
	h.has(object{"/key": "all-year", "/share": 0.1, "/created_at": "2026-03-01T13:00:00Z"})
	s.get("/v1/holdouts/all-year").is(http.StatusOK).has(object{"/salt": h.at("/salt")})
	s.get("/v1/holdouts").has(object{"/data/0/key": "all-year", "/data/1": nil})
	s.put("/v1/holdouts/all-year", `{"share": 0.1}`).is(http.StatusOK).has(object{"/salt": h.at("/salt")})
	s.put("/v1/holdouts/all-year", `{"share": 0.2}`).fails(http.StatusUnprocessableEntity, "holdout_fixed")

	in, out := someone(h.at("/salt"), 0, 1000), someone(h.at("/salt"), 1000, 10_000)
	s.keeps("asking who is held out", func() {
		own := object{"from": "welcome-email"}
		ask(in, "welcome-email").has(object{"/reason": "held_out", "/content": own, "/experiment": nil, "/variant": nil})
		ask(in, "till").has(object{"/reason": "held_out"})
	})
	ask(out, "welcome-email").has(object{"/reason": "assigned"})
	for i := range 30 {
		ask(fmt.Sprintf("early-%d", i), "welcome-email").has(object{"/reason": "assigned"})
	}
	member := func(customer string, want bool) {
		t.Helper()
		s.get("/v1/holdouts/all-year/members/" + customer).is(http.StatusOK).has(object{
			"/holdout": "all-year", "/customer": customer, "/member": want,
		})
	}
	member(in, true)
	member(out, false)
	member("early-1", false)

	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
	s.put("/v1/touchpoints/later", `{"channel": "app", "content": "later"}`).is(http.StatusCreated)
	ask(out, "welcome-email").has(object{"/reason": "promoted"})
	ask(in, "welcome-email").has(object{"/reason": "held_out", "/content": object{"from": "welcome-email"}})
	ask(in, "later").has(object{"/reason": "held_out", "/content": "later"})
	// Also where a touchpoint is younger than the holdout, and the promotion is over at once.
	s.running(and(welcomeTone, object{"key": "later-still", "touchpoints": []any{"later"}, "audience": "", "variants": []any{
		object{"key": "control", "control": true, "weight": 1}, object{"key": "warm", "weight": 1, "content": object{"later": "won"}},
	}}))
	s.post("/v1/experiments/later-still/promote", `{"variant": "warm"}`).is(http.StatusOK)
	ask(out, "later").has(object{"/reason": "promoted", "/content": "won"})
	ask(in, "later").has(object{"/reason": "held_out", "/content": "later"})
	ask(in, "welcome-email").has(object{"/reason": "held_out", "/content": object{"from": "welcome-email"}})
}

func TestHoldoutsRefuse(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	for name, body := range map[string]string{
		"nobody": `{"share": 0}`, "hardly anybody": `{"share": 0.00001}`, "more than everybody": `{"share": 1.01}`,
		"negative": `{"share": -0.1}`, "nothing": `{}`, "enormous": `{"share": 1e999999999}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() {
				s.put("/v1/holdouts/h", body).is(http.StatusUnprocessableEntity)
			})
		})
	}
	s.get("/v1/holdouts/none").fails(http.StatusNotFound, "not_found")
	s.get("/v1/holdouts/none/members/c1").fails(http.StatusNotFound, "not_found")
}

// TestOverrides: a forced variant comes before everything, in a draft and under any
// identifier, and enrols nobody.
func TestOverrides(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.post("/v1/experiments", welcomeTone).is(http.StatusCreated)
	const path = "/v1/experiments/welcome-tone/overrides/tester"
	ask := func() *answer {
		return s.post("/v1/assignments", `{"customer": "tester", "touchpoint": "welcome-email"}`).is(http.StatusOK)
	}
	s.put(path, `{"variant": "cold"}`).fails(http.StatusUnprocessableEntity, "unknown_variant", "/variant")
	s.put("/v1/experiments/none/overrides/tester", `{"variant": "warm"}`).fails(http.StatusNotFound, "not_found")
	s.put(path, `{"variant": "warm"}`).is(http.StatusCreated).has(object{
		"/experiment": "welcome-tone", "/customer": "tester", "/variant": "warm",
	})
	ask().has(object{"/reason": "forced", "/variant": "warm", "/experiment": "welcome-tone"})
	s.delete("/v1/experiments/welcome-tone", ifMatch(`"1"`)).is(http.StatusNoContent) // with what is forced in it
	ask().has(object{"/reason": "default"})
	s.post("/v1/experiments", welcomeTone).is(http.StatusCreated)
	ask().has(object{"/reason": "default"})
	s.put(path, `{"variant": "warm"}`).is(http.StatusCreated)
	s.post("/v1/experiments/welcome-tone/start", nil).is(http.StatusOK)
	s.put(path, `{"variant": "control"}`).is(http.StatusOK)
	ask().has(object{"/reason": "forced", "/variant": "control", "/content": object{"from": "welcome-email"}})
	s.put("/v1/holdouts/everyone", `{"share": 1}`).is(http.StatusCreated)
	ask().has(object{"/reason": "forced"})
	if n := s.count(`SELECT count(*) FROM enrolments`); n != 0 {
		t.Errorf("%d enrolments of a forced customer", n)
	}
	s.delete(path).is(http.StatusNoContent)
	s.delete(path).fails(http.StatusNotFound, "not_found")
	ask().has(object{"/reason": "held_out"})
}

// TestOverridesOfADraft: they go with the draft, or with their variant, and force nothing on whoever
// is met by another experiment of the same key.
func TestOverridesOfADraft(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	const at = "/v1/experiments/welcome-tone"
	etag := s.post("/v1/experiments", welcomeTone).is(http.StatusCreated).header.Get("ETag")
	s.put(at+"/overrides/a", `{"variant": "warm"}`).is(http.StatusCreated)
	s.put(at+"/overrides/b", `{"variant": "control"}`).is(http.StatusCreated)
	ask := func(customer, reason string) {
		t.Helper()
		s.post("/v1/assignments", object{"customer": customer, "touchpoint": "welcome-email", "record": false}).is(http.StatusOK).
			has(object{"/reason": reason})
	}
	etag = s.patch(at, object{"variants": []object{
		{"key": "control", "control": true, "weight": 1}, {"key": "hot", "weight": 1},
	}}, ifMatch(etag)).is(http.StatusOK).header.Get("ETag")
	ask("a", "default")
	ask("b", "forced")
	s.delete(at, ifMatch(etag)).is(http.StatusNoContent)
	s.running(welcomeTone)
	ask("b", "assigned")
	if n := s.count(`SELECT count(*) FROM overrides`); n != 0 {
		t.Errorf("%d forced variants are left", n)
	}
}

// TestAudience: who is in it is known from stored attributes overlaid with those sent, and
// is not asked again once enrolled.
func TestAudience(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"traffic": 1, "audience": "customer.country == 'FR' && channel == 'email'"}))
	ask := func(customer, touchpoint string, attributes object) *answer {
		return s.post("/v1/assignments", object{"customer": customer, "touchpoint": touchpoint, "attributes": attributes}).is(http.StatusOK)
	}
	ask("c1", "welcome-email", nil).has(object{"/reason": "not_eligible", "/content": object{"from": "welcome-email"}})
	ask("c1", "welcome-email", object{"country": "DE"}).has(object{"/reason": "not_eligible"})
	ask("c1", "welcome-web", object{"country": "FR"}).has(object{"/reason": "not_eligible"})
	ask("c1", "welcome-email", object{"country": "FR"}).has(object{"/reason": "assigned"})
	ask("c1", "welcome-web", object{"country": "DE"}).has(object{"/reason": "assigned"})

	s.put("/v1/customers/c2", `{"attributes": {"country": "FR", "name": "Zoé"}}`).is(http.StatusCreated)
	s.put("/v1/customers/c3", `{"attributes": {"country": "FR"}}`).is(http.StatusCreated)
	s.follow()
	ask("c3", "welcome-email", object{"country": "DE"}).has(object{"/reason": "not_eligible"})
	ask("c2", "welcome-email", nil).has(object{"/reason": "assigned"})
	s.put("/v1/customers/c3", `{"attributes": {"country": "IT"}}`).is(http.StatusOK)
	s.follow()
	ask("c3", "welcome-email", nil).has(object{"/reason": "not_eligible"})
}

// TestAudienceKnowsStored: a test that starts knows at once, on every server, what is stored of
// customers under names that no audience has named before: whom it took in would stay.
func TestAudienceKnowsStored(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := newSystemOn(t, dsn).catalogue()
	s.put("/v1/customers/c1", `{"attributes": {"member": true, "country": "FR"}}`).is(http.StatusCreated)
	s.running(and(welcomeTone, object{"key": "till", "touchpoints": []string{"till"}, "audience": "customer.country == 'FR'", "variants": []object{
		{"key": "control", "control": true, "weight": 1}, {"key": "warm", "weight": 1},
	}}))
	other := s.beside(dsn, fullDisk{}, nil)
	if err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.running(and(welcomeTone, object{"audience": "!customer.member"}))
	ask := func(touchpoint, reason string) {
		t.Helper()
		s.post("/v1/assignments", object{"customer": "c1", "touchpoint": touchpoint}).has(object{"/reason": reason})
	}
	ask("welcome-email", "not_eligible")
	ask("till", "assigned")
	if err := other.Refresh(t.Context()); err != nil { // a change is told to other servers
		t.Fatal(err)
	}
	if got := assign(t, other, "c1"); got.Reason != "not_eligible" {
		t.Errorf("on another server: %s", got.Reason)
	}
	s.post("/v1/experiments/till/stop", nil).is(http.StatusOK)
	s.follow()
	s.put("/v1/customers/c1", `{"attributes": {"member": false}}`).is(http.StatusOK)
	s.follow()
	ask("welcome-email", "assigned")
}

// TestRamp: the winner comes to the contract's share of customers, step by step; its
// holdback stays out of later tests until it is over, and a test starts only after the ramp.
func TestRamp(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	x := s.running(and(welcomeTone, object{"traffic": 1, "policy": object{
		"ramp": []float64{0.25, 1}, "ramp_hours": 24, "holdback": 0.05, "holdback_days": 30,
	}}))
	ask := func(customer string) *answer {
		return s.post("/v1/assignments", object{"customer": customer, "touchpoint": "welcome-email"}).is(http.StatusOK)
	}
	winner := ""
	for i := 0; winner == ""; i++ {
		if a := ask(fmt.Sprintf("early-%d", i)); a.at("/variant") == "warm" {
			winner = fmt.Sprintf("early-%d", i)
		}
	}
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK).has(object{
		"/status": "concluded", "/outcome": "promoted",
	})
	// 500 of 10,000 are held back, and the first step reaches 500 + 0.25 × 9,500 = 2,875.
	salt := fmt.Sprint(x.at("/salt")) + "/promotion"
	back, first, rest := someone(salt, 0, 500), someone(salt, 500, 2875), someone(salt, 2875, 10_000)
	own := object{"from": "welcome-email"}
	ask(winner).has(object{"/reason": "promoted", "/variant": "warm", "/experiment": "welcome-tone"})
	ask(back).has(object{"/reason": "held_back", "/content": own})
	ask(first).has(object{"/reason": "promoted", "/variant": "warm"})
	ask(rest).has(object{"/reason": "default", "/content": own})

	s.post("/v1/experiments", and(welcomeTone, object{"key": "next", "traffic": 1})).is(http.StatusCreated)
	s.post("/v1/experiments/next/start", nil).fails(http.StatusConflict, "ramp_in_progress")
	s.pass(24*time.Hour - time.Second)
	s.post("/v1/jobs/ramp/run", nil).is(http.StatusOK)
	ask(rest).has(object{"/reason": "default"})
	s.pass(time.Second)
	s.post("/v1/jobs/ramp/run", nil).is(http.StatusOK)
	ask(rest).has(object{"/reason": "promoted"})
	ask(back).has(object{"/reason": "held_back"})
	s.post("/v1/experiments/next/start", nil).is(http.StatusOK)
	ask(rest).has(object{"/reason": "assigned", "/experiment": "next"})
	ask(back).has(object{"/reason": "held_back", "/experiment": "welcome-tone"})
	s.pass(29 * day)
	s.post("/v1/jobs/ramp/run", nil).is(http.StatusOK)
	ask(back).has(object{"/reason": "assigned", "/experiment": "next"})
}

// TestRampKeepsTheArm: whom the ramp has not come to keeps what they had on every touchpoint of
// the test, also where the winner has no content.
func TestRampKeepsTheArm(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	x := s.running(and(welcomeTone, object{
		"traffic": 1, "audience": "", "touchpoints": []string{"welcome-email", "welcome-web"}, "policy": object{"ramp": []float64{0.25, 1}},
		"variants": []object{
			{"key": "control", "control": true, "weight": 1},
			{"key": "warm", "weight": 1, "content": object{"welcome-email": "warm"}},
			{"key": "bright", "weight": 1, "content": object{"welcome-email": "bright", "welcome-web": "bright"}},
		},
	}))
	both := func(customer string, want object) {
		t.Helper()
		for _, touchpoint := range []string{"welcome-email", "welcome-web"} {
			s.post("/v1/assignments", object{"customer": customer, "touchpoint": touchpoint}).is(http.StatusOK).has(want)
		}
	}
	salt := fmt.Sprint(x.at("/salt"))
	kept := ""
	for i := 0; kept == ""; i++ {
		// The third of three equal arms, and a p behind the first step, by the contract.
		customer := fmt.Sprintf("c%d", i)
		if u32(salt, customer)*3>>32 == 2 && u32(salt+"/promotion", customer)*10_000>>32 >= 2500 {
			kept = customer
		}
	}
	bright := object{"/reason": "assigned", "/variant": "bright", "/content": "bright"}
	both(kept, bright)
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
	both(kept, bright)
	s.pass(24 * time.Hour)
	s.post("/v1/jobs/ramp/run", nil).is(http.StatusOK)
	s.post("/v1/assignments", object{"customer": kept, "touchpoint": "welcome-email"}).has(object{"/reason": "promoted", "/content": "warm"})
	s.post("/v1/assignments", object{"customer": kept, "touchpoint": "welcome-web"}).has(object{
		"/reason": "default", "/content": object{"from": "welcome-web"},
	})
}

// TestRampOverAnEndedPromotion: whom the ramp has not come to keeps an older winner, under its
// name, also when nothing of that one's promotion is watched any more.
func TestRampOverAnEndedPromotion(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(welcomeTone)
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
	x := s.running(and(welcomeTone, object{"key": "next", "policy": object{"ramp": []float64{0.25, 1}}, "variants": []object{
		{"key": "control", "control": true, "weight": 1}, {"key": "hot", "weight": 1, "content": object{"welcome-email": "hot", "welcome-web": "hot"}},
	}}))
	s.post("/v1/experiments/next/promote", `{"variant": "hot"}`).is(http.StatusOK)
	rest := someone(fmt.Sprint(x.at("/salt"))+"/promotion", 2500, 10_000)
	s.post("/v1/assignments", object{"customer": rest, "touchpoint": "welcome-email"}).has(object{
		"/reason": "promoted", "/experiment": "welcome-tone", "/variant": "warm", "/content": object{"subject": "Hello you"},
	})
}

// TestHoldbackUnderALaterWinner: who is held back keeps what was there for as long as the policy
// says, also when a later winner, of whose promotion nothing is left to watch, replaces the first.
func TestHoldbackUnderALaterWinner(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	x := s.running(and(welcomeTone, object{"policy": object{"holdback": 0.05, "holdback_days": 30}}))
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
	s.running(and(welcomeTone, object{"key": "next", "variants": []object{
		{"key": "control", "control": true, "weight": 1}, {"key": "hot", "weight": 1, "content": object{"welcome-email": "hot", "welcome-web": "hot"}},
	}}))
	s.post("/v1/experiments/next/promote", `{"variant": "hot"}`).is(http.StatusOK)
	salt := fmt.Sprint(x.at("/salt")) + "/promotion"
	ask := func(customer string, want object) {
		t.Helper()
		s.post("/v1/assignments", object{"customer": customer, "touchpoint": "welcome-email"}).is(http.StatusOK).has(want)
	}
	back, rest := someone(salt, 0, 500), someone(salt, 500, 10_000)
	ask(back, object{"/reason": "held_back", "/experiment": "welcome-tone", "/content": object{"from": "welcome-email"}})
	ask(rest, object{"/reason": "promoted", "/experiment": "next", "/content": "hot"})
	s.pass(30 * day)
	s.post("/v1/jobs/ramp/run", nil).is(http.StatusOK)
	ask(back, object{"/reason": "promoted", "/experiment": "next", "/content": "hot"})
}

// TestStartChecklist: it says why a start would be refused, and what is unwise, and starts nothing.
func TestStartChecklist(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	const path = "/v1/experiments/welcome-tone/start-checklist"
	s.get(path).fails(http.StatusNotFound, "not_found")
	s.post("/v1/experiments", and(welcomeTone, object{"audience": "customer.country == 'FR'"})).is(http.StatusCreated)
	codes := func() map[string]string {
		t.Helper()
		var list struct {
			Items []struct{ Level, Code, Pointer, Detail string }
		}
		s.get(path).is(http.StatusOK).into(&list)
		found := map[string]string{}
		for _, item := range list.Items {
			if item.Detail == "" {
				t.Errorf("%s says nothing", item.Code)
			}
			found[item.Code] = item.Level
		}
		return found
	}
	s.keeps("the checklist", func() {
		s.get(path).has(object{"/ready": true, "/experiment": "welcome-tone"})
		got := codes()
		for _, code := range []string{"no_guardrail", "no_min_effect", "stale_data", "unknown_attribute"} {
			if got[code] != "warning" {
				t.Errorf("%s is missing: %v", code, got)
			}
		}
	})
	s.post("/v1/events", `{"events": [{"id": "1", "customer": "c", "type": "order", "occurred_at": "2026-02-20T10:00:00Z", "value": 1, "currency": "EUR"}]}`).receipt(1, 0, 0)
	s.put("/v1/customers/c", `{"attributes": {"country": "FR"}}`).is(http.StatusCreated)
	if got := codes(); got["stale_data"] != "" || got["unknown_attribute"] != "" {
		t.Errorf("still warned of: %v", got)
	}
	s.put("/v1/metrics/ltv_30", `{"kind": "click", "events": ["click"], "window": {"to_day": 30}}`).is(http.StatusOK)
	s.get(path).has(object{"/ready": false, "/items/0/level": "error", "/items/0/code": "metric_cannot_decide", "/items/0/pointer": "/metrics/primary"})
}

// follow takes what the database knows of people into the server's memory, as it does by
// itself every half second.
func (s *system) follow() {
	s.t.Helper()
	if err := s.engine.Follow(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// TestForcedCustomersAreNeverAnalysed: neither who was enrolled before nor an identifier of
// theirs that was linked later counts.
func TestForcedCustomersAreNeverAnalysed(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(mailing)
	s.enrolled(map[string][]float64{"plain": {10, 20, 30}, "warm": {30, 40, 50}})
	s.put("/v1/experiments/mailing/overrides/warm-2", `{"variant": "plain"}`).is(http.StatusCreated)
	s.put("/v1/experiments/mailing/overrides/tester", `{"variant": "plain"}`).is(http.StatusCreated)
	s.post("/v1/identities", `{"customer": "tester", "identifiers": ["plain-0"]}`).is(http.StatusOK)
	// warm is left with 30 and 40, plain with 20 and 30.
	s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated).has(object{
		"/customers": object{"plain": 2.0, "warm": 2.0}, "/metrics/0/arms/0/mean": 25.0, "/metrics/0/arms/1/mean": 35.0,
	})
}

// TestTimeline: what happened to a test is told in order, and of no other test.
func TestTimeline(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.get("/v1/experiments/welcome-tone/timeline").fails(http.StatusNotFound, "not_found")
	s.running(and(welcomeTone, object{"traffic": 0.5}))
	s.post("/v1/experiments", and(welcomeTone, object{"key": "other"})).is(http.StatusCreated)
	s.post("/v1/experiments/welcome-tone/pause", `{"reason": "stock has run out"}`).is(http.StatusOK)
	s.post("/v1/experiments/welcome-tone/resume", nil).is(http.StatusOK)
	s.put("/v1/experiments/welcome-tone/overrides/tester", `{"variant": "warm"}`).is(http.StatusCreated)
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm", "reason": "it is better"}`).is(http.StatusOK)
	s.get("/v1/experiments/welcome-tone/timeline").is(http.StatusOK).has(object{
		"/data/0/action": "experiment.create", "/data/1/action": "experiment.start", "/data/2/action": "experiment.pause",
		"/data/3/action": "experiment.resume", "/data/4/action": "override.put", "/data/4/detail": object{"variant": "warm"},
		"/data/5/action": "experiment.promote", "/data/5/detail/reason": "it is better", "/data/6": nil,
		"/data/0/at": "2026-03-01T12:00:00Z",
	})
	page := s.get("/v1/experiments/welcome-tone/timeline?limit=4")
	s.get("/v1/experiments/welcome-tone/timeline?cursor=" + fmt.Sprint(page.at("/next_cursor"))).has(object{
		"/data/0/action": "override.put", "/data/2": nil, "/next_cursor": nil,
	})
}

// TestRollbackOfWhatLiesBelow: rolled back in either order, neither winner comes back.
func TestRollbackOfWhatLiesBelow(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]string{"the older first": {"one", "two"}, "the newer first": {"two", "one"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t).catalogue()
			for _, key := range []string{"one", "two"} {
				s.running(and(welcomeTone, object{"key": key, "traffic": 1, "variants": []object{
					{"key": "control", "control": true, "weight": 1},
					{"key": "warm", "weight": 1, "content": object{"welcome-email": key}},
				}}))
				s.post("/v1/experiments/"+key+"/promote", `{"variant": "warm"}`).is(http.StatusOK)
			}
			for _, key := range order {
				s.post("/v1/experiments/"+key+"/rollback", nil).is(http.StatusOK)
			}
			s.post("/v1/assignments", `{"customer": "c", "touchpoint": "welcome-email"}`).has(object{
				"/reason": "default", "/content": object{"from": "welcome-email"},
			})
		})
	}
}
