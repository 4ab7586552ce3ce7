package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/internal/pgtest"
)

// hot is a test of three arms with uneven weights over half of the traffic.
var hot = and(welcomeTone, object{
	"traffic": 0.5,
	"variants": []object{
		{"key": "control", "control": true, "weight": 2},
		{"key": "warm", "weight": 1, "content": object{"welcome-email": "warm"}},
		{"key": "hot", "weight": 5, "content": object{"welcome-email": "hot", "welcome-web": "hot"}},
	},
})

// TestAssignmentArithmetic: anyone can recompute who gets what from the published salts.
func TestAssignmentArithmetic(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	x := s.running(hot)
	layer := s.get("/v1/layers/default")
	var customers []string
	for i := range 400 {
		customers = append(customers, fmt.Sprintf("kunde:%d-ä", i))
	}
	var answers struct {
		Assignments []struct{ Customer, Reason, Variant, Experiment string }
	}
	s.post("/v1/assignments", object{"customers": customers, "touchpoint": "welcome-web", "record": false}).is(200).into(&answers)
	seen := map[string]int{}
	for i, a := range answers.Assignments {
		want := struct{ variant, experiment, reason string }{"", "", "not_in_traffic"}
		if slot := u32(layer.at("/salt"), customers[i]) * 10_000 >> 32; slot < 5000 {
			want.experiment, want.reason = "welcome-tone", "assigned"
			switch point := u32(x.at("/salt"), customers[i]) * 8 >> 32; {
			case point < 2:
				want.variant = "control"
			case point < 3:
				want.variant = "warm"
			default:
				want.variant = "hot"
			}
		}
		if a.Customer != customers[i] || a.Variant != want.variant || a.Experiment != want.experiment || a.Reason != want.reason {
			t.Fatalf("%s: %+v, want %+v", customers[i], a, want)
		}
		seen[a.Variant]++
	}
	if len(seen) != 4 {
		t.Errorf("only %v occur", seen)
	}
}

// TestAssignments: one customer or a list, as JSON or CSV; the first contact enrols, and
// the same variant comes on every channel.
func TestAssignments(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(hot, object{"traffic": 1}))
	one := s.post("/v1/assignments", object{"customer": "c1", "touchpoint": "welcome-email", "attributes": object{"country": "FR"}}).is(200)
	one.has(object{"/customer": "c1", "/touchpoint": "welcome-email", "/experiment": "welcome-tone", "/reason": "assigned"})
	variant := one.at("/variant")
	s.post("/v1/assignments", object{"customer": "c1", "touchpoint": "welcome-web"}).has(object{"/variant": variant})
	s.get("/v1/customers/c1").is(http.StatusOK).has(object{
		"/enrolments/0/experiment": "welcome-tone", "/enrolments/0/variant": variant, "/enrolments/0/channel": "email",
		"/enrolments/0/touchpoint": "welcome-email", "/enrolments/0/enrolled_at": "2026-03-01T12:00:00Z", "/enrolments/1": nil,
		"/customer": "c1", "/identifiers": []any{"c1"}, "/attributes": object{},
	})

	list := object{"customers": []string{"c1", "c2", "c1"}, "touchpoint": "welcome-email", "record": true}
	s.post("/v1/assignments", list).is(200).has(object{
		"/assignments/0/variant": variant, "/assignments/1/customer": "c2", "/assignments/2/variant": variant, "/assignments/3": nil,
	})
	if n := s.count(`SELECT count(*) FROM enrolments`); n != 2 {
		t.Errorf("%d enrolments, want those of c1 and c2", n)
	}
	for _, a := range []*answer{
		s.post("/v1/assignments?format=csv", list), s.post("/v1/assignments", list, header("Accept", "text/csv")),
	} {
		rows := a.is(http.StatusOK).table()
		if len(rows) != 4 || fmt.Sprint(rows[0]) != "[customer touchpoint content variant experiment reason]" || rows[1][3] != variant {
			t.Errorf("CSV %q", rows)
		}
	}
	none := object{"customers": []string{}, "touchpoint": "till"}
	s.post("/v1/assignments", none).is(200).has(object{"/assignments": []any{}})
	if rows := s.post("/v1/assignments?format=csv", none).is(200).table(); len(rows) != 1 || rows[0][0] != "customer" {
		t.Errorf("CSV of nobody %q", rows)
	}
}

