package stats_test

import (
	"math"
	"slices"
	"testing"

	"github.com/perennial-engine/perennial/stats"
)

func FuzzRows(f *testing.F) {
	seeds(f, 6, 1, 5, 2, 7, 3.5, 0.99)
	f.Fuzz(func(t *testing.T, a, b, c, d, e, p float64) {
		x, y := []float64{a, b, c, d, e}, []float64{e, a, d, c, b}
		w := []float64{0, 1, 0, 1, 1}
		answered(t, stats.ShapeOf(x))
		moments(t, x, y)
		answered(t, stats.PooledCaps([][]float64{x, y}, 0, p, true))
		caps := stats.PooledCaps([][]float64{x, y}, 0.01, p, false)
		answered(t, caps)
		caps.Apply(x)
		answered(t, stats.LinAdjusted(append(x, y...), append(y, x...), append(w, w...)))
		answered(t, stats.AncovaAdjusted(x, y, w))
		answered(t, stats.RatioCuped(stats.FromRatioRows(x, y, y, x), stats.FromRatioRows(y, x, x, y),
			stats.Test{Level: p}), "VarianceRatio")
		answered(t, stats.RatioCupedLift(stats.FromRatioRows(x, y, y, x), stats.FromRatioRows(y, x, x, y), p))
		s := [][]float64{{a}, {b}, {c}, {d}}
		answered(t, stats.SurrogateIndex(s, []float64{a, c, b, e}, s[:2], s[1:], p))
	})
}

// moments holds those of values far from the limits of float64 to what moments are.
func moments(t *testing.T, x, y []float64) {
	t.Helper()
	m, p := stats.FromValues(x), stats.FromPairs(x, y)
	stats.CupedSlope(p, stats.FromPairs(y, x))
	line, w := p.Linearise()
	if w == stats.NoWarning {
		answered(t, line)
	}
	for _, v := range x {
		if !(math.Abs(v) < 1e100) {
			return
		}
	}
	scale := max(math.Abs(slices.Min(x)), math.Abs(slices.Max(x)))
	slack := 1e-14 * scale
	if !(m.Mean >= slices.Min(x)-slack && m.Mean <= slices.Max(x)+slack) || !(m.M2 >= 0) {
		t.Errorf("%v has %+v", x, m)
	}
	if n := float64(len(x)); math.Abs(stats.Sum(x)-n*m.Mean) > 1e-13*n*scale+1e-300 {
		t.Errorf("%v: sum %v, mean %v", x, stats.Sum(x), m.Mean)
	}
	if p.X().N != m.N || p.Y() != m || !(m.Var() >= 0) || math.IsNaN(p.Cov()) {
		t.Errorf("%v and %v: %+v, covariance %v", x, y, p, p.Cov())
	}
	if r := p.Corr(); !(r >= -1 && r <= 1) && p.M2X > 0 && p.M2Y > 0 {
		t.Errorf("%v and %v: correlation %v", x, y, r)
	}
}
