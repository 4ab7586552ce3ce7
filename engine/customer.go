package engine

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
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
