package engine

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/perennial-engine/perennial/engine/snapshot"
)

// Vitals are the numbers by which operators watch an engine. Counts grow from the start of
// the process.
type Vitals struct {
	ConfigurationVersion int64     // 0 before the first one was loaded
	ConfirmedAt          time.Time // when the configuration was last known to be the newest
	Assignments          map[snapshot.Reason]int64
	Waiting              int   // enrolments answered that wait for the database
	Unrecorded           int64 // enrolments answered and lost
}

// Vitals reads the numbers as they are now, without the database.
func (e *Engine) Vitals() Vitals {
	v := Vitals{Assignments: e.assigned.counts(), Unrecorded: e.Unrecorded()}
	if current := e.live.Load(); current != nil {
		v.ConfigurationVersion = current.version
	}
	if at := e.confirmed.Load(); at != nil {
		v.ConfirmedAt = *at
	}
	e.backlog.Lock()
	defer e.backlog.Unlock()
	v.Waiting = len(e.waiting)
	return v
}

// reasons are those of the contract, so that each is counted from the start.
var reasons = [...]snapshot.Reason{
	"forced", "held_out", "held_back", snapshot.Promoted, snapshot.Paused, snapshot.Assigned,
	snapshot.NotInTraffic, "not_eligible", snapshot.Default,
}

// A reasonTally counts assignments by reason, at the cost of one addition a request.
type reasonTally [len(reasons)]atomic.Int64

func (t *reasonTally) add(answers []Assigned) {
	var counts [len(reasons)]int64
	for i := range answers {
		if r := slices.Index(reasons[:], answers[i].Reason); r >= 0 {
			counts[r]++
		}
	}
	for r, n := range counts {
		if n > 0 {
			t[r].Add(n)
		}
	}
}

func (t *reasonTally) counts() map[snapshot.Reason]int64 {
	counts := make(map[snapshot.Reason]int64, len(reasons))
	for r, reason := range reasons {
		counts[reason] = t[r].Load()
	}
	return counts
}
