package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/perennial-engine/perennial/cmd/perennial/playing"
)

// simulationText is a result for people.
func simulationText(r *playing.Result) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s tests of scenario %s by %s, %d looks, %s customers planned per arm (seed %d)\n\n",
		groupDigits(strconv.Itoa(r.Tests)), r.Scenario, r.Method, r.Looks, groupDigits(strconv.Itoa(r.PlannedCustomers)), r.Seed)
	if r.ToDate {
		text.WriteString("Decided on everybody's value so far, which the engine never does.\n\n")
	}
	var rows [][]string
	for _, end := range []struct {
		name  string
		tests int
	}{
		{"promoted", r.Promoted},
		{"with an arm stopped for harm", r.StoppedHarm},
		{"kept control", r.KeptControl},
		{"undecided", r.Undecided},
		{"  waiting for healthy data", r.Unhealthy},
		{"with a sample-ratio alarm", r.RatioAlarmed},
	} {
		rows = append(rows, []string{end.name, groupDigits(strconv.Itoa(end.tests))})
	}
	text.WriteString(align(rows, 1, "  ") + "\n")

	rows = [][]string{{"", "", "95 % interval"}}
	add := func(name string, value *float64, interval *[2]float64, write func(float64) string) {
		if value == nil {
			return
		}
		limits := "–"
		if interval != nil {
			limits = write(interval[0]) + " to " + write(interval[1])
		}
		rows = append(rows, []string{name, write(*value), limits})
	}
	share := func(x float64) string { return fmt.Sprintf("%.2f %%", 100*x) }
	days := func(x float64) string { return fmt.Sprintf("%.0f", x) }
	add("false promotions", r.FalsePromotionRate, r.Interval, share)
	add("false promotions and false alarms of harm", r.ErrorRate, r.ErrorRateInterval, share)
	add("power: the better arm was promoted", r.Power, r.PowerInterval, share)
	add("  matured customers used, of the plan", r.MeanSample, r.MeanSampleInterval, share)
	add("the harmful arm was over before the end", r.HarmStopped, r.HarmStoppedInterval, share)
	add("  before half of the plan had matured", r.HarmStoppedEarly, r.HarmEarlyInterval, share)
	add("  its customers who never met it", r.HarmAvoided, r.HarmAvoidedInterval, share)
	add("days to the decision, median", r.MedianDays, r.MedianDaysInterval, days)
	add("intervals that held the truth", r.Coverage, r.CoverageInterval, share)
	return text.String() + align(rows, 1, "  ")
}
