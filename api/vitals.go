package api

import (
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

// Describe implements prometheus.Collector.
func (v *vitals) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		configurationVersion, configurationAge, configurationRefused, assignments, enrolmentsWaiting, enrolmentsLag,
		enrolmentsUnrecorded, identifiersLinked, customersEnrolled,
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
}
