package api_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
)

// mailing is an external test of two arms, judged at once.
var mailing = object{
	"key": "mailing", "assignment": "external", "touchpoints": []string{"welcome-email"},
	"variants": []object{
		{"key": "plain", "control": true, "weight": 1}, {"key": "warm", "weight": 1, "content": object{"welcome-email": "warm"}},
	},
	"metrics": object{"primary": "ltv_30", "secondary": []string{"kept_30"}, "diagnostics": []string{"clicks_30"}},
	"plan":    object{"method": "anytime"},
	"policy":  object{"min_days": 0, "min_customers": 2},
}

// enrolled enrols customers arm-0, arm-1, … of each arm of mailing and books their values as
// orders ten days later.
func (s *system) enrolled(values map[string][]float64) {
	s.t.Helper()
	var enrolments, orders []any
	for arm, list := range values {
		for i, value := range list {
			customer := fmt.Sprintf("%s-%d", arm, i)
			enrolments = append(enrolments, object{"experiment": "mailing", "variant": arm, "customer": customer, "enrolled_at": "2026-01-01T00:00:00Z"})
			orders = append(orders, and(order, object{"id": "o", "customer": customer, "value": value, "occurred_at": "2026-01-11T00:00:00Z"}))
		}
	}
	s.post("/v1/enrolments", object{"enrolments": enrolments}).receipt(len(enrolments), 0, 0)
	s.post("/v1/events", object{"events": orders}).receipt(len(orders), 0, 0)
}

// TestReport: the numbers of a small test, worked out by hand: 10, 20, 30 against 20, 40, 60.
func TestReport(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.get("/v1/experiments/mailing/report").fails(http.StatusNotFound, "not_found")
	s.post("/v1/experiments", mailing).is(http.StatusCreated)
	s.post("/v1/experiments/mailing/reports", nil).fails(http.StatusConflict, "wrong_status")
	s.post("/v1/experiments/mailing/start", nil).is(http.StatusOK)
	s.get("/v1/experiments/mailing/report").fails(http.StatusNotFound, "no_report")
	s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated).has(object{
		"/customers": object{"plain": 0.0, "warm": 0.0}, "/metrics/0/arms/0/mean": nil, "/metrics/0/comparisons/0/difference": nil,
		"/metrics/0/comparisons/0/interval": []any{nil, nil}, "/verdict/action": "continue",
	})
	s.enrolled(map[string][]float64{"plain": {10, 20, 30}, "warm": {20, 40, 60}})

	now := s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated)
	now.has(object{
		"/version": 2.0, "/as_of": "2026-03-01T12:00:00Z", "/look": nil, "/method": "anytime", "/alpha": 0.05,
		"/customers": object{"plain": 3.0, "warm": 3.0}, "/health/ok": true, "/health/checks/0/check": "sample_ratio",
		"/metrics/0/metric": "ltv_30", "/metrics/0/role": "primary", "/metrics/0/currency": "EUR",
		"/metrics/0/arms/0/variant": "plain", "/metrics/0/arms/0/mature": 3.0, "/metrics/0/arms/0/mean": 20.0, "/metrics/0/arms/0/total": "60.00",
		"/metrics/0/arms/1/mean": 40.0, "/metrics/0/arms/1/total": "120.00", "/metrics/0/comparisons/0/variant": "warm",
		"/metrics/0/comparisons/0/difference": 20.0,
		"/metrics/1/metric":                   "kept_30", "/metrics/1/role": "secondary", "/metrics/1/currency": nil, "/metrics/1/arms/0/mean": 1.0, "/metrics/1/arms/0/total": "3",
		"/metrics/1/comparisons/0/difference": 0.0, "/metrics/2/role": "diagnostic", "/metrics/2/arms/1/mean": 0.0,
	})
	// sd 10 and 20 of 3: the errors are 10/√3 and √(100/3 + 400/3).
	for pointer, want := range map[string]float64{
		"/metrics/0/arms/0/std_error": 5.773502691896258, "/metrics/0/comparisons/0/fixed/std_error": 12.909944487358056,
		"/metrics/0/comparisons/0/fixed/statistic": 1.5491933384829668,
	} {
		if got, ok := now.at(pointer).(float64); !ok || got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%s is %v, want %v", pointer, now.at(pointer), want)
		}
	}
	newest := s.get("/v1/experiments/mailing/report").is(http.StatusOK)
	if string(newest.body) != string(now.body) {
		t.Errorf("the newest report is another\n%s\n%s", newest.body, now.body)
	}
	s.get("/v1/experiments/none/report").fails(http.StatusNotFound, "not_found")
}

