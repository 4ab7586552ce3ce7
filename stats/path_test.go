package stats_test

import (
	"testing"

	"github.com/perennial-engine/perennial/stats"
)

// A sequence made at a share of the error, as for one of twenty arms, still has the sign of
// its estimate: -3.3 standard errors harm, also where the wider interval holds 0.
func TestPathDirectionIsTheSignOfTheEstimate(t *testing.T) {
	const alpha, n = 0.05, 1000
	u := n * stats.Rho2(alpha, n)
	for _, tt := range []struct {
		z    float64
		want int
	}{{-3.3, -1}, {3.3, 1}, {-6, -1}, {6, 1}} {
		s := stats.ConfidenceSequence(stats.Estimate{Value: tt.z, SE: 1}, u, alpha/20, 0)
		path := stats.SequencePath{}.Look(s, 0, alpha, false)
		if path.RejectedAt != 1 || path.Direction != tt.want {
			t.Errorf("z = %g: rejected at %d, direction %d, want 1 and %d", tt.z, path.RejectedAt, path.Direction, tt.want)
		}
	}
}
