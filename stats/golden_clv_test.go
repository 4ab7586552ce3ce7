package stats_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"

	"github.com/perennial-engine/perennial/stats/clv"
)

var clvMethods = map[string]goldenMethod{
	"bgnbd_loglik": func(in inputs) any {
		v, w := in.bgnbd().LogLik(in.customer())
		return outputs{"status": status(w), "loglik": v}
	},
	"bgnbd_p_alive": func(in inputs) any {
		v, w := in.bgnbd().Alive(in.customer())
		return outputs{"status": status(w), "p_alive": v}
	},
	"bgnbd_cond_expected": func(in inputs) any {
		v, w := in.bgnbd().ExpectedNext(in.customer(), in.f("t"))
		return outputs{"status": status(w), "expected": v}
	},
	"bgnbd_expected": func(in inputs) any {
		v, w := in.bgnbd().Expected(in.f("t"))
		return outputs{"status": status(w), "expected": v}
	},
	"bgnbd_pmf": func(in inputs) any {
		v, w := in.bgnbd().Probability(in.f("t"), int(in.i("n")))
		return outputs{"status": status(w), "p": v}
	},
	"pareto_nbd": func(in inputs) any {
		m := clv.ParetoNBD{R: in.f("r"), Alpha: in.f("alpha"), S: in.f("s"), Beta: in.f("beta")}
		logLik, w := m.LogLik(in.customer())
		alive, _ := m.Alive(in.customer())
		next, _ := m.ExpectedNext(in.customer(), in.f("t"))
		expected, _ := m.Expected(in.f("t"))
		return outputs{
			"status": status(w), "loglik": logLik, "p_alive": alive, "cond_expected": next, "expected": expected,
		}
	},
	"gamma_gamma": func(in inputs) any {
		s := clv.Spend{X: in.f("x"), Mean: in.f("m")}
		logLik, _ := in.gammaGamma().LogLik(s)
		spend, w := in.gammaGamma().ExpectedSpend(s)
		mean, _ := in.gammaGamma().PopulationMean()
		return outputs{"status": status(w), "loglik": logLik, "expected_spend": spend, "population_mean": mean}
	},
	"clv": func(in inputs) any {
		v := clv.Value(in.bgnbd(), in.gammaGamma(), in.customer(), in.f("m"), clv.Discounting{
			Months: int(in.i("months")), MonthlyRate: in.f("monthly_rate"), UnitsPerMonth: in.f("units_per_month"),
		})
		return outputs{"status": status(v.Warning), "clv": v.Value, "expected_purchases": v.Purchases, "spend": v.Spend}
	},
	"fit_bgnbd": func(in inputs) any {
		x, tx, age := in.column("x"), in.column("tx"), in.column("T")
		customers := make([]clv.Customer, len(x))
		for i := range x {
			customers[i] = clv.Customer{X: x[i], Recency: tx[i], Age: age[i]}
		}
		m, fit := clv.FitBGNBD(customers)
		return outputs{
			"status": status(fit.Warning), "loglik": fit.LogLik, "se": fit.SE,
			"params": []float64{m.R, m.Alpha, m.A, m.B}, "names": []string{"r", "alpha", "a", "b"},
		}
	},
	"fit_gamma_gamma": func(in inputs) any {
		x, m := in.column("x"), in.column("m")
		spends := make([]clv.Spend, len(x))
		for i := range x {
			spends[i] = clv.Spend{X: x[i], Mean: m[i]}
		}
		g, fit := clv.FitGammaGamma(spends)
		return outputs{
			"status": status(fit.Warning), "loglik": fit.LogLik, "se": fit.SE,
			"params": []float64{g.P, g.Q, g.V}, "names": []string{"p", "q", "v"},
		}
	},
}

func (in inputs) bgnbd() clv.BGNBD {
	in.t.Helper()
	return clv.BGNBD{R: in.f("r"), Alpha: in.f("alpha"), A: in.f("a"), B: in.f("b")}
}

func (in inputs) gammaGamma() clv.GammaGamma {
	in.t.Helper()
	return clv.GammaGamma{P: in.f("p"), Q: in.f("q"), V: in.f("v")}
}

func (in inputs) customer() clv.Customer {
	in.t.Helper()
	return clv.Customer{X: in.f("x"), Recency: in.f("tx"), Age: in.f("T")}
}

// column reads an input list, or the column of that name of the data file that
// the case names, which lies beside the golden folder or in our own testdata.
func (in inputs) column(name string) []float64 {
	in.t.Helper()
	if !in.has("data_file") {
		return in.floats(name)
	}
	file := in.s("data_file")
	f, err := os.Open(filepath.Join(goldenDir(), "..", file))
	if os.IsNotExist(err) {
		f, err = os.Open(filepath.Join("testdata", file))
	}
	if err != nil {
		in.t.Fatal(err)
	}
	rows, err := csv.NewReader(f).ReadAll()
	if err := f.Close(); err != nil {
		in.t.Fatal(err)
	}
	if err != nil {
		in.t.Fatal(err)
	}
	var out []float64
	for j, header := range rows[0] {
		if header != name {
			continue
		}
		for _, row := range rows[1:] {
			v, err := strconv.ParseFloat(row[j], 64)
			if err != nil {
				in.t.Fatal(err)
			}
			out = append(out, v)
		}
	}
	return out
}