// TestReportAsOf: as_of cuts by when things happened; what is stored never changes.
func TestReportAsOf(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(mailing)
	s.enrolled(map[string][]float64{"plain": {10, 20}, "warm": {30, 40}})
	s.post("/v1/enrolments", `{"enrolments": [{"experiment": "mailing", "variant": "warm", "customer": "late", "enrolled_at": "2026-02-20T00:00:00Z"}]}`).receipt(1, 0, 0)
	report := func(asOf string) *answer {
		return s.post("/v1/experiments/mailing/reports", object{"as_of": asOf}).is(http.StatusCreated)
	}
	report("2026-03-01T12:00:00Z").has(object{"/customers/warm": 3.0, "/metrics/0/arms/1/mature": 2.0, "/metrics/0/arms/1/mean": 35.0})
	report("2026-01-31T01:00:00+01:00").has(object{"/as_of": "2026-01-31T00:00:00Z", "/customers/warm": 2.0, "/metrics/0/arms/1/mature": 2.0})
	report("2026-01-30T23:59:59.999999Z").has(object{"/customers/warm": 2.0, "/metrics/0/arms/1/mature": 0.0, "/metrics/0/arms/1/mean": nil})
	before := report("2025-12-31T00:00:00Z").has(object{"/customers/warm": 0.0, "/metrics/0/arms/1/mean": nil})

	s.pass(day)
	s.post("/v1/events", events(and(order, object{"id": "more", "customer": "warm-0", "value": 100, "occurred_at": "2026-01-02T00:00:00Z"}))).receipt(1, 0, 0)
	report("2026-03-01T12:00:00Z").has(object{"/metrics/0/arms/1/mean": 85.0, "/version": 5.0}) // late events restate
	list := s.get("/v1/experiments/mailing/reports").is(http.StatusOK).has(object{"/data/0/metrics/0/arms/1/mean": 35.0, "/data/4/version": 5.0})
	if got, want := fmt.Sprint(list.at("/data/3")), fmt.Sprint(before.at("")); got != want {
		t.Errorf("a stored report has changed:\n%s\n%s", got, want)
	}

	for asOf, code := range map[string]string{
		"2026-03-02T12:00:00.000001Z": "in_the_future", "9999-12-31T23:59:59-23:59": "in_the_future",
		"1969-12-31T23:59:59Z": "before_1970", "0000-01-01T00:00:00+23:59": "before_1970", "0001-01-01T00:00:00Z": "before_1970",
	} {
		s.keeps(asOf, func() {
			s.post("/v1/experiments/mailing/reports", object{"as_of": asOf}).fails(http.StatusUnprocessableEntity, code, "/as_of")
		})
	}
}

// TestReportAtADataCut: what was reported can be computed again, whatever has come in since.
func TestReportAtADataCut(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(mailing)
	s.enrolled(map[string][]float64{"plain": {10, 20}, "warm": {30, 40}})
	then := s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated)
	s.post("/v1/enrolments", `{"enrolments": [{"experiment": "mailing", "variant": "plain", "customer": "late", "enrolled_at": "2026-01-01T00:00:00Z"}]}`).receipt(1, 0, 0)
	s.post("/v1/events", events(and(order, object{"id": "o", "customer": "late", "value": 90, "occurred_at": "2026-01-11T00:00:00Z"}))).receipt(1, 0, 0)
	now := s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated).has(object{"/metrics/0/arms/0/mean": 40.0})
	s.recomputed(then)
	s.recomputed(now)
	s.post("/v1/experiments/mailing/reports", object{"data_cut": 0}).is(http.StatusCreated).has(object{"/customers/plain": 0.0, "/metrics/0/arms/0/mean": nil})
	for _, cut := range []int{-1, 1_000_000} {
		s.post("/v1/experiments/mailing/reports", object{"data_cut": cut}).fails(http.StatusUnprocessableEntity, "unknown_data_cut", "/data_cut")
	}
}

