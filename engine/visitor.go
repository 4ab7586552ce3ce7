package engine

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/perennial-engine/perennial/engine/people"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// A Lookup is one consistent picture of the configuration, for the length of one request.
type Lookup struct {
	engine *Engine
	live   *live
	upTo   int64     // ingest position that people are known up to
	now    time.Time // of the contact
}

// Lookup answers the picture that serves now.
func (e *Engine) Lookup() (Lookup, error) {
	upTo := e.upTo.Load()
	live := e.live.Load()
	if live == nil {
		return Lookup{}, Errorf(KindUnavailable, "not_ready", "the configuration has not been loaded yet")
	}
	return Lookup{e, live, upTo, e.now()}, nil
}

// at is the same picture for a contact at another time.
func (v Lookup) at(now time.Time) Lookup {
	v.now = now
	return v
}

// Snapshot is the picture of touchpoints and tests.
func (v Lookup) Snapshot() *snapshot.Snapshot { return v.live.snapshot }

// A Visitor is a customer who asks, by one of their identifiers.
type Visitor struct {
	customer snapshot.Customer
	sent     json.RawMessage // attributes sent with the request: a JSON object or nil
	lookup   Lookup
	all      map[string]any // attributes stored and sent, once asked for
}

// Visitor finds who an identifier is. sent is a JSON object of attributes, or nil; it is
// read only where an audience asks for it.
func (v Lookup) Visitor(identifier CustomerID, sent json.RawMessage) *Visitor {
	who := &Visitor{sent: sent, lookup: v}
	who.customer = snapshot.Customer{
		Identifier: string(identifier), Person: v.live.people.Find(string(identifier)), Know: who, Now: v.now,
	}
	return who
}

// Attributes are those stored, overlaid with those sent.
func (v *Visitor) Attributes() map[string]any {
	if v.all != nil {
		return v.all
	}
	stored := v.lookup.engine.attributes.of(v.customer.Person.Root())
	if len(v.sent) == 0 {
		v.all = stored
		return stored
	}
	v.all = maps.Clone(stored)
	if v.all == nil {
		v.all = map[string]any{}
	}
	var sent map[string]any
	if json.Unmarshal(v.sent, &sent) == nil {
		maps.Copy(v.all, sent)
	}
	return v.all
}

// Is reports whether another identifier names the visitor.
func (v *Visitor) Is(identifier string) bool {
	other := v.lookup.live.people.Find(identifier)
	return other.Root() == v.customer.Person.Root()
}

// KeyIn is the assignment key of the visitor's enrolment in an experiment.
func (v *Visitor) KeyIn(experiment string) string {
	return v.lookup.live.people.KeyIn(v.customer.Identifier, experiment)
}

// FirstIn is the time of anybody's first enrolment in an experiment.
func (v *Visitor) FirstIn(experiment string) (at time.Time, ok bool) {
	return v.lookup.live.people.FirstIn(experiment)
}

// Key is the assignment key that a new experiment would draw the visitor with.
func (v *Visitor) Key() string { return v.customer.Person.Key() }

// Meet answers what the visitor gets at a touchpoint; ok is false when there is none of
// this key. It records nothing.
func (v Lookup) Meet(touchpoint string, who *Visitor) (answer snapshot.Answer, ok bool) {
	return v.live.snapshot.Assign(touchpoint, &who.customer)
}

// find is the person of an identifier.
func (e *Engine) find(identifier string) (people.Person, error) {
	lookup, err := e.Lookup()
	if err != nil {
		return people.Person{}, err
	}
	return lookup.live.people.Find(identifier), nil
}
