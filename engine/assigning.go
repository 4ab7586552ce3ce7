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
	answers := make([]Assigned, 0, len(r.Customers))
	var enrolments []Enrolment
	for _, customer := range r.Customers {
		answer, _ := lookup.Meet(string(r.Touchpoint), lookup.Visitor(customer, r.Attributes))
		answers = append(answers, Assigned{Customer: customer, Answer: answer})
		if r.Record {
			enrolments = lookup.appendEnrolments(enrolments, customer, &answer, place, lookup.now)
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
	if answer.Enrol || answer.Compared != nil {
		place, _ := lookup.Snapshot().Touchpoint(touchpoint)
		e.enrol(ctx, lookup.appendEnrolments(nil, CustomerID(who.customer.Identifier), &answer, place, lookup.now))
	}
	return answer, ok
}

// appendEnrolments appends the enrolments that an answer makes.
func (v Lookup) appendEnrolments(
	to []Enrolment, customer CustomerID, a *snapshot.Answer, at snapshot.Touchpoint, when time.Time,
) []Enrolment {
	add := func(experiment, variant, key string) {
		to = append(to, Enrolment{
			Customer: customer, Experiment: ExperimentKey(experiment), Variant: VariantKey(variant),
			AssignmentKey: key, EnrolledAt: when,
			Channel: Channel(at.Channel), Touchpoint: TouchpointKey(at.Key), KnownUpTo: v.upTo,
		})
	}
	if a.Enrol {
		add(a.Experiment, a.Variant, a.Key)
	}
	for _, entry := range a.Compared {
		add(entry.Comparison, entry.Arm, entry.Key)
	}
	return to
}
