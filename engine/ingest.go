package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"time"
)

// An Element is one element of a batch: what was read, or why it could not be.
type Element[T any] struct {
	Value T
	ID    string // as far as it could be read
	Err   error
}

// batch checks the elements one by one, stores the good ones together and writes the receipt.
func batch[T any](elements []Element[T], check func(*T) error, conflict Rejection,
	insert func([]T) ([]RowStatus, error),
) (*Receipt, error) {
	receipt := &Receipt{}
	var good []T
	var index []int
	for i := range elements {
		element := &elements[i]
		err := element.Err
		if err == nil {
			err = check(&element.Value)
		}
		if err != nil {
			receipt.Rejections = append(receipt.Rejections, rejection(i, element.ID, err))
			continue
		}
		good = append(good, element.Value)
		index = append(index, i)
	}
	if len(good) == 0 {
		return receipt, nil
	}
	statuses, err := insert(good)
	if err != nil {
		return nil, err // what is in stays; sent again, it counts as duplicates
	}
	for i, status := range statuses {
		switch status {
		case RowAccepted:
			receipt.Accepted++
		case RowDuplicate, RowErased:
			receipt.Duplicates++
		case RowConflict:
			r := conflict
			r.Index, r.ID = index[i], elements[index[i]].ID
			receipt.Rejections = append(receipt.Rejections, r)
		}
	}
	slices.SortFunc(receipt.Rejections, func(a, b Rejection) int { return cmp.Compare(a.Index, b.Index) })
	return receipt, nil
}

// transactionRows bounds how long one transaction holds the ledger's lock, so that a large
// import lets others in between.
const transactionRows = 1000

func rejection(index int, id string, err error) Rejection {
	r := Rejection{Index: index, ID: id, Code: "invalid", Detail: err.Error()}
	if known, ok := errors.AsType[*Error](err); ok {
		r.Code, r.Detail = known.Code, known.Message
	}
	r.Retriable = r.Code == "rate_missing" || r.Code == "experiment_not_running"
	return r
}

// microseconds is the precision of the ledger.
func microseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// IngestEvents takes events into the ledger. An event counts once per customer and id.
func (e *Engine) IngestEvents(ctx context.Context, events []Element[Event]) (*Receipt, error) {
	now := e.now()
	missing, err := e.missingRates(ctx, events)
	if err != nil {
		return nil, err
	}
	reused := Rejection{Code: "id_reused", Detail: "another event of this customer has the same id and a different body"}
	return batch(events, func(event *Event) error {
		event.OccurredAt = microseconds(event.OccurredAt)
		return event.validate(now, e.reporting, missing)
	}, reused, func(good []Event) ([]RowStatus, error) {
		return e.store.InsertEvents(ctx, good)
	})
}

// IngestExposures takes exposures in and enrols the customers whom they show in a test.
func (e *Engine) IngestExposures(ctx context.Context, exposures []Element[Exposure]) (*Receipt, error) {
	now := e.now()
	lookup, err := e.Lookup()
	if err != nil {
		return nil, err
	}
	reused := Rejection{Code: "id_reused", Detail: "another exposure of this customer has the same id and a different body"}
	return batch(exposures, func(x *Exposure) error {
		x.OccurredAt = microseconds(x.OccurredAt)
		if err := x.validate(now); err != nil {
			return err
		}
		if _, ok := lookup.Snapshot().Touchpoint(string(x.Touchpoint)); !ok {
			return Errorf(KindInvalid, "unknown_touchpoint", "there is no touchpoint %q", x.Touchpoint)
		}
		return nil
	}, reused, func(good []Exposure) ([]RowStatus, error) {
		for i := range good {
			x := &good[i]
			place, _ := lookup.Snapshot().Touchpoint(string(x.Touchpoint))
			answer, _ := lookup.Meet(string(x.Touchpoint), lookup.at(x.OccurredAt).Visitor(x.Customer, nil))
			x.Enrols = slices.DeleteFunc(
				lookup.appendEnrolments(nil, x.Customer, &answer, place, x.OccurredAt),
				func(r Enrolment) bool { return r.EnrolledAt.Before(lookup.live.startedAt[r.Experiment]) })
		}
		return e.store.InsertExposures(ctx, good)
	})
}

// IngestEnrolments takes in the enrolments of external experiments. None is in conflict with
// another: the earliest counts.
func (e *Engine) IngestEnrolments(ctx context.Context, enrolments []Element[Enrolment]) (*Receipt, error) {
	now := e.now()
	experiments := map[ExperimentKey]*Experiment{}
	for i := range enrolments {
		if key := enrolments[i].Value.Experiment; enrolments[i].Err == nil && validKey(string(key)) {
			experiments[key] = nil
		}
	}
	known, err := e.store.ExperimentsNamed(ctx, slices.Collect(maps.Keys(experiments)))
	if err != nil {
		return nil, err
	}
	for i := range known {
		experiments[known[i].Key] = &known[i]
	}
	return batch(enrolments, func(r *Enrolment) error {
		r.EnrolledAt = microseconds(r.EnrolledAt)
		r.AssignmentKey, r.KnownUpTo = string(r.Customer), math.MaxInt64
		return r.validate(experiments[r.Experiment], now)
	}, Rejection{}, func(good []Enrolment) ([]RowStatus, error) {
		return e.store.InsertEnrolments(ctx, good)
	})
}

func (r *Enrolment) validate(x *Experiment, now time.Time) error {
	switch {
	case !validText(string(r.Customer), maxIdentifier):
		return Errorf(KindInvalid, "invalid_identifier", "customer "+textRule, maxIdentifier)
	case x == nil:
		return Errorf(KindInvalid, "unknown_experiment", "there is no experiment %q", r.Experiment)
	case x.Assignment != AssignedElsewhere:
		return Errorf(KindInvalid, "not_external", "experiment %q assigns its customers itself", r.Experiment)
	case x.Status == StatusConcluded:
		return Errorf(KindInvalid, "experiment_concluded", "experiment %q is concluded: nobody is enrolled in it any more", r.Experiment)
	case x.Status == StatusPaused:
		return Errorf(KindInvalid, "experiment_not_running", "experiment %q is paused: resume it first", r.Experiment)
	case x.Status != StatusRunning:
		return Errorf(KindInvalid, "experiment_not_running", "experiment %q is a draft: start it first", r.Experiment)
	}
	if _, ok := x.Variant(r.Variant); !ok {
		return Errorf(KindInvalid, "unknown_variant", "experiment %q has no variant %q", r.Experiment, r.Variant)
	}
	return checkTime("enrolled_at", r.EnrolledAt, now)
}

// IngestCustomers writes attributes over those known of the customers.
func (e *Engine) IngestCustomers(ctx context.Context, customers []Element[Customer]) (*Receipt, error) {
	return batch(customers, (*Customer).validate, Rejection{}, func(good []Customer) ([]RowStatus, error) {
		for some := range slices.Chunk(good, transactionRows) {
			if _, err := e.store.MergeCustomers(ctx, some, e.now()); err != nil {
				return nil, err
			}
		}
		return make([]RowStatus, len(good)), nil
	})
}

// PutCustomer writes attributes over those known of one customer.
func (e *Engine) PutCustomer(ctx context.Context, customer Customer) (created bool, err error) {
	if err := customer.validate(); err != nil {
		return false, err
	}
	n, err := e.store.MergeCustomers(ctx, []Customer{customer}, e.now())
	if err == nil {
		e.followed(ctx)
	}
	return n == 1, err
}
