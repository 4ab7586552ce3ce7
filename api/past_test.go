package api_test

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// concluded runs an external test of 20, 30 and 40 against as much and more by a constant, and
// stops it. With late, one more customer of each arm has matured by the end of March only.
func (s *system) concluded(key string, more float64, late bool, changes object) {
	s.t.Helper()
	s.running(and(and(mailing, object{"key": key}), changes))
	var enrolments, orders []any
	add := func(arm string, i int, value float64, at string) {
		customer := fmt.Sprintf("%s-%s-%d", key, arm, i)
		enrolments = append(enrolments, object{"experiment": key, "variant": arm, "customer": customer, "enrolled_at": at})
		orders = append(orders, and(order, object{"id": "o", "customer": customer, "value": value, "occurred_at": at}))
	}
	for i := range 3 {
		add("plain", i, 20+10*float64(i), "2026-01-01T00:00:00Z")
		add("warm", i, 20+10*float64(i)+more, "2026-01-01T00:00:00Z")
	}
	if late {
		add("plain", 3, 30, "2026-02-20T00:00:00Z")
		add("warm", 3, 30, "2026-02-20T00:00:00Z")
	}
	s.post("/v1/enrolments", object{"enrolments": enrolments}).receipt(len(enrolments), 0, 0)
	s.post("/v1/events", object{"events": orders}).receipt(len(orders), 0, 0)
	s.post("/v1/experiments/"+key+"/reports", nil).is(http.StatusCreated)
	s.post("/v1/experiments/"+key+"/stop", nil).is(http.StatusOK)
}

// TestClosingReportIsShown: the newest report of a concluded test is its closing one, and the
// timeline tells of it.
func TestClosingReportIsShown(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.concluded("mailing", 10, true, object{})
	if n := s.run("analyze"); n != 0 {
		t.Errorf("%v closing reports before everybody has matured", n)
	}
	s.get("/v1/experiments/mailing/report").has(object{"/version": 1.0, "/closing": false})
	s.pass(30 * day)
	if n := s.run("analyze") + s.run("analyze"); n != 1 {
		t.Errorf("%v closing reports, want 1", n)
	}
	s.get("/v1/experiments/mailing/report").is(http.StatusOK).has(object{
		"/version": 2.0, "/closing": true, "/look": nil, "/as_of": "2026-03-31T12:00:00Z", "/metrics/0/arms/1/mature": 4.0,
		"/verdict/action": "keep_control", "/verdict/reasons/0/code": "concluded", "/verdict/reasons/1": nil,
	})
	s.get("/v1/experiments/mailing/timeline").has(object{
		"/data/2/action": "experiment.stop", "/data/3/action": "experiment.close", "/data/3/detail": object{"report": 2.0, "as_of": "2026-03-31T12:00:00Z"},
		"/data/3/actor": "worker", "/data/4": nil,
	})
	s.get("/v1/experiments/mailing/decisions").has(object{"/data/1": nil})
}

