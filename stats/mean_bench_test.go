package stats_test

import (
	"testing"

	"github.com/perennial-engine/perennial/stats"
)

func BenchmarkWelch(b *testing.B) {
	c, t := armOf(10021, 41.2, 14100), armOf(9987, 42.9, 14900)
	b.ReportAllocs()
	for b.Loop() {
		stats.Welch(c, t, stats.Test{Level: 0.95})
	}
}

func BenchmarkConfidenceSequence(b *testing.B) {
	e := stats.Estimate{Value: 1.7, SE: 1.25}
	b.ReportAllocs()
	for b.Loop() {
		stats.ConfidenceSequence(e, 2.5, 0.05, 0)
	}
}

func BenchmarkOneSidedSequence(b *testing.B) {
	e := stats.Estimate{Value: 1.7, SE: 1.25}
	b.ReportAllocs()
	for b.Loop() {
		stats.OneSidedSequence(e, 2.5, 0.05, 0, stats.Greater)
	}
}
