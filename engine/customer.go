package engine

import (
	"encoding/json"
	"strconv"
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

func (a Attributes) validate(pointer string) error {
	var v violations
	if len(a) > maxAttributes {
		v.add(pointer, "must be at most %d attributes, not %s", maxAttributes, strconv.Itoa(len(a)))
	}
	for name, value := range a {
		if !validText(name, maxAttributeName) {
			v.add(pointer, "the name of an attribute "+textRule, maxAttributeName)
		}
		if len(value) > maxAttributeBytes {
			v.add(pointer+"/"+name, "must be at most %d bytes", maxAttributeBytes)
		}
	}
	return v.err("customer")
}
