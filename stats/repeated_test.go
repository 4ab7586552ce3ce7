package stats_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/perennial-engine/perennial/stats"
)

// The repeated p-value is the error at which the boundary of the look is z, by its definition.
func TestRepeatedPIsTheErrorOfTheBoundary(t *testing.T) {
	families := map[string]stats.Spending{
		"obf": {}, "pocock": {Family: stats.PocockLike},
		"hsd": {Family: stats.HwangShihDeCani, Param: -4}, "power": {Family: stats.PowerSpending, Param: 3},
	}
	for name, spending := range families {
		for _, looks := range []int{1, 5, 40, 100} {
			p := stats.Plan{Spending: spending, TwoSided: true}
			for k := 1; k <= looks; k++ {
				p.Times = append(p.Times, float64(k)/float64(looks))
			}
			for _, z := range []float64{1.2, 1.96, 2.6, 5} {
				t.Run(fmt.Sprint(name, " ", looks, " ", z), func(t *testing.T) {
					var w stats.Warning
					if p.Alpha, w = p.RepeatedP(looks, z); w != stats.NoWarning {
						t.Fatal(w)
					}
					if p.Alpha == 1 {
						t.Fatal("no error gives this boundary")
					}
					b := p.Boundaries()
					if got := b.Upper[looks-1]; math.Abs(got-z) > 1e-9 {
						t.Errorf("at error %g the boundary is %.12g", p.Alpha, got)
					}
				})
			}
		}
	}
}
