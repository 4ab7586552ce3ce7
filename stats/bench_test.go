package stats_test

import (
	"testing"

	"github.com/perennial-engine/perennial/stats"
)

var benchControl, benchTreatment = stats.PairMoments{
	N: 10021, MeanY: 41.2, MeanX: 38.9, M2Y: 14100 * 10020, M2X: 12500 * 10020, CXY: 9100 * 10020,
}, stats.PairMoments{
	N: 9987, MeanY: 42.9, MeanX: 38.7, M2Y: 14900 * 9986, M2X: 12450 * 9986, CXY: 9200 * 9986,
}

// BenchmarkWelchWithCuped is one comparison from moments; it must not allocate.
// The metric goal-ns is what `make bench-stats` holds a benchmark to.
func BenchmarkWelchWithCuped(b *testing.B) {
	b.ReportAllocs()
	defer b.ReportMetric(200, "goal-ns")
	for b.Loop() {
		stats.Cuped(benchControl, benchTreatment, stats.Test{Level: 0.95})
	}
}

func BenchmarkWelch(b *testing.B) {
	c, t := benchControl.Y(), benchTreatment.Y()
	b.ReportAllocs()
	for b.Loop() {
		stats.Welch(c, t, stats.Test{Level: 0.95})
	}
}

func BenchmarkConfidenceSequence(b *testing.B) {
	defer b.ReportMetric(500, "goal-ns")
	e := stats.Estimate{Value: 1.7, SE: 1.25}
	b.ReportAllocs()
	for b.Loop() {
		stats.ConfidenceSequence(e, 2.5, 0.05, 0)
	}
}

func BenchmarkOneSidedSequence(b *testing.B) {
	defer b.ReportMetric(500, "goal-ns")
	e := stats.Estimate{Value: 1.7, SE: 1.25}
	b.ReportAllocs()
	for b.Loop() {
		stats.OneSidedSequence(e, 2.5, 0.05, 0, stats.Greater)
	}
}

// BenchmarkBoundaries20 are the boundaries of 20 looks.
func BenchmarkBoundaries20(b *testing.B) {
	defer b.ReportMetric(50e6, "goal-ns")
	p := stats.Plan{Alpha: 0.025, TwoSided: true}
	for k := 1; k <= 20; k++ {
		p.Times = append(p.Times, float64(k)/20)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Boundaries()
	}
}

// BenchmarkRepeatedP100 is the repeated p-value at the last of 100 looks.
func BenchmarkRepeatedP100(b *testing.B) {
	defer b.ReportMetric(100e6, "goal-ns")
	p := stats.Plan{TwoSided: true}
	for k := 1; k <= 100; k++ {
		p.Times = append(p.Times, float64(k)/100)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.RepeatedP(100, 2.3)
	}
}

func BenchmarkLook(b *testing.B) {
	rules := stats.LookRules{
		Weights: []float64{0.5, 0.5}, RatioAlpha: 0.001, RatioConcentration: 10000, Alpha: 0.05,
		NOpt: 20000, GuardrailAlpha: 0.05, Margin: 0.02, MinN: 400, MinPayers: 100, MaxN: 40000,
	}
	arms := []stats.LookArm{
		{Assigned: 12000, Outcome: benchControl, Payers: 900, Retained: stats.Count{Successes: 4000, N: 10021}},
		{Assigned: 12010, Outcome: benchTreatment, Payers: 930, Retained: stats.Count{Successes: 4050, N: 9987}},
	}
	b.ReportAllocs()
	for b.Loop() {
		stats.Look(rules, arms)
	}
}
