package stats_test

import (
	"slices"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/ltv"
	"github.com/perennial-engine/perennial/stats/survival"
)

var survivalMethods = map[string]goldenMethod{
	"km": func(in inputs) any {
		c := survival.KaplanMeier(in.table(), in.intervalType(), in.f("conf_level"))
		o := outputs{"status": status(c.Warning), "median": c.Median}
		var time, surv, se, lower, upper, hazard, seHazard []float64
		var risk, events, censored []int
		for _, p := range c.Points {
			time, surv, se = append(time, p.Time), append(surv, p.Survival), append(se, p.SE)
			lower, upper = append(lower, p.CI.Lower), append(upper, p.CI.Upper)
			hazard, seHazard = append(hazard, p.CumHazard), append(seHazard, p.SECumHazard)
			risk, events = append(risk, int(p.AtRisk)), append(events, int(p.Events))
			censored = append(censored, int(p.Censored))
		}
		o["time"], o["surv"], o["std_err"], o["ci_lower"], o["ci_upper"] = time, surv, se, lower, upper
		o["cumhaz"], o["se_cumhaz"] = hazard, seHazard
		o["n_risk"], o["n_event"], o["n_censor"] = risk, events, censored
		return o
	},
	"km_grouped": func(in inputs) any {
		t := survival.Table{N: in.i("n")}
		events, censored := in.ints("events"), in.ints("censored")
		for i, time := range in.floats("time") {
			t.Rows = append(t.Rows, survival.Row{Time: time, Events: events[i], Censored: censored[i]})
		}
		c := survival.KaplanMeier(t, in.intervalType(), 0.95)
		var risk []int
		var surv, se, lower, upper, mean, meanSE []float64
		for _, at := range in.floats("at") {
			i := slices.IndexFunc(c.Points, func(p survival.Point) bool { return p.Time == at })
			if i < 0 {
				in.t.Fatalf("no row at %v", at)
			}
			p := c.Points[i]
			risk, surv, se = append(risk, int(p.AtRisk)), append(surv, p.Survival), append(se, p.SE)
			lower, upper = append(lower, p.CI.Lower), append(upper, p.CI.Upper)
		}
		for _, tau := range in.floats("taus") {
			m := t.RestrictedMean(tau)
			mean, meanSE = append(mean, m.Mean), append(meanSE, m.SE)
		}
		return outputs{
			"status": status(c.Warning), "n_risk": risk, "surv": surv, "std_err": se, "ci_lower": lower, "ci_upper": upper,
			"rmst": mean, "rmst_se": meanSE,
		}
	},
	"rmst": func(in inputs) any {
		m := in.table().RestrictedMean(in.f("tau"))
		return outputs{"status": status(m.Warning), "rmst": m.Mean, "se": m.SE}
	},
	"rmst_diff": func(in inputs) any {
		g := in.groups("time", "event", "group", nil)
		c := survival.CompareMeans(g[0], g[1], in.f("tau"), in.f("conf_level"))
		return outputs{
			"status": status(c.Warning), "rmst1": c.Control.Mean, "se1": c.Control.SE, "rmst2": c.Treatment.Mean, "se2": c.Treatment.SE,
			"diff": c.Diff, "se": c.SE, "z": c.Z, "p_value": c.P, "ci_lower": c.CI.Lower, "ci_upper": c.CI.Upper,
			"ratio": c.Ratio, "ratio_lower": c.RatioCI.Lower, "ratio_upper": c.RatioCI.Upper,
		}
	},
	"surv_diff_at_t": func(in inputs) any {
		g := in.groups("time", "event", "group", nil)
		c := survival.CompareShares(g[0], g[1], in.f("t"), in.f("conf_level"))
		return outputs{
			"status": status(c.Warning), "surv1": c.Control, "surv2": c.Treatment, "diff": c.Diff, "se": c.SE, "z": c.Z, "p_value": c.P,
			"ci_lower": c.CI.Lower, "ci_upper": c.CI.Upper, "cloglog_z": c.CloglogZ, "cloglog_p": c.CloglogP,
		}
	},
	"logrank": func(in inputs) any {
		return logRank(survival.LogRank(in.groups("time", "event", "group", nil), in.f("rho")))
	},
	"logrank_stratified": func(in inputs) any {
		strata := in.floats("strata")
		var tables [][]survival.Table
		for _, s := range slices.Compact(slices.Sorted(slices.Values(strata))) {
			tables = append(tables, in.groups("time", "event", "group", func(i int) bool { return strata[i] == s }))
		}
		return logRank(survival.StratifiedLogRank(tables, in.f("rho")))
	},
	"cox": func(in inputs) any {
		ties, ok := map[string]survival.Ties{"efron": survival.Efron, "breslow": survival.Breslow}[in.s("ties")]
		if !ok {
			in.t.Fatalf("unknown ties %q", in.s("ties"))
		}
		c := survival.Cox(in.floats("time"), in.events(), in.floats("x"), ties)
		return outputs{
			"status": status(c.Warning), "coef": c.Coef, "se": c.SE, "hr": c.HazardRatio, "hr_lower": c.CI.Lower, "hr_upper": c.CI.Upper,
			"z": c.Z, "p_wald": c.P, "loglik0": c.LogLik0, "loglik1": c.LogLik1,
			"score_chi2": c.ScoreChi2, "lr_chi2": c.LRChi2,
		}
	},
}

