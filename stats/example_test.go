package stats_test

import (
	"fmt"

	"github.com/perennial-engine/perennial/stats"
)

// Two arms are compared from three numbers each.
func ExampleWelch() {
	control := stats.Moments{N: 21306, Mean: 0.652789, M2: 21305 * 134.73}
	treatment := stats.Moments{N: 21307, Mean: 1.422617, M2: 21306 * 314.94}
	c := stats.Welch(control, treatment, stats.Test{Level: 0.95})
	fmt.Printf("%.2f more, 95%% from %.2f to %.2f, p %.1g\n", c.Diff, c.CI.Lower, c.CI.Upper, c.P)
	// Output: 0.77 more, 95% from 0.49 to 1.05, p 1e-07
}

// A test that cannot be made says why and gives no number.
func ExampleWelch_warning() {
	nobody := stats.Moments{N: 1, Mean: 3}
	c := stats.Welch(nobody, stats.Moments{N: 50, Mean: 4, M2: 80}, stats.Test{Level: 0.95})
	fmt.Println(c.Warning, c.P, c.P <= 0.05)
	// Output: too_few_customers NaN false
}

// Moments of days add up to those of the month.
func ExampleMoments_Add() {
	monday := stats.FromValues([]float64{10, 12, 14})
	tuesday := stats.FromValues([]float64{20, 22})
	both := monday.Add(tuesday)
	fmt.Println(both.N, both.Mean, both.Var())
	// Output: 5 15.6 26.8
}

// A covariate from before the test takes out what it explains.
func ExampleCuped() {
	control := stats.PairMoments{N: 10021, MeanY: 41.2, MeanX: 38.9, M2Y: 1.41e8, M2X: 1.25e8, CXY: 9.1e7}
	treatment := stats.PairMoments{N: 9987, MeanY: 42.9, MeanX: 38.7, M2Y: 1.49e8, M2X: 1.24e8, CXY: 9.2e7}
	c := stats.Cuped(control, treatment, stats.Test{Level: 0.95})
	fmt.Printf("%.2f instead of %.2f, on %.0f%% of the variance\n",
		c.Diff, c.DiffUnadjusted, 100*c.VarianceRatio)
	// Output: 1.85 instead of 1.70, on 54% of the variance
}

// A confidence sequence may be read every day; its smallest p-value counts.
func ExampleConfidenceSequence() {
	rho2 := stats.Rho2(0.05, 20000) // narrowest at 20,000 customers
	var path stats.SequencePath
	for _, day := range []struct{ n, diff, se float64 }{
		{2000, 1.9, 1.6}, {8000, 1.7, 0.8}, {16000, 2.1, 0.56}, {24000, 1.9, 0.46},
	} {
		s := stats.ConfidenceSequence(stats.Estimate{Value: day.diff, SE: day.se}, day.n*rho2, 0.05, 0)
		path = path.Look(s, 0, 0.05, false)
		fmt.Printf("%6.0f customers: from %.2f to %.2f\n", day.n, s.CI.Lower, s.CI.Upper)
	}
	fmt.Println("rejected at look", path.RejectedAt)
	// Output:
	//   2000 customers: from -4.27 to 8.07
	//   8000 customers: from -0.80 to 4.20
	//  16000 customers: from 0.40 to 3.80
	//  24000 customers: from 0.50 to 3.30
	// rejected at look 3
}

// A plan with four looks spends its error little by little.
func ExamplePlan_Boundaries() {
	plan := stats.Plan{Alpha: 0.025, TwoSided: true, Times: []float64{0.25, 0.5, 0.75, 1}}
	for k, z := range plan.Boundaries().Upper {
		fmt.Printf("at %.0f%%: %.3f\n", 100*plan.Times[k], z)
	}
	// Output:
	// at 25%: 4.333
	// at 50%: 2.963
	// at 75%: 2.359
	// at 100%: 2.014
}

