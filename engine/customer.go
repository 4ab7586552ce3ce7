package engine

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine/snapshot"
)

// Attributes are what is known of a customer beside events: plain values by name.
type Attributes map[string]json.RawMessage

// A Customer is one person, as far as known.
type Customer struct {
	ID          CustomerID
	Identifiers []CustomerID // sorted by bytes
	Attributes  Attributes
	Enrolments  []Enrolment
	FirstSeen   *time.Time
	IDConflicts []IDConflict
	Meets       []Meeting       // what they get now, by touchpoint
	Exposures   []ExposureCount // by channel, "" for touchpoints that are no more
	Events      []EventCount    // by type
	Latest      []Event         // the newest first
	Gross, Net  decimal.Decimal // value to date, in the reporting currency: without costs, with them
}

// A Meeting is what a customer gets at a touchpoint now. Variant and Experiment are empty
// where none applies.
type Meeting struct {
	Touchpoint TouchpointKey
	Channel    Channel
	Variant    VariantKey
	Experiment ExperimentKey
	Reason     snapshot.Reason
}

// ExposureCount counts what a customer was shown on a channel.
type ExposureCount struct {
	Channel     Channel
	Count       int64
	First, Last time.Time
}

// EventCount counts what a customer did, and sums up what it was worth in the reporting
// currency; Value is nil where no event of the type has one.
type EventCount struct {
	Type        string
	Count       int64
	Value       *decimal.Decimal
	First, Last time.Time
}

// Customer reads what is known of the person with this identifier, and what they meet now at
// every touchpoint. It records nothing.
func (e *Engine) Customer(ctx context.Context, id CustomerID) (*Customer, error) {
	e.settle(ctx)
	c, err := e.store.Customer(ctx, id)
	if err != nil {
		return nil, err
	}
	lookup, err := e.Lookup()
	if err != nil {
		return nil, err
	}
	who := lookup.Visitor(id, nil)
	for _, key := range lookup.Snapshot().Touchpoints() {
		place, _ := lookup.Snapshot().Touchpoint(key)
		answer, _ := lookup.Meet(key, who)
		c.Meets = append(c.Meets, Meeting{
			TouchpointKey(key), Channel(place.Channel), VariantKey(answer.Variant), ExperimentKey(answer.Experiment), answer.Reason,
		})
	}
	for _, events := range c.Events {
		if events.Value == nil {
			continue
		}
		c.Net = c.Net.Add(*events.Value)
		if !isCost(events.Type) {
			c.Gross = c.Gross.Add(*events.Value)
		}
	}
	return c, nil
}

// ExportCustomer hands over everything that is kept of the person with this identifier, row
// by row with the table it is in.
func (e *Engine) ExportCustomer(ctx context.Context, id CustomerID, row func(table string, row json.RawMessage) error) error {
	e.settle(ctx)
	return e.store.ExportCustomer(ctx, id, row)
}

const (
	maxAttributes     = 200
	maxAttributeName  = 100
	maxAttributeBytes = 4096
)

func (c *Customer) validate() error {
	if _, err := ParseIdentifier(string(c.ID)); err != nil {
		return err
	}
	var v violations
	if len(c.Attributes) > maxAttributes {
		v.add("/attributes", "must be at most %d attributes, not %d", maxAttributes, len(c.Attributes))
		return v.err("customer")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		value := c.Attributes[name]
		if !validText(name, maxAttributeName) {
			v.add("/attributes", "the name of an attribute "+textRule, maxAttributeName)
		}
		if len(value) > maxAttributeBytes {
			v.add("/attributes/"+pointerToken(name), "must be at most %d bytes", maxAttributeBytes)
		}
		if document, ok := exactJSON(value); !ok || !doubles(document) {
			v.add("/attributes/"+pointerToken(name), "must be JSON whose numbers are in the range of a double")
		}
	}
	return v.err("customer")
}

// doubles reports whether every number of a document is 0 or in the range of a double.
func doubles(v any) bool {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		mantissa, _, _ := strings.Cut(strings.ToLower(string(v)), "e")
		return err == nil && (f != 0 || !strings.ContainsAny(mantissa, "123456789"))
	case []any:
		return !slices.ContainsFunc(v, func(element any) bool { return !doubles(element) })
	case map[string]any:
		for _, member := range v {
			if !doubles(member) {
				return false
			}
		}
	}
	return true
}