// TestShrunkenEffect: five concluded tests of the same metric and objective and a winner comes
// with what remains of it, in JSON, words and CSV; computed again it is the same, whatever
// has been learned since.
func TestShrunkenEffect(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	manual := object{"policy": object{"mode": "manual", "min_days": 0, "min_customers": 2}}
	s.running(and(mailing, manual))
	s.enrolled(decisive())
	ask := func(body any) *answer {
		return s.post("/v1/experiments/mailing/reports", body).is(http.StatusCreated)
	}
	const comparison = "/metrics/0/comparisons/0"
	ask(nil).has(object{
		comparison + "/shrunken": nil, comparison + "/warnings": []any{"few_past_tests"}, "/verdict/action": "promote", "/verdict/variant": "warm",
		"/verdict/reasons/0/code": "primary_improved", "/verdict/reasons/1/code": "few_past_tests", "/verdict/reasons/2": nil,
	})
	for i := range 4 {
		s.concluded(fmt.Sprint("past-", i), []float64{18, -18}[i%2], false, object{})
	}
	// Those of another objective, or with the metric in another role, teach nothing here.
	s.concluded("elsewhere", 18, false, object{"objective": "retention"})
	s.concluded("secondary", 18, false, object{"metrics": object{"primary": "kept_30", "secondary": []string{"ltv_30"}}})
	s.run("analyze")
	four := ask(nil).has(object{comparison + "/shrunken": nil, "/verdict/reasons/1/code": "few_past_tests"})
	s.concluded("past-4", 18, false, object{})
	s.run("analyze")

	// Equal errors v: τ² is the mean square less v. 18 of 30 is 0.6, and v is (100/3 + 100/3)/30². The winner's: 10 of 11, of
	// 150 customers each that are 1 off the mean.
	tau2 := 0.36 - 200.0/3/900
	se := math.Sqrt(2.0 / 149)
	lambda := tau2 / (tau2 + se*se/121)
	half := 1.959963984540054 * math.Sqrt(lambda) * se // R 4.3 qnorm(.975)
	five := ask(nil).has(object{
		comparison + "/shrunken/past_tests": 5.0, comparison + "/warnings": []any{"few_past_tests"}, "/verdict/action": "promote",
		"/verdict/reasons/0/code": "primary_improved", "/verdict/reasons/1/code": "shrunken_effect", "/verdict/reasons/2": nil,
		"/metrics/1/comparisons/0/shrunken": nil,
	})
	for name, want := range map[string]float64{
		"/difference": 10 * lambda, "/interval/0": 10*lambda - half, "/interval/1": 10*lambda + half,
		"/lift": 10 * lambda / 11, "/lift_interval/0": (10*lambda - half) / 11, "/spread": math.Sqrt(tau2),
	} {
		if got, ok := five.at(comparison + "/shrunken" + name).(float64); !ok || math.Abs(got-want) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, five.at(comparison+"/shrunken"+name), want)
		}
	}
	words := fmt.Sprint(five.at("/verdict/reasons/1/detail"))
	for _, part := range []string{"after 5 past tests of ltv_30 expect +9.99", "EUR a customer", "95 % interval", "fewer than 20"} {
		if !strings.Contains(words, part) {
			t.Errorf("%q does not say %q", words, part)
		}
	}
	rows := s.get("/v1/experiments/mailing/report?format=csv").is(http.StatusOK).table()
	for name, want := range map[string]string{
		"shrunken_difference": fmt.Sprint(five.at(comparison + "/shrunken/difference")), "past_tests": "5",
		"shrunken_lower": fmt.Sprint(five.at(comparison + "/shrunken/interval/0")), "warnings": "few_past_tests",
	} {
		if i := slices.Index(rows[0], name); i < 0 || rows[2][i] != want {
			t.Errorf("CSV: %s of %q, want %s", name, rows[2], want)
		}
	}

	// A sixth, which is known by its report of now and later by its closing report.
	s.concluded("past-5", 3, true, object{})
	s.run("analyze")
	six := ask(nil).has(object{comparison + "/shrunken/past_tests": 6.0})
	s.pass(30 * day)
	if n := s.run("analyze"); n != 1 {
		t.Errorf("%v things done, want one closing report", n)
	}
	closed := ask(nil).has(object{comparison + "/shrunken/past_tests": 6.0})
	if six.at(comparison+"/shrunken/spread") == closed.at(comparison+"/shrunken/spread") {
		t.Error("the closing report of the sixth has changed nothing")
	}
	for i, before := range []*answer{four, five, six, closed} {
		again := ask(object{"as_of": before.at("/as_of"), "data_cut": before.at("/data_cut")})
		for _, part := range []string{"/metrics", "/verdict", "/warnings", "/data_cut", "/as_of"} {
			if diff := cmp.Diff(before.at(part), again.at(part)); diff != "" {
				t.Errorf("report %d: %s is not what it was (-then +again):\n%s", i, part, diff)
			}
		}
	}
	// As of before any was concluded, although all is known now.
	ask(object{"as_of": "2026-02-28T00:00:00Z"}).has(object{comparison + "/shrunken": nil})
}
