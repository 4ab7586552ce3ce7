package api

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perennial-engine/perennial/engine"
)

// vitals collects the numbers that the engine keeps of itself.
type vitals struct {
	engine *engine.Engine
	now    func() time.Time
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	configurationVersion = describe("configuration_version",
		"Version of the configuration that this process serves. It grows with every change and is soon the same in all processes.")
	configurationAge = describe("configuration_age_seconds",
		"Seconds since this process last knew its configuration to be the newest. Above a few seconds it serves an old picture: the database is away, or refuses it.")
	assignments = describe("assignments_total",
		"Customers answered what they get at a touchpoint, by the reason of the answer.", "reason")
	configurationRefused = describe("configuration_refused_total",
		"Configurations and stored pictures that failed their checks. The last good one went on serving.")
	enrolmentsWaiting = describe("enrolments_waiting",
		"Enrolments answered that wait in this server's journal for the database.")
	enrolmentsLag = describe("enrolments_lag_seconds",
		"Seconds that the oldest enrolment in this server's journal has waited for the database.")
	enrolmentsUnrecorded = describe("enrolments_unrecorded_total",
		"Enrolments answered that could not be recorded, because the journal could not be written. Any makes its test unhealthy.")
	identifiersLinked = describe("identifiers_linked", "Linked identifiers in this server's memory.")
	customersEnrolled = describe("customers_enrolled", "Enrolled customers in this server's memory.")
)

// What the database knows of jobs is the same from every server.
var (
	jobRuns = describe("job_runs_total",
		"Runs of a job that have ended, in all processes together. Every server says the same: take the maximum, not the sum.", "job")
	jobFailures = describe("job_failures_total",
		"Runs of a job that failed, in all processes together; /v1/jobs has the reason of the last.", "job")
	jobSeconds = describe("job_duration_seconds_total",
		"Time that the runs of a job took together; its increase by that of job_runs_total is the mean.", "job")
	jobLastStart = describe("job_last_start_timestamp_seconds",
		"When the last run of a job began, in Unix time.", "job")
	jobLastDuration = describe("job_last_duration_seconds",
		"How long the last run of a job took. It is missing while the job runs.", "job")
	jobLastOK = describe("job_last_success",
		"1 when the last run of a job went well, 0 when it failed. It is missing while the job runs.", "job")
)

// collectTimeout bounds how long a scrape waits for the database.
const collectTimeout = 2 * time.Second

// Describe implements prometheus.Collector.
func (v *vitals) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		configurationVersion, configurationAge, configurationRefused, assignments, enrolmentsWaiting, enrolmentsLag,
		enrolmentsUnrecorded, identifiersLinked, customersEnrolled,
		jobRuns, jobFailures, jobSeconds, jobLastStart, jobLastDuration, jobLastOK,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (v *vitals) Collect(to chan<- prometheus.Metric) {
	counts := v.engine.Vitals()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	if !counts.ConfirmedAt.IsZero() {
		send(configurationVersion, prometheus.GaugeValue, float64(counts.ConfigurationVersion))
		send(configurationAge, prometheus.GaugeValue, max(0, v.now().Sub(counts.ConfirmedAt).Seconds()))
	}
	for reason, n := range counts.Assignments {
		send(assignments, prometheus.CounterValue, float64(n), string(reason))
	}
	lag := 0.0
	if counts.Waiting > 0 {
		lag = max(0, v.now().Sub(counts.WaitingSince).Seconds())
	}
	send(configurationRefused, prometheus.CounterValue, float64(counts.Refused))
	send(enrolmentsWaiting, prometheus.GaugeValue, float64(counts.Waiting))
	send(enrolmentsLag, prometheus.GaugeValue, lag)
	send(identifiersLinked, prometheus.GaugeValue, float64(counts.Linked))
	send(customersEnrolled, prometheus.GaugeValue, float64(counts.Enrolled))
	send(enrolmentsUnrecorded, prometheus.CounterValue, float64(counts.Unrecorded))
	v.collectJobs(send)
}

// collectJobs sends what is known of the jobs; nothing while the database is away.
func (v *vitals) collectJobs(send func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string)) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	jobs, err := v.engine.JobStatuses(ctx)
	if err != nil {
		return
	}
	for _, j := range jobs {
		send(jobRuns, prometheus.CounterValue, float64(j.Runs), j.Name)
		send(jobFailures, prometheus.CounterValue, float64(j.Failures), j.Name)
		send(jobSeconds, prometheus.CounterValue, j.Busy.Seconds(), j.Name)
		if j.Last == nil {
			continue
		}
		send(jobLastStart, prometheus.GaugeValue, float64(j.Last.StartedAt.UnixMilli())/1000, j.Name)
		if j.Last.FinishedAt == nil {
			continue
		}
		success := 0.0
		if j.Last.Error == "" {
			success = 1
		}
		send(jobLastDuration, prometheus.GaugeValue, j.Last.FinishedAt.Sub(j.Last.StartedAt).Seconds(), j.Name)
		send(jobLastOK, prometheus.GaugeValue, success, j.Name)
	}
}
