package stats_test

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

var powerMethods = map[string]goldenMethod{
	"means_z": func(in inputs) any {
		p := stats.MeanPower(in.design(), in.f("delta"), in.f("alpha"), in.alternative())
		return outputs{"status": status(p.Warning), "power": p.Power}
	},
	"mde_z": func(in inputs) any {
		mde, w := stats.MinimalEffect(in.design(), in.f("alpha"), in.f("power"))
		return outputs{"status": status(w), "mde": mde}
	},
	"n_means_z": func(in inputs) any {
		return sampleSize(stats.MeanSampleSize(in.f("delta"), in.f("sd1"), in.f("sd2"),
			in.f("alpha"), in.f("power"), in.f("ratio")))
	},
	"n_means_cuped": func(in inputs) any {
		shrink := math.Sqrt(1 - in.f("rho")*in.f("rho"))
		return sampleSize(stats.MeanSampleSize(in.f("delta"), in.f("sd1")*shrink, in.f("sd2")*shrink,
			in.f("alpha"), in.f("power"), in.f("ratio")))
	},
	"n_noninferiority": func(in inputs) any {
		return sampleSize(stats.MarginSampleSize(in.f("effect"), in.f("margin"), in.f("sd1"), in.f("sd2"),
			in.f("alpha"), in.f("power"), in.f("ratio")))
	},
	"means_t": func(in inputs) any {
		p := stats.StudentPower(in.f("n1"), in.f("n2"), in.f("delta"), in.f("sd"), in.f("alpha"))
		return outputs{"status": status(p.Warning), "power": p.Power}
	},
	"props": func(in inputs) any {
		p := stats.PowerOfProportions(in.f("n1"), in.f("n2"), in.f("p1"), in.f("p2"), in.f("alpha"))
		return outputs{
			"status": status(p.Warning), "power_unpooled": p.Unpooled,
			"power_pooled": p.Pooled, "power_arcsine": p.Arcsine,
		}
	},
	"cs_power": func(in inputs) any {
		u := in.f("n") * stats.Rho2(in.f("alpha"), in.f("n_opt"))
		p := stats.PowerOfSequence(in.f("delta"), in.f("se"), u, in.f("alpha"))
		return outputs{"status": status(p.Warning), "critical_z": p.CriticalZ, "power_at_look": p.Power}
	},
	"relative_mean": func(in inputs) any {
		p := stats.LiftPower(in.design(), in.f("mean1"), in.f("relative_effect"), in.f("alpha"))
		return outputs{"status": status(p.Warning), "power": p.Power}
	},
}

func (in inputs) design() stats.Design {
	in.t.Helper()
	return stats.Design{N1: in.f("n1"), N2: in.f("n2"), SD1: in.f("sd1"), SD2: in.f("sd2")}
}

func sampleSize(s stats.SampleSize) outputs {
	o := outputs{"status": status(s.Warning), "n1": s.Control, "n1_one_tail_formula": s.OneTail}
	if s.Warning == stats.NoEffect {
		o["status"] = "infinite"
	}
	return o
}

var metaMethods = map[string]goldenMethod{
	"fixed": func(in inputs) any {
		f := stats.CombineFixed(in.floats("y"), in.floats("v"))
		return outputs{
			"status": status(f.Warning), "estimate": f.Estimate, "se": f.SE,
			"ci_lower": f.CI.Lower, "ci_upper": f.CI.Upper,
			"Q": f.Q, "df": f.DF, "Q_p": f.QP, "i2": f.I2, "h2": f.H2,
		}
	},
	"random": func(in inputs) any {
		methods := map[string]stats.Heterogeneity{
			"DL": stats.DerSimonianLaird, "PM": stats.PauleMandel, "REML": stats.REML,
		}
		method, ok := methods[in.s("method")]
		if !ok {
			in.t.Fatalf("unknown method %q", in.s("method"))
		}
		r := stats.CombineRandom(in.floats("y"), in.floats("v"), method)
		effects, errors := estimates(r.Effects)
		return outputs{
			"status": status(r.Warning), "tau2": r.Tau2, "estimate": r.Estimate, "se": r.SE,
			"ci_lower": r.CI.Lower, "ci_upper": r.CI.Upper, "p_value": r.P,
			"pi_lower": r.Prediction.Lower, "pi_upper": r.Prediction.Upper,
			"hk_se": r.HKSE, "hk_lower": r.HKCI.Lower, "hk_upper": r.HKCI.Upper,
			"blup": effects, "blup_se": errors,
		}
	},
	"eb_zero": func(in inputs) any {
		s := stats.ShrinkToZero(in.floats("y"), in.floats("v"))
		effects, errors := estimates(s.Effects)
		return outputs{"status": status(s.Warning), "tau2": s.Tau2, "shrunk": effects, "post_sd": errors}
	},
}

func estimates(e []stats.Estimate) (values, errors []float64) {
	values, errors = make([]float64, len(e)), make([]float64, len(e))
	for i, x := range e {
		values[i], errors[i] = x.Value, x.SE
	}
	return values, errors
}

var bayesMethods = map[string]goldenMethod{
	"normal_posterior": func(in inputs) any {
		prior := stats.FlatPrior()
		if in.has("prior_var") {
			prior = stats.Prior{Mean: in.f("prior_mean"), Variance: in.f("prior_var")}
		}
		p := stats.NormalPosterior(in.estimate(), prior, in.f("conf_level"))
		return outputs{
			"status": status(p.Warning), "mean": p.Mean, "sd": p.SD, "chance_to_win": p.ChanceToWin,
			"risk_treatment": p.RiskTreatment, "risk_control": p.RiskControl,
			"cri_lower": p.CI.Lower, "cri_upper": p.CI.Upper,
		}
	},
	"beta_binomial": func(in inputs) any {
		b := stats.BetaBinomial(in.count("1"), in.count("2"), in.f("prior_a"), in.f("prior_b"))
		return outputs{
			"status": status(b.Warning), "prob_2_better": b.ProbTreatment,
			"loss_choose_2": b.LossTreatment, "loss_choose_1": b.LossControl,
		}
	},
	"prob_best": func(in inputs) any {
		mean, sd := in.floats("mean"), in.floats("sd")
		arms := make([]stats.Estimate, len(mean))
		for i := range arms {
			arms[i] = stats.Estimate{Value: mean[i], SE: sd[i]}
		}
		p, w := stats.ProbBest(arms)
		return outputs{"status": status(w), "prob_best": p}
	},
	"top_two": func(in inputs) any {
		a, w := stats.TopTwo(in.floats("prob_best"), in.f("beta"), in.f("floor"))
		return outputs{"status": status(w), "allocation": a}
	},
}