// recomputed asks for a report again, as of its time and data cut. What it answers is another
// version, no look and no closing report; all else is the contract's "identical".
func (s *system) recomputed(before *answer) {
	s.t.Helper()
	query := object{"as_of": before.at("/as_of"), "data_cut": before.at("/data_cut")}
	again := s.post("/v1/experiments/mailing/reports", query).is(http.StatusCreated)
	for _, part := range []string{
		"/as_of", "/data_cut", "/information", "/final", "/customers", "/looks", "/health", "/metrics", "/verdict", "/warnings",
	} {
		if diff := cmp.Diff(before.at(part), again.at(part)); diff != "" {
			s.t.Errorf("%s of version %v is not what it was (-then +again):\n%s", part, before.at("/version"), diff)
		}
	}
}

// TestALookAgain: a look on too few customers, which spent nothing, one before min_days, which
// might have stopped for harm and spent, one that decides, and the closing report after it are
// computed again as they were, whatever came in since.
func TestALookAgain(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(mailing, object{
		"plan":   object{"method": "group_sequential", "planned_customers": 200},
		"policy": object{"min_days": 63, "min_customers": 151}, // everybody came 59.5 days ago
	}))
	s.enrolled(decisive())
	s.run("analyze")
	early := s.get("/v1/experiments/mailing/report").has(object{"/look": 1.0, "/looks": nil, "/verdict/reasons/0/code": "min_customers"})
	for _, arm := range []string{"plain", "warm"} {
		for i := range 10 {
			s.post("/v1/enrolments", object{"enrolments": []object{{
				"experiment": "mailing", "variant": arm, "customer": fmt.Sprint(arm, " more ", i), "enrolled_at": "2026-01-01T00:00:00Z",
			}}}).receipt(1, 0, 0)
		}
	}
	s.pass(time.Hour)
	s.run("analyze")
	young := s.get("/v1/experiments/mailing/report").has(object{
		"/look": 2.0, "/looks/0/fraction": 0.8, "/looks/1": nil, "/verdict/reasons/0/code": "min_days",
	})
	s.pass(4 * day)
	s.run("analyze")
	s.run("decide")
	look := s.get("/v1/experiments/mailing/report").has(object{"/look": 3.0, "/verdict/action": "promote", "/verdict/reasons/0/code": "primary_improved"})
	s.pass(time.Hour)
	s.run("analyze")
	closing := s.get("/v1/experiments/mailing/report").has(object{
		"/closing": true, "/look": nil,
		"/verdict/action": "promote", "/verdict/variant": "warm",
		"/verdict/reasons/0/code": "concluded", "/verdict/reasons/1/code": "primary_improved",
	})
	s.pass(time.Hour)
	for _, before := range []*answer{early, young, look, closing} {
		s.recomputed(before)
	}
}

// TestReportBySegment: every segment by itself, beside the whole.
func TestReportBySegment(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(mailing, object{"objective": "retention"}))
	s.enrolled(map[string][]float64{"plain": {10, 20, 30}, "warm": {20, 40, 60}})
	for _, customer := range []string{"plain-0", "plain-1", "warm-0"} {
		s.put("/v1/customers/"+customer, `{"attributes": {"country": "FR"}}`)
	}
	s.post("/v1/experiments/mailing/reports?segment=country", nil).is(http.StatusCreated).has(object{
		"/segment_by": "country", "/metrics/0/arms/0/mean": 20.0, "/metrics/0/arms/1/mean": 40.0,
		"/segments/0/segment": "", "/segments/0/customers": object{"plain": 1.0, "warm": 2.0},
		"/segments/0/metrics/0/arms/0/mean": 30.0, "/segments/0/metrics/0/arms/1/mean": 50.0,
		"/segments/0/metrics/0/comparisons/0/difference": 20.0, "/segments/0/metrics/0/comparisons/0/decisive": false,
		"/segments/1/segment": "FR", "/segments/1/customers": object{"plain": 2.0, "warm": 1.0},
		"/segments/1/metrics/0/arms/0/mean": 15.0, "/segments/1/metrics/0/arms/1/mean": 20.0, "/segments/2": nil,
	})
	rows := s.post("/v1/experiments/mailing/reports?segment=country&format=csv", nil).is(http.StatusCreated).table()
	if last := rows[len(rows)-1]; len(rows) != 1+3*6 || last[len(last)-1] != "country=FR" || rows[1][len(last)-1] != "" {
		t.Errorf("%q", rows)
	}
	s.post("/v1/experiments/mailing/reports?segment=channel", nil).is(http.StatusCreated).has(object{
		"/segments/0/segment": "", "/segments/0/metrics/0/arms/0/mean": 20.0, "/segments/1": nil,
	})
	s.post("/v1/experiments/mailing/reports?segment=objective", nil).is(http.StatusCreated).has(object{
		"/segment_by": "objective", "/segments/0/segment": "retention",
		"/segments/0/customers": object{"plain": 3.0, "warm": 3.0}, "/segments/0/metrics/0/arms/0/mean": 20.0, "/segments/1": nil,
	})
	s.post("/v1/experiments/mailing/reports?segment=contry", nil).fails(http.StatusUnprocessableEntity, "unknown_segment")
	for i := range 51 {
		s.put(fmt.Sprintf("/v1/customers/seg-%d", i), object{"attributes": object{"number": i}})
	}
	var many []any
	for i := range 51 {
		many = append(many, object{"experiment": "mailing", "variant": "warm", "customer": fmt.Sprintf("seg-%d", i), "enrolled_at": "2026-01-01T00:00:00Z"})
	}
	s.post("/v1/enrolments", object{"enrolments": many}).receipt(51, 0, 0)
	s.post("/v1/experiments/mailing/reports?segment=number", nil).fails(http.StatusUnprocessableEntity, "too_many_segments")
	for _, bad := range []string{"%00", "%ff", text(201)} {
		s.post("/v1/experiments/mailing/reports?segment="+bad, nil).fails(http.StatusUnprocessableEntity, "invalid_segment")
	}
}

