package survival_test

import (
	"math"
	"testing"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/survival"
)

// FuzzSurvival: no panic, no NaN without a warning, no interval that excludes
// its own estimate, on tables of any content.
func FuzzSurvival(f *testing.F) {
	for _, v := range []float64{0, 1, -1, 3, 1e-300, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)} {
		f.Add(1.0, 2.0, 3.0, uint8(5), v, 0.01)
		f.Add(v, 2.0, 3.0, uint8(9), 2.5, v)
		f.Add(1.0, 1.0, v, uint8(0), 1.0, 0.0)
		f.Add(v, v, v, uint8(255), v, v)
	}
	f.Fuzz(func(t *testing.T, a, b, c float64, bits uint8, tau, rho float64) {
		times := []float64{a, b, c, b, a}
		event := make([]bool, 5)
		for i := range event {
			event[i] = bits>>i&1 == 1
		}
		one, w := survival.FromTimes(times, event)
		if w != stats.NoWarning {
			one = survival.Table{}
		}
		two := survival.Table{N: int64(bits), Rows: []survival.Row{{a, int64(bits) / 3, 1}, {c, 1, int64(bits) / 4}}}
		for _, table := range []survival.Table{one, two} {
			for _, kind := range []survival.IntervalType{survival.LogLog, survival.Log, survival.Plain, 9} {
				curve := survival.KaplanMeier(table, kind, 0.95)
				for _, p := range curve.Points {
					if !(p.Survival >= 0 && p.Survival <= 1) || math.IsNaN(p.CumHazard) ||
						p.Survival > 0 && !(p.CI.Lower <= p.Survival+1e-12 && p.Survival <= p.CI.Upper+1e-12) {
						t.Errorf("point %+v", p)
					}
				}
			}
			table.At(tau)
			for _, m := range []survival.Mean{table.RestrictedMean(tau), table.DiscountedMean(tau, rho)} {
				if m.Warning == stats.NoWarning && (math.IsNaN(m.Mean) || math.IsNaN(m.SE)) {
					t.Errorf("mean %+v", m)
				}
			}
		}
		m := survival.CompareMeans(one, two, tau, 0.95)
		if m.Warning == stats.NoWarning && !m.CI.Contains(m.Diff) {
			t.Errorf("means %+v", m)
		}
		s := survival.CompareShares(one, two, tau, 0.95)
		if s.Warning == stats.NoWarning && !s.CI.Contains(s.Diff) {
			t.Errorf("shares %+v", s)
		}
		for _, r := range []survival.LogRankResult{
			survival.LogRank([]survival.Table{one, two, one}, rho),
			survival.StratifiedLogRank([][]survival.Table{{one, two}, {two, one}, {{}, one}}, rho),
		} {
			if r.Warning == stats.NoWarning && (math.IsNaN(r.Chi2) || !(r.P >= 0 && r.P <= 1)) {
				t.Errorf("log-rank %+v", r)
			}
		}
		x := []float64{tau, rho, 0, 1, 0}
		for _, ties := range []survival.Ties{survival.Efron, survival.Breslow, 5} {
			h := survival.Cox(times, event, x, ties)
			if h.Warning == stats.NoWarning && (math.IsNaN(h.Coef) || math.IsNaN(h.SE) || math.IsNaN(h.P)) {
				t.Errorf("Cox %+v", h)
			}
		}
	})
}