// TestAssignmentCSVGuard: an identifier is a cell too.
func TestAssignmentCSVGuard(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	rows := s.post("/v1/assignments?format=csv", `{"customers": ["=1+1", "-12", "a,b"], "touchpoint": "till"}`).is(200).table()
	if rows[1][0] != "'=1+1" || rows[2][0] != "-12" || rows[3][0] != "a,b" {
		t.Errorf("customers %q %q %q", rows[1][0], rows[2][0], rows[3][0])
	}
}

// TestAnsweredShows: what a server has answered shows in what is read from it next, also
// before its journal was shipped.
func TestAnsweredShows(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(hot, object{"traffic": 1}))
	s.away = true // the test ships nothing itself
	ask := func(customer string) {
		s.post("/v1/assignments", object{"customer": customer, "touchpoint": "welcome-email"}).has(object{"/reason": "assigned"})
	}
	ask("c1")
	s.get("/v1/customers/c1").has(object{"/enrolments/0/experiment": "welcome-tone", "/enrolments/1": nil})
	ask("c2")
	s.get("/v1/customers/c2/export").has(object{"/tables/enrolments/0/experiment": "welcome-tone"})
	ask("c3")
	if rows := s.get("/v1/export/enrolments?format=csv").is(http.StatusOK).table(); len(rows) != 4 {
		t.Errorf("%d rows, want a head, c1, c2 and c3", len(rows))
	}
	ask("c4")
	report := s.post("/v1/experiments/welcome-tone/reports", nil).is(http.StatusCreated)
	var customers struct{ Customers map[string]int }
	if err := json.Unmarshal(report.body, &customers); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, ofArm := range customers.Customers {
		n += ofArm
	}
	if n != 4 {
		t.Errorf("the report has %d customers, want c1 to c4", n)
	}
}

// TestRecordFalse: asking without recording enrols nobody.
func TestRecordFalse(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(welcomeTone)
	s.keeps("record false", func() {
		s.post("/v1/assignments", `{"customer": "c1", "touchpoint": "welcome-email", "record": false}`).has(object{"/reason": "assigned"})
		s.post("/v1/assignments", `{"customers": ["c1", "c2"], "touchpoint": "welcome-email", "record": false}`).is(200)
	})
	s.get("/v1/customers/c1").fails(http.StatusNotFound, "not_found")
}

// TestReasons: default, not_in_traffic, assigned, paused and promoted, each where it applies.
func TestReasons(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	ask := func(touchpoint string) *answer {
		return s.post("/v1/assignments", object{"customer": "c1", "touchpoint": touchpoint})
	}
	own := object{"from": "welcome-email"}
	nothing := object{"/experiment": nil, "/variant": nil, "/content": own}
	ask("welcome-email").has(object{"/reason": "default"}).has(nothing)

	s.running(and(welcomeTone, object{"key": "tiny", "traffic": 0.0001}))
	ask("welcome-email").has(object{"/reason": "not_in_traffic"}).has(nothing)
	ask("till").has(object{"/reason": "default"})
	s.post("/v1/experiments/tiny/stop", nil).is(http.StatusOK)

	s.running(welcomeTone)
	s.post("/v1/experiments/welcome-tone/pause", nil).is(http.StatusOK)
	s.keeps("paused", func() {
		ask("welcome-email").has(object{"/reason": "paused", "/experiment": "welcome-tone", "/variant": nil, "/content": own})
	})
	s.post("/v1/experiments/welcome-tone/resume", nil).is(http.StatusOK)
	ask("welcome-email").has(object{"/reason": "assigned", "/experiment": "welcome-tone"})

	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
	ask("welcome-email").has(object{
		"/reason": "promoted", "/experiment": "welcome-tone", "/variant": "warm", "/content": object{"subject": "Hello you"},
	})
	s.running(and(welcomeTone, object{"key": "next", "traffic": 0.0001}))
	ask("welcome-email").has(object{"/reason": "promoted", "/experiment": "welcome-tone", "/variant": "warm"})
}

// TestVariantWithoutContent: a variant without content at a touchpoint serves the
// touchpoint's own.
func TestVariantWithoutContent(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"variants": []object{
		{"key": "a", "control": true, "weight": 1}, {"key": "b", "weight": 1, "content": object{"welcome-web": "b"}},
	}}))
	for i := range 20 {
		s.post("/v1/assignments", object{"customer": fmt.Sprint(i), "touchpoint": "welcome-email"}).has(object{
			"/reason": "assigned", "/content": object{"from": "welcome-email"},
		})
	}
}

