package worker

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A job is asked for at once, and then at the beginning of its next slot or, where that is
// further, in a minute; whatever the time and its zone.
func TestSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := rapid.SampledFrom([]time.Duration{5 * time.Second, time.Minute, 5 * time.Minute, 7 * 24 * time.Hour}).Draw(t, "every")
		zone := time.FixedZone("somewhere", rapid.IntRange(-12*3600, 14*3600).Draw(t, "zone"))
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanosecond")).In(zone)
		s := &slots{every: every}
		if first := s.Next(now); !first.Equal(now) {
			t.Fatalf("first asked for at %v, begun at %v", first, now)
		}
		next := s.Next(now)
		begins := next.Equal(next.Truncate(every))
		if wait := next.Sub(now); wait <= 0 || wait > time.Minute || (!begins && wait != time.Minute) ||
			(begins && wait > every) || next.Truncate(every).Sub(now.Truncate(every)) > every {
			t.Fatalf("after %v asked for at %v, every %v", now, next, every)
		}
	})
}

// The wait does not change when the clock is set meanwhile: it is counted, not read.
func TestTheWaitForASlotIsCounted(t *testing.T) {
	s := &slots{every: time.Minute, begun: true}
	now := time.Now()
	next := s.Next(now)
	// Round(0) takes the steady clock's reading off.
	if steady, wall := next.Sub(now), next.Round(0).Sub(now.Round(0)); steady != wall || !strings.Contains(next.String(), " m=") {
		t.Errorf("next %v after %v has lost the steady clock", next, now)
	}
}
