package main

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/perennial-engine/perennial/engine"
)

// The narrowest and the widest plot that reads well.
const (
	minPlot = 24
	maxPlot = 64
)

// chartText draws each comparison as a dot with whiskers, the difference and its
// interval, on one scale with zero marked. Below it, the scale. It is empty where
// there is nothing to draw.
//
//	warm  ·    │  ├─────●─────┤
//	cold  ├──●─┼──┤
//	    -1.00  0             5.80
func chartText(comparisons []engine.Comparison, u unit, width int) string {
	label := 0
	low, high := 0.0, 0.0
	for _, c := range comparisons {
		label = max(label, utf8.RuneCountInString(string(c.Variant)))
		for _, number := range []*float64{c.Difference, c.Interval[0], c.Interval[1]} {
			if number != nil {
				low, high = min(low, *number), max(high, *number)
			}
		}
	}
	if low == high {
		return ""
	}
	margin := (high - low) / 16
	plot := plot{low: low - margin, high: high + margin, columns: min(max(width-label-4, minPlot), maxPlot)}
	rows := make([][]string, 0, len(comparisons)+1)
	for _, c := range comparisons {
		rows = append(rows, []string{string(c.Variant), plot.line(c)})
	}
	rows = append(rows, []string{"", plot.scale(low, high, u)})
	return align(rows, 2, "  ")
}

// A plot maps numbers from low to high to columns.
type plot struct {
	low, high float64
	columns   int
}

func (p plot) column(x float64) int {
	return int(math.Round((x - p.low) / (p.high - p.low) * float64(p.columns-1)))
}

// line draws one comparison. An unbounded side is an arrow to the edge; without
// any limit there are no whiskers, without a difference there is no dot.
func (p plot) line(c engine.Comparison) string {
	cells := []rune(strings.Repeat(" ", p.columns))
	if lower, upper := c.Interval[0], c.Interval[1]; lower != nil || upper != nil {
		from, to := 0, p.columns-1
		if lower != nil {
			from = p.column(*lower)
		}
		if upper != nil {
			to = p.column(*upper)
		}
		for i := from; i <= to; i++ {
			cells[i] = '─'
		}
		cells[from], cells[to] = '◄', '►'
		if lower != nil {
			cells[from] = '├'
		}
		if upper != nil {
			cells[to] = '┤'
		}
	}
	zero := p.column(0)
	if cells[zero] == ' ' {
		cells[zero] = '│'
	} else {
		cells[zero] = '┼'
	}
	if c.Difference != nil {
		cells[p.column(*c.Difference)] = '●'
	}
	return string(cells)
}

// scale writes the ends of the numbers and zero under their columns, as far as
// they do not touch.
func (p plot) scale(low, high float64, u unit) string {
	cells := []rune(strings.Repeat(" ", p.columns))
	write := func(x float64, text string) {
		label := []rune(text)
		from := min(max(p.column(x)-len(label)/2, 0), p.columns-len(label))
		before, after := max(from-1, 0), min(from+len(label)+1, p.columns)
		if strings.TrimSpace(string(cells[before:after])) == "" {
			copy(cells[from:], label)
		}
	}
	write(0, "0")
	if high > 0 {
		write(high, u.format(&high, true))
	}
	if low < 0 {
		write(low, u.format(&low, true))
	}
	return string(cells)
}
