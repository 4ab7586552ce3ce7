package clv_test

import (
	"math"
	"testing"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/clv"
)

// FuzzModels: no panic and no NaN without a warning on any parameters and
// histories; fits included.
func FuzzModels(f *testing.F) {
	awkward := []float64{0, 1, -1, 1e-9, 1e-300, 1e9, 1e300, math.NaN(), math.Inf(1)}
	base := []float64{0.243, 4.414, 0.793, 2.426, 2, 30, 38, 39}
	for i := range base {
		for _, v := range awkward {
			x := append([]float64{}, base...)
			x[i] = v
			f.Add(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7])
		}
	}
	f.Fuzz(func(t *testing.T, r, alpha, a, b, x, recency, age, ahead float64) {
		number := func(name string, v float64, w stats.Warning) {
			t.Helper()
			if w == stats.NoWarning && (math.IsNaN(v) || math.IsInf(v, 0)) {
				t.Errorf("%s = %v without a warning", name, v)
			}
		}
		c := clv.Customer{X: x, Recency: recency, Age: age}
		m := clv.BGNBD{R: r, Alpha: alpha, A: a, B: b}
		v, w := m.LogLik(c)
		number("BGNBD.LogLik", v, w)
		v, w = m.Alive(c)
		number("BGNBD.Alive", v, w)
		v, w = m.Expected(ahead)
		number("BGNBD.Expected", v, w)
		v, w = m.ExpectedNext(c, ahead)
		number("BGNBD.ExpectedNext", v, w)
		v, w = m.Probability(ahead, 3)
		number("BGNBD.Probability", v, w)
		p := clv.ParetoNBD{R: r, Alpha: alpha, S: a, Beta: b}
		v, w = p.LogLik(c)
		number("ParetoNBD.LogLik", v, w)
		v, w = p.Alive(c)
		number("ParetoNBD.Alive", v, w)
		v, w = p.ExpectedNext(c, ahead)
		number("ParetoNBD.ExpectedNext", v, w)
		g := clv.GammaGamma{P: r, Q: alpha, V: a}
		s := clv.Spend{X: x, Mean: age}
		v, w = g.LogLik(s)
		number("GammaGamma.LogLik", v, w)
		v, w = g.ExpectedSpend(s)
		number("GammaGamma.ExpectedSpend", v, w)
		worth := clv.Value(m, g, c, age, clv.Discounting{Months: 3, MonthlyRate: b, UnitsPerMonth: ahead})
		number("Value", worth.Value, worth.Warning)

		o := clv.Opportunities{X: int(int8(x)), Last: int(int8(recency)), N: int(int8(age))}
		d := clv.BGBB{Alpha: r, Beta: alpha, Gamma: a, Delta: b}
		v, w = d.LogLik(o)
		number("BGBB.LogLik", v, w)
		v, w = d.Alive(o)
		number("BGBB.Alive", v, w)
		v, w = d.ExpectedNext(o, int(int8(ahead)))
		number("BGBB.ExpectedNext", v, w)
		v, w = clv.ShiftedBetaGeometric{Alpha: r, Beta: b}.Survival(o.N)
		number("ShiftedBetaGeometric.Survival", v, w)
		sg, kept := clv.FitShiftedBetaGeometric([]float64{r * 100, alpha * 10, a * 8, b})
		number("FitShiftedBetaGeometric", sg.Alpha+sg.Beta+kept.LogLik, kept.Warning)

		bb, taken := clv.FitBGBB([]clv.Opportunities{o, {X: 1, Last: 2, N: 4}, {N: 4}, {X: 3, Last: 4, N: 4}}, []float64{r, 5, 9, alpha})
		number("FitBGBB", bb.Alpha+bb.Beta+bb.Gamma+bb.Delta+taken.LogLik, taken.Warning)
		v, w = g.PopulationMean()
		number("PopulationMean", v, w)

		var customers []clv.Customer
		var spends []clv.Spend
		for i := range 12 {
			k := float64(i % 4)
			h := clv.Customer{X: k, Recency: recency * k / 4, Age: age + k}
			if i == 11 {
				h = c
			}
			customers = append(customers, h)
			spends = append(spends, clv.Spend{X: k, Mean: recency + k})
		}
		bg, fit := clv.FitBGNBD(customers)
		number("FitBGNBD", bg.R+bg.Alpha+bg.A+bg.B+fit.LogLik, fit.Warning)
		gg, fit := clv.FitGammaGamma(spends)
		number("FitGammaGamma", gg.P+gg.Q+gg.V+fit.LogLik, fit.Warning)
		pn, fit := clv.FitParetoNBD(customers)
		number("FitParetoNBD", pn.R+pn.Alpha+pn.S+pn.Beta+fit.LogLik, fit.Warning)
	})
}