// TestBadAssignments: who asks wrongly learns where.
func TestBadAssignments(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(welcomeTone)
	many := make([]string, 10_001)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for name, c := range map[string]struct {
		body     object
		status   int
		code     string
		pointers []string
	}{
		"nobody":             {object{"touchpoint": "welcome-email"}, 422, "customer_missing", []string{"/customer"}},
		"both":               {object{"customer": "a", "customers": []string{"b"}, "touchpoint": "welcome-email"}, 422, "customer_missing", []string{"/customer"}},
		"no touchpoint":      {object{"customer": "a"}, 422, "touchpoint_missing", []string{"/touchpoint"}},
		"unknown touchpoint": {object{"customer": "a", "touchpoint": "none"}, 404, "not_found", nil},
		"empty customer":     {object{"customer": "", "touchpoint": "welcome-email"}, 422, "invalid_identifier", []string{"/customer"}},
		"long customer":      {object{"customer": text(257), "touchpoint": "welcome-email"}, 422, "invalid_identifier", []string{"/customer"}},
		"control character":  {object{"customer": "a\nb", "touchpoint": "welcome-email"}, 422, "invalid_identifier", []string{"/customer"}},
		"one of several":     {object{"customers": []string{"a", "", "b", "\x7f"}, "touchpoint": "welcome-email"}, 422, "invalid_identifier", []string{"/customers/1", "/customers/3"}},
		"one of one":         {object{"customers": []string{""}, "touchpoint": "welcome-email"}, 422, "invalid_identifier", []string{"/customers/0"}},
		"too many":           {object{"customers": many, "touchpoint": "welcome-email"}, 413, "batch_too_large", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() { s.post("/v1/assignments", c.body).fails(c.status, c.code, c.pointers...) })
		})
	}
	s.post("/v1/assignments", object{"customers": many[:10_000], "touchpoint": "welcome-email"}).is(http.StatusOK)
	if n := s.count(`SELECT count(*) FROM enrolments`); n != 10_000 {
		t.Errorf("%d enrolments of 10,000", n)
	}
}

// TestMaxDays: max_days after the first enrolment nobody is enrolled any more, on any server;
// who is enrolled stays, and what is late and happened before counts.
func TestMaxDays(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := newSystemOn(t, dsn).catalogue()
	s.running(and(welcomeTone, object{"policy": object{"min_days": 14, "max_days": 14}}))
	ask := func(customer string, want object) {
		t.Helper()
		s.post("/v1/assignments", object{"customer": customer, "touchpoint": "welcome-email"}).is(http.StatusOK).has(want)
	}
	page := func(customer string, options ...option) *answer {
		return s.post("/ofrep/v1/evaluate/flags", object{"context": object{"targetingKey": customer}}, options...)
	}
	s.pass(3 * day) // the days begin with the first enrolment
	ask("first", object{"/reason": "assigned"})
	s.pass(14*day - time.Microsecond)
	ask("last", object{"/reason": "assigned"})
	etag := page("new").is(http.StatusOK).header.Get("ETag")
	page("new", header("If-None-Match", etag)).is(http.StatusNotModified)
	s.pass(time.Microsecond)
	page("new", header("If-None-Match", etag)).is(http.StatusOK)
	ask("new", object{"/reason": "not_in_traffic", "/experiment": nil, "/content": object{"from": "welcome-email"}})
	for _, customer := range []string{"first", "last"} {
		ask(customer, object{"/reason": "assigned", "/experiment": "welcome-tone"})
	}
	other := s.beside(dsn, fullDisk{}, nil)
	if err := errors.Join(other.Refresh(t.Context()), other.Follow(t.Context())); err != nil {
		t.Fatal(err)
	}
	if got := assign(t, other, "new"); got.Reason != "not_in_traffic" {
		t.Errorf("on another server: %s", got.Reason)
	}
	exposure := func(customer string, at time.Time) object {
		return object{"id": customer, "customer": customer, "touchpoint": "welcome-email", "occurred_at": at}
	}
	s.post("/v1/exposures", object{"exposures": []object{exposure("new", s.now()), exposure("late", s.now().Add(-time.Second))}}).receipt(2, 0, 0)
	if n := s.count(`SELECT count(*) FROM enrolments WHERE customer_id IN ('first', 'last', 'late')`); n != 3 {
		t.Errorf("%d of three are enrolled", n)
	}
	if n := s.count(`SELECT count(*) FROM enrolments`); n != 3 {
		t.Errorf("%d are enrolled", n)
	}
}
