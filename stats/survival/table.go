package survival

import (
	"math"
	"slices"

	"github.com/perennial-engine/perennial/stats"
)

// Row counts what happened at one time.
type Row struct {
	Time             float64
	Events, Censored int64
}

// Table is the life table of one group: N customers at the start and rows of
// strictly increasing, non-negative times. Customers in no row are still at
// risk after the last.
type Table struct {
	N    int64
	Rows []Row
}

// FromTimes returns the table of customers observed for the given times, ended
// by an event or by censoring. It warns [stats.InvalidInput] when the lengths
// differ or a time is negative, [stats.NonFiniteInput] when one is not finite.
func FromTimes(times []float64, event []bool) (Table, stats.Warning) {
	if len(times) != len(event) {
		return Table{}, stats.InvalidInput
	}
	var ended, left []float64
	for i, t := range times {
		if math.IsNaN(t) || math.IsInf(t, 0) {
			return Table{}, stats.NonFiniteInput
		}
		if t < 0 {
			return Table{}, stats.InvalidInput
		}
		if event[i] {
			ended = append(ended, t)
		} else {
			left = append(left, t)
		}
	}
	slices.Sort(ended)
	slices.Sort(left)
	t := Table{N: int64(len(times))}
	for len(ended)+len(left) > 0 {
		row := Row{Time: math.Inf(1)}
		for _, rest := range [...][]float64{ended, left} {
			if len(rest) > 0 {
				row.Time = min(row.Time, rest[0])
			}
		}
		ended, row.Events = after(ended, row.Time)
		left, row.Censored = after(left, row.Time)
		t.Rows = append(t.Rows, row)
	}
	return t, stats.NoWarning
}

// after returns what is left of sorted times after one time, and how many were
// at it.
func after(times []float64, time float64) (rest []float64, at int64) {
	for len(times) > 0 && times[0] == time {
		times = times[1:]
		at++
	}
	return times, at
}

// check says why the table cannot be read.
func (t Table) check() stats.Warning {
	if t.N < 1 {
		return stats.TooFewCustomers
	}
	left, last := t.N, math.Inf(-1)
	for _, r := range t.Rows {
		if math.IsNaN(r.Time) || math.IsInf(r.Time, 0) {
			return stats.NonFiniteInput
		}
		if r.Time <= last || r.Time < 0 || r.Events < 0 || r.Censored < 0 || r.Events > left || r.Censored > left-r.Events {
			return stats.InvalidInput
		}
		left -= r.Events + r.Censored
		last = r.Time
	}
	if len(t.Rows) == 0 {
		return stats.TooFewCustomers
	}
	return stats.NoWarning
}
