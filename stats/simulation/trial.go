package simulation

import (
	"math/rand/v2"

	"github.com/perennial-engine/perennial/stats"
)

// Look is what one look sees: treatment minus control so far.
type Look struct {
	Diff   float64
	Errors stats.StandardErrors
	// N counts the customers of both arms, Payers those with a value in the arm
	// that has fewer of them.
	N, Payers int64
	// Share is the share of the planned information, 1 at the planned end.
	Share float64
}

// Scenario draws experiments.
type Scenario interface {
	// Path draws the looks of one experiment. It may reuse the space of into.
	Path(r *rand.Rand, into []Look) []Look
	// Effect is the true difference.
	Effect() float64
}

// Trial has independent customers: the same number joins each arm between looks.
type Trial struct {
	Control, Treatment Value
	// PerLook are the customers who join control and treatment per look.
	PerLook [2]int
	Looks   int
}

// Effect returns the true difference of means.
func (t Trial) Effect() float64 { return t.Treatment.Mean() - t.Control.Mean() }

// Path draws one experiment.
func (t Trial) Path(r *rand.Rand, into []Look) []Look {
	into = into[:0]
	var a, b arm
	for k := range t.Looks {
		a.join(t.Control.group(r, t.PerLook[0]))
		b.join(t.Treatment.group(r, t.PerLook[1]))
		into = append(into, compare(a, b, float64(k+1)/float64(t.Looks)))
	}
	return into
}

// arm is what is known of one arm.
type arm struct {
	stats.Moments
	payers int64
}

func (a *arm) join(m stats.Moments, payers int64) {
	a.Moments = a.Add(m)
	a.payers += payers
}

func compare(a, b arm, share float64) Look {
	return Look{
		Diff: b.Mean - a.Mean, Errors: stats.MeanErrors(a.Moments, b.Moments),
		N: a.N + b.N, Payers: min(a.payers, b.payers), Share: share,
	}
}
