package snapshot

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/perennial-engine/perennial/engine/assign"
)

// Snapshot answers assignments. It is never changed after New.
type Snapshot struct {
	version     int64
	touchpoints map[string]*place
	keys        []string // of the touchpoints, sorted
	attributes  []string // that audiences name, sorted
	limited     []*test  // those with an end of enrolment
}

// place is a touchpoint and all that can happen there.
type place struct {
	Touchpoint
	tests      []*test
	promotions []*promotion
	holdouts   []holdout
	forced     []Answer // what overrides give, beside forcedTo
	forcedTo   []string // the customers of forced, by one of their identifiers
}

type test struct {
	Experiment
	weights  []int
	holdback []*promotion // those on a touchpoint of this test: whom they hold back cannot enter
}

type promotion struct {
	Promotion
	salt string
}

type holdout struct {
	salt      string
	share     int
	createdAt time.Time
	content   json.RawMessage
}

// New builds a snapshot. It refuses a picture that could give wrong answers: what stands
// twice, unknown touchpoints, bad weights and shares, and tests that share a touchpoint and
// a slot.
func New(p Picture) (*Snapshot, error) {
	s := &Snapshot{version: p.Version, touchpoints: make(map[string]*place, len(p.Touchpoints))}
	for _, t := range p.Touchpoints {
		if s.touchpoints[t.Key] != nil {
			return nil, fmt.Errorf("snapshot: touchpoint %s stands twice", t.Key)
		}
		s.touchpoints[t.Key] = &place{Touchpoint: t}
	}
	s.keys = slices.Sorted(maps.Keys(s.touchpoints))
	for _, x := range p.Experiments {
		if err := s.addExperiment(x); err != nil {
			return nil, err
		}
	}
	for _, promoted := range p.Promotions {
		if err := s.addPromotion(promoted); err != nil {
			return nil, err
		}
	}
	for _, h := range p.Holdouts {
		if h.Salt == "" || h.Share < 0 || h.Share > assign.SlotCount {
			return nil, fmt.Errorf("snapshot: holdout %s has no salt or a share of %d", h.Key, h.Share)
		}
		for key, at := range s.touchpoints {
			at.holdouts = append(at.holdouts, holdout{h.Salt, h.Share, h.CreatedAt, h.Contents[key]})
			if h.Contents[key] == nil {
				return nil, fmt.Errorf("snapshot: holdout %s has no content for touchpoint %s", h.Key, key)
			}
		}
	}
	for _, o := range p.Overrides {
		if err := s.addOverride(o); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Snapshot) addExperiment(x Experiment) error {
	running := &test{Experiment: x}
	for i, v := range x.Variants {
		if v.Weight < 1 {
			return fmt.Errorf("snapshot: experiment %s: weight %d of variant %s", x.Key, v.Weight, v.Key)
		}
		if slices.ContainsFunc(x.Variants[:i], func(o Variant) bool { return o.Key == v.Key }) {
			return fmt.Errorf("snapshot: experiment %s: variant %s stands twice", x.Key, v.Key)
		}
		running.weights = append(running.weights, v.Weight)
	}
	if len(running.weights) == 0 || x.Salt == "" || x.LayerSalt == "" {
		return fmt.Errorf("snapshot: experiment %s has no variants or no salt", x.Key)
	}
	for _, key := range x.Touchpoints {
		at, ok := s.touchpoints[key]
		if !ok {
			return fmt.Errorf("snapshot: experiment %s: unknown touchpoint %s", x.Key, key)
		}
		for _, other := range at.tests {
			if other.LayerSalt != x.LayerSalt || overlap(other.Slots, x.Slots) {
				return fmt.Errorf("snapshot: experiments %s and %s overlap at %s", other.Key, x.Key, key)
			}
		}
		at.tests = append(at.tests, running)
	}
	if x.MaxDays > 0 {
		s.limited = append(s.limited, running)
	}
	for _, name := range x.Audience.Attributes() {
		if at, found := slices.BinarySearch(s.attributes, name); !found {
			s.attributes = slices.Insert(s.attributes, at, name)
		}
	}
	return nil
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

func (s *Snapshot) addPromotion(p Promotion) error {
	if p.Salt == "" || p.Holdback < 0 || p.Holdback > p.Reached || p.Reached > assign.SlotCount {
		return fmt.Errorf("snapshot: promotion of %s has no salt or reaches %d past a holdback of %d", p.Experiment, p.Reached, p.Holdback)
	}
	running := &promotion{p, p.Salt + PromotionSalt}
	for _, key := range p.Touchpoints {
		if at := s.touchpoints[key]; at != nil { // a touchpoint may have been deleted since
			at.promotions = append(at.promotions, running)
			for _, x := range at.tests {
				if p.Holdback > 0 && !slices.Contains(x.holdback, running) {
					x.holdback = append(x.holdback, running)
				}
			}
		}
	}
	return nil
}

func (s *Snapshot) addOverride(o Override) error {
	for _, key := range o.Touchpoints {
		at, ok := s.touchpoints[key]
		if !ok {
			return fmt.Errorf("snapshot: override of %s: unknown touchpoint %s", o.Experiment, key)
		}
		answer := Answer{Content: at.Content, Experiment: o.Experiment, Version: o.Version, Variant: o.Variant.Key, Reason: Forced}
		if content, ok := o.Variant.Content[key]; ok {
			answer.Content = content
		}
		at.forced, at.forcedTo = append(at.forced, answer), append(at.forcedTo, o.Customer)
	}
	return nil
}

// Version is the version of the configuration that the snapshot shows.
func (s *Snapshot) Version() int64 { return s.version }

// Touchpoints are the keys of all touchpoints, sorted. The slice must not be changed.
func (s *Snapshot) Touchpoints() []string { return s.keys }

// Attributes are the names of the attributes that running audiences ask for, sorted. The
// slice must not be changed.
func (s *Snapshot) Attributes() []string { return s.attributes }

// Touchpoint finds a touchpoint by its key.
func (s *Snapshot) Touchpoint(key string) (Touchpoint, bool) {
	at, ok := s.touchpoints[key]
	if !ok {
		return Touchpoint{}, false
	}
	return at.Touchpoint, true
}
