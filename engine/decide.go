package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// decideAll is the decide job: it carries out the decisions that wait and need nobody.
// Each is carried out in one transaction that also changes the experiment, under the
// configuration's lock, so that no second worker can do it again.
func (e *Engine) decideAll(ctx context.Context) (int, error) {
	pending, err := e.store.PendingDecisions(ctx)
	if err != nil {
		return 0, err
	}
	done := 0
	var failures []error
	for _, decision := range pending {
		// One from the future was made by a clock that has been set back since: it waits for its
		// time, so that nothing happens earlier than the plan allows.
		if decision.Mode != ModeAuto || decision.DecidedAt.After(e.now()) {
			continue
		}
		err := e.actAlone(ctx, decision.Experiment, func(c *Change) error {
			if c.Pending == nil || c.Pending.ID != decision.ID || c.Experiment.Status != StatusRunning {
				return Errorf(KindConflict, "already_decided", "decision %s no longer waits", decision.ID)
			}
			if mode := c.Experiment.Policy.Mode; mode == ModeManual || (mode == ModeApprove && c.Pending.Action == ActionPromote) {
				return Errorf(KindConflict, "mode_changed", "experiment %q now waits for a person", decision.Experiment)
			}
			return carryOut(c, e.now())
		})
		switch {
		case err == nil:
			done++
			e.log.InfoContext(ctx, "decision carried out",
				"experiment", decision.Experiment, "action", decision.Action, "variant", decision.Variant)
		case KindOf(err) != KindConflict:
			failures = append(failures, fmt.Errorf("experiment %s: %w", decision.Experiment, err))
		}
	}
	return done, errors.Join(failures...)
}

// carryOut does what the pending decision says.
func carryOut(c *Change, now time.Time) error {
	x, decision := c.Experiment, c.Pending
	decision.AppliedAt = &now
	switch decision.Action {
	case ActionPromote:
		winner, ok := x.Variant(decision.Variant)
		if !ok {
			return fmt.Errorf("decision %s names unknown variant %q", decision.ID, decision.Variant)
		}
		return promote(c, winner, now)
	case ActionStopHarm:
		// A look that began before the last stop may ask for it again.
		if !x.isStopped(decision.Variant) {
			x.Stopped = append(x.Stopped, decision.Variant)
		}
		if len(x.Active()) == 0 {
			conclude(x, OutcomeStopped, now)
		}
	case ActionKeepControl:
		outcome := OutcomeKeptControl
		if decision.Reasons[0].Code == "plan_ended" && x.Policy.OnTimeout == TimeoutInconclusive {
			outcome = OutcomeInconclusive
		}
		conclude(x, outcome, now)
	case ActionContinue, ActionNeedsApproval, ActionFixHealth, ActionStop, ActionRollback:
		return fmt.Errorf("decision %s cannot be carried out: %s", decision.ID, decision.Action)
	}
	return nil
}

// Decisions lists what was decided, of one experiment or, with an empty key, of all.
func (e *Engine) Decisions(ctx context.Context, key ExperimentKey, p Page) ([]Decision, error) {
	if key != "" {
		if _, err := e.store.Experiment(ctx, key); err != nil {
			return nil, err
		}
	}
	return e.store.Decisions(ctx, key, p)
}
