package stats_test

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

var groupMethods = map[string]goldenMethod{
	"spending": func(in inputs) any {
		spent := []float64{}
		for _, t := range in.floats("times") {
			spent = append(spent, in.spending("").Spent(in.f("alpha_side"), t))
		}
		return outputs{"spent": spent}
	},
	"bounds": func(in inputs) any {
		return boundaries(stats.Plan{
			Spending: in.spending(""), Alpha: in.f("alpha_side"),
			TwoSided: in.b("two_sided"), Times: in.floats("info_times"),
		}.Boundaries())
	},
	"bounds_observed_info": func(in inputs) any {
		return boundaries(stats.Plan{
			Spending: in.spending(""), Alpha: in.f("alpha_side"), TwoSided: in.b("two_sided"),
			Times: in.floats("info_times"), SpendTimes: in.floats("spend_times"),
		}.Boundaries())
	},
	"exit_probs": func(in inputs) any {
		var lower []float64
		if in.has("lower") {
			lower = in.floats("lower")
		}
		c := stats.CrossingProbabilities(in.floats("info_times"), in.floats("upper"), lower, in.f("drift"))
		o := outputs{
			"status": status(c.Warning), "p_upper": c.Upper, "p_lower": c.Lower,
			"power_upper": c.Power, "expected_information": c.ExpectedInformation,
		}
		if lower == nil {
			o["p_lower"] = nil
		}
		return o
	},
	"classical": func(in inputs) any {
		delta := 0.0
		switch in.s("kind") {
		case "pocock":
			delta = 0.5
		case "wt":
			delta = in.f("delta")
		}
		c := stats.WangTsiatis(int(in.i("looks")), in.f("alpha_two_sided"), delta)
		return outputs{"status": status(c.Warning), "constant": c.Constant, "bounds": c.Upper}
	},
	"inflation": func(in inputs) any {
		plan := stats.Plan{Spending: in.spending(""), Alpha: in.f("alpha_side"), TwoSided: true}
		looks := in.i("looks")
		for k := range looks {
			plan.Times = append(plan.Times, float64(k+1)/float64(looks))
		}
		r := plan.Inflation(in.f("power"))
		return outputs{
			"status": status(r.Warning), "drift": r.Drift, "inflation": r.Factor, "expected_information_alt": r.ExpectedInformation,
		}
	},
	"futility_nonbinding": func(in inputs) any {
		plan := stats.Plan{
			Spending: in.spending(""), Alpha: in.f("alpha_side"), Times: in.floats("info_times"),
		}
		r := plan.NonBindingFutility(in.spending("beta_"), in.f("beta"))
		return outputs{"status": status(r.Warning), "upper": r.Upper, "lower": r.Lower, "drift": r.Drift}
	},
	"stagewise": func(in inputs) any {
		plan := stats.Plan{Spending: in.spending(""), Alpha: in.f("alpha_side")}
		r := plan.Stagewise(in.floats("information"), int(in.i("look")), in.f("z"), in.f("conf_level"))
		return outputs{
			"status": status(r.Warning), "p_value_one_sided": r.P, "median_unbiased": r.MedianUnbiased,
			"ci_lower": r.CI.Lower, "ci_upper": r.CI.Upper, "naive": r.Naive,
		}
	},
	"repeated_p": func(in inputs) any {
		plan := stats.Plan{Spending: in.spending(""), TwoSided: true, Times: in.floats("info_times")}
		p, w := plan.RepeatedP(int(in.i("look")), in.f("z"))
		return outputs{"status": status(w), "repeated_p_one_sided": p}
	},
	"independent_increments": func(in inputs) any {
		r := stats.IndependentIncrements(in.floats("estimates"), in.matrix("cov"))
		return outputs{"status": status(r.Warning), "estimates": r.Estimates, "variances": r.Variances, "information": r.Information}
	},
}

var spendingFamilies = map[string]stats.SpendingFamily{
	"ld_obf": stats.OBrienFlemingLike, "ld_pocock": stats.PocockLike,
	"hsd": stats.HwangShihDeCani, "power": stats.PowerSpending,
}

// spending reads a spending function; beta-spending has prefixed names.
func (in inputs) spending(prefix string) stats.Spending {
	in.t.Helper()
	family, ok := spendingFamilies[in.s(prefix+"spending")]
	if !ok {
		in.t.Fatalf("unknown spending %q", in.s(prefix+"spending"))
	}
	s := stats.Spending{Family: family}
	if p := in.f(prefix + "param"); !math.IsNaN(p) {
		s.Param = p
	}
	return s
}

func boundaries(b stats.Boundaries) outputs {
	return outputs{
		"status": status(b.Warning), "spent": b.Spent, "bounds": b.Upper, "nominal_p": b.NominalP,
	}
}
