package playing

import (
	"slices"

	"github.com/perennial-engine/perennial/engine"
)

// An outcome is what became of one test.
type outcome struct {
	truth       truth
	ended       engine.Outcome // empty: undecided
	winner      int            // arm that was promoted; 0 for none
	stopped     []int          // arms that were stopped for harm
	alarmed     bool           // the split of the customers did not look right
	unhealthy   bool           // so it was at the end
	day         float64        // of the decision
	information float64        // at the decision
	spared      float64        // share of the first treatment's customers not yet in when it was over; below 0: it never was
	overAt      float64        // information then
	covered     *bool          // the interval at the decision held the truth; nil: no interval
}

// see takes notice of a report.
func (o *outcome) see(x *engine.Experiment, r *engine.Report) {
	o.stopped = o.stopped[:0]
	for _, key := range x.Stopped {
		o.stopped = append(o.stopped, armOf(x, key))
	}
	o.unhealthy = !r.Health.OK
	for _, c := range r.Health.Checks {
		o.alarmed = o.alarmed || (c.Check == "sample_ratio" && !c.OK)
	}
}

// conclude writes down how the test ended.
func (o *outcome) conclude(p *player, x *engine.Experiment, r *engine.Report, day float64) {
	o.ended, o.day, o.information = x.Outcome, day, r.Information
	if x.Outcome == engine.OutcomePromoted {
		o.winner = armOf(x, x.Winner)
	}
	c := r.Metrics[0].Comparisons[0]
	interval := c.Interval
	if p.Method == Naive {
		interval = c.Fixed.Interval
	}
	if interval[0] != nil && interval[1] != nil {
		difference := o.truth.lift * p.mean
		covered := *interval[0] <= difference && difference <= *interval[1]
		o.covered = &covered
	}
}

func armOf(x *engine.Experiment, key engine.VariantKey) int {
	return slices.IndexFunc(x.Variants, func(v engine.Variant) bool { return v.Key == key })
}

// over: nobody gets the arm any more. It was stopped for harm, or the test ended for another.
func (o *outcome) over(arm int, x *engine.Experiment) bool {
	return slices.Contains(o.stopped, arm) || (x.Status == engine.StatusConcluded && armOf(x, x.Winner) != arm)
}

// better, worse tell what is true of an arm.
func (t *truth) better(arm int) bool { return arm == 1 && t.lift > 0 }
func (t *truth) worse(arm int) bool  { return arm == 1 && t.lift < 0 }

// falselyPromoted: an arm was promoted that is no better than control.
func (o *outcome) falselyPromoted() bool { return o.winner > 0 && !o.truth.better(o.winner) }

// falselyStopped: an arm was stopped for harm that does none.
func (o *outcome) falselyStopped() bool {
	return slices.ContainsFunc(o.stopped, func(arm int) bool { return !o.truth.worse(arm) })
}

// spared is the share of an arm's customers who have not entered yet.
func (l *ledger) spared(arm int) float64 {
	all := int64(0)
	for i := range l.steps {
		all += l.steps[i][arm].customers
	}
	return 1 - float64(l.now[arm].customers)/float64(max(all, 1))
}
