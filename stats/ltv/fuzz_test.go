package ltv_test

import (
	"math"
	"testing"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/ltv"
)

// FuzzValue: no panic, no NaN without a warning, no interval that excludes its
// own estimate.
func FuzzValue(f *testing.F) {
	for _, v := range []float64{0, 1, -1, 30, 1e-300, 1e300, math.NaN(), math.Inf(1), math.Inf(-1)} {
		f.Add(10.0, 20.0, 3.0, 5.0, 0, v)
		f.Add(v, 20.0, 3.0, v, 1, 12.0)
		f.Add(10.0, v, v, 5.0, 2, 8.0)
		f.Add(v, v, v, v, -1, v)
	}
	f.Fuzz(func(t *testing.T, follow1, follow2, age, amount float64, customer int, horizon float64) {
		a := ltv.Arm{
			FollowUp:  []float64{follow1, follow2, follow1},
			Purchases: []ltv.Purchase{{customer, age, amount}, {0, age / 2, -amount}, {1, age, amount * 3}},
		}
		b := ltv.Arm{FollowUp: []float64{follow2, follow1}, Purchases: []ltv.Purchase{{customer, age, amount}}}
		for _, arm := range []ltv.Arm{a, b, {}} {
			if v := ltv.CumulativeValue(arm, horizon); v.Warning == stats.NoWarning && (math.IsNaN(v.Mean) || math.IsNaN(v.SE)) {
				t.Errorf("value %+v", v)
			}
			if m, w := ltv.Matured(arm, horizon); w == stats.NoWarning && m.N == 0 {
				t.Error("matured nobody without a warning")
			}
		}
		c := ltv.Compare(a, b, horizon, 0.95)
		if c.Warning == stats.NoWarning && !c.CI.Contains(c.Diff) {
			t.Errorf("comparison %+v", c)
		}
	})
}
