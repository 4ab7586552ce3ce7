package clv_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/clv"
)

// TestFitBGNBDRecovers fits simulated customers: the maximum is at least as
// likely as the truth, and the truth lies within four standard errors.
func TestFitBGNBDRecovers(t *testing.T) {
	truth := clv.BGNBD{R: 0.243, Alpha: 4.414, A: 0.793, B: 2.426}
	for seed := range uint64(3) {
		customers := simulate(4000, seed)
		m, fit := clv.FitBGNBD(customers)
		if fit.Warning != stats.NoWarning {
			t.Fatalf("seed %d: %v", seed, fit.Warning)
		}
		atTruth := 0.0
		for _, c := range customers {
			l, _ := truth.LogLik(c)
			atTruth += l
		}
		if atTruth > fit.LogLik+1e-6 {
			t.Errorf("seed %d: the truth is more likely: %v > %v", seed, atTruth, fit.LogLik)
		}
		got, want := []float64{m.R, m.Alpha, m.A, m.B}, []float64{truth.R, truth.Alpha, truth.A, truth.B}
		for i := range want {
			if math.Abs(got[i]-want[i]) > 4*fit.SE[i] {
				t.Errorf("seed %d: parameter %d is %v ± %v, truth %v", seed, i, got[i], fit.SE[i], want[i])
			}
		}
	}
}

// TestFitGammaGammaRecovers is the same for spending.
func TestFitGammaGammaRecovers(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	truth := clv.GammaGamma{P: 6.25, Q: 3.74, V: 15.44}
	spends := make([]clv.Spend, 5000)
	atTruth := 0.0
	for i := range spends {
		x := float64(1 + r.IntN(6))
		mean := gamma(r, truth.P*x) / (gamma(r, truth.Q) / truth.V) / x
		spends[i] = clv.Spend{X: x, Mean: mean}
		l, _ := truth.LogLik(spends[i])
		atTruth += l
	}
	g, fit := clv.FitGammaGamma(spends)
	if fit.Warning != stats.NoWarning || atTruth > fit.LogLik+1e-6 {
		t.Fatalf("%v: %v at the truth, %v at the maximum", fit.Warning, atTruth, fit.LogLik)
	}
	for i, pair := range [][2]float64{{g.P, truth.P}, {g.Q, truth.Q}, {g.V, truth.V}} {
		if math.Abs(pair[0]-pair[1]) > 4*fit.SE[i] {
			t.Errorf("parameter %d is %v ± %v, truth %v", i, pair[0], fit.SE[i], pair[1])
		}
	}
}

// TestFitWithoutMaximum: with too little to tell departure from slowness the
// likelihood rises for ever, which is a warning and no parameters.
func TestFitWithoutMaximum(t *testing.T) {
	var customers []clv.Customer
	for i := range 40 {
		// Everyone bought at the very end: nobody can have left.
		customers = append(customers, clv.Customer{X: 2, Recency: 20 + float64(i)/10, Age: 20 + float64(i)/10})
	}
	m, fit := clv.FitBGNBD(customers)
	if fit.Warning != stats.NoConvergence || !math.IsNaN(m.R) || !math.IsNaN(fit.LogLik) {
		t.Errorf("got %+v with %+v, want no_convergence and no numbers", m, fit)
	}
}

// TestFitOfCustomersAllAlike: where customers do not differ in their readiness
// to leave, the likelihood rises for ever towards equal ones. Rounding makes
// maxima of that at parameters of millions; they are none.
func TestFitOfCustomersAllAlike(t *testing.T) {
	found := 0
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 5))
		customers := make([]clv.Customer, 150)
		for i := range customers {
			c := clv.Customer{Age: 20 + 20*r.Float64()}
			rate := gamma(r, 1) / 8
			for at := r.ExpFloat64() / rate; at < c.Age; at += r.ExpFloat64() / rate {
				c.X++
				c.Recency = at
				if r.Float64() < 0.25 {
					break
				}
			}
			customers[i] = c
		}
		m, fit := clv.FitBGNBD(customers)
		if fit.Warning == stats.NoWarning {
			found++
			if max(m.R, m.Alpha, m.A, m.B) > 1e5 {
				t.Errorf("seed %d: %+v", seed, m)
			}
		}
		p, fit := clv.FitParetoNBD(customers)
		if fit.Warning == stats.NoWarning && max(p.R, p.Alpha, p.S, p.Beta) > 1e6 {
			t.Errorf("seed %d: %+v", seed, p)
		}
	}
	if found == 30 {
		t.Error("every fit found a maximum, so nothing was tested")
	}
}
