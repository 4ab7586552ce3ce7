package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
)

// The goals, as ratios.
const (
	goalSingle = 0.90 // of the floor's rate
	goalBulk   = 0.80 // of the rate of one flag
	goalP99    = 1.5  // of the floor's
	goalP50    = 1.2  // of the floor's, with four connections
	goalMemory = 300  // MiB
)

// median of what a round says.
func median(rounds []round, of func(round) float64) float64 {
	var values []float64
	for _, r := range rounds {
		values = append(values, of(r))
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func thousands(x float64) string { return fmt.Sprintf("%.1f k", x/1000) }

// verdict says whether a goal is met.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "MISSED"
}

func report(many, few []round, first figure) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(cells ...any) {
		for _, c := range cells {
			_, _ = fmt.Fprint(w, c, "\t")
		}
		_, _ = fmt.Fprintln(w)
	}
	ms := func(x float64) string { return fmt.Sprintf("%.2f", x) }
	line("64 connections, medians of", fmt.Sprint(len(many), " rounds"), "requests/s", "p50 ms", "p99 ms", "server CPU µs")
	for _, row := range []struct {
		name string
		of   func(round) figure
	}{
		{"floor", func(r round) figure { return r.floor }},
		{"one flag", func(r round) figure { return r.single }},
		{fmt.Sprint("all ", touchpoints, " flags"), func(r round) figure { return r.bulk }},
	} {
		line(row.name, "", thousands(median(many, func(r round) float64 { return row.of(r).rate() })),
			ms(median(many, func(r round) float64 { return row.of(r).P50 })), ms(median(many, func(r round) float64 { return row.of(r).P99 })),
			fmt.Sprintf("%.1f", median(many, func(r round) float64 { return row.of(r).CPU })))
	}
	line("one flag, first contacts", "", thousands(first.rate()), ms(first.P50), ms(first.P99), fmt.Sprintf("%.1f", first.CPU))
	_ = w.Flush()

	ratio := func(name string, got, goal float64, met bool) {
		_, _ = fmt.Fprintf(os.Stdout, "%-52s %5.2f   goal %.2f   %s\n", name, got, goal, verdict(met))
	}
	rate := median(many, func(r round) float64 { return r.single.rate() / r.floor.rate() })
	ratio("one flag / floor, requests/s", rate, goalSingle, rate >= goalSingle)
	p99 := median(many, func(r round) float64 { return r.single.P99 / r.floor.P99 })
	ratio("one flag / floor, p99 (at most)", p99, goalP99, p99 <= goalP99)
	all := median(many, func(r round) float64 { return r.bulk.rate() / r.single.rate() })
	ratio(fmt.Sprint("all ", touchpoints, " flags / one flag, requests/s"), all, goalBulk, all >= goalBulk)
	p50 := median(few, func(r round) float64 { return r.single.P50 / r.floor.P50 })
	ratio("one flag / floor, p50 with 4 connections (at most)", p50, goalP50, p50 <= goalP50)
}
