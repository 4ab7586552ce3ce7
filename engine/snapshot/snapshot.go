// Package snapshot is the immutable picture that assignment reads: every touchpoint and
// the running tests on it, built and checked as a whole and swapped as a whole.
package snapshot

import (
	"encoding/json"
	"fmt"

	"github.com/perennial-engine/perennial/engine/assign"
)

// Reason says why a customer got what they got.
type Reason string

// The reasons this version can give, first that applies.
const (
	Paused       Reason = "paused"
	Assigned     Reason = "assigned"
	Promoted     Reason = "promoted"
	NotInTraffic Reason = "not_in_traffic"
	Default      Reason = "default"
)

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
	Salt        string
	LayerSalt   string
	Slots       assign.Slots
	Paused      bool
	Touchpoints []string
	Variants    []Variant // in stored order
}

// A Variant of an experiment. A touchpoint absent from Content serves its own.
type Variant struct {
	Key     string
	Weight  int
	Content map[string]json.RawMessage
}

// An Answer is what a customer gets at a touchpoint. Experiment and Variant are empty
// where none applies. Enrol is set when this contact makes the customer part of the test.
type Answer struct {
	Content    json.RawMessage
	Experiment string
	Variant    string
	Reason     Reason
	Enrol      bool
}

// Snapshot answers assignments. It is never changed after New.
type Snapshot struct {
	version     int64
	touchpoints map[string]*place
}

type place struct {
	Touchpoint
	tests []*test
}

type test struct {
	Experiment
	weights []int
}

// New builds a snapshot. It refuses a picture that could give wrong answers: unknown
// touchpoints, bad weights, and tests that share a touchpoint and a slot.
func New(version int64, touchpoints []Touchpoint, experiments []Experiment) (*Snapshot, error) {
	s := &Snapshot{version: version, touchpoints: make(map[string]*place, len(touchpoints))}
	for _, t := range touchpoints {
		s.touchpoints[t.Key] = &place{Touchpoint: t}
	}
	for _, x := range experiments {
		running := &test{Experiment: x}
		for _, v := range x.Variants {
			if v.Weight < 1 {
				return nil, fmt.Errorf("snapshot: experiment %s: weight %d of variant %s", x.Key, v.Weight, v.Key)
			}
			running.weights = append(running.weights, v.Weight)
		}
		if len(running.weights) == 0 || x.Salt == "" || x.LayerSalt == "" {
			return nil, fmt.Errorf("snapshot: experiment %s has no variants or no salt", x.Key)
		}
		for _, key := range x.Touchpoints {
			at, ok := s.touchpoints[key]
			if !ok {
				return nil, fmt.Errorf("snapshot: experiment %s: unknown touchpoint %s", x.Key, key)
			}
			for _, other := range at.tests {
				if other.LayerSalt != x.LayerSalt || overlap(other.Slots, x.Slots) {
					return nil, fmt.Errorf("snapshot: experiments %s and %s overlap at %s", other.Key, x.Key, key)
				}
			}
			at.tests = append(at.tests, running)
		}
	}
	return s, nil
}

func overlap(a, b assign.Slots) bool {
	for _, x := range a {
		for _, y := range b {
			if x[0] < y[1] && y[0] < x[1] {
				return true
			}
		}
	}
	return false
}

// Version is the version of the configuration that the snapshot shows.
func (s *Snapshot) Version() int64 { return s.version }

// Touchpoint finds a touchpoint by its key.
func (s *Snapshot) Touchpoint(key string) (Touchpoint, bool) {
	at, ok := s.touchpoints[key]
	if !ok {
		return Touchpoint{}, false
	}
	return at.Touchpoint, true
}

// Assign answers what the customer with this assignment key gets at a touchpoint; ok is
// false when there is no such touchpoint. A customer in a test's slots belongs to that
// test; a promoted winner is for everyone else.
func (s *Snapshot) Assign(touchpoint, key string) (answer Answer, ok bool) {
	at, ok := s.touchpoints[touchpoint]
	if !ok {
		return Answer{}, false
	}
	own := Answer{Content: at.Content, Reason: Default}
	if len(at.tests) > 0 {
		slot := assign.Slot(at.tests[0].LayerSalt, key)
		for _, x := range at.tests {
			if x.Slots.Contains(slot) {
				return x.assign(touchpoint, key, own), true
			}
		}
		own.Reason = NotInTraffic
	}
	if at.PromotedBy != "" {
		own.Reason, own.Experiment, own.Variant = Promoted, at.PromotedBy, at.PromotedVariant
	}
	return own, true
}

func (x *test) assign(touchpoint, key string, own Answer) Answer {
	own.Experiment = x.Key
	if x.Paused {
		own.Reason = Paused
		return own
	}
	variant := x.Variants[assign.Pick(x.Salt, key, x.weights)]
	if content, ok := variant.Content[touchpoint]; ok {
		own.Content = content
	}
	own.Variant, own.Reason, own.Enrol = variant.Key, Assigned, true
	return own
}
