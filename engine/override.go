package engine

import (
	"context"
	"fmt"
)

// An Override is a variant forced on a customer, for looking at it: it comes before
// everything else, in a draft too, and the customer is never analysed in that experiment.
type Override struct {
	Experiment ExperimentKey
	Customer   CustomerID // any identifier of theirs
	Variant    VariantKey
}

// maxOverrides bounds the forced customers of one experiment: they are for people who
// check a test, not for audiences.
const maxOverrides = 1000

// PutOverride forces a variant on a customer, in a test that is not concluded.
func (e *Engine) PutOverride(ctx context.Context, o Override) (created bool, err error) {
	if _, err := ParseIdentifier(string(o.Customer)); err != nil {
		return false, err
	}
	x, err := e.store.Experiment(ctx, o.Experiment)
	if err != nil {
		return false, err
	}
	if err := needStatus(x, "force a variant of", StatusDraft, StatusRunning, StatusPaused); err != nil {
		return false, err
	}
	if _, ok := x.Variant(o.Variant); !ok {
		return false, &Error{
			Kind: KindInvalid, Code: "unknown_variant",
			Message: fmt.Sprintf("experiment %q has no variant %q", o.Experiment, o.Variant),
			Fields:  []FieldError{{Pointer: "/variant", Detail: "must be a variant of the experiment"}},
		}
	}
	if created, err = e.store.PutOverride(ctx, o, maxOverrides, e.now()); err != nil {
		return false, err
	}
	e.changed(ctx)
	return created, nil
}

// DeleteOverride takes a forced variant back.
func (e *Engine) DeleteOverride(ctx context.Context, experiment ExperimentKey, customer CustomerID) error {
	if _, err := ParseIdentifier(string(customer)); err != nil {
		return err
	}
	err := e.store.DeleteOverride(ctx, experiment, customer, e.now())
	if err == nil {
		e.changed(ctx)
	}
	return err
}
