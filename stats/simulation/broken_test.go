package simulation_test

import (
	"math"
	"testing"

	"github.com/perennial-engine/perennial/stats/simulation"
)

// TestBrokenMethodsAreCaught: the small form of TestTables would fail if a method
// were broken. Each case plays a plausible mistake and compares it, with the runs
// of the small form, with the reference of what it is mistaken for.
func TestBrokenMethodsAreCaught(t *testing.T) {
	const runs = 150
	skewed := rowsAA()[13]
	normal := rowsAA()[1]
	play := func(s simulation.Scenario, m simulation.Method) simulation.Figure {
		return simulation.Run(s, []simulation.Method{m}, runs, 1)[0].Reject
	}
	pull := rowsAccrual()[5].Accrual
	family := simulation.Family{Treatments: 3, Metrics: 3, Looks: 30, MetricCorrelation: 0.4}.Run(2*runs, 1)
	split := simulation.Split{PerDay: 1000, Days: 60, Treated: 0.5, Alpha: 0.01, Concentration: 10000}.Run(2*runs, 1)
	matured := referenceAccrual["matured"]["pull-forward"]
	for _, c := range []struct {
		name   string
		broken simulation.Figure
		ref    reference
		column int
	}{
		{"naive for the sequence", play(normal.trial(), simulation.Naive()), referenceAA[normal.full()], 4},
		{"naive for the plan", play(normal.trial(), simulation.Naive()), referenceAA[normal.full()], 2},
		{"Welch for the decision error", play(skewed.trial(), simulation.Sequence("", 1)), referenceUnequal["180/20, ln2"], 1},
		{"the plan with Welch", play(skewed.trial(), gsOBF), referenceUnequal["180/20, ln2"], 3},
		{"value to date for matured value", play(pull, simulation.Sequence("", 1)), matured, 1},
		{"no correction for the family", family.Sequence, referenceFamily["3 treatments x 3 metrics"], 3},
		{"naive p-values in Holm", family.NaiveHolm, referenceFamily["3 treatments x 3 metrics"], 3},
		{"chi-squared at each look", split.Chi2, referenceSplit["planned split, alpha 0.01"], 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			known := c.ref.figure(c.column, c.broken)
			if apart := c.broken.Apart(known); math.Abs(apart) <= agreement {
				t.Errorf("%s against %s: only %.1f standard errors apart", percent(c.broken), percent(known), apart)
			}
		})
	}
}