func logRank(r survival.LogRankResult) outputs {
	return outputs{
		"status": status(r.Warning), "chi2": r.Chi2, "df": r.DF, "p_value": r.P, "log_p": r.LogP,
		"observed": r.Observed, "expected": r.Expected,
	}
}

func (in inputs) events() []bool {
	in.t.Helper()
	out := []bool{}
	for _, e := range in.floats("event") {
		out = append(out, e == 1)
	}
	return out
}

func (in inputs) table() survival.Table {
	in.t.Helper()
	t, w := survival.FromTimes(in.floats("time"), in.events())
	if w != stats.NoWarning {
		in.t.Fatal(w)
	}
	return t
}

// groups returns a table per group, in the order of the group numbers, of the
// rows that keep wants (nil: all).
func (in inputs) groups(time, event, group string, keep func(i int) bool) []survival.Table {
	in.t.Helper()
	times, events, ids := in.floats(time), in.floats(event), in.floats(group)
	var tables []survival.Table
	for _, g := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		var t []float64
		var e []bool
		for i := range times {
			if ids[i] == g && (keep == nil || keep(i)) {
				t, e = append(t, times[i]), append(e, events[i] == 1)
			}
		}
		table, w := survival.FromTimes(t, e)
		if w != stats.NoWarning {
			in.t.Fatal(w)
		}
		tables = append(tables, table)
	}
	return tables
}

func (in inputs) intervalType() survival.IntervalType {
	in.t.Helper()
	kind, ok := map[string]survival.IntervalType{
		"plain": survival.Plain, "log": survival.Log, "log-log": survival.LogLog,
	}[in.s("conf_type")]
	if !ok {
		in.t.Fatalf("unknown conf_type %q", in.s("conf_type"))
	}
	return kind
}

var ltvMethods = map[string]goldenMethod{
	"mcf": func(in inputs) any {
		v := ltv.CumulativeValue(in.valueArm(), in.f("H"))
		return outputs{"status": status(v.Warning), "mcf": v.Mean, "se": v.SE}
	},
	"matured": func(in inputs) any {
		m, w := ltv.Matured(in.valueArm(), in.f("H"))
		o := momentOutputs(m)
		o["status"] = status(w)
		return o
	},
	"mcf_diff": func(in inputs) any {
		c := ltv.Compare(in.object("arm1").valueArm(), in.object("arm2").valueArm(), in.f("H"), in.f("conf_level"))
		return outputs{
			"status": status(c.Warning), "mcf1": c.Control.Mean, "se1": c.Control.SE,
			"mcf2": c.Treatment.Mean, "se2": c.Treatment.SE, "diff": c.Diff, "se": c.SE,
			"z": c.Z, "p_value": c.P, "ci_lower": c.CI.Lower, "ci_upper": c.CI.Upper,
		}
	},
	"discounted_rmst": func(in inputs) any {
		m := in.table().DiscountedMean(in.f("tau"), in.f("delta"))
		return outputs{"status": status(m.Warning), "value": m.Mean, "se": m.SE}
	},
	"surrogate_index": func(in inputs) any {
		s := stats.SurrogateIndex(in.matrix("history_s"), in.floats("history_y"),
			in.matrix("control_s"), in.matrix("treatment_s"), in.f("bias_sd"))
		return outputs{
			"status": status(s.Warning), "beta": s.Beta, "effect": s.Effect, "se_sampling": s.SESampling, "se_model": s.SEModel,
			"se_total": s.SETotal, "z": s.Z, "p_value": s.P,
		}
	},
}

func (in inputs) valueArm() ltv.Arm {
	in.t.Helper()
	a := ltv.Arm{FollowUp: in.floats("followup")}
	for _, e := range in.matrix("events") {
		a.Purchases = append(a.Purchases, ltv.Purchase{Customer: int(e[0]), Age: e[1], Amount: e[2]})
	}
	return a
}
