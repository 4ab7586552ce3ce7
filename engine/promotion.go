package engine

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// A Promotion is a winner put in its touchpoints' place, and what was there before. The
// winning arm's customers have it at once; all others have p = U32(salt + "/promotion", key)
// in ten-thousandths: below the holdback they keep what was there, and of the rest each
// step of the ramp brings the winner to a larger share, by ascending p.
type Promotion struct {
	Variant      VariantKey
	Before       map[TouchpointKey]Served
	PromotedAt   time.Time
	Step         int // index of the ramp's step in force
	SteppedAt    time.Time
	ReleasedAt   *time.Time // when its ramp and its holdback were over
	EndedAt      *time.Time // when nothing was left to watch, or it was rolled back
	RolledBackAt *time.Time
}

// Served is what a touchpoint served before a promotion. The tags name its stored form.
type Served struct {
	Content    []byte        `json:"content"`
	PromotedBy ExperimentKey `json:"promoted_by,omitempty"`
}

// Replaced are the promotions whose winners a promotion replaced, by touchpoint.
type Replaced map[TouchpointKey]ExperimentKey

// A PromotedExperiment is a concluded experiment whose promotion is still in force.
type PromotedExperiment struct {
	Experiment
	Promotion Promotion
}

// promote makes the variant's content the touchpoints' own and keeps what was there.
func promote(c *Change, winner Variant, now time.Time) error {
	if err := c.noRamp("promote a variant of"); err != nil {
		return err
	}
	x := c.Experiment
	c.Promotion = &Promotion{Variant: winner.Key, Before: map[TouchpointKey]Served{}, PromotedAt: now, SteppedAt: now}
	for key, content := range winner.Content {
		if t := c.Touchpoints[key]; t != nil {
			c.Promotion.Before[key] = Served{t.Content, t.PromotedBy}
			t.Content, t.PromotedBy = content, x.Key
		}
	}
	if !c.Promotion.ramping(&x.Policy) && x.Policy.Holdback == 0 {
		c.Promotion.ReleasedAt, c.Promotion.EndedAt = &now, &now
	}
	x.Winner = winner.Key
	conclude(x, OutcomePromoted, now)
	return nil
}

// noRamp answers an error while a promotion on one of the experiment's touchpoints is
// still being ramped up.
func (c *Change) noRamp(action string) error {
	for i := range c.Promoted {
		if p := &c.Promoted[i]; p.Promotion.EndedAt == nil && p.Promotion.ramping(&p.Policy) {
			return Errorf(KindConflict, "ramp_in_progress",
				"cannot %s experiment %q: the winner of %q is still being ramped up on a touchpoint of this one",
				action, c.Experiment.Key, p.Key)
		}
	}
	return nil
}

// ramping reports whether a step of the ramp is still to come.
func (p *Promotion) ramping(policy *Policy) bool { return p.Step < len(policy.Ramp)-1 }

// heldBack is how many of the ten-thousandths are held back; 0 once the holdback is over.
func (p *Promotion) heldBack(policy *Policy) int {
	if p.ReleasedAt != nil {
		return 0
	}
	return policy.heldBack()
}

// heldBack counts the ten-thousandths below holdback × 10,000.
func (p *Policy) heldBack() int {
	return int(decimal.NewFromFloat(p.Holdback).Mul(decimal.NewFromInt(assign.SlotCount)).Ceil().IntPart())
}

// reached is up to where in ten-thousandths the winner has come: the step's share of those
// who are not held back, half up.
func (p *Promotion) reached(policy *Policy) int {
	held := p.heldBack(policy)
	if !p.ramping(policy) {
		return assign.SlotCount
	}
	return held + int(math.Floor(policy.Ramp[p.Step]*float64(assign.SlotCount-held)+0.5))
}

// picture is the promotion as assignment sees it. winners are the variants of those below it.
func (x *PromotedExperiment) picture(winners map[ExperimentKey]VariantKey) snapshot.Promotion {
	p := snapshot.Promotion{
		Experiment: string(x.Key), Version: x.Version, Variant: string(x.Promotion.Variant), Salt: x.Salt,
		Variants: x.arms(), Before: make(map[string]snapshot.Served, len(x.Promotion.Before)),
		Holdback: x.Promotion.heldBack(&x.Policy), Reached: x.Promotion.reached(&x.Policy),
	}
	if x.compares() && p.Holdback > 0 {
		p.Comparison = string(x.Key.comparison())
	}
	for _, t := range x.Touchpoints {
		p.Touchpoints = append(p.Touchpoints, string(t))
	}
	for key, before := range x.Promotion.Before {
		p.Before[string(key)] = snapshot.Served{
			Content: json.RawMessage(before.Content), PromotedBy: string(before.PromotedBy),
			PromotedVariant: string(winners[before.PromotedBy]),
		}
	}
	return p
}

