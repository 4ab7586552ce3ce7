package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine/people"
)

// MaxLinked is the most identifiers of one link.
const MaxLinked = 1000

// A Person is a customer with all their identifiers. ID is the bytewise smallest of them.
type Person struct {
	ID          CustomerID
	Identifiers []CustomerID // sorted by bytes
	Conflicts   []IDConflict
}

// An IDConflict is an event or exposure that does not count: a link brought it together with
// another one of its id and another body, and the other was ingested first. An exposure has
// no Type, value or channel.
type IDConflict struct {
	ID         string
	Type       string
	OccurredAt time.Time
	Value      *decimal.Decimal
	Currency   Currency
	Channel    Channel
	Touchpoint TouchpointKey
}

// People is what changed of who is who and who is in which experiment.
type People struct {
	Links      []IdentityLink
	Enrolments []Enrolment     // Customer is the person
	Erased     []people.Digest // of identifiers; what comes with it is of later
}

// An IdentityLink says whose an identifier is.
type IdentityLink struct {
	Identifier CustomerID
	Person     CustomerID
}

// LinkIdentities makes the customer and the identifiers one person from now on, and answers
// that person with the conflicts of ids that this link brought about.
func (e *Engine) LinkIdentities(ctx context.Context, customer CustomerID, identifiers []CustomerID) (*Person, error) {
	var v violations
	check := func(pointer string, id CustomerID) {
		if !validText(string(id), maxIdentifier) {
			v.addCode("invalid_identifier", pointer, textRule, maxIdentifier)
		}
	}
	check("/customer", customer)
	switch n := len(identifiers); {
	case n == 0:
		v.add("/identifiers", "must be at least one identifier")
	case n > MaxLinked:
		v.add("/identifiers", "must be at most %d identifiers, not %d", MaxLinked, n)
	default:
		for i, id := range identifiers {
			check(pointerf("/identifiers/%d", i), id)
		}
	}
	if err := v.err("link"); err != nil {
		return nil, err
	}
	all := slices.Sorted(slices.Values(append([]CustomerID{customer}, identifiers...)))
	person, err := e.store.LinkIdentities(ctx, slices.Compact(all))
	if err == nil {
		e.followed(ctx)
	}
	return person, err
}

// Compare orders conflicts by id, then time and what they say.
func (c IDConflict) Compare(other IDConflict) int {
	value := func(c IDConflict) string {
		if c.Value == nil {
			return ""
		}
		return c.Value.String()
	}
	return cmp.Or(strings.Compare(c.ID, other.ID), c.OccurredAt.Compare(other.OccurredAt),
		strings.Compare(c.Type, other.Type), strings.Compare(value(c), value(other)))
}
