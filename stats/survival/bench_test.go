package survival_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/perennial-engine/perennial/stats/survival"
)

// customers returns the observed times of n customers who leave at a rate and
// are censored at random up to 90 days; whole rounds to days.
func customers(n int, rate float64, whole bool, seed uint64) (times []float64, event []bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range n {
		t, c := r.ExpFloat64()/rate, 90*r.Float64()
		observed := min(t, c)
		if whole {
			observed = math.Ceil(observed)
		}
		times, event = append(times, observed), append(event, t <= c)
	}
	return times, event
}

func analyse(a, b survival.Table) {
	survival.KaplanMeier(a, survival.LogLog, 0.95)
	survival.KaplanMeier(b, survival.LogLog, 0.95)
	survival.LogRank([]survival.Table{a, b}, 0)
	survival.CompareMeans(a, b, 60, 0.95)
}

// BenchmarkSurvivalDaily analyses 100,000 customers from daily counts.
func BenchmarkSurvivalDaily(b *testing.B) {
	defer b.ReportMetric(1e6, "goal-ns")
	t1, e1 := customers(50000, 0.02, true, 1)
	t2, e2 := customers(50000, 0.018, true, 2)
	a, _ := survival.FromTimes(t1, e1)
	c, _ := survival.FromTimes(t2, e2)
	for b.Loop() {
		analyse(a, c)
	}
}

// BenchmarkSurvivalRaw analyses 100,000 customers from their times.
func BenchmarkSurvivalRaw(b *testing.B) {
	defer b.ReportMetric(60e6, "goal-ns")
	t1, e1 := customers(50000, 0.02, false, 1)
	t2, e2 := customers(50000, 0.018, false, 2)
	for b.Loop() {
		a, _ := survival.FromTimes(t1, e1)
		c, _ := survival.FromTimes(t2, e2)
		analyse(a, c)
	}
}
