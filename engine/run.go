package engine

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/perennial-engine/perennial/engine/assign"
)

func pointerf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// An Action is a change of state that a person asks for.
type Action struct {
	Experiment ExperimentKey
	Variant    VariantKey // promote only
	By         string     // name of the key
	Reason     string
}

// act makes one change of state and shows it.
func (e *Engine) act(ctx context.Context, key ExperimentKey, change func(c *Change) error) (*Experiment, error) {
	err := e.store.ChangeExperiment(ctx, key, func(c *Change) error {
		if err := change(c); err != nil {
			return err
		}
		now := e.now()
		c.Experiment.UpdatedAt = now
		if c.Pending != nil && c.Pending.AppliedAt == nil && c.Experiment.Status == StatusConcluded {
			c.Pending.SupersededAt = &now
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.changed(ctx)
	return e.store.Experiment(ctx, key)
}

func needStatus(x *Experiment, action string, allowed ...Status) error {
	if slices.Contains(allowed, x.Status) {
		return nil
	}
	return Errorf(KindConflict, "wrong_status", "cannot %s experiment %q: it is %s", action, x.Key, x.Status)
}

// Start freezes the plan, takes the slots and lets customers in.
func (e *Engine) Start(ctx context.Context, a Action) (*Experiment, error) {
	caps, err := e.findCaps(ctx, a.Experiment)
	if err != nil {
		return nil, err
	}
	x, err := e.store.Experiment(ctx, a.Experiment)
	if err != nil {
		return nil, err
	}
	found, err := e.findSize(ctx, x)
	if err != nil {
		return nil, err
	}
	return e.act(ctx, a.Experiment, func(c *Change) error { return e.begin(c, caps, found) })
}

// begin is the start of an experiment under the configuration's lock.
func (e *Engine) begin(c *Change, caps foundCaps, found foundSize) error {
	x := c.Experiment
	if err := needStatus(x, "start", StatusDraft); err != nil {
		return err
	}
	var v violations
	x.checkReferences(&v, c.Metrics, c.Touchpoints, c.Layer.Key != "")
	if err := v.err("experiment"); err != nil {
		return err
	}
	x.Frozen = nil
	for _, r := range x.Metrics.all() {
		x.Frozen = append(x.Frozen, c.Metrics[r.key])
	}
	if err := caps.fix(x.Frozen); err != nil {
		return err
	}
	if err := c.noRamp("start"); err != nil {
		return err
	}
	if x.Plan.PlannedCustomers == 0 && found.size != nil {
		if !reflect.DeepEqual(x.Spec, found.spec) {
			return Errorf(KindConflict, "experiment_changed", "experiment %q has just been changed: start again", x.Key)
		}
		x.Plan.PlannedCustomers = max(int(found.size.CustomersPerArm), x.Policy.MinCustomers)
	}
	x.planSize()
	for _, other := range c.Others {
		if other.Layer != x.Layer {
			return Errorf(KindInvalid, "layer_conflict",
				"experiment %q runs on a touchpoint of this one in layer %q: tests that share a touchpoint must share a layer",
				other.Key, other.Layer)
		}
	}
	if x.Assignment == AssignedByEngine {
		if err := x.takeSlots(c.Others); err != nil {
			return err
		}
	}
	now := e.now()
	x.Status, x.StartedAt = StatusRunning, &now
	return nil
}

// planSize sees to it that the plan has an end, or a size to be tuned for.
func (x *Experiment) planSize() {
	if x.Plan.PlannedCustomers > 0 {
		return
	}
	switch x.Plan.Method {
	case MethodFixed:
		if x.Policy.MaxDays == 0 {
			x.Policy.MaxDays = max(defaultMaxDays, x.Policy.MinDays)
		}
	case MethodAnytime, MethodGroupSequential:
		x.Plan.PlannedCustomers = max(defaultTuning, x.Policy.MinCustomers)
	}
}

// defaultMaxDays is how long a fixed plan enrols that names neither a size nor an end.
const defaultMaxDays = 90

// defaultTuning is the number of customers per arm that an anytime plan without a size is
// sharpest at; it stays valid at any other (docs/methods/confidence-sequence.md).
const defaultTuning = 2500

// takeSlots grows the experiment's slots to what its traffic asks for.
func (x *Experiment) takeSlots(others []Experiment) error {
	taken := make([]assign.Slots, 0, len(others))
	for i := range others {
		taken = append(taken, others[i].Slots)
	}
	slots, ok := assign.Grow(x.Slots, x.SlotCount(), taken...)
	if !ok {
		return Errorf(KindInvalid, "layer_full",
			"layer %q has too few free slots for traffic %s: stop a test that shares a touchpoint or ask for less",
			x.Layer, x.Traffic)
	}
	x.Slots = slots
	return nil
}

// Pause serves everyone the touchpoints' own content until Resume.
func (e *Engine) Pause(ctx context.Context, a Action) (*Experiment, error) {
	return e.act(ctx, a.Experiment, func(c *Change) error {
		if err := needStatus(c.Experiment, "pause", StatusRunning); err != nil {
			return err
		}
		c.Experiment.Status = StatusPaused
		return nil
	})
}

// Resume lets a paused experiment go on.
func (e *Engine) Resume(ctx context.Context, a Action) (*Experiment, error) {
	return e.act(ctx, a.Experiment, func(c *Change) error {
		if err := needStatus(c.Experiment, "resume", StatusPaused); err != nil {
			return err
		}
		c.Experiment.Status = StatusRunning
		return nil
	})
}

// Stop ends an experiment by a person's word. The touchpoints keep their content.
func (e *Engine) Stop(ctx context.Context, a Action) (*Experiment, error) {
	return e.byPerson(ctx, a, ActionStop, func(c *Change, now time.Time) error {
		if err := needStatus(c.Experiment, "stop", StatusRunning, StatusPaused); err != nil {
			return err
		}
		conclude(c.Experiment, OutcomeStopped, now)
		return nil
	})
}

// Promote puts a variant in its touchpoints' place by a person's word.
func (e *Engine) Promote(ctx context.Context, a Action) (*Experiment, error) {
	return e.byPerson(ctx, a, ActionPromote, func(c *Change, now time.Time) error {
		if err := needStatus(c.Experiment, "promote a variant of", StatusRunning, StatusPaused); err != nil {
			return err
		}
		variant, ok := c.Experiment.Variant(a.Variant)
		if !ok || variant.Control {
			return &Error{
				Kind: KindInvalid, Code: "unknown_variant",
				Message: fmt.Sprintf("experiment %q has no treatment %q to promote", a.Experiment, a.Variant),
				Fields:  []FieldError{{Pointer: "/variant", Detail: "must be a variant of the experiment other than control"}},
			}
		}
		return promote(c, variant, now)
	})
}

// Approve carries out the decision that waits for a person.
func (e *Engine) Approve(ctx context.Context, a Action) (*Experiment, error) {
	return e.act(ctx, a.Experiment, func(c *Change) error {
		// A decision made before the policy turned to approve waits for a person all the same.
		if c.Pending == nil || (c.Pending.Mode != ModeApprove && c.Experiment.Policy.Mode != ModeApprove) {
			return Errorf(KindConflict, "nothing_to_approve", "no decision on experiment %q waits for approval", a.Experiment)
		}
		if err := needStatus(c.Experiment, "approve a decision on", StatusRunning); err != nil {
			return err
		}
		c.Pending.ApprovedBy, c.Pending.Note = a.By, a.Reason
		return carryOut(c, e.now())
	})
}

// byPerson makes a change of state and writes down who wanted it, in one transaction.
func (e *Engine) byPerson(ctx context.Context, a Action, what DecisionAction, change func(*Change, time.Time) error) (*Experiment, error) {
	id, err := e.token(16)
	if err != nil {
		return nil, err
	}
	return e.act(ctx, a.Experiment, func(c *Change) error {
		now := e.now()
		if err := change(c, now); err != nil {
			return err
		}
		c.Decision = &Decision{
			ID: id, Experiment: a.Experiment, Action: what, Variant: a.Variant, Mode: ModeManual,
			Reasons:   []Reason{{Code: "by_person", Detail: a.By + " decided so"}},
			DecidedBy: a.By, Note: a.Reason, DecidedAt: now, AppliedAt: &now,
		}
		return nil
	})
}

func conclude(x *Experiment, outcome Outcome, now time.Time) {
	x.Status, x.Outcome, x.ConcludedAt = StatusConcluded, outcome, &now
}
