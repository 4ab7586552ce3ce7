package survival

import (
	"cmp"
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
	type observation struct {
		time  float64
		event bool
	}
	all := make([]observation, len(times))
	for i, t := range times {
		if math.IsNaN(t) || math.IsInf(t, 0) {
			return Table{}, stats.NonFiniteInput
		}
		if t < 0 {
			return Table{}, stats.InvalidInput
		}
		all[i] = observation{t, event[i]}
	}
	slices.SortFunc(all, func(a, b observation) int { return cmp.Compare(a.time, b.time) })
	t := Table{N: int64(len(all))}
	for _, o := range all {
		if n := len(t.Rows); n == 0 || t.Rows[n-1].Time != o.time {
			t.Rows = append(t.Rows, Row{Time: o.time})
		}
		row := &t.Rows[len(t.Rows)-1]
		if o.event {
			row.Events++
		} else {
			row.Censored++
		}
	}
	return t, stats.NoWarning
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
