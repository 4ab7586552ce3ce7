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
	Refused              int64     // configurations and stored pictures that failed their checks
	Waiting              int64     // enrolments answered that wait in the journal for the database
	WaitingSince         time.Time // since when the oldest of them waits
	Unrecorded           int64     // enrolments answered that could not be recorded
	Linked               int64     // identifiers in memory that are linked
	Enrolled             int64     // people in memory who are enrolled
}

// Vitals reads the numbers as they are now, without the database.
func (e *Engine) Vitals() Vitals {
	v := Vitals{Assignments: e.assigned.counts(), Unrecorded: e.Unrecorded(), Refused: e.refused.Load()}
	if current := e.live.Load(); current != nil {
		v.ConfigurationVersion = current.version()
		known := current.people.Stats()
		v.Linked, v.Enrolled = int64(known.Linked), int64(known.Enrolled)
	}
	if at := e.confirmed.Load(); at != nil {
		v.ConfirmedAt = *at
	}
	v.Waiting, v.WaitingSince = e.journal.Pending()
	return v
}

// reasons are those of the contract, so that each is counted from the start.
var reasons = [...]snapshot.Reason{
	snapshot.Forced, snapshot.HeldOut, snapshot.HeldBack, snapshot.Promoted, snapshot.Paused, snapshot.Assigned,
	snapshot.NotInTraffic, snapshot.NotEligible, snapshot.Default,
}

// A reasonTally counts assignments by reason, at the cost of one addition a request.
type reasonTally [len(reasons)]atomic.Int64

// count adds one answer.
func (t *reasonTally) count(reason snapshot.Reason) {
	if r := slices.Index(reasons[:], reason); r >= 0 {
		t[r].Add(1)
	}
}

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