// TestReportByTier: customers are divided by what they were worth before enrolment, not by what
// they became: of 1, 2 and 3, and nobody knows of the others.
func TestReportByTier(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(mailing)
	s.enrolled(map[string][]float64{"plain": {10, 20, 3000}, "warm": {20, 40, 60}})
	var past []any
	for customer, value := range map[string]int{"plain-0": 3, "plain-1": 1, "warm-0": 2} {
		past = append(past, and(order, object{"id": "past", "customer": customer, "value": value, "occurred_at": "2025-12-31T00:00:00Z"}))
	}
	s.post("/v1/events", object{"events": past}).receipt(3, 0, 0)
	s.run("tiers")
	s.get("/v1/customers/plain-2").has(object{"/tier": "high"})
	s.put("/v1/customers/plain-2", object{"attributes": object{"ltv_tier": "low"}}).is(http.StatusOK)
	s.post("/v1/experiments/mailing/reports?segment=ltv_tier", nil).is(http.StatusCreated).has(object{
		"/segment_by": "ltv_tier", "/segments/3": nil,
		"/segments/0/segment": "high", "/segments/0/customers": object{"plain": 1.0, "warm": 0.0}, "/segments/0/metrics/0/arms/0/mean": 10.0,
		"/segments/1/segment": "low", "/segments/1/customers": object{"plain": 1.0, "warm": 1.0}, "/segments/1/metrics/0/arms/0/mean": 20.0,
		"/segments/2/segment": "none", "/segments/2/customers": object{"plain": 1.0, "warm": 2.0}, "/segments/2/metrics/0/arms/0/mean": 3000.0,
	})
}

