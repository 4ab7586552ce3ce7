package engine

import (
	"encoding/json"
	"time"
)

// Attributes are what is known of a customer beside events: plain values by name.
type Attributes map[string]json.RawMessage

// A Customer is one person, as far as known.
type Customer struct {
	ID          CustomerID
	Identifiers []CustomerID
	Attributes  Attributes
	Enrolments  []Enrolment
	FirstSeen   *time.Time
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
	}
	for name, value := range c.Attributes {
		if !validText(name, maxAttributeName) {
			v.add("/attributes", "the name of an attribute "+textRule, maxAttributeName)
		}
		if len(value) > maxAttributeBytes {
			v.add("/attributes/"+name, "must be at most %d bytes", maxAttributeBytes)
		}
	}
	return v.err("customer")
}
