package simulation

import (
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/perennial-engine/perennial/stats/ltv"
)

// History is what real customers did, without any treatment.
type History struct {
	// Keys name the customers to the hash that picks their arm.
	Keys []string
	// Entry is the day on which each of them enrolled, from 0.
	Entry []int
	// Purchases are those after the enrolment, sorted by customer and age.
	Purchases []ltv.Purchase
}

// Replay is an experiment on a history: every run picks the arms anew by a hash of
// the customers' keys and a salt of its own. A treatment exists only where Pull or
// Lift injects one.
type Replay struct {
	History History
	// Pick returns the arm of a key, 0 the control, in the proportion of Weights.
	Pick    func(salt, key string, weights []int) int
	Weights []int
	// Lift multiplies what the treatment spends by 1 + Lift.
	Lift float64
	// Accrual says for how many days, by which outcome and with which Cap and
	// Pull; its customers are those of the history.
	Accrual
}

// Effect returns the true difference of the value over the window, the mean over
// everyone if treated minus that if not.
func (p Replay) Effect() float64 {
	if p.Lift == 0 {
		return 0
	}
	everyone := cohort{p.History.Entry, p.History.Purchases}
	last := p.Days - 1
	return p.matured(everyone.lifted(p.Lift))[last].Mean - p.matured(everyone)[last].Mean
}

// Path draws the arms of one experiment and follows it.
func (p Replay) Path(r *rand.Rand, into []Look) []Look {
	arms := p.split(r)
	return p.follow(arms[0], arms[1].lifted(p.Lift), into)
}

// split picks the arm of every customer.
func (p Replay) split(r *rand.Rand) []cohort {
	arms := make([]cohort, len(p.Weights))
	for i := range arms {
		arms[i].entry = make([]int, 0, len(p.History.Keys))
		arms[i].purchases = make([]ltv.Purchase, 0, len(p.History.Purchases))
	}
	salt := strconv.FormatUint(r.Uint64(), 36)
	next := 0
	for i, key := range p.History.Keys {
		arm := &arms[p.Pick(salt, key, p.Weights)]
		for ; next < len(p.History.Purchases) && p.History.Purchases[next].Customer == i; next++ {
			bought := p.History.Purchases[next]
			bought.Customer = len(arm.entry)
			arm.purchases = append(arm.purchases, bought)
		}
		arm.entry = append(arm.entry, p.History.Entry[i])
	}
	return arms
}

// lifted returns the cohort spending 1 + lift times as much.
func (c cohort) lifted(lift float64) cohort {
	if lift == 0 {
		return c
	}
	more := make([]ltv.Purchase, len(c.purchases))
	for i, p := range c.purchases {
		p.Amount *= 1 + lift
		more[i] = p
	}
	return cohort{c.entry, more}
}

// ReplayFamily has several treatments that do nothing, in several metrics of the
// window, on a history.
type ReplayFamily struct {
	Replay
	// Looks are at equal shares of the customers, in the order in which they
	// complete the window.
	Looks int
}

// replayMetrics are the metrics of a ReplayFamily: money, orders, and whether
// there was one.
const replayMetrics = 3

// Run plays the family.
func (p ReplayFamily) Run(runs int, seed uint64) FamilyResult {
	f := Family{Treatments: len(p.Weights) - 1, Metrics: replayMetrics, Looks: p.Looks}
	return f.run(runs, seed, p.draw)
}

// draw returns Z of every comparison at every look, metrics of one treatment side
// by side, as [Family] does. Z has the decision error.
func (p ReplayFamily) draw(r *rand.Rand) [][]float64 {
	arms := p.split(r)
	counts := make([]int, p.Days) // matured customers by day, to place the looks
	for _, entry := range p.History.Entry {
		counts[entry+p.Window-1]++
	}
	days := equalShares(counts, p.Looks)
	z := make([][]float64, (len(arms)-1)*replayMetrics)
	for metric := range replayMetrics {
		control := p.metric(arms[0], metric)
		for t, treatment := range arms[1:] {
			followed := p.metric(treatment, metric)
			path := make([]float64, p.Looks)
			for k, day := range days {
				look := compare(control[day], followed[day], 0)
				if look.Errors.Decision > 0 {
					path[k] = look.Diff / look.Errors.Decision
				}
			}
			z[t*replayMetrics+metric] = path
		}
	}
	return z
}

// metric returns the moments of one metric by day.
func (p ReplayFamily) metric(c cohort, metric int) []arm {
	if metric == 0 {
		return p.matured(c)
	}
	counted := make([]ltv.Purchase, len(c.purchases))
	for i, bought := range c.purchases {
		bought.Amount = 1
		counted[i] = bought
	}
	a := p.Accrual
	a.Cap = 0
	if metric == 2 {
		a.Cap = 1
	}
	return a.matured(cohort{c.entry, counted})
}

// equalShares returns the first days by which 1/looks, 2/looks … of all are there.
func equalShares(counts []int, looks int) []int {
	total := 0
	for _, n := range counts {
		total += n
	}
	days := make([]int, 0, looks)
	seen := 0
	for day, n := range counts {
		seen += n
		for len(days) < looks && seen >= int(math.Ceil(float64(len(days)+1)*float64(total)/float64(looks))) {
			days = append(days, day)
		}
	}
	return days
}