// Rollback takes a promoted winner back: its touchpoints serve what they served before.
func (e *Engine) Rollback(ctx context.Context, a Action) (*Experiment, error) {
	return e.byPerson(ctx, a, ActionRollback, func(c *Change, now time.Time) error {
		if c.Experiment.Outcome != OutcomePromoted || c.Promotion == nil {
			return Errorf(KindConflict, "wrong_status", "cannot roll back experiment %q: it has no promoted winner", c.Experiment.Key)
		}
		rollBack(c, now)
		return nil
	})
}

func rollBack(c *Change, now time.Time) {
	for key, before := range c.Promotion.Before {
		// What somebody has put there since stays.
		if t := c.Touchpoints[key]; t != nil && t.PromotedBy == c.Experiment.Key {
			t.Content, t.PromotedBy = before.Content, before.PromotedBy
		}
	}
	// A winner that was promoted over this one must not bring it back.
	for i := range c.Promoted {
		above := c.Promoted[i].Promotion.Before
		for key, before := range above {
			if own, ok := c.Promotion.Before[key]; ok && before.PromotedBy == c.Experiment.Key {
				above[key] = own
			}
		}
	}
	c.Promotion.RolledBackAt, c.Promotion.EndedAt = &now, &now
	if c.Promotion.ReleasedAt == nil {
		c.Promotion.ReleasedAt = &now
	}
	c.Experiment.Outcome = OutcomeRolledBack
}

// rampAll is the ramp job: it takes each promotion to its next step when that is due, unless
// the winner is seen to harm, and ends it when its ramp and its holdback are over and nothing
// is left to watch.
func (e *Engine) rampAll(ctx context.Context) (int, error) {
	return e.forEachPromoted(ctx, func(ctx context.Context, x *PromotedExperiment) (int, error) {
		if !x.Promotion.due(&x.Experiment, e.now()) {
			return 0, nil
		}
		if x.Promotion.ramping(&x.Policy) {
			switch harm, err := e.rampHarm(ctx, x); {
			case err != nil:
				return 0, err
			case harm != nil && harm.rollsBack():
				return e.rollBackAlone(ctx, x.Key, harm.Reasons)
			case harm != nil:
				e.log.WarnContext(ctx, "ramp stands still: the winner harms, and the policy leaves it to a person",
					"experiment", x.Key, "reason", harm.Reasons[0].Detail)
				return 0, nil
			}
		}
		return stepped(e.actAlone(ctx, x.Key, func(c *Change) error {
			if c.Promotion == nil || !c.Promotion.advance(c.Experiment, e.now()) {
				return Errorf(KindConflict, "not_due", "nothing to do for the promotion of %q", x.Key)
			}
			return nil
		}))
	})
}

// stepped counts a change that was made. One that another worker has made is none.
func stepped(err error) (int, error) {
	switch {
	case err == nil:
		return 1, nil
	case KindOf(err) == KindConflict:
		return 0, nil
	}
	return 0, err
}

// due reports whether advance has something to do.
func (p Promotion) due(x *Experiment, now time.Time) bool { return p.advance(x, now) }

// advance makes the step that is due, if any. A late run makes one step, not several: each
// is to be watched for as long as the policy says.
func (p *Promotion) advance(x *Experiment, now time.Time) bool {
	policy := &x.Policy
	days := func(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
	switch {
	case p.EndedAt != nil:
		return false
	case p.ramping(policy):
		if now.Before(p.SteppedAt.Add(time.Duration(policy.RampHours) * time.Hour)) {
			return false
		}
		p.Step, p.SteppedAt = p.Step+1, now
		if policy.Holdback == 0 && !p.ramping(policy) {
			p.ReleasedAt, p.EndedAt = &now, &now
		}
		return true
	case p.ReleasedAt == nil && now.Before(p.PromotedAt.Add(days(policy.HoldbackDays))):
		return false
	case p.ReleasedAt == nil:
		p.ReleasedAt = &now
		if !x.compares() {
			p.EndedAt = &now
		}
		return true
	case now.Before(p.PromotedAt.Add(days(policy.HoldbackDays + x.horizon()))):
		return false // the last who were held back have not matured
	}
	p.EndedAt = &now
	return true
}
