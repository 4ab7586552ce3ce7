package stats_test

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

var momentMethods = map[string]goldenMethod{
	"moments": func(in inputs) any {
		x := in.floats("x")
		m := stats.FromValues(x)
		s := stats.ShapeOf(x)
		o := momentOutputs(m)
		o["sum"] = stats.Sum(x)
		o["skewness"], o["ex_kurtosis"] = s.Skewness, s.ExcessKurtosis
		return o
	},
	"merge": func(in inputs) any {
		var m stats.Moments
		for _, p := range in.objects("parts") {
			m = m.Add(stats.Moments{N: p.i("n"), Mean: p.f("mean"), M2: p.f("m2")})
		}
		return momentOutputs(m)
	},
	"cov": func(in inputs) any {
		m := stats.FromPairs(in.floats("y"), in.floats("x"))
		return outputs{"cov": m.Cov(), "corr": m.Corr()}
	},
}

func momentOutputs(m stats.Moments) outputs {
	o := outputs{"n": int(m.N), "mean": m.Mean, "m2": m.M2, "var": m.Var()}
	if m.N == 0 {
		o["mean"], o["m2"] = nil, nil
	}
	return o
}

var meanMethods = map[string]goldenMethod{
	"welch_stats": func(in inputs) any {
		return comparison(stats.Welch(in.arm("1"), in.arm("2"), in.test()), "t")
	},
	"pooled_stats": func(in inputs) any {
		return comparison(stats.Pooled(in.arm("1"), in.arm("2"), in.test()), "t")
	},
	"z_stats": func(in inputs) any {
		return comparison(stats.MeanZ(in.arm("1"), in.arm("2"), in.test()), "t")
	},
	"welch_raw": func(in inputs) any {
		x, y := stats.FromValues(in.floats("x")), stats.FromValues(in.floats("y"))
		return comparison(stats.Welch(x, y, in.test()), "t")
	},
	"decision_se": func(in inputs) any {
		a, b := armOf(in.i("n1"), 0, in.f("var1")), armOf(in.i("n2"), 0, in.f("var2"))
		e := stats.MeanErrors(a, b)
		return outputs{"status": status(e.Warning), "se_welch": e.Welch, "se_pooled": e.Pooled, "se_decision": e.Decision}
	},
}

// arm reads the moments of an arm from its n, mean and variance.
func (in inputs) arm(suffix string) stats.Moments {
	in.t.Helper()
	return armOf(in.i("n"+suffix), in.f("mean"+suffix), in.f("var"+suffix))
}

// armOf returns the moments of an arm, whose variance may be null when it has
// fewer than two customers.
func armOf(n int64, mean, variance float64) stats.Moments {
	m := stats.Moments{N: n, Mean: mean}
	if n > 1 {
		m.M2 = variance * float64(n-1)
	}
	if n == 0 {
		m.Mean = 0
	}
	return m
}

func (in inputs) test() stats.Test {
	in.t.Helper()
	return stats.Test{
		Null:        in.f("null_diff"),
		Alternative: in.alternative(),
		Level:       in.f("conf_level"),
	}
}

func (in inputs) alternative() stats.Alternative {
	in.t.Helper()
	switch a := in.s("alternative"); a {
	case "two.sided":
		return stats.TwoSided
	case "greater":
		return stats.Greater
	case "less":
		return stats.Less
	default:
		in.t.Fatalf("unknown alternative %q", a)
		return 0
	}
}

// comparison names the numbers of a comparison as the golden files do.
func comparison(c stats.Comparison, stat string) outputs {
	o := outputs{
		"status": status(c.Warning), "diff": c.Diff, "se": c.SE, stat: c.Stat,
		"p_value": c.P, "log_p": c.LogP, "ci_lower": c.CI.Lower, "ci_upper": c.CI.Upper,
		"df": c.DF,
	}
	if math.IsInf(c.DF, 1) {
		o["df"] = nil // a normal statistic has none
	}
	return o
}

var proportionMethods = map[string]goldenMethod{
	"z_unpooled": func(in inputs) any {
		return comparison(stats.ProportionZ(in.count("1"), in.count("2"), in.f("conf_level")), "z")
	},
	"z_pooled": func(in inputs) any {
		c := stats.ProportionZPooled(in.count("1"), in.count("2"))
		o := comparison(c, "z")
		o["chi2"] = c.Stat * c.Stat
		return o
	},
	"newcombe": func(in inputs) any {
		return rate(stats.Newcombe(in.count("1"), in.count("2"), in.f("conf_level")), "diff")
	},
	"agresti_caffo": func(in inputs) any {
		return rate(stats.AgrestiCaffo(in.count("1"), in.count("2"), in.f("conf_level")), "center")
	},
	"risk_ratio": func(in inputs) any {
		r := stats.RiskRatioKatz(in.count("1"), in.count("2"), in.f("conf_level"))
		return outputs{
			"status": status(r.Warning), "ratio": r.Ratio, "se_log": r.SELog,
			"ci_lower": r.CI.Lower, "ci_upper": r.CI.Upper,
		}
	},
	"wilson": func(in inputs) any {
		return rate(stats.Wilson(in.count(""), in.f("conf_level")), "estimate")
	},
	"clopper_pearson": func(in inputs) any {
		return rate(stats.ClopperPearson(in.count(""), in.f("conf_level")), "estimate")
	},
	"jeffreys": func(in inputs) any {
		return rate(stats.Jeffreys(in.count(""), in.f("conf_level")), "estimate")
	},
	"fisher_exact": func(in inputs) any {
		p, w := stats.FisherExact(in.count("1"), in.count("2"))
		return outputs{"status": status(w), "p_value": p}
	},
}

func (in inputs) count(suffix string) stats.Count {
	in.t.Helper()
	return stats.Count{Successes: in.i("x" + suffix), N: in.i("n" + suffix)}
}

func rate(r stats.RateInterval, estimate string) outputs {
	return outputs{
		"status": status(r.Warning), estimate: r.Estimate,
		"ci_lower": r.CI.Lower, "ci_upper": r.CI.Upper,
	}
}

var liftMethods = map[string]goldenMethod{
	"delta": func(in inputs) any {
		l := stats.LiftDelta(in.meanEstimate("1"), in.meanEstimate("2"), in.f("conf_level"), in.df())
		return lift(l, "se")
	},
	"log_delta": func(in inputs) any {
		l := stats.LiftLog(in.meanEstimate("1"), in.meanEstimate("2"), in.f("conf_level"), in.df())
		return lift(l, "se_log")
	},
	"fieller": func(in inputs) any {
		s := stats.Fieller(in.meanEstimate("1"), in.meanEstimate("2"), in.f("conf_level"), in.df())
		return outputs{
			"status": status(s.Warning), "kind": s.Kind.String(),
			"lower": s.Limits.Lower, "upper": s.Limits.Upper, "g": s.G,
		}
	},
}

func (in inputs) meanEstimate(suffix string) stats.Estimate {
	in.t.Helper()
	return stats.Estimate{Value: in.f("mean" + suffix), SE: math.Sqrt(in.f("var_of_mean" + suffix))}
}

func (in inputs) df() float64 {
	if in.has("df") {
		return in.f("df")
	}
	return math.Inf(1)
}

func lift(l stats.Lift, se string) outputs {
	return outputs{
		"status": status(l.Warning), "lift": l.Lift, se: l.SE,
		"ci_lower": l.CI.Lower, "ci_upper": l.CI.Upper,
	}
}
