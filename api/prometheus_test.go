package api_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape reads /metrics: the value of each series of this program, by name and labels.
func (s *system) scrape() map[string]float64 {
	s.t.Helper()
	a := s.get("/metrics").is(http.StatusOK)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(a.body)))
	if err != nil {
		s.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				values[name] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				values[name] = m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				values[name+" count"] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return values
}

// TestPrometheus: each request, assignment and element of a batch is counted once, under the
// route, reason or result it had.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.put("/v1/touchpoints/home", object{"channel": "web"}).is(http.StatusCreated)
	before := s.scrape()
	for range 3 {
		s.post("/v1/assignments", object{"customer": "c1", "touchpoint": "home"}).is(http.StatusOK)
	}
	s.post("/v1/assignments", object{"customers": []string{"a", "b"}, "touchpoint": "home"}).is(http.StatusOK)
	s.post("/v1/assignments", object{"customer": "c1", "touchpoint": "none"}).is(http.StatusNotFound)
	s.get("/v1/nothing").is(http.StatusNotFound)
	event := object{"id": "o1", "customer": "c1", "type": "order", "occurred_at": start.Format(time.RFC3339)}
	s.post("/v1/events", object{"events": []any{event, event, and(event, object{"id": "o2"}), object{"id": "o3"}}}).receipt(2, 1, 1)
	after := s.scrape()
	for series, want := range map[string]float64{
		"perennial_http_requests_total POST /v1/assignments 200":             4,
		"perennial_http_requests_total POST /v1/assignments 404":             1,
		"perennial_http_requests_total any none 404":                         1,
		"perennial_http_requests_total GET /metrics 200":                     1,
		"perennial_http_request_duration_seconds POST /v1/assignments count": 5,
		"perennial_assignments_total default":                                5,
		"perennial_assignments_total assigned":                               0,
		"perennial_ingested_total events accepted":                           2,
		"perennial_ingested_total events duplicate":                          1,
		"perennial_ingested_total events rejected":                           1,
		"perennial_ingested_total exposures accepted":                        0,
		"perennial_http_requests_total PUT /v1/touchpoints/:key 201":         0,
		"perennial_enrolments_waiting":                                       0,
		"perennial_enrolments_unrecorded_total":                              0,
		"perennial_configuration_version":                                    0,
	} {
		if _, ok := after[series]; !ok {
			t.Errorf("there is no %s", series)
		}
		if got := after[series] - before[series]; got != want {
			t.Errorf("%s grew by %v, want %v", series, got, want)
		}
	}
	if after["perennial_build_info test"] != 1 || after["go_goroutines"] < 1 {
		t.Errorf("no build or runtime metrics among %d series", len(after))
	}
	for series := range maps.Keys(after) {
		if strings.Contains(series, "c1") || strings.Contains(series, "nothing") {
			t.Errorf("a label has what a client chose: %s", series)
		}
	}
}

// TestJobMetrics: what jobs have done is on every server, and agrees with /v1/jobs.
func TestJobMetrics(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	if values := s.scrape(); values["perennial_job_runs_total measure"] != 0 {
		t.Errorf("%v runs before the first", values["perennial_job_runs_total measure"])
	} else if _, ok := values["perennial_job_last_success measure"]; ok {
		t.Error("a job that never ran went well")
	}
	for range 3 {
		s.post("/v1/jobs/measure/run", nil).is(http.StatusOK)
	}
	if _, err := s.db.ExecContext(t.Context(), `
		UPDATE job_runs SET finished_at = started_at + interval '1500 milliseconds', milliseconds = 4500, failures = 1, error = 'broken',
			failed_at = finished_at, failure = 'broken'`); err != nil {
		t.Fatal(err)
	}
	values := s.scrape()
	for series, want := range map[string]float64{
		"perennial_job_runs_total measure":                   3,
		"perennial_job_failures_total measure":               1,
		"perennial_job_duration_seconds_total measure":       4.5,
		"perennial_job_last_start_timestamp_seconds measure": float64(start.Unix()),
		"perennial_job_last_duration_seconds measure":        1.5,
		"perennial_job_last_success measure":                 0,
		"perennial_job_runs_total webhooks":                  0,
	} {
		if got, ok := values[series]; !ok || got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	s.get("/v1/jobs").is(http.StatusOK).has(object{
		"/data/0/name": "measure", "/data/0/runs": 3.0, "/data/0/failures": 1.0, "/data/0/last_failure/error": "broken",
		"/data/0/last_run/seconds": 1.5, "/data/0/last_run/error": "broken", "/data/0/deadline_seconds": 600.0,
		"/data/1/last_run": nil, "/data/1/last_failure": nil, "/data/1/runs": 0.0,
	})
}

// TestConfigurationAge: the age grows while the configuration cannot be confirmed.
func TestConfigurationAge(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	version := s.scrape()["perennial_configuration_version"]
	s.pass(42 * time.Second)
	if got := s.scrape()["perennial_configuration_age_seconds"]; got != 42 {
		t.Errorf("age %v s, want 42", got)
	}
	s.put("/v1/touchpoints/home", object{"channel": "web"}).is(http.StatusCreated)
	after := s.scrape()
	if age, next := after["perennial_configuration_age_seconds"], after["perennial_configuration_version"]; age != 0 || next != version+1 {
		t.Errorf("after a change: age %v s and version %v, want 0 and %v", age, next, version+1)
	}
}

// TestMetricsAreWellNamed holds names and help texts against Prometheus' own rules.
func TestMetricsAreWellNamed(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	a := s.get("/metrics").is(http.StatusOK)
	problems, err := promlint.New(strings.NewReader(string(a.body))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "perennial_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}
