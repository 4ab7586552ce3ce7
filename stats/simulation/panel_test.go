package simulation_test

import (
	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/simulation"
)

// tablePanel counts how often the other intervals that are shown beside a decision,
// or guard it, hold the truth.
func tablePanel(b *book) {
	skewed := simulation.Value{LogSD: 1.5, Zeros: 0.9, Cap: simulation.PayerQuantile(1.5, 0.99)}
	half := simulation.Value{LogSD: 1, Zeros: 0.5}
	better, richer := skewed, half
	better.Lift, better.Zeros = 0.1, 0.89
	richer.Lift = 0.1
	rows := []struct {
		name               string
		control, treatment simulation.Value
		perLook            [2]int
		fraction           int
	}{
		{"90 % zeros, ln 1.5 capped, no effect", skewed, skewed, [2]int{100, 100}, 2},
		{"90 % zeros, ln 1.5 capped, +10 % payers and spend", skewed, better, [2]int{100, 100}, 2},
		{"50 % zeros, ln 1, no effect", half, half, [2]int{100, 100}, 2},
		{"50 % zeros, ln 1, +10 %", half, richer, [2]int{100, 100}, 2},
		{"90 % zeros, ln 1.5 capped, 200/50, no effect", skewed, skewed, [2]int{200, 50}, 2},
	}
	b.table("Interval after one look at 30 times the customers holds the truth, %", "customers, per look control/treatment",
		shownNames(shownOnce(skewed, skewed)))
	for _, row := range rows {
		panel := simulation.Panel{
			Control: row.control, Treatment: row.treatment, Memory: 0.7,
			PerLook: [2]int{30 * row.perLook[0], 30 * row.perLook[1]}, Looks: 1,
		}
		shown := shownOnce(row.control, row.treatment)
		b.panel(row.name, panel, shown, row.fraction)
	}
	b.table("Sequence holds the truth at every one of 30 looks with 100 payers in both arms, %", "customers, per look control/treatment",
		shownNames(shownAlways(skewed, skewed)))
	for _, row := range rows {
		panel := simulation.Panel{Control: row.control, Treatment: row.treatment, Memory: 0.7, PerLook: row.perLook, Looks: 30}
		b.panel(row.name, panel, shownAlways(row.control, row.treatment), row.fraction)
	}
}

func (b *book) panel(name string, p simulation.Panel, shown []simulation.Shown, fraction int) {
	b.t.Helper()
	f := p.Run(shown, 100, *flagRuns/fraction, b.nextSeed())
	b.row(name, f, reference{}, percent)
	for i, s := range shown {
		b.atLeast("(g)", name+", "+s.Name, f[i], 0.94)
	}
}

func shownNames(shown []simulation.Shown) []string {
	n := make([]string, len(shown))
	for i, s := range shown {
		n[i] = s.Name
	}
	return n
}

const (
	level  = 0.95
	error5 = 1 - level
	// margin is that of the guardrail, of the share of payers.
	margin = 0.02
)

// shownOnce are the intervals for one look.
func shownOnce(control, treatment simulation.Value) []simulation.Shown {
	m1, m2 := control.Mean(), treatment.Mean()
	p1, p2 := 1-control.Zeros, 1-treatment.Zeros
	two := stats.Test{Level: level}
	interval := func(of func(c, t simulation.Seen) stats.Interval) func(c, t simulation.Seen, _ float64) stats.Interval {
		return func(c, t simulation.Seen, _ float64) stats.Interval { return of(c, t) }
	}
	return []simulation.Shown{
		{Name: "difference, Welch", Truth: m2 - m1, Interval: interval(func(c, t simulation.Seen) stats.Interval {
			return stats.Welch(c.Value.Y(), t.Value.Y(), two).CI
		})},
		{Name: "difference, se_d", Truth: m2 - m1, Interval: interval(func(c, t simulation.Seen) stats.Interval {
			half := stats.NormalISF(error5/2) * stats.MeanErrors(c.Value.Y(), t.Value.Y()).Decision
			diff := t.Value.MeanY - c.Value.MeanY
			return stats.Interval{Lower: diff - half, Upper: diff + half}
		})},
		{Name: "difference, CUPED", Truth: m2 - m1, Interval: interval(func(c, t simulation.Seen) stats.Interval {
			return stats.Cuped(c.Value, t.Value, two).CI
		})},
		{Name: "lift, log", Truth: m2/m1 - 1, Interval: interval(func(c, t simulation.Seen) stats.Interval {
			return stats.ShowLift(c.Value.Y().Estimate(), t.Value.Y().Estimate(), level).CI
		})},
		{Name: "lift, Fieller", Truth: m2/m1 - 1, Interval: interval(func(c, t simulation.Seen) stats.Interval {
			return stats.Fieller(c.Value.Y().Estimate(), t.Value.Y().Estimate(), level, float64(c.Value.N)).Limits
		})},
		{Name: "share, Wilson", Truth: p2, Interval: interval(func(_, t simulation.Seen) stats.Interval {
			return stats.Wilson(t.Payers, level).CI
		})},
		{Name: "shares, Newcombe", Truth: p2 - p1, Interval: interval(func(c, t simulation.Seen) stats.Interval {
			return stats.Newcombe(c.Payers, t.Payers, level).CI
		})},
		{Name: "money per payer", Truth: m2/p2 - m1/p1, Interval: interval(func(c, t simulation.Seen) stats.Interval {
			return stats.Ratio(c.Paid, t.Paid, two).CI
		})},
		{Name: "margin of shares, lower 97.5 %", Truth: p2 - (1-margin)*p1, Interval: interval(func(c, t simulation.Seen) stats.Interval {
			return stats.NonInferiorRelative(c.Paid.X(), t.Paid.X(), margin, error5/2, stats.HigherIsBetter).CI
		})},
	}
}

