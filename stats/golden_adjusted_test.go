package stats_test

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

var ratioMethods = map[string]goldenMethod{
	"ratio_raw": func(in inputs) any {
		a := stats.FromPairs(in.floats("m1"), in.floats("d1"))
		b := stats.FromPairs(in.floats("m2"), in.floats("d2"))
		return ratio(stats.Ratio(a, b, stats.Test{Level: in.f("conf_level")}))
	},
	"ratio_moments": func(in inputs) any {
		a, b := in.pair("m", "d", "md", "1"), in.pair("m", "d", "md", "2")
		return ratio(stats.Ratio(a, b, stats.Test{Level: in.f("conf_level")}))
	},
}

func ratio(r stats.RatioComparison) outputs {
	o := ratioOutputs(r.Comparison)
	o["ratio1"], o["se1"] = r.Control.Value, r.Control.SE
	o["ratio2"], o["se2"] = r.Treatment.Value, r.Treatment.SE
	o["df_welch"] = r.DFWelch
	return o
}

// ratioOutputs has no status of its own for a denominator of zero.
func ratioOutputs(c stats.Comparison) outputs {
	o := comparison(c, "z")
	if c.Warning == stats.ZeroBaseline {
		o["status"] = "degenerate"
	}
	return o
}

// pair reads joint moments of the variables named y and x.
func (in inputs) pair(y, x, both, arm string) stats.PairMoments {
	in.t.Helper()
	n := in.i("n" + arm)
	df := max(0, float64(n-1))
	return stats.PairMoments{
		N: n, MeanY: in.f("mean_" + y + arm), MeanX: in.f("mean_" + x + arm),
		M2Y: df * in.f("var_"+y+arm), M2X: df * in.f("var_"+x+arm), CXY: df * in.f("cov_"+both+arm),
	}
}

var cupedMethods = map[string]goldenMethod{
	"cuped_raw": func(in inputs) any {
		a, b := in.rawPairs()
		return cuped(stats.Cuped(a, b, stats.Test{Level: in.f("conf_level")}))
	},
	"cuped_moments": func(in inputs) any {
		a, b := in.pair("y", "x", "xy", "1"), in.pair("y", "x", "xy", "2")
		return cuped(stats.Cuped(a, b, stats.Test{Level: in.f("conf_level")}))
	},
	"cuped_relative_raw": func(in inputs) any {
		a, b := in.rawPairs()
		return lift(stats.CupedLift(a, b, 0.95), "se")
	},
	"cuped_relative_moments": func(in inputs) any {
		a, b := in.pair("y", "x", "xy", "1"), in.pair("y", "x", "xy", "2")
		return lift(stats.CupedLift(a, b, 0.95), "se")
	},
	"cuped_ratio_raw": func(in inputs) any {
		rows := func(arm string) stats.RatioMoments {
			return stats.FromRatioRows(in.floats("m"+arm), in.floats("d"+arm),
				in.floats("m"+arm+"_pre"), in.floats("d"+arm+"_pre"))
		}
		c := stats.RatioCuped(rows("1"), rows("2"), stats.Test{Level: 0.95})
		o := ratioOutputs(c.Comparison)
		o["theta"], o["variance_ratio"] = c.Theta, c.VarianceRatio
		return o
	},
	"cuped_ratio_sums": func(in inputs) any {
		l := stats.RatioCupedLift(ratioSums(in.object("arm1")), ratioSums(in.object("arm2")), 0.95)
		o := lift(l, "se_lift")
		return o
	},
	"lin": func(in inputs) any {
		l := stats.LinAdjusted(in.floats("y"), in.floats("x"), in.floats("w"))
		a := stats.AncovaAdjusted(in.floats("y"), in.floats("x"), in.floats("w"))
		return outputs{
			"status": status(l.Warning), "lin_est": l.Effect, "lin_hc2_se": l.HC2, "lin_hc3_se": l.HC3,
			"ancova_est": a.Effect, "ancova_hc2_se": a.HC2, "ancova_hc3_se": a.HC3,
		}
	},
}

func (in inputs) rawPairs() (control, treatment stats.PairMoments) {
	in.t.Helper()
	return stats.FromPairs(in.floats("y1"), in.floats("x1")), stats.FromPairs(in.floats("y2"), in.floats("x2"))
}

