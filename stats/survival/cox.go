package survival

import (
	"cmp"
	"math"
	"slices"

	"github.com/perennial-engine/perennial/stats"
)

// Ties is a way to treat events at the same time in Cox's model.
type Ties uint8

// The ways. Efron is the default and nearly exact; Breslow is simpler and
// biased towards no effect when ties are many.
const (
	Efron Ties = iota
	Breslow
)

// CoxResult is a proportional-hazards model with one covariate.
type CoxResult struct {
	// Coef is the log hazard ratio per unit of the covariate, SE its error from
	// the observed information, Z and P its Wald test.
	Coef, SE, Z, P float64
	// HazardRatio is exp(Coef) with its interval at 95 %.
	HazardRatio float64
	CI          stats.Interval
	// LogLik0 and LogLik1 are the log partial likelihoods at 0 and at Coef,
	// LRChi2 = 2 (LogLik1 - LogLik0) and ScoreChi2 the score test at 0.
	LogLik0, LogLik1, LRChi2, ScoreChi2 float64
	Warning                             stats.Warning
}

// Cox fits a proportional-hazards model with one covariate x, such as 0 for
// control and 1 for treatment. It warns [stats.NoEvents] when nothing can be
// learned from the events and [stats.NoConvergence] when the estimate is
// infinite, as when only one arm has events.
//
// Sources: Cox 1972; Efron 1977; Breslow 1974; R's coxph.
func Cox(times []float64, event []bool, x []float64, ties Ties) CoxResult {
	n := math.NaN()
	none := CoxResult{n, n, n, n, n, stats.Interval{Lower: n, Upper: n}, n, n, n, n, stats.NoWarning}
	m, w := newCoxModel(times, event, x, ties)
	if w != stats.NoWarning {
		none.Warning = w
		return none
	}
	start := m.at(0)
	if !(start.information > 0) {
		none.Warning = stats.NoEvents
		return none
	}
	beta, here := 0.0, start
	converged := false
	for range 100 {
		step := here.score / here.information
		next := m.at(beta + step)
		for range 30 {
			if next.logLik >= here.logLik-1e-12*math.Abs(here.logLik) && next.information > 0 {
				break
			}
			step /= 2
			next = m.at(beta + step)
		}
		beta, here = beta+step, next
		if math.Abs(step) <= 1e-12*max(1, math.Abs(beta)) {
			converged = true
			break
		}
	}
	// A likelihood still rising has its maximum at infinity: the information
	// left is a vanishing part of that at zero.
	if !converged || !(here.information > 1e-7*start.information) {
		none.Warning = stats.NoConvergence
		return none
	}
	r := CoxResult{
		Coef: beta / m.scale, SE: 1 / math.Sqrt(here.information) / m.scale,
		LogLik0: start.logLik, LogLik1: here.logLik,
		LRChi2:    2 * max(0, here.logLik-start.logLik),
		ScoreChi2: start.score * start.score / start.information,
	}
	r.Z = r.Coef / r.SE
	r.P = 2 * stats.NormalSF(math.Abs(r.Z))
	r.HazardRatio = math.Exp(r.Coef)
	half := stats.NormalISF(0.025) * r.SE
	r.CI = stats.Interval{Lower: math.Exp(r.Coef - half), Upper: math.Exp(r.Coef + half)}
	return r
}

// coxModel holds the customers by decreasing time, the covariate centred and
// scaled to unit spread.
type coxModel struct {
	rows  []coxRow
	scale float64
	ties  Ties
}

type coxRow struct {
	time, x float64
	event   bool
}

func newCoxModel(times []float64, event []bool, x []float64, ties Ties) (coxModel, stats.Warning) {
	if len(times) != len(event) || len(times) != len(x) || ties > Breslow {
		return coxModel{}, stats.InvalidInput
	}
	moments := stats.FromValues(x)
	if moments.N < 2 {
		return coxModel{}, stats.TooFewCustomers
	}
	for _, t := range times {
		if math.IsNaN(t) || math.IsInf(t, 0) {
			return coxModel{}, stats.NonFiniteInput
		}
	}
	spread := math.Sqrt(moments.Var())
	if math.IsNaN(spread) || math.IsInf(spread, 0) {
		return coxModel{}, stats.NonFiniteInput
	}
	if spread == 0 {
		return coxModel{}, stats.ZeroVariance
	}
	m := coxModel{scale: spread, ties: ties, rows: make([]coxRow, len(times))}
	for i, t := range times {
		m.rows[i] = coxRow{t, (x[i] - moments.Mean) / spread, event[i]}
	}
	slices.SortFunc(m.rows, func(a, b coxRow) int { return cmp.Compare(b.time, a.time) })
	return m, stats.NoWarning
}

type coxPoint struct{ logLik, score, information float64 }

// at returns the log partial likelihood and its derivatives. The sums over the
// risk set grow from the longest times to the shortest.
func (m coxModel) at(beta float64) coxPoint {
	var p coxPoint
	var s0, s1, s2 float64
	for i := 0; i < len(m.rows); {
		var d0, d1, d2, dx float64
		events := 0
		j := i
		for ; j < len(m.rows) && m.rows[j].time == m.rows[i].time; j++ {
			x := m.rows[j].x
			e := math.Exp(beta * x)
			s0 += e
			s1 += e * x
			s2 += e * x * x
			if m.rows[j].event {
				events++
				d0 += e
				d1 += e * x
				d2 += e * x * x
				dx += x
			}
		}
		i = j
		p.logLik += beta * dx
		p.score += dx
		for l := range events {
			share := 0.0
			if m.ties == Efron {
				share = float64(l) / float64(events)
			}
			r0, r1, r2 := s0-share*d0, s1-share*d1, s2-share*d2
			mean := r1 / r0
			p.logLik -= math.Log(r0)
			p.score -= mean
			p.information += r2/r0 - mean*mean
		}
	}
	return p
}
