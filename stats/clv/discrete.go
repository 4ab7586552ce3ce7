package clv

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

// BGBB is the beta-geometric/beta-Bernoulli model: at each of a row of
// opportunities, such as yearly appeals, a customer still there buys with a
// probability that is Beta(Alpha, Beta) over customers, and leaves before the
// next with a probability that is Beta(Gamma, Delta).
//
// Source: Fader, Hardie, Shang 2010, Marketing Science 29.
type BGBB struct {
	Alpha, Beta, Gamma, Delta float64
}

// Opportunities is a history over discrete opportunities.
type Opportunities struct {
	// X counts the opportunities taken, Last is the number of the last one
	// taken (0 for none), N how many there were.
	X, Last, N int
}

func (m BGBB) check() stats.Warning { return checkPositive(m.Alpha, m.Beta, m.Gamma, m.Delta) }

func (o Opportunities) check() stats.Warning {
	if o.X < 0 || o.Last < o.X || o.Last > o.N || o.N > 10000 || (o.X == 0) != (o.Last == 0) {
		return stats.InvalidInput
	}
	return stats.NoWarning
}

// LogLik returns the log-likelihood of one history.
func (m BGBB) LogLik(o Opportunities) (float64, stats.Warning) {
	if w := firstWarning(m.check(), o.check()); w != stats.NoWarning {
		return math.NaN(), w
	}
	alive, departed := m.parts(o)
	return number(alive + math.Log1p(departed))
}

// parts returns the logarithm of the alive part and the departed one over it,
// the sum over the opportunity before which the customer left.
func (m BGBB) parts(o Opportunities) (alive, departed float64) {
	x, last, n := float64(o.X), float64(o.Last), float64(o.N)
	prior := stats.LogBeta(m.Alpha, m.Beta) + stats.LogBeta(m.Gamma, m.Delta)
	alive = stats.LogBeta(m.Alpha+x, m.Beta+n-x) + stats.LogBeta(m.Gamma, m.Delta+n) - prior
	for i := last; i < n; i++ {
		departed += math.Exp(stats.LogBeta(m.Alpha+x, m.Beta+i-x) + stats.LogBeta(m.Gamma+1, m.Delta+i) - prior - alive)
	}
	return alive, departed
}

// Alive returns the probability that the customer is still there for the next
// opportunity, which they may leave before.
func (m BGBB) Alive(o Opportunities) (float64, stats.Warning) {
	if w := firstWarning(m.check(), o.check()); w != stats.NoWarning {
		return math.NaN(), w
	}
	_, departed := m.parts(o)
	return number(1 / (1 + departed))
}

// ExpectedNext returns the expected purchases at the next k opportunities:
// Alive times the posterior chance to buy, (α+x)/(α+β+n), times the expected
// number of opportunities still met, Σ B(γ, δ+n+i)/B(γ, δ+n).
func (m BGBB) ExpectedNext(o Opportunities, k int) (float64, stats.Warning) {
	w := firstWarning(m.check(), o.check())
	if w == stats.NoWarning && (k < 0 || k > 10000) {
		w = stats.InvalidInput
	}
	if w != stats.NoWarning {
		return math.NaN(), w
	}
	_, departed := m.parts(o)
	n := float64(o.N)
	met, start := 0.0, stats.LogBeta(m.Gamma, m.Delta+n)
	for i := 1; i <= k; i++ {
		met += math.Exp(stats.LogBeta(m.Gamma, m.Delta+n+float64(i)) - start)
	}
	return number((m.Alpha + float64(o.X)) / (m.Alpha + m.Beta + n) * met / (1 + departed))
}

