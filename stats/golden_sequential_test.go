package stats_test

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

var ratioCheckMethods = map[string]goldenMethod{
	"chi2": func(in inputs) any {
		r := stats.SampleRatioChi2(in.ints("counts"), in.floats("weights"))
		return outputs{
			"status": status(r.Warning), "chi2": r.Chi2, "df": r.DF, "p_value": r.P, "log_p": r.LogP,
		}
	},
	"sequential": func(in inputs) any {
		p0 := in.floats("p0")
		counts := make([]int64, len(p0))
		var logBF, p, logP, posterior []float64
		running := 0.0
		for _, row := range in.matrix("rows") {
			for i, n := range toInts(row) {
				counts[i] += n
			}
			r := stats.SampleRatioSequential(counts, p0, in.f("concentration"))
			running = min(running, r.LogP)
			logBF = append(logBF, r.LogBF)
			p = append(p, math.Exp(running))
			logP = append(logP, running)
			posterior = append(posterior, r.Posterior)
		}
		return outputs{"log_bf": logBF, "p_value": p, "log_p": logP, "posterior_prob": posterior}
	},
}

var sequenceMethods = map[string]goldenMethod{
	"rho2": func(in inputs) any {
		alpha, n := in.f("alpha"), in.f("n_opt")
		return outputs{"approx": stats.Rho2(alpha, n), "exact": stats.MixtureRateExact(alpha) / n}
	},
	"two_sided": func(in inputs) any {
		return sequence(stats.ConfidenceSequence(in.estimate(), in.f("n")*in.f("rho2"), in.f("alpha"), in.f("null")))
	},
	"two_sided_info": func(in inputs) any {
		u := stats.InformationClock(in.f("alpha"), in.f("var_opt"), in.f("se"))
		o := sequence(stats.ConfidenceSequence(in.estimate(), u, in.f("alpha"), in.f("null")))
		o["u"] = u
		return o
	},
	"one_sided_closed": func(in inputs) any {
		half := stats.OneSidedHalfWidth(in.f("se"), in.f("n")*in.f("rho2"), in.f("alpha"))
		return outputs{
			"half_width": half, "lower_greater": in.f("estimate") - half, "upper_less": in.f("estimate") + half,
		}
	},
	"one_sided_exact": func(in inputs) any {
		u := in.f("n") * in.f("rho2")
		g := stats.OneSidedSequence(in.estimate(), u, in.f("alpha"), in.f("null"), stats.Greater)
		l := stats.OneSidedSequence(in.estimate(), u, in.f("alpha"), in.f("null"), stats.Less)
		return outputs{
			"status": status(g.Warning), "half_width": g.HalfWidth, "log_e_greater": g.LogE, "p_greater": g.P,
			"log_e_less": l.LogE, "p_less": l.P,
		}
	},
	"gavi": func(in inputs) any {
		return sequence(stats.ConfidenceSequence(in.estimate(), in.f("n")/in.f("nu"), in.f("alpha"), 0))
	},
	"msprt": func(in inputs) any {
		v := in.f("var_diff")
		e := stats.Estimate{Value: in.f("diff"), SE: math.Sqrt(v)}
		o := sequence(stats.ConfidenceSequence(e, in.f("tau2")/v, in.f("alpha"), 0))
		o["log_lambda"] = o["log_e"]
		return o
	},
	"normal_mixture": func(in inputs) any {
		v, alphaOpt := in.f("v"), in.f("alpha_opt")
		e := stats.Estimate{Value: in.f("s"), SE: math.Sqrt(v)}
		if in.b("one_sided") {
			rho := 1 / stats.Rho2(2*alphaOpt, in.f("v_opt"))
			s := stats.OneSidedSequence(e, v/rho, in.f("alpha"), 0, stats.Greater)
			return outputs{"rho": rho, "log_mixture": s.LogE, "bound": s.HalfWidth}
		}
		rho := 1 / stats.Rho2(alphaOpt, in.f("v_opt"))
		s := stats.ConfidenceSequence(e, v/rho, in.f("alpha"), 0)
		return outputs{"rho": rho, "log_mixture": s.LogE, "bound": s.HalfWidth}
	},
	"path": func(in inputs) any {
		var estimate, se, lower, upper, logE, running []float64
		var path stats.SequencePath
		for _, l := range in.objects("looks") {
			a, b := l.arm("1"), l.arm("2")
			e := stats.Estimate{Value: b.Mean - a.Mean, SE: stats.MeanErrors(a, b).Welch}
			s := stats.ConfidenceSequence(e, float64(a.N+b.N)*in.f("rho2"), in.f("alpha"), 0)
			path = path.Look(s, 0, in.f("alpha"), min(a.N, b.N) < in.i("min_n_per_arm"))
			estimate, se = append(estimate, e.Value), append(se, e.SE)
			lower, upper = append(lower, s.CI.Lower), append(upper, s.CI.Upper)
			logE, running = append(logE, s.LogE), append(running, math.Exp(path.LogP))
		}
		o := outputs{
			"estimate": estimate, "se": se, "ci_lower": lower, "ci_upper": upper,
			"log_e": logE, "running_p": running, "first_reject_look": nil, "direction": path.Direction,
		}
		if path.RejectedAt > 0 {
			o["first_reject_look"] = path.RejectedAt
		}
		return o
	},
}