func cuped(c stats.CupedComparison) outputs {
	o := comparison(c.Comparison, "t")
	o["theta"] = c.Theta
	o["adj_mean1"], o["var_adj1"] = c.Control.Mean, c.Control.Var()
	o["adj_mean2"], o["var_adj2"] = c.Treatment.Mean, c.Treatment.Var()
	o["diff_unadjusted"], o["variance_ratio"] = c.DiffUnadjusted, c.VarianceRatio
	return o
}

// ratioSums centres the raw sums of the golden files.
func ratioSums(in inputs) stats.RatioMoments {
	in.t.Helper()
	n := in.f("n")
	sums := [4]float64{in.f("sum_m"), in.f("sum_d"), in.f("sum_m_pre"), in.f("sum_d_pre")}
	cross := [4][4]string{
		{"sum_mm", "sum_m_d", "sum_m_mpre", "sum_m_dpre"},
		{"", "sum_dd", "sum_mpre_d", "sum_d_dpre"},
		{"", "", "sum_mm_pre", "sum_mpre_dpre"},
		{"", "", "", "sum_dd_pre"},
	}
	r := stats.RatioMoments{N: int64(n)}
	for i := range sums {
		r.Mean[i] = sums[i] / n
		for j := i; j < 4; j++ {
			r.C[i][j] = in.f(cross[i][j]) - sums[i]*sums[j]/n
			r.C[j][i] = r.C[i][j]
		}
	}
	return r
}

var winsorizeMethods = map[string]goldenMethod{
	"percentile": func(in inputs) any {
		x1, x2 := in.floats("x1"), in.floats("x2")
		lower := 0.0
		if in.has("lower_pct") {
			lower = in.f("lower_pct")
		}
		c := stats.PooledCaps([][]float64{x1, x2}, lower, in.f("upper_pct"), in.b("ignore_zeros"))
		o := outputs{
			"upper_cap": c.Upper, "lower_cap": c.Lower,
			"arm1": capped(c, x1), "arm2": capped(c, x2),
		}
		if math.IsInf(c.Lower, -1) {
			o["lower_cap"] = nil
		}
		return o
	},
	"absolute": func(in inputs) any {
		c := stats.Caps{Lower: math.Inf(-1), Upper: in.f("upper")}
		if in.has("lower") {
			c.Lower = in.f("lower")
		}
		return outputs{"arm1": capped(c, in.floats("x1")), "arm2": capped(c, in.floats("x2"))}
	},
	"quantile": func(in inputs) any {
		q := []float64{}
		for _, p := range in.floats("p") {
			q = append(q, stats.Quantile(in.floats("x"), p))
		}
		return outputs{"q": q}
	},
}

func capped(c stats.Caps, x []float64) outputs {
	m, n := c.Apply(x)
	o := momentOutputs(m)
	o["n_capped"] = n
	return o
}

var stratifiedMethods = map[string]goldenMethod{
	"post_strat": func(in inputs) any { //nolint:misspell // the name in the golden files
		strata := []stats.Stratum{}
		for _, s := range in.objects("strata") {
			strata = append(strata, stats.Stratum{Control: s.arm("1"), Treatment: s.arm("2")})
		}
		r := stats.PostStratified(strata, stats.Test{Level: 0.95})
		o := comparison(r.Comparison, "z")
		o["estimate"], o["interaction_Q"], o["interaction_df"] = r.Diff, r.InteractionQ, r.InteractionDF
		return o
	},
	"mantel_haenszel": func(in inputs) any {
		x1, n1, x2, n2 := in.ints("x1"), in.ints("n1"), in.ints("x2"), in.ints("n2")
		strata := make([]stats.CountStratum, len(x1))
		for i := range strata {
			strata[i].Control = stats.Count{Successes: x1[i], N: n1[i]}
			strata[i].Treatment = stats.Count{Successes: x2[i], N: n2[i]}
		}
		r := stats.MantelHaenszel(strata, 0.95)
		return outputs{
			"status": status(r.Warning), "cmh_chi2": r.Chi2, "cmh_p": r.P, "cmh_log_p": r.LogP,
			"cmh_chi2_cc": r.Chi2Corrected, "or_mh": r.OddsRatio, "se_log_or": r.SELogOdds,
			"or_lower": r.OddsCI.Lower, "or_upper": r.OddsCI.Upper, "log_rr_mh": r.LogRiskRatio,
			"se_log_rr": r.SELogRisk, "rd_mh": r.RiskDifference, "se_rd": r.SERisk,
		}
	},
}

