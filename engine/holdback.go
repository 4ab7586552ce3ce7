package engine

import (
	"context"
	"strings"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// A promotion that holds customers back is watched by a comparison of those who meet it
// first after it was made: the ones held back against all others, by p. It is an experiment
// in all but name, under a key that no experiment can have, with the promotion's own draw for
// its arms, so that it is enrolled in, measured and judged as any. It can do one thing: roll
// the winner back.

// comparison is the key under which the comparison of an experiment's promotion is kept.
func (k ExperimentKey) comparison() ExperimentKey { return k + "/holdback" }

// test is the experiment whose promotion a comparison of this key watches, or the key itself.
func (k ExperimentKey) test() ExperimentKey {
	test, _, _ := strings.Cut(string(k), "/")
	return ExperimentKey(test)
}

// holdbackAlpha is the error of a comparison, its own and not that of the test.
const holdbackAlpha = 0.05

// compares reports whether a promotion of the experiment can be compared with those who are
// held back from it.
func (x *Experiment) compares() bool {
	return x.Assignment == AssignedByEngine && x.Policy.heldBack() > 0 && x.Policy.HoldbackDays > 0
}

// comparison is the comparison of the promotion: of customers who came while some were held
// back, on the primaries, with the test's guardrails.
func (x *PromotedExperiment) comparison() *Experiment {
	held := x.Policy.heldBack()
	c := x.Experiment
	c.Key, c.Salt, c.Status, c.Outcome = x.Key.comparison(), x.Salt+snapshot.PromotionSalt, StatusRunning, ""
	c.Variants = []Variant{
		{Key: snapshot.HeldBackArm, Control: true, Weight: held},
		{Key: snapshot.PromotedArm, Weight: assign.SlotCount - held},
	}
	c.Stopped = nil
	c.Metrics, c.Frozen = Metrics{Primary: x.Metrics.Primary, Guardrails: x.Metrics.Guardrails}, nil
	for i, r := range x.Metrics.all() {
		if r.role == RolePrimary || r.role == RoleGuardrail {
			c.Frozen = append(c.Frozen, x.Frozen[i])
		}
	}
	c.Plan = Plan{Method: MethodAnytime, Alpha: holdbackAlpha, Power: x.Plan.Power, PlannedCustomers: x.Plan.PlannedCustomers}
	c.Policy = Policy{Mode: x.Policy.Mode, MaxDays: x.Policy.HoldbackDays}
	return &c
}

// holdbackAll is the holdback job: it looks at the comparison of every promotion in force
// that has learned enough since the last look, and rolls back a winner that harms.
func (e *Engine) holdbackAll(ctx context.Context) (int, error) {
	return e.forEachPromoted(ctx, e.watchHoldback)
}

func (e *Engine) watchHoldback(ctx context.Context, x *PromotedExperiment) (int, error) {
	if !x.compares() {
		return 0, nil
	}
	last, err := notFoundIsNil(e.store.LatestComparison(ctx, x.Key))
	if err != nil {
		return 0, err
	}
	if last != nil && last.Verdict.rollsBack() {
		return e.rollBackAlone(ctx, x.Key, last.Verdict.Reasons) // it was not carried out
	}
	r, err := e.compareHoldback(ctx, x, last)
	if err != nil || r == nil {
		return 0, err
	}
	if err := e.store.SaveComparison(ctx, x.Key, r); err != nil {
		return 0, err
	}
	if r.Verdict.rollsBack() {
		return e.rollBackAlone(ctx, x.Key, r.Verdict.Reasons)
	}
	return 1, nil
}

// compareHoldback is the look after last, nil when too little has come in for one.
func (e *Engine) compareHoldback(ctx context.Context, x *PromotedExperiment, last *Report) (*Report, error) {
	now, c := e.now(), x.comparison()
	totals, err := e.store.Totals(ctx, c, View{AsOf: now})
	if err != nil || totals.First == nil || c.nothingNew(totals, now, last) {
		return nil, err
	}
	evidence, err := e.evidence(ctx, c, now, totals, last)
	if err != nil {
		return nil, err
	}
	r, file := e.reportOn(c, totals, sitting{asOf: now, last: last, look: true, evidence: evidence, promoted: true})
	if !file.due(r, last) {
		return nil, nil
	}
	r.Look = lookAfter(last)
	return r, nil
}

// rampHarm says why the winner must not go on being ramped up, by what the test's own
// customers have done meanwhile: nil for no reason. A ramp can take steps at any time, so it
// is judged by the method that holds at any.
func (e *Engine) rampHarm(ctx context.Context, x *PromotedExperiment) (*Verdict, error) {
	now, c := e.now(), x.Experiment
	totals, err := e.store.Totals(ctx, &c, View{AsOf: now})
	if err != nil {
		return nil, err
	}
	c.Plan.Method, c.Stopped = MethodAnytime, nil
	for _, v := range c.Active() {
		if v.Key != x.Promotion.Variant {
			c.Stopped = append(c.Stopped, v.Key)
		}
	}
	r, _ := e.reportOn(&c, totals, sitting{asOf: now, promoted: true, noP: true})
	if r.Verdict.Action != ActionRollback {
		return nil, nil
	}
	return &r.Verdict, nil
}

// watch is the verdict on a winner that was promoted: it harms, or there is nothing to do.
func (c *caseFile) watch() Verdict {
	if !c.healthy {
		return Verdict{Action: ActionFixHealth, Reasons: c.unhealthy, BlockedBy: []string{}}
	}
	if waits := c.tooEarly(); len(waits) > 0 {
		return Verdict{Action: ActionContinue, Reasons: waits, BlockedBy: []string{}}
	}
	v, harms := c.harmed()
	switch {
	case !harms:
		return c.says(ActionContinue, "", "no_harm_seen", "the promoted winner is not seen to harm: %s", c.soFar())
	case c.age() < harmBurnInDays:
		return c.says(ActionContinue, "", "harm_burn_in", "nothing is rolled back before it was watched for %d days: %s",
			harmBurnInDays, v.Reasons[0].Detail)
	}
	v.Action = ActionRollback
	return v
}

// rollsBack: the winner harms, and nobody need agree.
func (v *Verdict) rollsBack() bool { return v.Action == ActionRollback && len(v.BlockedBy) == 0 }

// rollBackAlone takes a winner back by rule.
func (e *Engine) rollBackAlone(ctx context.Context, key ExperimentKey, reasons []Reason) (int, error) {
	id, err := e.token(16)
	if err != nil {
		return 0, err
	}
	n, err := stepped(e.actAlone(ctx, key, func(c *Change) error {
		p := c.Promotion
		if c.Experiment.Outcome != OutcomePromoted || p == nil || p.EndedAt != nil || c.Experiment.Policy.Mode == ModeManual {
			return Errorf(KindConflict, "not_promoted", "experiment %q has no winner that may be rolled back", key)
		}
		now := e.now()
		rollBack(c, now)
		c.Decision = &Decision{
			ID: id, Experiment: key, Action: ActionRollback, Variant: p.Variant, Mode: ModeAuto,
			Reasons: reasons, DecidedBy: "engine", DecidedAt: now, AppliedAt: &now,
		}
		return nil
	}))
	if n > 0 {
		e.log.InfoContext(ctx, "winner rolled back", "experiment", key, "reason", reasons[0].Detail)
	}
	return n, err
}

// HoldbackReport is the newest comparison of those who are held back from an experiment's
// winner with those who are not.
func (e *Engine) HoldbackReport(ctx context.Context, key ExperimentKey) (*Report, error) {
	x, err := e.store.Experiment(ctx, key)
	if err != nil {
		return nil, err
	}
	if !x.compares() {
		return nil, Errorf(KindNotFound, "no_holdback", "experiment %q holds nobody back from its winner: policy.holdback, set before the start, is the share to hold back", key)
	}
	r, err := e.store.LatestComparison(ctx, key)
	if KindOf(err) == KindNotFound {
		return nil, Errorf(KindNotFound, "no_report",
			"nobody has been compared with those held back from the winner of %q yet: the job holdback looks every five minutes once it is promoted", key)
	}
	return r, err
}