// The second of four looks of a planned test: the statistic is below its
// boundary, and the repeated p-value says by how much. It may be fed to Holm
// with those of other comparisons.
func ExamplePlan_RepeatedP() {
	plan := stats.Plan{Alpha: 0.025, TwoSided: true, Times: []float64{0.25, 0.5}}
	control := stats.Moments{N: 5000, Mean: 41.2, M2: 4999 * 14100}
	treatment := stats.Moments{N: 5000, Mean: 47.4, M2: 4999 * 14900}
	z := (treatment.Mean - control.Mean) / stats.MeanErrors(control, treatment).Decision
	p, _ := plan.RepeatedP(2, z)
	fmt.Printf("z %.2f, boundary %.2f, repeated p %.3f\n", z, plan.Boundaries().Upper[1], p)
	// Output: z 2.57, boundary 2.96, repeated p 0.047
}

// A split that is off by a little over half a per cent, at a million customers,
// is not chance.
func ExampleSampleRatioSequential() {
	r := stats.SampleRatioSequential([]int64{503200, 496800}, []float64{1, 1}, 10000)
	fmt.Println(r.P < 0.001)
	// Output: true
}

// Holm's adjustment leaves out a test that could not be made.
func ExampleAdjust() {
	p := []float64{0.01, stats.Welch(stats.Moments{}, stats.Moments{}, stats.Test{Level: 0.95}).P, 0.04}
	fmt.Printf("%.3f\n", stats.Adjust(p, stats.Holm))
	// Output: [0.020 NaN 0.040]
}

// Relative effects are for showing, and only where the baseline carries one.
func ExampleShowLift() {
	sure := stats.ShowLift(stats.Estimate{Value: 41.3, SE: 1.1}, stats.Estimate{Value: 43.1, SE: 1.2}, 0.95)
	fmt.Printf("%+.1f%% (%+.1f%% to %+.1f%%)\n", 100*sure.Lift, 100*sure.CI.Lower, 100*sure.CI.Upper)
	vague := stats.ShowLift(stats.Estimate{Value: 0.5, SE: 0.45}, stats.Estimate{Value: 3, SE: 0.45}, 0.95)
	fmt.Println(vague.Warning)
	// Output:
	// +4.4% (-3.2% to +12.5%)
	// uncertain_baseline
}

// How many customers a difference of half a unit needs.
func ExampleMeanSampleSize() {
	s := stats.MeanSampleSize(0.5, 5, 5, 0.05, 0.8, 1)
	fmt.Printf("%.0f per arm\n", s.Control)
	// Output: 1570 per arm
}

// A guardrail: is retention at most two per cent lower? Not shown to be worse is
// not enough.
func ExampleNonInferiorRelative() {
	control, treatment := stats.Successes(4000, 10000), stats.Successes(3980, 10000)
	r := stats.NonInferiorRelative(control, treatment, 0.02, 0.05, stats.HigherIsBetter)
	fmt.Printf("limit of the contrast %.4f, kept: %t\n", r.CI.Lower, r.NonInferior)
	// Output: limit of the contrast -0.0053, kept: false
}

// A share and a difference of shares are shown with score intervals, which
// neither leave [0, 1] nor fail at 0 of n.
func ExampleNewcombe() {
	control, treatment := stats.Count{Successes: 0, N: 120}, stats.Count{Successes: 6, N: 118}
	w := stats.Wilson(control, 0.95)
	d := stats.Newcombe(control, treatment, 0.95)
	fmt.Printf("control up to %.1f%%, difference from %.1f%% to %.1f%%\n", 100*w.CI.Upper, 100*d.CI.Lower, 100*d.CI.Upper)
	// Output: control up to 3.1%, difference from 1.0% to 10.7%
}

// What past tests of a kind found says how much of a new effect to believe.
func ExampleShrinkToZero() {
	past := stats.ShrinkToZero([]float64{0.9, -0.4, 0.2, 1.1, -0.1}, []float64{0.16, 0.09, 0.12, 0.2, 0.1})
	raw := stats.Estimate{Value: 1.5, SE: 0.5}
	believed := stats.NormalPosterior(raw, stats.Prior{Variance: past.Tau2}, 0.95)
	fmt.Printf("%.1f seen, %.1f to be expected\n", raw.Value, believed.Mean)
	// Output: 1.5 seen, 0.7 to be expected
}