var clusterMethods = map[string]goldenMethod{
	"ols_cluster": func(in inputs) any {
		y, w, id := in.floats("y"), in.floats("w"), in.floats("cluster")
		rows := [2]map[float64][]float64{{}, {}}
		for i := range y {
			arm := int(w[i])
			rows[arm][id[i]] = append(rows[arm][id[i]], y[i])
		}
		var arms [2][]stats.Moments
		for k := range rows {
			for _, x := range rows[k] {
				arms[k] = append(arms[k], stats.FromValues(x))
			}
		}
		r := stats.Clustered(arms[0], arms[1])
		return outputs{
			"status": status(r.Warning), "p_value": nil, "est": r.Diff,
			"classical": r.Classical, "hc1": r.HC1, "hc2": r.HC2,
			"cr0": r.CR0, "cr1": r.CR1, "cr1s": r.CR1S, "cr2": r.CR2, "cr2_df": r.CR2DF,
			"delta_diff": r.Diff, "delta_se": r.Delta,
		}
	},
}

var lookMethods = map[string]goldenMethod{
	"one_look": func(in inputs) any {
		c := in.object("config")
		rules := stats.LookRules{
			Weights:    c.floats("weights"),
			RatioAlpha: c.f("srm_alpha"), RatioConcentration: c.f("srm_concentration"),
			Alpha: c.f("alpha"), NOpt: c.f("n_opt"),
			GuardrailAlpha: c.f("alpha_g"), Margin: c.f("margin"),
			MinN: c.i("min_n"), MinPayers: c.i("min_payers"), MaxN: c.i("max_n"),
		}
		y, x := make([][]float64, len(rules.Weights)), make([][]float64, len(rules.Weights))
		arms := make([]stats.LookArm, len(rules.Weights))
		counts := make([]int, len(arms))
		for _, row := range in.matrix("customers") {
			k := int(row[0])
			arms[k].Assigned++
			counts[k]++
			if row[1] < c.f("H") {
				continue
			}
			value := row[2]
			if c.has("cap") {
				value = min(value, c.f("cap"))
			}
			y[k], x[k] = append(y[k], value), append(x[k], row[3])
			if value > 0 {
				arms[k].Payers++
			}
			arms[k].Retained.N++
			arms[k].Retained.Successes += int64(row[4])
		}
		for k := range arms {
			arms[k].Outcome = stats.FromPairs(y[k], x[k])
		}
		return look(stats.Look(rules, arms), counts, arms)
	},
}

var verdictLabels = map[stats.Verdict]string{
	stats.FixHealth: "HALT_SRM", stats.Continue: "CONTINUE", stats.StopHarm: "STOP_HARM",
	stats.Promote: "SHIP", stats.KeepControl: "STOP_INCONCLUSIVE",
}

func look(r stats.LookResult, counts []int, arms []stats.LookArm) outputs {
	o := outputs{
		"counts": counts, "srm_log_bf": r.Ratio.LogBF, "srm_p": r.Ratio.P, "theta": r.Theta, "winner": nil,
	}
	if r.Winner >= 0 {
		o["winner"] = r.Winner + 1
	}
	means := []any{}
	for _, m := range r.Adjusted {
		means = append(means, momentOutputs(m)["mean"])
	}
	o["adj_mean"] = means
	treatments := []outputs{}
	for k, t := range r.Treatments {
		treatments = append(treatments, outputs{
			"arm": k + 1, "n0": int(arms[0].Outcome.N), "n": int(arms[k+1].Outcome.N),
			"payers0": int(arms[0].Payers), "payers": int(arms[k+1].Payers),
			"diff": t.Effect.Value, "se": t.Effect.SE, "log_e": t.LogE, "p": t.P,
			"ci_lower": t.CI.Lower, "ci_upper": t.CI.Upper,
			"guardrail_contrast": t.Guardrail.Contrast, "guardrail_lower": t.Guardrail.CI.Lower,
			"guardrail_pass": t.Guardrail.NonInferior, "guardrail_harm": t.GuardrailHarm,
			"holm_p": t.HolmP, "label": verdictLabels[t.Verdict],
		})
	}
	o["treatments"] = treatments
	return o
}
