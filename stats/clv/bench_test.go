package clv_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/perennial-engine/perennial/stats/clv"
)

// simulate draws histories from the BG/NBD of CDNOW over 39 weeks, to the day,
// with entry in the first 12 weeks.
func simulate(n int, seed uint64) []clv.Customer {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]clv.Customer, n)
	for i := range out {
		age := math.Floor(39*7-r.Float64()*84) / 7
		rate := gamma(r, 0.243) / 4.414
		a, b := gamma(r, 0.793), gamma(r, 2.426)
		leave := a / (a + b)
		c := clv.Customer{Age: age}
		for t := r.ExpFloat64() / rate; t < age; t += r.ExpFloat64() / rate {
			c.X++
			c.Recency = min(age, math.Ceil(t*7)/7)
			if r.Float64() < leave {
				break
			}
		}
		out[i] = c
	}
	return out
}

// gamma draws from Gamma(shape, 1) (Marsaglia & Tsang 2000).
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	for {
		x := r.NormFloat64()
		v := 1 + x/math.Sqrt(9*d)
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(r.Float64()) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// BenchmarkFitBGNBD fits 23,570 customers.
func BenchmarkFitBGNBD(b *testing.B) {
	defer b.ReportMetric(2e9, "goal-ns")
	customers := simulate(23570, 1)
	for b.Loop() {
		clv.FitBGNBD(customers)
	}
}

func BenchmarkFitParetoNBD(b *testing.B) {
	customers := simulate(2357, 1)
	for b.Loop() {
		clv.FitParetoNBD(customers)
	}
}

func BenchmarkExpectedNext(b *testing.B) {
	m := clv.BGNBD{R: 0.243, Alpha: 4.414, A: 0.793, B: 2.426}
	for b.Loop() {
		m.ExpectedNext(clv.Customer{X: 2, Recency: 30.43, Age: 38.86}, 39)
	}
}
