package engine

import (
	"context"
	"slices"
	"time"
)

// lookStep is the information, as a share of the plan, that must have come in since the
// last look before the next is taken.
const lookStep = 0.01

// grown: at least a step lies between two shares of the plan. They are quotients of whole numbers,
// whose difference is rounded: 0.41 - 0.40 is a step.
func grown(from, to float64) bool { return to-from >= lookStep-1e-9 }

// analyzeAll is the analyze job: it takes a look at every running test that has learned
// enough since the last, and writes down what follows; and it closes the concluded ones.
func (e *Engine) analyzeAll(ctx context.Context) (int, error) {
	running, err := e.running(ctx)
	if err != nil {
		return 0, err
	}
	concluded, err := e.toClose(ctx)
	if err != nil {
		return 0, err
	}
	return e.forEachTest(ctx, append(running, concluded...), func(ctx context.Context, x *Experiment) (int, error) {
		if x.Status == StatusConcluded {
			return e.close(ctx, x)
		}
		looked, err := e.look(ctx, x)
		if looked {
			return 1, err
		}
		return 0, err
	})
}

// look analyses a test when enough has come in since it was last analysed. What is stored is
// a look, except for a fixed plan before its end, which is only watched.
func (e *Engine) look(ctx context.Context, x *Experiment) (bool, error) {
	now := e.now()
	lastLook, err := notFoundIsNil(e.store.LatestLook(ctx, x.Key, now))
	if err != nil {
		return false, err
	}
	totals, err := e.store.Totals(ctx, x, View{AsOf: now})
	if err != nil || totals.First == nil || x.nothingNew(totals, now, lastLook) {
		return false, err
	}
	r, c, err := e.inform(ctx, x, totals, sitting{asOf: now, last: lastLook, look: true})
	if err != nil {
		return false, err
	}
	last := lastLook
	if c.watching() {
		if last, err = notFoundIsNil(e.store.LatestReport(ctx, x.Key)); err != nil {
			return false, err
		}
	}
	if !c.due(r, last) {
		return false, nil
	}
	if c.watching() {
		return true, e.store.SaveReport(ctx, r, nil)
	}
	decision, err := e.take(x, r, last)
	if err != nil {
		return false, err
	}
	if err := e.store.SaveReport(ctx, r, decision); KindOf(err) == KindConflict {
		e.log.InfoContext(ctx, "look not taken: the experiment has changed meanwhile", "experiment", x.Key, "error", err)
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

// watching: the report is no look, because a fixed plan is judged at its end only.
func (c *caseFile) watching() bool { return c.plan.Method == MethodFixed && !c.planEnd }

// take makes the report the look after last and answers the decision that it asks for, if any.
func (e *Engine) take(x *Experiment, r, last *Report) (*Decision, error) {
	r.Look = lookAfter(last)
	return e.decisionOf(x, r)
}

// lookAfter is the number of the look after last, nil for none.
func lookAfter(last *Report) *int {
	if last == nil {
		return new(1)
	}
	return new(*last.Look + 1)
}

// nothingNew: without judging it is plain that no look is due.
func (x *Experiment) nothingNew(t *Totals, now time.Time, last *Report) bool {
	if last == nil || last.Verdict.Action != ActionContinue || last.Verdict.waits() {
		return false
	}
	if last.Final && x.Plan.Method != MethodAnytime {
		return true
	}
	information := x.information(t)
	return !grown(last.Information, information) && (last.Final || !planEnded(x, t, now, information))
}

// due: enough has come in since the last report, or the plan has ended, or an arm was
// stopped for harm and the others must be judged without it. At the end of a plan with an
// end testing is over: it is judged once more and never again.
func (c *caseFile) due(r, last *Report) bool {
	if last == nil {
		return true
	}
	action := last.Verdict.Action
	if action == ActionStopHarm && c.experiment.isStopped(last.Verdict.Variant) {
		return true
	}
	if action == ActionFixHealth && c.healthy {
		return true
	}
	if last.Verdict.waits() && !r.Verdict.waits() {
		return true
	}
	if last.Final && c.plan.Method != MethodAnytime {
		return false
	}
	return grown(last.Information, r.Information) || (c.planEnd && !last.Final)
}

// waits: it was too early to decide all.
func (v *Verdict) waits() bool {
	return v.Action == ActionContinue && v.because("min_customers", "burn_in", "min_days", "harm_burn_in")
}

// mayDecide: with other numbers there might have been another verdict. Harm is stopped before
// min_days, too, so a look between the first week and min_days has asked its question.
func (c *caseFile) mayDecide(v *Verdict) bool {
	if v.Action == ActionFixHealth || c.age() < float64(min(harmBurnInDays, c.experiment.Policy.minDays())) {
		return false
	}
	return v.Action != ActionContinue || !v.because("min_customers", "burn_in", "before_plan_end")
}

func (v *Verdict) because(codes ...string) bool {
	return slices.ContainsFunc(v.Reasons, func(r Reason) bool { return slices.Contains(codes, r.Code) })
}

func notFoundIsNil(r *Report, err error) (*Report, error) {
	if KindOf(err) == KindNotFound {
		return nil, nil
	}
	return r, err
}

// decisionOf is the decision that a look's verdict asks for, or nil when it asks for none
// or leaves it to a person.
func (e *Engine) decisionOf(x *Experiment, r *Report) (*Decision, error) {
	mode := x.Policy.Mode
	action := r.Verdict.Action
	switch action {
	case ActionPromote:
	case ActionNeedsApproval:
		action = ActionPromote
		if mode == ModeAuto {
			mode = ModeApprove
		}
	case ActionStopHarm, ActionKeepControl:
		// Control is safe: only promotions wait for a person.
		if mode == ModeApprove {
			mode = ModeAuto
		}
	case ActionContinue, ActionFixHealth, ActionStop, ActionRollback:
		return nil, nil
	}
	if mode == ModeManual {
		return nil, nil
	}
	id, err := e.token(16)
	if err != nil {
		return nil, err
	}
	return &Decision{
		ID: id, Experiment: x.Key, Action: action, Variant: r.Verdict.Variant, Mode: mode,
		Reasons: r.Verdict.Reasons, DecidedBy: "engine", DecidedAt: r.ComputedAt,
	}, nil
}