// FitBGBB estimates the model by maximum likelihood from histories and how many
// customers have each. Warnings as [FitBGNBD].
func FitBGBB(histories []Opportunities, customers []float64) (BGBB, Fitted) {
	n := math.NaN()
	fail := func(w stats.Warning) (BGBB, Fitted) { return BGBB{n, n, n, n}, Fitted{LogLik: n, Warning: w} }
	if len(histories) != len(customers) {
		return fail(stats.InvalidInput)
	}
	total, bought := 0.0, 0.0
	for i, o := range histories {
		if w := o.check(); w != stats.NoWarning {
			return fail(w)
		}
		if notFinite(customers[i]) || customers[i] < 0 {
			return fail(stats.InvalidInput)
		}
		total += customers[i]
		bought += customers[i] * float64(o.X)
	}
	switch {
	case total < 10:
		return fail(stats.TooFewCustomers)
	case bought == 0:
		return fail(stats.NoEvents)
	}
	logLik := func(p []float64) float64 {
		m, sum := BGBB{p[0], p[1], p[2], p[3]}, 0.0
		for i, o := range histories {
			if customers[i] > 0 {
				alive, departed := m.parts(o)
				sum += customers[i] * (alive + math.Log1p(departed))
			}
		}
		return sum
	}
	theta, fit := maximise(objective{
		logLik: logLik, customers: total,
		starts: [][]float64{{1, 1, 1, 3}, {0.5, 0.5, 0.5, 1}},
		scale:  []float64{1, 1, 1, 1},
	})
	return BGBB{theta[0], theta[1], theta[2], theta[3]}, fit
}

// ShiftedBetaGeometric is the model of a contract renewed or ended each period,
// with a probability to end that is Beta(Alpha, Beta) over customers. Retention
// rises with time because the loyal remain, not because anyone changes.
//
// Source: Fader & Hardie 2007, Journal of Interactive Marketing 21.
type ShiftedBetaGeometric struct {
	Alpha, Beta float64
}

// Survival returns the share still under contract after t periods,
// B(α, β+t)/B(α, β).
func (m ShiftedBetaGeometric) Survival(t int) (float64, stats.Warning) {
	w := checkPositive(m.Alpha, m.Beta)
	if w == stats.NoWarning && t < 0 {
		w = stats.InvalidInput
	}
	if w != stats.NoWarning {
		return math.NaN(), w
	}
	return number(math.Exp(stats.LogBeta(m.Alpha, m.Beta+float64(t)) - stats.LogBeta(m.Alpha, m.Beta)))
}

// FitShiftedBetaGeometric estimates the model by maximum likelihood from one
// cohort: the customers at the start and after each period, never rising.
// Warnings as [FitBGNBD].
func FitShiftedBetaGeometric(alive []float64) (ShiftedBetaGeometric, Fitted) {
	n := math.NaN()
	fail := func(w stats.Warning) (ShiftedBetaGeometric, Fitted) {
		return ShiftedBetaGeometric{n, n}, Fitted{LogLik: n, Warning: w}
	}
	if len(alive) < 3 || !(alive[0] >= 10) {
		return fail(stats.TooFewCustomers)
	}
	for t, a := range alive {
		if notFinite(a) {
			return fail(stats.NonFiniteInput)
		}
		if a < 0 || t > 0 && a > alive[t-1] {
			return fail(stats.InvalidInput)
		}
	}
	last := len(alive) - 1
	if alive[last] == alive[0] {
		return fail(stats.NoEvents)
	}
	logLik := func(p []float64) float64 {
		prior := stats.LogBeta(p[0], p[1])
		sum := alive[last] * (stats.LogBeta(p[0], p[1]+float64(last)) - prior)
		for t := 1; t <= last; t++ {
			sum += (alive[t-1] - alive[t]) * (stats.LogBeta(p[0]+1, p[1]+float64(t-1)) - prior)
		}
		return sum
	}
	theta, fit := maximise(objective{
		logLik: logLik, customers: alive[0],
		starts: [][]float64{{1, 3}, {0.5, 1}}, scale: []float64{1, 1},
	})
	return ShiftedBetaGeometric{theta[0], theta[1]}, fit
}
