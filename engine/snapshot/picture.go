// Package snapshot is the immutable picture that assignment reads: every touchpoint, the
// running tests on it, the winners promoted there, holdouts and forced variants, built and
// checked as a whole and swapped as a whole.
package snapshot

import (
	"encoding/json"
	"time"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/audience"
)

// A Picture is what a snapshot is built from.
type Picture struct {
	Version     int64
	Touchpoints []Touchpoint
	Experiments []Experiment
	Promotions  []Promotion // in force, oldest first
	Holdouts    []Holdout
	Overrides   []Override
}

// A Touchpoint and, when a winner was promoted there, the test and variant it comes from.
type Touchpoint struct {
	Key             string
	Channel         string
	Content         json.RawMessage
	PromotedBy      string
	PromotedVariant string
}

// An Experiment that is running or paused.
type Experiment struct {
	Key         string
	Version     int
	Salt        string
	LayerSalt   string
	Slots       assign.Slots
	Paused      bool
	MaxDays     int                // so long after the first enrolment nobody enters any more; 0: never
	Audience    *audience.Audience // nil: everyone
	Touchpoints []string
	Variants    []Variant // in stored order
}

// A Variant of an experiment. A touchpoint absent from Content serves its own.
type Variant struct {
	Key     string
	Weight  int
	Content map[string]json.RawMessage
}

// A Promotion is a winner that took its touchpoints over and is still being ramped up, or
// has customers held back from it.
type Promotion struct {
	Experiment  string
	Version     int
	Variant     string
	Salt        string // of the experiment
	Touchpoints []string
	Variants    []Variant         // of the experiment: who is waiting for the ramp keeps theirs
	Before      map[string]Served // by touchpoint: what the winner replaced
	Holdback    int               // customers with p below it are held back, of 10,000
	Reached     int               // customers with p below it have the winner, of 10,000
	// Comparison is the name under which those who meet the promotion first are enrolled to be
	// compared, as HeldBackArm or PromotedArm; empty: nobody is.
	Comparison string
}

// The arms of a comparison of those who are held back from a winner with all others.
const (
	HeldBackArm = "held_back"
	PromotedArm = "promoted"
)

// PromotionSalt is what the salt of an experiment ends in when it draws the order of its
// promotion.
const PromotionSalt = "/promotion"

// Served is what a touchpoint served before a promotion.
type Served struct {
	Content         json.RawMessage
	PromotedBy      string
	PromotedVariant string
}

// A Holdout keeps a share of customers out of every test and promotion.
type Holdout struct {
	Key       string
	Salt      string
	Share     int // of 10,000
	CreatedAt time.Time
	Contents  map[string]json.RawMessage // by touchpoint, as they were at its creation
}

// An Override gives one customer a variant by a person's word.
type Override struct {
	Experiment  string
	Version     int
	Customer    string // one of their identifiers
	Variant     Variant
	Touchpoints []string
}

// Reason says why a customer got what they got.
type Reason string

// The reasons, in the order in which they are looked at; see Snapshot.Assign.
const (
	Forced       Reason = "forced"
	HeldOut      Reason = "held_out"
	HeldBack     Reason = "held_back"
	Promoted     Reason = "promoted"
	Paused       Reason = "paused"
	Assigned     Reason = "assigned"
	NotInTraffic Reason = "not_in_traffic"
	NotEligible  Reason = "not_eligible"
	Default      Reason = "default"
)

// An Answer is what a customer gets at a touchpoint. Experiment, Version and Variant are
// empty where none applies. Enrol is set when this contact makes the customer part of the
// test, under the assignment key Key. Compared are the comparisons of promotions that it
// makes the customer part of.
type Answer struct {
	Content    json.RawMessage
	Experiment string
	Version    int
	Variant    string
	Reason     Reason
	Enrol      bool
	Key        string
	Compared   []Entry
}

// An Entry is an enrolment in the comparison of a promotion.
type Entry struct{ Comparison, Arm, Key string }
