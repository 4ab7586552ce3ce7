package engine

import (
	"context"
	"strings"
	"time"
)

// An UnclosedExperiment is a concluded experiment whose closing report is still to come.
type UnclosedExperiment struct {
	Experiment

	// MaturesAt is when its last customer will have matured, nil while nobody has looked.
	MaturesAt *time.Time
}

// toClose are the concluded tests whose last customer has matured, as far as is known, and
// those that nobody has looked at since they are over.
func (e *Engine) toClose(ctx context.Context) ([]Experiment, error) {
	unclosed, err := e.store.Unclosed(ctx)
	if err != nil {
		return nil, err
	}
	now := e.now()
	var due []Experiment
	for i := range unclosed {
		if at := unclosed[i].MaturesAt; at == nil || !now.Before(*at) {
			due = append(due, unclosed[i].Experiment)
		}
	}
	return due, nil
}

// close computes and stores the closing report of a concluded test: what its learning uses. It
// comes once, when everybody who was enrolled counts in every metric, is no look and decides nothing.
// Until then the test stands by its newest report.
func (e *Engine) close(ctx context.Context, x *Experiment) (closed int, err error) {
	defer func() {
		if KindOf(err) == KindConflict {
			closed, err = 0, nil // another process was first
		}
	}()
	now := e.now()
	last, err := notFoundIsNil(e.store.LatestLook(ctx, x.Key, now))
	if err != nil {
		return 0, err
	}
	totals, err := e.store.Totals(ctx, x, View{AsOf: now})
	if err != nil {
		return 0, err
	}
	past := &PastTest{Experiment: x.Key, Objective: x.Objective, At: *x.ConcludedAt}
	if at := x.maturesAt(totals); now.Before(at) {
		newest, err := notFoundIsNil(e.store.LatestReport(ctx, x.Key))
		if err != nil {
			return 0, err
		}
		past.Effects = x.past(newest)
		return 0, e.store.KeepPastTest(ctx, past, at)
	}
	r, _, err := e.inform(ctx, x, totals, sitting{asOf: now, last: last, over: true})
	if err != nil {
		return 0, err
	}
	r.Closing = true
	past.Closing, past.At, past.Effects = true, r.AsOf, x.past(r)
	return 1, e.store.CloseExperiment(ctx, r, past)
}

// settled is the verdict of a report as of a time after the conclusion: what was decided, and what
// it looks like now. The difference has shrunk or grown since, and nothing follows from that. Where
// a winner would still win, the reasons are told.
func (c *caseFile) settled() Verdict {
	x := c.experiment
	variant, action := x.Winner, map[Outcome]DecisionAction{
		OutcomePromoted: ActionPromote, OutcomeRolledBack: ActionRollback, OutcomeStopped: ActionKeepControl,
		OutcomeKeptControl: ActionKeepControl, OutcomeInconclusive: ActionKeepControl,
	}[x.Outcome]
	if len(x.Stopped) > 0 && x.Outcome == OutcomeStopped {
		variant, action = x.Stopped[len(x.Stopped)-1], ActionStopHarm
	}
	var parts []string
	for _, a := range c.assessments {
		if a.role == RolePrimary {
			parts = append(parts, c.words(a))
		}
	}
	outcome := strings.ReplaceAll(string(x.Outcome), "_", " ")
	if x.Winner != "" {
		outcome += " (" + string(x.Winner) + ")"
	}
	since := "So far"
	if c.matured {
		since = "Now that everybody has matured"
	}
	v := c.says(action, variant, "concluded", "the test was concluded on %s: %s. %s: %s",
		x.ConcludedAt.UTC().Format(time.DateOnly), outcome, since, strings.Join(parts, "; "))
	if now := c.rules(); x.Winner != "" && now.Action == action && now.Variant == x.Winner {
		v.Reasons = append(v.Reasons, now.Reasons...)
	}
	return v
}

// maturesAt is when everybody who was enrolled counts in every metric; of a test without
// customers, when the last who might have been would.
func (x *Experiment) maturesAt(t *Totals) time.Time {
	last := *x.ConcludedAt
	if t.Last != nil {
		last = *t.Last
	}
	return last.Add(time.Duration(longest(x.Frozen)) * 24 * time.Hour)
}

// Entry is that of a closing report.
func (r *Report) Entry() Entry {
	return Entry{"experiment.close", "experiment/" + string(r.Experiment), Detail{"report": r.Version, "as_of": r.AsOf}}
}