// TestReportOfEveryKind: the numbers of a small test, worked out by hand.
func TestReportOfEveryKind(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.put("/v1/metrics/stay_30", `{"kind": "survival", "events": ["order"], "inactivity_days": 15, "window": {"to_day": 30}}`).is(http.StatusCreated)
	s.put("/v1/metrics/per_visit_30", `{"kind": "ratio", "events": ["order"], "denominator": ["visit"], "window": {"to_day": 30}}`).is(http.StatusCreated)
	s.put("/v1/metrics/capped_30", `{"kind": "revenue", "events": ["order"], "window": {"to_day": 30}, "cap_value": 40}`).is(http.StatusCreated)
	s.running(and(mailing, object{
		"metrics": object{"primary": "stay_30", "secondary": []string{"per_visit_30", "capped_30"}},
		"plan":    object{"method": "anytime", "covariate": true},
	}))
	s.enrolled(map[string][]float64{"plain": {10, 20, 30}, "warm": {20, 40, 60}})
	var more []any
	for i, visits := range []int{1, 2, 3} {
		for n := range visits {
			for _, arm := range []string{"plain", "warm"} {
				more = append(more, object{
					"id": fmt.Sprint("v", n), "customer": fmt.Sprint(arm, "-", i), "type": "visit", "occurred_at": "2026-01-02T00:00:00Z",
				})
			}
		}
		// 1, 2 and 6 in the 30 days before.
		for _, arm := range []string{"plain", "warm"} {
			more = append(more, and(order, object{
				"id": "before", "customer": fmt.Sprint(arm, "-", i), "value": []int{1, 2, 6}[i], "occurred_at": "2025-12-20T00:00:00Z",
			}))
		}
	}
	more = append(more, and(order, object{"id": "again", "customer": "warm-2", "value": 0, "occurred_at": "2026-01-21T00:00:00Z"}))
	s.post("/v1/events", object{"events": more}).receipt(len(more), 0, 0)
	r := s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated).has(object{
		// The order came on day 10 and silence follows: churn on day 25; one customer orders on day 20 again and stays.
		"/metrics/0/arms/0/mean": 25.0, "/metrics/0/arms/0/mature": 3.0, "/metrics/0/arms/0/total": "75",
		"/metrics/0/arms/1/total": "80", "/metrics/0/comparisons/0/covariate_gain": nil,
		// 60 and 120 over 6 visits.
		"/metrics/1/arms/0/mean": 10.0, "/metrics/1/arms/1/mean": 20.0, "/metrics/1/comparisons/0/difference": 10.0,
		"/metrics/1/arms/1/total": "120", "/metrics/1/comparisons/0/covariate_gain": nil,
		// 20, 40 and 60 as 20, 40 and 40.
		"/metrics/2/cap_value": "40", "/metrics/2/arms/0/mean": 20.0, "/metrics/2/arms/1/total": "100.00", "/metrics/2/arms/1/uncapped_mean": 40.0,
	})
	// Restricted mean: 25 + 5/3, by the area under 1 up to day 25 and 1/3 up to day 30. Its variance is 5/3 of area
	// squared times 2/(3·1) (survRM2's formula). Slope of the covariate over both arms, whose x are alike: the centred
	// products are 10(-2) + 0 + 10·3 and (-13.33)(-2) + 6.67(-1) + 6.67·3 about means of 3, 20 and 33.33, their sum
	// 50 + 40 over twice 14.
	theta := (50.0 + 40) / 28
	for pointer, want := range map[string]float64{
		"/metrics/0/arms/1/mean": 25 + 5.0/3, "/metrics/0/arms/1/std_error": math.Sqrt(25.0 / 9 * 2 / 3),
		"/metrics/2/comparisons/0/difference":     40.0 / 3,
		"/metrics/2/comparisons/0/covariate_gain": 1 - (200+theta*theta*14-2*theta*50+(800.0/3)+theta*theta*14-2*theta*40)/(200+800.0/3),
	} {
		if got, ok := r.at(pointer).(float64); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", pointer, r.at(pointer), want)
		}
	}
}

