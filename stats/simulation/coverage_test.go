package simulation_test

import (
	"github.com/perennial-engine/perennial/stats/simulation"
)

// tableCoverage counts how often the interval reported at the stop holds the truth.
func tableCoverage(b *book) {
	even, holdout := [2]int{500, 500}, [2]int{100, 900}
	skewed := simulation.Value{LogSD: 1.5, Zeros: 0.9, Cap: simulation.PayerQuantile(1.5, 0.99)}
	uncapped := simulation.Value{LogSD: 2, Zeros: 0.9}
	lifted := func(v simulation.Value, lift float64) simulation.Value {
		v.Lift = lift
		return v
	}
	rows := []struct {
		name     string
		trial    simulation.Trial
		rule     simulation.BurnIn
		fraction int
	}{
		{"normal, no effect", normalTrial(30, 0), equalRule, 1},
		{"normal, effect of the design", normalTrial(30, designEffect), equalRule, 1},
		{"ln 1.5 capped, no effect", trial30(skewed, skewed, even), equalRule, 2},
		{"ln 1.5 capped, +20 %", trial30(skewed, lifted(skewed, 0.2), even), equalRule, 2},
		{"ln 2 uncapped, +50 %", trial30(uncapped, lifted(uncapped, 0.5), even), equalRule, 2},
		{"ln 1.5 capped, 100/900, no effect", trial30(skewed, skewed, holdout), unequalRule, 2},
		{"ln 1.5 capped, 100/900, +33 %", trial30(skewed, lifted(skewed, 0.33), holdout), unequalRule, 2},
		{"ln 1.5 capped, 100/900, -30 %", trial30(skewed, lifted(skewed, -0.3), holdout), unequalRule, 2},
	}
	columns := []string{"CS at N", "GS OBF, repeated", "naive z"}
	b.table("Interval at the stop holds the truth, 30 looks, by the rules, %", "customers", columns)
	for _, row := range rows {
		results := b.play(row.trial, []simulation.Method{
			simulation.Sequence("CS at N", 1).Guarded(row.rule),
			gsOBF.Named("GS OBF, repeated").Guarded(row.rule),
			simulation.Naive().After(row.rule),
		}, row.fraction)
		b.row(row.name, figures(results, covered), reference{}, percent)
		for _, r := range results[:2] {
			b.atLeast("(g)", row.name+", "+r.Method, r.Covered, 0.94)
		}
	}
	fraction := 10
	if b.long() {
		fraction = 2
	}
	b.table("Stage-wise interval at the stop holds the truth, GS OBF with 5 looks, %", "customers", []string{"stage-wise"})
	for _, row := range []struct {
		name  string
		trial simulation.Trial
	}{{"normal, no effect", normalTrial(5, 0)}, {"normal, effect of the design", normalTrial(5, designEffect)}} {
		results := b.play(row.trial, []simulation.Method{simulation.Stagewise("stage-wise", obf)}, fraction)
		b.row(row.name, figures(results, covered), reference{}, percent)
		b.atLeast("(g)", row.name+", stage-wise, 5 looks", results[0].Covered, 0.94)
	}
}

func covered(r simulation.Result) simulation.Figure { return r.Covered }

func trial30(control, treatment simulation.Value, perLook [2]int) simulation.Trial {
	return simulation.Trial{Control: control, Treatment: treatment, PerLook: perLook, Looks: 30}
}