func (in inputs) estimate() stats.Estimate {
	in.t.Helper()
	return stats.Estimate{Value: in.f("estimate"), SE: in.f("se")}
}

func sequence(s stats.Sequence) outputs {
	return outputs{
		"status": status(s.Warning), "half_width": s.HalfWidth, "ci_lower": s.CI.Lower,
		"ci_upper": s.CI.Upper, "log_e": s.LogE, "p_value": s.P, "log_p": s.LogP,
	}
}

var marginMethods = map[string]goldenMethod{
	"absolute": func(in inputs) any {
		return margin(stats.NonInferiorAbsolute(in.arm("1"), in.arm("2"), in.f("margin"), in.f("alpha"), in.direction()))
	},
	"relative": func(in inputs) any {
		return margin(stats.NonInferiorRelative(in.arm("1"), in.arm("2"), in.f("margin"), in.f("alpha"), in.direction()))
	},
	"cs_relative": func(in inputs) any {
		a, b := in.arm("1"), in.arm("2")
		u := float64(a.N+b.N) * in.f("rho2")
		r := stats.NonInferiorSequence(a, b, in.f("margin"), u, in.f("alpha"), in.direction())
		return outputs{
			"status": marginStatus(r.Warning), "contrast": r.Contrast, "ci_lower": r.CI.Lower,
			"ci_upper": r.CI.Upper, "non_inferior": r.NonInferior,
		}
	},
	"harm": func(in inputs) any {
		c := stats.Harm(in.arm("1"), in.arm("2"), 1-in.f("alpha"), in.direction())
		return outputs{"status": status(c.Warning), "t": c.Stat, "p_value": c.P, "harm": c.P <= in.f("alpha")}
	},
	"tost": func(in inputs) any {
		e := stats.Equivalent(in.arm("1"), in.arm("2"), in.f("margin"), in.f("alpha"))
		return outputs{
			"status": status(e.Warning), "p_value": e.P, "p_lower": e.PLower, "p_upper": e.PUpper,
			"ci_lower": e.CI.Lower, "ci_upper": e.CI.Upper, "equivalent": e.Equivalent,
		}
	},
}

func (in inputs) direction() stats.Direction {
	in.t.Helper()
	switch d := in.s("direction"); d {
	case "higher_is_better":
		return stats.HigherIsBetter
	case "lower_is_better":
		return stats.LowerIsBetter
	default:
		in.t.Fatalf("unknown direction %q", d)
		return 0
	}
}

func margin(r stats.NonInferiority) outputs {
	o := comparison(r.Comparison, "t")
	o["status"], o["contrast"], o["non_inferior"] = marginStatus(r.Warning), r.Diff, r.NonInferior
	return o
}

// marginStatus is the status of a relative margin.
func marginStatus(w stats.Warning) string {
	if w == stats.ZeroBaseline {
		return "undefined_relative_margin"
	}
	return status(w)
}

var corrections = map[string]stats.Correction{
	"bonferroni": stats.Bonferroni, "holm": stats.Holm, "hochberg": stats.Hochberg,
	"hommel": stats.Hommel, "bh": stats.BenjaminiHochberg, "by": stats.BenjaminiYekutieli,
	"sidak": stats.Sidak, "holm_sidak": stats.HolmSidak,
}

var multiplicityMethods = map[string]goldenMethod{
	"p_adjust": func(in inputs) any {
		method, ok := corrections[in.s("method")]
		if !ok {
			in.t.Fatalf("unknown correction %q", in.s("method"))
		}
		return outputs{"adjusted": stats.Adjust(in.floats("p"), method)}
	},
	"weighted_holm": func(in inputs) any {
		return outputs{"adjusted": stats.WeightedHolm(in.floats("p"), in.floats("w"))}
	},
	"fixed_sequence": func(in inputs) any {
		return outputs{"adjusted": stats.FixedSequence(in.floats("p"))}
	},
	"ebh": func(in inputs) any {
		rejected := stats.EBH(in.floats("e"), in.f("q"))
		k := 0
		for _, r := range rejected {
			if r {
				k++
			}
		}
		return outputs{"k": k, "rejected": rejected}
	},
	"dunnett": func(in inputs) any {
		return outputs{"critical": stats.DunnettCritical(int(in.i("comparisons")), in.f("alpha"), in.f("rho"))}
	},
}
