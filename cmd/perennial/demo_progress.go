package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/perennial-engine/perennial/engine"
)

// The columns of the table of progress to the left and to the right of its chart.
const (
	progressLeft  = "  %-6s %8s %7s %7s %s  "
	progressRight = "  %5s  %s"
	progressWidth = 37 + 9 + 12 // without the chart
)

var points = unit{scale: 100, decimals: 1}

// chart is the plot of the difference in value, from −1 to +3 times the true effect.
func (p *days) chart() (chart plot, truth float64) {
	truth = p.result.TrueEffect.Difference()
	effect := math.Round(truth)
	return plot{low: -effect, high: 3 * effect, columns: min(p.story.width-progressWidth, 48)}, truth
}

func (p *days) tellHead() {
	chart, _ := p.chart()
	p.story.chapter("Week by week")
	p.story.tell("", "A customer has matured once their 28 days are over: only then is their value known. "+
		"Clicks are known after 7 days; ▼ says that %s surely gets fewer. "+
		"The chart is the difference in value with its interval; ┊ is the truth.", advice)
	p.story.say("")
	p.line("", "", "", "clicks,", "", pad("value, EUR a customer", chart.columns), "", "")
	p.line("week", "enrolled", "matured", "points", "", pad(chart.scale(chart.low, chart.high, unit{scale: 1}), chart.columns), "", "verdict")
}

// line writes a line of the table.
func (p *days) line(cells ...any) {
	p.story.say("%s", strings.TrimRight(fmt.Sprintf(progressLeft+"%s"+progressRight, cells...), " "))
}

// pad fills a text up with spaces to a number of columns.
func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(columns-len([]rune(text)), 0))
}

// tellProgress prints one line of the table. Between looks the report is computed for it; the
// look that decided has its own.
func (p *days) tellProgress(ctx context.Context, day int, decided bool) error {
	var r engine.Report
	var err error
	name := fmt.Sprintf("%4d", (day+1)/7)
	if decided {
		name = fmt.Sprintf("day %d", day+1)
		err = p.get(ctx, p.path("/report"), &r)
	} else {
		err = p.post(ctx, p.path("/reports"), nil, &r)
	}
	if err != nil {
		return err
	}
	m, value, err := metricOf(&r, "value_28", advice)
	if err != nil {
		return err
	}
	_, clicks, err := metricOf(&r, "clicked_7", advice)
	if err != nil {
		return err
	}
	var mature int64
	for _, arm := range m.Arms {
		mature += arm.Mature
	}
	mark := " "
	if surelyBelow(clicks) {
		mark = "▼"
		if mature == 0 {
			p.fewerClicks = cmp.Or(p.fewerClicks, day+1)
		}
	}
	chart, truth := p.chart()
	difference := ""
	if value.Difference != nil {
		difference = unit{scale: 1, decimals: 1}.format(value.Difference, true)
	}
	p.line(name, formatCount(int64(p.met)), formatCount(mature), points.format(clicks.Difference, true), mark,
		chart.against(value, truth), difference, shortVerdict(r.Verdict))
	return nil
}

// surelyBelow tells whether the whole interval of the difference is below zero.
func surelyBelow(c engine.Comparison) bool { return c.Interval[1] != nil && *c.Interval[1] < 0 }

// against draws a comparison and where the truth is. What reaches beyond the plot is an arrow.
func (p plot) against(c engine.Comparison, truth float64) string {
	inside := func(x *float64) *float64 {
		if x == nil || *x < p.low || *x > p.high {
			return nil
		}
		return x
	}
	beyond := c.Interval[0] != nil && c.Interval[1] != nil
	c.Difference, c.Interval = inside(c.Difference), [2]*float64{inside(c.Interval[0]), inside(c.Interval[1])}
	line := []rune(p.line(c))
	if beyond && c.Interval[0] == nil && c.Interval[1] == nil { // on both sides
		line = []rune("◄" + strings.Repeat("─", p.columns-2) + "►")
		if c.Difference != nil {
			line[p.column(*c.Difference)] = '●'
		}
	}
	if at := p.column(truth); line[at] == ' ' || line[at] == '─' {
		line[at] = '┊'
	}
	return string(line)
}

// shortVerdict is a verdict in two words.
func shortVerdict(v engine.Verdict) string {
	if v.Action == engine.ActionContinue && len(v.Reasons) > 0 {
		switch v.Reasons[0].Code {
		case "min_customers", "burn_in", "min_days":
			return "too early"
		case "not_decided_yet":
			return "not sure yet"
		}
	}
	return strings.ReplaceAll(string(v.Action), "_", " ")
}
