package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/perennial-engine/perennial/engine"
)

// writeReport writes a report as text for people, at most width columns wide
// where the numbers let it.
func writeReport(w io.Writer, report engine.Report, width int) error {
	_, err := io.WriteString(w, reportText(report, width))
	return err
}

func reportText(report engine.Report, width int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s · report %d · as of %s\n", report.Experiment, report.Version, report.AsOf.UTC().Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(&text, "%s, alpha %s · %.0f %% of the planned information", report.Method, strconv.FormatFloat(report.Alpha, 'g', -1, 64), 100*report.Information)
	switch {
	case report.Closing:
		text.WriteString(" · the closing report: everybody has matured\n")
	case report.Look == nil:
		text.WriteString(" · no look: decides nothing\n")
	default:
		fmt.Fprintf(&text, " · look %d\n", *report.Look)
	}

	text.WriteString("\nCustomers\n" + customersText(report))
	text.WriteString("\n" + healthText(report.Health))
	for _, metric := range report.Metrics {
		text.WriteString("\n" + metricText(metric, width))
	}
	text.WriteString(segmentsText(report))
	text.WriteString("\n" + verdictText(report.Verdict))
	if len(report.Warnings) > 0 {
		fmt.Fprintf(&text, "\nWarnings: %s\n", strings.Join(report.Warnings, ", "))
	}
	return text.String()
}

// customersText lists the arms in the order of the experiment, as the metrics have them.
func customersText(report engine.Report) string {
	var arms []engine.VariantKey
	if len(report.Metrics) > 0 {
		for _, arm := range report.Metrics[0].Arms {
			arms = append(arms, arm.Variant)
		}
	}
	for _, arm := range slices.Sorted(maps.Keys(report.Customers)) {
		if !slices.Contains(arms, arm) {
			arms = append(arms, arm)
		}
	}
	var rows [][]string
	for _, arm := range arms {
		rows = append(rows, []string{string(arm), formatCount(report.Customers[arm])})
	}
	return align(rows, 1, "  ")
}

func healthText(health engine.Health) string {
	text := "Health: ok\n"
	if !health.OK {
		text = "Health: NOT OK, nothing is decided on these data\n"
	}
	var rows [][]string
	for _, check := range health.Checks {
		mark := "ok"
		if !check.OK {
			mark = "FAILED"
		}
		rows = append(rows, []string{check.Check, mark, "p " + formatP(check.PValue), check.Detail})
	}
	return text + align(rows, 4, "  ")
}

func metricText(metric engine.MetricReport, width int) string {
	u := unitOf(metric)
	text := string(metric.Metric)
	if metric.Name != "" && metric.Name != text {
		text += " – " + metric.Name
	}
	marks := []string{string(metric.Role), string(metric.Kind)}
	if u.name != "" {
		marks = append(marks, u.name)
	}
	if metric.Direction == engine.Decrease {
		marks = append(marks, "less is better")
	}
	if metric.Margin != nil {
		marks = append(marks, fmt.Sprintf("margin %s %%", strconv.FormatFloat(100**metric.Margin, 'g', 4, 64)))
	}
	text += " (" + strings.Join(marks, ", ") + ")\n"

	rows := [][]string{{"arm", "customers", "mature", "mean", "std. error", "total"}}
	for _, arm := range metric.Arms {
		rows = append(rows, []string{
			string(arm.Variant), formatCount(arm.Customers), formatCount(arm.Mature),
			u.format(arm.Mean, false), u.format(arm.StdError, false), orDash(groupDigits(arm.Total)),
		})
	}
	text += align(rows, 1, "  ")
	if len(metric.Comparisons) == 0 {
		return text
	}

	rows = [][]string{{"against " + controlOf(metric), "difference", "interval", "lift", "interval", "p"}}
	for _, c := range metric.Comparisons {
		rows = append(rows, []string{
			string(c.Variant), u.format(c.Difference, true), u.interval(c.Interval),
			percent.format(c.Lift, true), percent.interval(c.LiftInterval), formatP(cmp.Or(c.AdjustedPValue, c.PValue)),
		})
	}
	text += "\n" + align(rows, 1, "  ")
	for _, c := range metric.Comparisons {
		if notes := comparisonNotes(c, u); len(notes) > 0 {
			text += fmt.Sprintf("  %s: %s\n", c.Variant, strings.Join(notes, ", "))
		}
	}
	if chart := chartText(metric.Comparisons, u, width); chart != "" {
		text += "\n" + chart
	}
	return text
}

