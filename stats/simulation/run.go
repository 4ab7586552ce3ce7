package simulation

import (
	"math/rand/v2"

	"github.com/perennial-engine/perennial/stats"
)

// Result is what a method did over the runs of a scenario.
type Result struct {
	Method string
	// Reject counts the runs that stopped, Ship those that stopped with the
	// treatment better, Harm those with it worse.
	Reject, Ship, Harm Figure
	// Covered counts the runs whose interval at the stop, or at the last look,
	// held the true difference.
	Covered Figure
	// Sample is the mean share of the customers used.
	Sample Figure
	// Exaggeration is the mean estimate of the shipped runs over the truth, with
	// no runs when there is no effect.
	Exaggeration Figure
}

// outcome is what one method said of one experiment.
type outcome struct {
	sign     int
	covered  bool
	sample   float64
	estimate float64
}

// Run plays a scenario and returns one result per method.
func Run(s Scenario, methods []Method, runs int, seed uint64) []Result {
	outcomes := make([]outcome, runs*len(methods))
	effect := s.Effect()
	each(runs, seed, func() func(int, *rand.Rand) {
		var path []Look
		return func(run int, r *rand.Rand) {
			path = s.Path(r, path)
			for i, m := range methods {
				outcomes[run*len(methods)+i] = m.judge(path, effect)
			}
		}
	})
	results := make([]Result, len(methods))
	for i, m := range methods {
		results[i] = summarise(m.Name, outcomes[i:], len(methods), effect)
	}
	return results
}

// judge follows one path to its stop.
func (m Method) judge(path []Look, effect float64) outcome {
	interval := m.start(path)
	for k, l := range path {
		e := stats.Estimate{Value: l.Diff, SE: l.Errors.Welch}
		if m.DecisionError {
			e.SE = l.Errors.Decision
		}
		ci := interval(k, e)
		o := outcome{sample: float64(l.N) / float64(path[len(path)-1].N), estimate: l.Diff}
		switch {
		case l.Errors.Warning != stats.NoWarning || k < m.BurnIn.Looks || l.Payers < m.BurnIn.Payers:
		case ci.Lower > 0:
			o.sign = 1
		case ci.Upper < 0:
			o.sign = -1
		}
		if o.sign == 0 && k+1 < len(path) {
			continue
		}
		if m.report != nil {
			ci = m.report(path, k, e)
		}
		o.covered = ci.Contains(effect)
		return o
	}
	return outcome{covered: true}
}

// summarise counts every step-th outcome.
func summarise(name string, outcomes []outcome, step int, effect float64) Result {
	var runs, ship, harm, covered int
	var sample, exaggeration stats.Moments
	for i := 0; i < len(outcomes); i += step {
		o := outcomes[i]
		runs++
		push(&sample, o.sample)
		switch o.sign {
		case 1:
			ship++
			if effect != 0 {
				push(&exaggeration, o.estimate/effect)
			}
		case -1:
			harm++
		}
		if o.covered {
			covered++
		}
	}
	return Result{
		Method: name, Reject: NewRate(ship+harm, runs), Ship: NewRate(ship, runs), Harm: NewRate(harm, runs),
		Covered: NewRate(covered, runs), Sample: meanFigure(sample), Exaggeration: meanFigure(exaggeration),
	}
}
