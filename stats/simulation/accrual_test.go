package simulation_test

import (
	"github.com/perennial-engine/perennial/stats/simulation"
)

type rowAccrual struct {
	name  string
	quick bool
	simulation.Accrual
}

func rowsAccrual() []rowAccrual {
	five := simulation.Accrual{PerArm: 1500, Entry: 5, Days: 60, Window: 28, Rate: 0.05, LogSD: 1}
	staggered := simulation.Accrual{PerArm: 1500, Entry: 45, Days: 73, Window: 28, Rate: 0.05, Shape: 0.5, LogSD: 1}
	fiveUneven, alike, heavy, pull := five, staggered, staggered, staggered
	fiveUneven.Shape, alike.Shape = 0.5, 0
	heavy.Rate, heavy.LogSD = 0.04, 1.75
	pull.Pull = 0.7
	strong := pull
	strong.PerArm, strong.Pull = 3000, 0.5
	return []rowAccrual{
		{"enrol in 5 days, alike", false, five},
		{"enrol in 5 days, heterogeneous", false, fiveUneven},
		{"enrol in 45 days, heterogeneous", false, staggered},
		{"enrol in 45 days, alike", false, alike},
		{"enrol in 45 days, heavy tail", false, heavy},
		{"pull-forward", true, pull},
		{"strong pull-forward", false, strong},
	}
}

func tableAccrual(b *book) {
	b.accrual("value to date", "to date", simulation.ToDate, 4, func(simulation.Accrual) []simulation.Method {
		return []simulation.Method{
			simulation.Naive(), simulation.Sequence("CS at N", 1),
			gsOBF.Named("GS OBF on the calendar"), simulation.FinalLook(),
		}
	})
	b.accrual("matured value over 28 days", "matured", simulation.Matured, 2, func(simulation.Accrual) []simulation.Method {
		return []simulation.Method{
			simulation.Naive(), simulation.Sequence("CS at N", 1), gsOBF, simulation.FinalLook(),
			simulation.Sequence("CS by the rules", 1).Guarded(equalRule),
			gsOBF.Named("GS by the rules").Guarded(equalRule),
		}
	})
	b.accrual("mean cumulative value at 28 days", "cumulative", simulation.Cumulative, 10, func(a simulation.Accrual) []simulation.Method {
		return []simulation.Method{
			simulation.Naive(), simulation.SequenceByInformation("CS, information clock", pilot(a)), simulation.FinalLook(),
		}
	})
}

// accrual plays all rows measured by one outcome.
func (b *book) accrual(title, key string, outcome simulation.Outcome, fraction int, methods func(simulation.Accrual) []simulation.Method) {
	b.t.Helper()
	b.table("No effect on the value over 28 days, daily looks at "+title+": runs with any rejection, %", "customers",
		names(methods(rowsAccrual()[0].Accrual)))
	for _, row := range rowsAccrual() {
		if !b.long() && !row.quick {
			continue
		}
		row.Outcome = outcome
		part := fraction
		if outcome == simulation.Matured && row.Pull > 0 && b.long() {
			part = 1 // What the goal of false ships is about.
		}
		results := b.play(row.Accrual, methods(row.Accrual), part)
		b.row(row.name, figures(results, rejected), referenceAccrual[key][row.name], percent)
		if outcome != simulation.Matured {
			continue
		}
		for _, r := range []simulation.Result{results[2], results[5]} {
			b.atMost("(a) planned", row.name+", matured, "+r.Method, r.Reject, 0.055)
			b.shipsOfPull(row, r)
		}
		for _, r := range []simulation.Result{results[1], results[4]} {
			b.atMost("(a) open-ended", row.name+", matured, "+r.Method, r.Reject, 0.025)
			b.shipsOfPull(row, r)
		}
	}
}

// shipsOfPull records the false ships of a treatment that only makes people buy
// earlier.
func (b *book) shipsOfPull(row rowAccrual, r simulation.Result) {
	if row.Pull > 0 {
		b.atMost("(c) ships", row.name+", matured, "+r.Method, r.Ship, 0.025)
	}
}