// TestCapFromHistory: a quantile of too little history is refused; of enough, it is a
// constant from the start on.
func TestCapFromHistory(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.put("/v1/metrics/capped_30", `{"kind": "ltv", "events": ["order"], "window": {"to_day": 30}, "cap_quantile": 0.9}`).is(http.StatusCreated)
	s.post("/v1/experiments", and(mailing, object{"metrics": object{"primary": "capped_30"}})).is(http.StatusCreated)
	history := func(from, to int) {
		var orders []any
		for i := from; i < to; i++ {
			orders = append(orders, and(order, object{"id": "h", "customer": fmt.Sprint("h-", i), "value": i, "occurred_at": "2026-02-01T00:00:00Z"}))
		}
		s.post("/v1/events", object{"events": orders}).receipt(to-from, 0, 0)
	}
	history(1, 1000)
	s.post("/v1/experiments/mailing/start", nil).fails(http.StatusUnprocessableEntity, "cap_needs_history")
	history(1000, 1002)
	s.post("/v1/experiments/mailing/start", nil).is(http.StatusOK)
	// The type-7 quantile of 1 to 1001 at 0.9 is 1 + 0.9·1000.
	s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated).has(object{"/metrics/0/cap_value": "901"})

	// Of an audience: 1001 and those who spend 0.25 more each, up to 1250.75, and nobody else.
	s.post("/v1/experiments", and(mailing, object{
		"key": "french", "metrics": object{"primary": "capped_30"}, "audience": "customer.country == 'FR' && channel == 'web'",
		"touchpoints": []string{"welcome-web"}, "variants": []object{{"key": "plain", "control": true, "weight": 1}, {"key": "warm", "weight": 1}},
	})).is(http.StatusCreated)
	s.post("/v1/experiments/french/start", nil).fails(http.StatusUnprocessableEntity, "cap_needs_history")
	var orders []any
	french := []any{object{"customer": "h-1001", "attributes": object{"country": "FR"}}}
	for i := range 1000 {
		customer := fmt.Sprint("fr-", i)
		orders = append(orders, and(order, object{"id": "h", "customer": customer, "value": 1001 + 0.25*float64(i), "occurred_at": "2026-02-01T00:00:00Z"}))
		french = append(french, object{"customer": customer, "attributes": object{"country": "FR"}})
	}
	s.post("/v1/events", object{"events": orders}).receipt(1000, 0, 0)
	s.post("/v1/customers", object{"customers": french}).receipt(len(french), 0, 0)
	s.post("/v1/experiments/french/start", nil).is(http.StatusOK)
	// 1001 sorted values, of which two are 1001: the one at place 1 + 900 is 1001 + 0.25·899.
	s.post("/v1/experiments/french/reports", nil).is(http.StatusCreated).has(object{"/metrics/0/cap_value": "1225.75"})
}

// TestReportCSV: a row for each arm of each metric.
func TestReportCSV(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(mailing)
	s.enrolled(map[string][]float64{"plain": {10, 20, 30}, "warm": {20, 40, 60}})
	s.post("/v1/experiments/mailing/reports?format=csv", nil).is(http.StatusCreated).table()
	rows := s.get("/v1/experiments/mailing/report", header("Accept", "text/csv")).is(http.StatusOK).table()
	if len(rows) != 7 || fmt.Sprint(rows[0][:10]) != "[metric role kind currency variant customers mature mean std_error total]" {
		t.Fatalf("%q", rows)
	}
	if fmt.Sprint(rows[2][:8]) != "[ltv_30 primary ltv EUR warm 3 3 40]" || rows[2][9] != "120.00" || rows[1][10] != "" || rows[2][10] != "20" {
		t.Errorf("%q", rows[1:3])
	}
	s.get("/v1/experiments/mailing/reports?format=csv").is(http.StatusOK).table()
}

// decisive are values so far apart that a look decides: 21 against 11 on average.
func decisive() map[string][]float64 {
	values := map[string][]float64{}
	for i := range 150 {
		values["plain"] = append(values["plain"], 10+2*float64(i%2))
		values["warm"] = append(values["warm"], 20+2*float64(i%2))
	}
	return values
}

// run runs a job and answers how many rows it worked on.
func (s *system) run(job string) float64 {
	s.t.Helper()
	rows, _ := s.post("/v1/jobs/"+job+"/run", nil).is(http.StatusOK).has(object{"/job": job}).at("/rows").(float64)
	return rows
}

// TestAutomaticPromotion: the jobs measure, look, decide and promote, and the touchpoint
// serves the winner.
func TestAutomaticPromotion(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(mailing)
	s.enrolled(decisive())
	if n := s.run("measure"); n != 300 {
		t.Errorf("measured %v customers, want 300", n)
	}
	s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated).has(object{"/look": nil, "/verdict/action": "promote"})
	if n := s.run("decide"); n != 0 {
		t.Errorf("a report that is no look decided %v times", n)
	}
	if n := s.run("analyze"); n != 1 {
		t.Errorf("%v looks, want 1", n)
	}
	s.get("/v1/experiments/mailing/report").has(object{
		"/look": 1.0, "/verdict/action": "promote", "/verdict/variant": "warm", "/verdict/reasons/0/code": "primary_improved",
		"/metrics/0/comparisons/0/decisive": true,
	})
	s.get("/v1/decisions").has(object{"/data/0/action": "promote", "/data/0/applied_at": nil, "/data/0/report_version": 2.0, "/data/0/decided_by": "engine"})
	if n := s.run("decide"); n != 1 {
		t.Errorf("%v decisions were carried out, want 1", n)
	}
	s.get("/v1/experiments/mailing").has(object{"/status": "concluded", "/outcome": "promoted", "/winner": "warm"})
	s.get("/v1/experiments/mailing/decisions").has(object{"/data/0/applied_at": "2026-03-01T12:00:00Z", "/data/1": nil})
	s.post("/v1/assignments", `{"customer": "new", "touchpoint": "welcome-email"}`).has(object{"/content": "warm", "/reason": "promoted", "/variant": "warm"})
}

