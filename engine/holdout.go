package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine/assign"
)

// HoldoutKey names a holdout.
type HoldoutKey string

// A Holdout keeps a share of customers out of every test and promotion, so that the
// programme as a whole can be judged. It binds customers without an enrolment before its
// creation and serves each touchpoint's content as it was then.
type Holdout struct {
	Key       HoldoutKey
	Parts     int // its share in ten-thousandths
	Salt      string
	CreatedAt time.Time
	Contents  map[TouchpointKey]json.RawMessage // at its creation
}

// Validate checks a holdout by itself.
func (h *Holdout) Validate() error {
	var v violations
	if !validKey(string(h.Key)) {
		v.add("/key", keyRule)
	}
	if h.Parts < 1 || h.Parts > assign.SlotCount {
		v.add("/share", "must be a share from 0.0001 to 1, such as 0.05")
	}
	return v.err("holdout")
}

// PartsOf is a share in ten-thousandths, half up.
func PartsOf(share decimal.Decimal) int {
	return int(share.Mul(decimal.NewFromInt(assign.SlotCount)).Round(0).IntPart())
}

// Share is the share of customers.
func (h *Holdout) Share() decimal.Decimal { return decimal.New(int64(h.Parts), -4) }

// PutHoldout makes a holdout, or answers the one that is there. Its share never changes: who
// was held out must stay so, and who was not has met tests.
func (e *Engine) PutHoldout(ctx context.Context, h *Holdout) (holdout *Holdout, created bool, err error) {
	if err := h.Validate(); err != nil {
		return nil, false, err
	}
	if h.Salt, err = e.newSalt(); err != nil {
		return nil, false, err
	}
	h.CreatedAt = e.now()
	if created, err = e.store.PutHoldout(ctx, h); err != nil {
		return nil, false, err
	}
	if created {
		e.changed(ctx)
	}
	holdout, err = e.store.Holdout(ctx, h.Key)
	if err == nil && holdout.Parts != h.Parts {
		return nil, false, Errorf(KindInvalid, "holdout_fixed",
			"holdout %q has the share %s, which never changes: make another holdout", h.Key, holdout.Share())
	}
	return holdout, created, err
}

// HeldOut reports whether a holdout binds a customer.
func (e *Engine) HeldOut(ctx context.Context, key HoldoutKey, customer CustomerID) (bool, error) {
	if _, err := ParseIdentifier(string(customer)); err != nil {
		return false, err
	}
	h, err := e.store.Holdout(ctx, key)
	if err != nil {
		return false, err
	}
	who, err := e.find(string(customer))
	if err != nil {
		return false, err
	}
	first, enrolled := who.First()
	return assign.Slot(h.Salt, who.Key()) < h.Parts && (!enrolled || !first.Before(h.CreatedAt)), nil
}
