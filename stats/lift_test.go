package stats_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perennial-engine/perennial/stats"
)

// The limits of 8 of 20 against 1 of 20 are the roots of Fieller's equation, by the formula of
// docs/methods/relative-lift.md (Python 3, math.sqrt); of 0 of 20 there are none to tell.
func TestShowLiftOfFewEvents(t *testing.T) {
	control := stats.Estimate{Value: 0.4, SE: 0.11239029738980327} // √(0.4·0.6/19)
	for _, tt := range []struct {
		name      string
		treatment stats.Estimate
		want      stats.ShownLift
	}{
		{"one of 20", stats.Estimate{Value: 0.05, SE: 0.05}, stats.ShownLift{
			Lift: -0.875, CI: stats.Interval{Lower: -1.1302854050798992, Upper: -0.5108939618047231}, Method: stats.ByFieller,
		}},
		{"none of 20", stats.Estimate{}, stats.ShownLift{
			Lift: -1, CI: stats.Interval{Lower: math.NaN(), Upper: math.NaN()}, Method: stats.ByFieller, Warning: stats.NoEvents,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := stats.ShowLift(control, tt.treatment, 0.95)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateApprox(1e-9, 0), cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