// TestApproval: with mode approve a promotion waits for a person.
func TestApproval(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(mailing, object{"policy": object{"mode": "approve", "min_days": 0, "min_customers": 2}}))
	s.enrolled(decisive())
	s.run("analyze")
	s.get("/v1/experiments/mailing/report").has(object{"/verdict/action": "needs_approval", "/verdict/variant": "warm", "/verdict/blocked_by": []any{"approval"}})
	if n := s.run("decide"); n != 0 {
		t.Errorf("%v decisions were carried out without a person", n)
	}
	s.get("/v1/experiments/mailing").has(object{"/status": "running"})
	s.post("/v1/experiments/mailing/approve", `{"reason": "Looks right"}`, with(s.key("decide"))).is(http.StatusOK).has(object{"/outcome": "promoted", "/winner": "warm"})
	s.get("/v1/experiments/mailing/decisions").has(object{
		"/data/0/approved_by": "decide", "/data/0/note": "Looks right", "/data/0/decided_by": "engine", "/data/0/mode": "approve", "/data/1": nil,
	})
	s.post("/v1/experiments/mailing/approve", nil).fails(http.StatusConflict, "nothing_to_approve")
}

// TestManualMode: with mode manual the verdict is told and nothing is decided.
func TestManualMode(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(mailing, object{"policy": object{"mode": "manual", "min_days": 0, "min_customers": 2}}))
	s.enrolled(decisive())
	s.run("analyze")
	s.run("decide")
	s.get("/v1/experiments/mailing/report").has(object{"/verdict/action": "promote", "/verdict/blocked_by": []any{"manual_mode"}})
	s.get("/v1/experiments/mailing/decisions").has(object{"/data": []any{}})
	s.get("/v1/experiments/mailing").has(object{"/status": "running"})
}

// TestJobs: the list shows each job's schedule, last and next run; an unknown one is 404,
// and one that runs elsewhere 409.
func TestJobs(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.get("/v1/jobs").is(http.StatusOK).has(object{
		"/data/0/name": "measure", "/data/0/schedule": "* * * * *", "/data/0/last_run": nil, "/data/0/next_run": "2026-03-01T12:01:00Z",
		"/data/1/name": "analyze", "/data/1/next_run": "2026-03-01T12:05:00Z", "/data/2/name": "decide",
		"/data/3/name": "ramp",
		"/data/4/name": "holdback", "/data/4/next_run": "2026-03-01T12:05:00Z",
		"/data/5/name": "tiers", "/data/5/schedule": "0 0 * * *", "/data/5/next_run": "2026-03-02T00:00:00Z",
		"/data/6/name": "recompute", "/data/6/next_run": "2026-03-02T00:00:00Z",
		"/data/7/name": "webhooks", "/data/7/next_run": "2026-03-01T12:00:05Z", "/data/8": nil,
	})
	s.pass(90 * time.Second)
	s.run("measure")
	s.get("/v1/jobs").has(object{
		"/data/0/last_run/started_at": "2026-03-01T12:01:30Z", "/data/0/last_run/finished_at": "2026-03-01T12:01:30Z", "/data/0/last_run/rows": 0.0,
		"/data/0/last_run/error": nil, "/data/0/next_run": "2026-03-01T12:02:00Z",
	})
	for _, name := range []string{"none", "%00", "%ff", "MEASURE", text(10_000)} {
		s.post("/v1/jobs/"+name+"/run", nil).fails(http.StatusNotFound, "not_found")
	}
	tx, err := s.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `SELECT pg_advisory_xact_lock(x'70657265'::integer, hashtext('measure'))`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.engine.RunJobNow(t.Context(), "measure", time.Millisecond); engine.KindOf(err) != engine.KindConflict {
		t.Errorf("a run beside another one: %v, want a conflict", err)
	}
	// A person's run waits until the other one has ended.
	ended := make(chan error, 1)
	time.AfterFunc(200*time.Millisecond, func() { ended <- tx.Rollback() })
	s.run("measure")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}
