package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/perennial-engine/perennial/engine/snapshot"
)

// MaxBatch is the most elements of one batch.
const MaxBatch = 10_000

// An AssignRequest asks what customers get at a touchpoint.
type AssignRequest struct {
	Touchpoint TouchpointKey
	Customers  []CustomerID
	Attributes json.RawMessage // of all of them: a JSON object, or nil
	Record     bool            // enrol those who are assigned
}

// An Assigned is what one customer gets.
type Assigned struct {
	Customer CustomerID
	snapshot.Answer
}

// Assign answers what customers get at a touchpoint, from memory, and enrols them.
func (e *Engine) Assign(ctx context.Context, r AssignRequest) ([]Assigned, error) {
	lookup, err := e.Lookup()
	if err != nil {
		return nil, err
	}
	place, ok := lookup.Snapshot().Touchpoint(string(r.Touchpoint))
	if !ok {
		return nil, NotFoundf("touchpoint", string(r.Touchpoint))
	}
	var v violations
	for i, customer := range r.Customers {
		if !validText(string(customer), maxIdentifier) {
			v.addCode("invalid_identifier", pointerf("/customers/%d", i), textRule, maxIdentifier)
		}
	}
	if err := v.err("request"); err != nil {
		return nil, err
	}
	now := e.now()
	answers := make([]Assigned, 0, len(r.Customers))
	var enrolments []Enrolment
	for _, customer := range r.Customers {
		answer, _ := lookup.Meet(string(r.Touchpoint), lookup.Visitor(customer, r.Attributes))
		answers = append(answers, Assigned{Customer: customer, Answer: answer})
		if answer.Enrol && r.Record {
			enrolments = append(enrolments, lookup.enrolment(customer, &answer, place, now))
		}
	}
	e.assigned.add(answers)
	e.enrol(ctx, enrolments)
	return answers, nil
}

// Evaluate answers what one customer gets at a touchpoint, and enrols them. It is Assign for
// one, on the path that must be fast.
func (e *Engine) Evaluate(ctx context.Context, lookup Lookup, touchpoint string, who *Visitor) (answer snapshot.Answer, ok bool) {
	answer, ok = lookup.Meet(touchpoint, who)
	if ok {
		e.assigned.count(answer.Reason)
	}
	if answer.Enrol {
		place, _ := lookup.Snapshot().Touchpoint(touchpoint)
		e.enrol(ctx, []Enrolment{lookup.enrolment(CustomerID(who.customer.Identifier), &answer, place, e.now())})
	}
	return answer, ok
}

func (v Lookup) enrolment(customer CustomerID, a *snapshot.Answer, at snapshot.Touchpoint, when time.Time) Enrolment {
	return Enrolment{
		Customer: customer, Experiment: ExperimentKey(a.Experiment), Variant: VariantKey(a.Variant),
		AssignmentKey: a.Key, EnrolledAt: when,
		Channel: Channel(at.Channel), Touchpoint: TouchpointKey(at.Key), KnownUpTo: v.upTo,
	}
}
