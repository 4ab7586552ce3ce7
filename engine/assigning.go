package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/perennial-engine/perennial/engine/snapshot"
)

// MaxBatch is the most elements of one batch.
const MaxBatch = 10_000

// recordTimeout bounds how long an answer waits for the database. An assignment is
// answered whether or not it could be recorded.
const recordTimeout = 2 * time.Second

// An AssignRequest asks what customers get at a touchpoint.
type AssignRequest struct {
	Touchpoint TouchpointKey
	Customers  []CustomerID
	Record     bool // enrol those who are assigned
}

// An Assigned is what one customer gets.
type Assigned struct {
	Customer CustomerID
	snapshot.Answer
}

// Assign answers what customers get at a touchpoint, from memory, and enrols them.
func (e *Engine) Assign(ctx context.Context, r AssignRequest) ([]Assigned, error) {
	live := e.live.Load()
	if live == nil {
		return nil, Errorf(KindUnavailable, "not_ready", "the configuration has not been loaded yet")
	}
	place, ok := live.snapshot.Touchpoint(string(r.Touchpoint))
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
		answer, _ := live.snapshot.Assign(string(r.Touchpoint), string(customer))
		answers = append(answers, Assigned{Customer: customer, Answer: answer})
		if answer.Enrol && r.Record {
			enrolments = append(enrolments, enrolmentOf(customer, answer, place, now))
		}
	}
	e.assigned.add(answers)
	e.enrol(ctx, enrolments)
	return answers, nil
}

func enrolmentOf(customer CustomerID, a snapshot.Answer, at snapshot.Touchpoint, when time.Time) Enrolment {
	return Enrolment{
		Customer: customer, Experiment: ExperimentKey(a.Experiment), Variant: VariantKey(a.Variant),
		AssignmentKey: string(customer), EnrolledAt: when,
		Channel: Channel(at.Channel), Touchpoint: TouchpointKey(at.Key),
	}
}

// enrol records enrolments before the answer goes out. A database that is away or silent
// never changes the answer: what could not be recorded in time waits in memory.
func (e *Engine) enrol(ctx context.Context, enrolments []Enrolment) {
	if len(enrolments) == 0 {
		return
	}
	// Not bound to the request: a client that goes away is enrolled all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var err error
		for some := range slices.Chunk(enrolments, transactionRows) {
			_, failed := e.store.InsertEnrolments(ctx, some)
			err = cmp.Or(err, failed)
		}
		done <- err
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done(): // a connection that went silent ends later, by its own deadline
		err = ctx.Err()
	}
	if err != nil {
		e.postpone(ctx, enrolments, err)
	}
}

// maxBacklog bounds the enrolments that wait in memory for a database that is away or busy.
const maxBacklog = 100_000

// postpone keeps enrolments until the database takes them, or counts them as lost when too
// many wait already.
func (e *Engine) postpone(ctx context.Context, enrolments []Enrolment, cause error) {
	e.backlog.Lock()
	defer e.backlog.Unlock()
	if len(e.waiting)+len(enrolments) > maxBacklog {
		total := e.unrecorded.Add(int64(len(enrolments)))
		e.log.ErrorContext(ctx, "enrolments lost: too many wait for the database", "enrolments", len(enrolments), "total", total, "error", cause)
		return
	}
	e.waiting = append(e.waiting, enrolments...)
	e.log.InfoContext(ctx, "enrolments wait for the database", "enrolments", len(enrolments), "waiting", len(e.waiting), "error", cause)
}

// Flush records the enrolments that wait. What cannot be recorded now goes on waiting.
func (e *Engine) Flush(ctx context.Context) error {
	e.backlog.Lock()
	waiting := e.waiting
	e.waiting = nil
	e.backlog.Unlock()
	for len(waiting) > 0 {
		some := waiting[:min(len(waiting), transactionRows)]
		if _, err := e.store.InsertEnrolments(ctx, some); err != nil {
			e.backlog.Lock()
			e.waiting = append(waiting, e.waiting...)
			e.backlog.Unlock()
			return err
		}
		waiting = waiting[len(some):]
	}
	return nil
}

// Unrecorded is the number of enrolments that were answered and are lost.
func (e *Engine) Unrecorded() int64 { return e.unrecorded.Load() }
