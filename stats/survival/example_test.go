package survival_test

import (
	"fmt"

	"github.com/perennial-engine/perennial/stats/survival"
)

// Daily counts are all that is needed.
func ExampleCompareMeans() {
	control := survival.Table{N: 1000, Rows: []survival.Row{{10, 120, 0}, {20, 90, 40}, {30, 60, 500}}}
	treatment := survival.Table{N: 1000, Rows: []survival.Row{{10, 90, 0}, {20, 70, 45}, {30, 50, 520}}}
	c := survival.CompareMeans(control, treatment, 30, 0.95)
	fmt.Printf("%.2f more days of 30, 95%% from %.2f to %.2f\n", c.Diff, c.CI.Lower, c.CI.Upper)
	// Output: 0.80 more days of 30, 95% from 0.24 to 1.36
}

// Medians and a test of the whole curves, from the times of single customers.
func ExampleLogRank() {
	control, _ := survival.FromTimes([]float64{3, 5, 5, 8, 12}, []bool{true, true, true, false, true})
	treatment, _ := survival.FromTimes([]float64{6, 9, 13, 13, 20}, []bool{true, false, true, false, true})
	r := survival.LogRank([]survival.Table{control, treatment}, 0)
	m := survival.KaplanMeier(control, survival.LogLog, 0.95).Median
	fmt.Printf("median of the control %.0f, log-rank p %.3f\n", m, r.P)
	// Output: median of the control 5, log-rank p 0.045
}