// shownAlways are the sequences.
func shownAlways(control, treatment simulation.Value) []simulation.Shown {
	m1, m2 := control.Mean(), treatment.Mean()
	p1, p2 := 1-control.Zeros, 1-treatment.Zeros
	clock := func(c, t simulation.Seen, alpha, planned float64) float64 {
		return float64(c.Value.N+t.Value.N) * stats.Rho2(alpha, planned)
	}
	decision := func(c, t stats.Moments) stats.Estimate {
		return stats.Estimate{Value: t.Mean - c.Mean, SE: stats.MeanErrors(c, t).Decision}
	}
	return []simulation.Shown{
		{Name: "difference, se_d", Truth: m2 - m1, Interval: func(c, t simulation.Seen, planned float64) stats.Interval {
			return stats.ConfidenceSequence(decision(c.Value.Y(), t.Value.Y()), clock(c, t, error5, planned), error5, 0).CI
		}},
		{Name: "difference, CUPED, se_d", Truth: m2 - m1, Interval: func(c, t simulation.Seen, planned float64) stats.Interval {
			theta, grand := stats.CupedSlope(c.Value, t.Value)
			e := decision(c.Value.Adjust(theta, grand), t.Value.Adjust(theta, grand))
			return stats.ConfidenceSequence(e, clock(c, t, error5, planned), error5, 0).CI
		}},
		{Name: "difference, one of three treatments", Truth: m2 - m1, Interval: func(c, t simulation.Seen, planned float64) stats.Interval {
			return stats.ConfidenceSequence(decision(c.Value.Y(), t.Value.Y()), clock(c, t, error5, planned), error5/3, 0).CI
		}},
		{Name: "shares", Truth: p2 - p1, Interval: func(c, t simulation.Seen, planned float64) stats.Interval {
			return stats.ConfidenceSequence(decision(c.Paid.X(), t.Paid.X()), clock(c, t, error5, planned), error5, 0).CI
		}},
		{Name: "harm, upper limit", Truth: m2 - m1, Interval: func(c, t simulation.Seen, planned float64) stats.Interval {
			u := clock(c, t, 2*error5, planned)
			return stats.OneSidedSequence(decision(c.Value.Y(), t.Value.Y()), u, error5, 0, stats.Less).CI
		}},
		{Name: "margin of shares", Truth: p2 - (1-margin)*p1, Interval: func(c, t simulation.Seen, planned float64) stats.Interval {
			u := clock(c, t, error5, planned)
			return stats.NonInferiorSequence(c.Paid.X(), t.Paid.X(), margin, u, error5, stats.HigherIsBetter).CI
		}},
		{Name: "money per payer", Truth: m2/p2 - m1/p1, Interval: func(c, t simulation.Seen, planned float64) stats.Interval {
			control, w1 := c.Paid.Linearise()
			treatment, w2 := t.Paid.Linearise()
			if w1 != stats.NoWarning || w2 != stats.NoWarning {
				return stats.Interval{}
			}
			return stats.ConfidenceSequence(decision(control, treatment), clock(c, t, error5, planned), error5, 0).CI
		}},
	}
}