// segmentsText is a table of each comparison of a primary: a row for each segment.
func segmentsText(report engine.Report) string {
	if len(report.Segments) == 0 {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\nBy %s: decides nothing, and chance makes some of many segments look different\n", report.SegmentBy)
	for i, metric := range report.Metrics {
		if metric.Role != engine.RolePrimary {
			continue
		}
		u, control := unitOf(metric), controlOf(metric)
		for j, c := range metric.Comparisons {
			rows := [][]string{{string(metric.Metric) + ", " + string(c.Variant), "mature", control, "difference", "interval", "p"}}
			for _, s := range report.Segments {
				part := s.Metrics[i]
				arms := map[engine.VariantKey]int64{}
				for _, a := range part.Arms {
					arms[a.Variant] = a.Mature
				}
				own := part.Comparisons[j]
				rows = append(rows, []string{
					cmp.Or(s.Segment, "(unknown)"), formatCount(arms[c.Variant]), formatCount(arms[engine.VariantKey(control)]),
					u.format(own.Difference, true), u.interval(own.Interval), formatP(cmp.Or(own.AdjustedPValue, own.PValue)),
				})
			}
			text.WriteString(align(rows, 1, "  "))
		}
	}
	return text.String()
}

func comparisonNotes(c engine.Comparison, u unit) []string {
	var notes []string
	if c.Decisive {
		notes = append(notes, "decisive")
	}
	switch {
	case c.NonInferior == nil:
	case *c.NonInferior:
		notes = append(notes, "proved to stay within the margin")
	default:
		notes = append(notes, "not proved to stay within the margin")
	}
	if c.CovariateGain != nil {
		notes = append(notes, "the customers' past explains "+percent.format(c.CovariateGain, false)+" of the variance")
	}
	if s := c.Shrunken; s != nil {
		note := fmt.Sprintf("after %d past tests expect %s", s.PastTests, u.format(s.Difference, true))
		if s.Interval[0] != nil {
			note += " (" + u.interval(s.Interval) + ")"
		}
		notes = append(notes, note)
	}
	if len(c.Warnings) > 0 {
		notes = append(notes, "warning "+strings.Join(c.Warnings, ", "))
	}
	return notes
}

// controlOf names the arm that the others are compared with.
func controlOf(metric engine.MetricReport) string {
	for _, arm := range metric.Arms {
		if !slices.ContainsFunc(metric.Comparisons, func(c engine.Comparison) bool { return c.Variant == arm.Variant }) {
			return string(arm.Variant)
		}
	}
	return "control"
}

var actions = map[engine.DecisionAction]string{
	engine.ActionContinue:      "go on, nothing is decided yet",
	engine.ActionPromote:       "promote %s",
	engine.ActionKeepControl:   "keep control",
	engine.ActionStopHarm:      "stop %s, it does harm",
	engine.ActionNeedsApproval: "promote %s, once a person approves it",
	engine.ActionFixHealth:     "mend the data first, nothing can be decided on them",
	engine.ActionRollback:      "roll the winner back, it does harm",
}

var blocks = map[string]string{
	"approval":      "waits for a person who may decide to approve it",
	"contamination": "waits for a person who has looked at the contaminated customers",
	"manual_mode":   "the policy is manual: a person has to do it",
}

func verdictText(verdict engine.Verdict) string {
	action, ok := actions[verdict.Action]
	if !ok {
		action = strings.ReplaceAll(string(verdict.Action), "_", " ")
	}
	var text strings.Builder
	fmt.Fprintf(&text, "Verdict: %s\n", strings.ReplaceAll(action, "%s", cmp.Or(string(verdict.Variant), "it")))
	for _, reason := range verdict.Reasons {
		fmt.Fprintf(&text, "  %s (%s)\n", cmp.Or(reason.Detail, "no reason given"), reason.Code)
	}
	if at := verdict.ProjectedAt; at != nil {
		fmt.Fprintf(&text, "  at the present rate the plan will be full on %s\n", at.UTC().Format("2006-01-02"))
	}
	for _, block := range verdict.BlockedBy {
		fmt.Fprintf(&text, "  %s (%s)\n", cmp.Or(blocks[block], "blocked"), block)
	}
	return text.String()
}

// A unit is how the numbers of a metric are shown.
type unit struct {
	name     string
	scale    float64
	decimals int
	suffix   string
}

var percent = unit{scale: 100, decimals: 1, suffix: " %"}

// unitOf shows shares as percentages, and as many decimals as the standard
// errors have something to say about: their first two digits.
func unitOf(metric engine.MetricReport) unit {
	u := unit{scale: 1}
	least := math.Inf(1)
	for _, arm := range metric.Arms {
		for _, number := range []*float64{arm.StdError, arm.Mean} {
			if number != nil && *number != 0 {
				least = min(least, math.Abs(*number))
				break
			}
		}
	}
	if metric.Kind.IsBinary() {
		u.scale, u.name = 100, "% of customers, differences in points"
	}
	if !math.IsInf(least, 0) {
		u.decimals = min(max(1-int(math.Floor(math.Log10(u.scale*least))), 0), 6)
	}
	if metric.Kind.IsMoney() {
		u.name = string(metric.Currency)
		u.decimals = max(u.decimals, 2)
	}
	return u
}

// format shows a number of the unit, or a dash; signed with a plus if it is not negative.
func (u unit) format(number *float64, signed bool) string {
	if number == nil {
		return "–"
	}
	text := groupDigits(strconv.FormatFloat(u.scale**number, 'f', u.decimals, 64)) + u.suffix
	if signed && !strings.HasPrefix(text, "-") {
		text = "+" + text
	}
	return text
}

func (u unit) interval(limits [2]*float64) string {
	if limits[0] == nil && limits[1] == nil {
		return "–"
	}
	return u.format(limits[0], true) + " … " + u.format(limits[1], true)
}

func formatCount(n int64) string { return groupDigits(strconv.FormatInt(n, 10)) }

// formatP shows a p-value, or a dash.
func formatP(p *float64) string {
	switch {
	case p == nil:
		return "–"
	case *p < 0.0001:
		return "<0.0001"
	case *p < 0.1:
		return strconv.FormatFloat(*p, 'f', 4, 64)
	}
	return strconv.FormatFloat(*p, 'f', 2, 64)
}
