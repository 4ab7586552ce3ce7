package clv

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

// Fitted says how well parameters were estimated.
type Fitted struct {
	// LogLik is the log-likelihood at the maximum.
	LogLik float64
	// SE are the standard errors of the parameters in the order of the model's
	// fields, from the observed information. NaN with [stats.NoConvergence] when
	// the maximum is not a proper one.
	SE      []float64
	Warning stats.Warning
}

// FitBGNBD estimates the model by maximum likelihood. It warns
// [stats.TooFewCustomers] below ten customers, [stats.NoEvents] when nobody
// came back, and [stats.NoConvergence] when the likelihood has no proper
// maximum; the parameters are NaN then.
func FitBGNBD(customers []Customer) (BGNBD, Fitted) {
	model := func(p []float64) BGNBD { return BGNBD{p[0], p[1], p[2], p[3]} }
	theta, fit := fitHistories(customers, historyModel{
		logLik:   func(p []float64, c Customer) float64 { return model(p).logLik(c) },
		gradient: func(p []float64, rows []counted, g []float64) { bgnbdGradient(model(p), rows, g) },
		starts:   [][]float64{{0.5, 0.1, 0.8, 2}, {1, 0.5, 0.5, 1}, {0.2, 0.02, 2, 5}},
		scale:    func(unit float64) []float64 { return []float64{1, unit, 1, 1} },
	})
	return model(theta), fit
}

// FitParetoNBD estimates the model by maximum likelihood; warnings as
// [FitBGNBD].
func FitParetoNBD(customers []Customer) (ParetoNBD, Fitted) {
	model := func(p []float64) ParetoNBD { return ParetoNBD{p[0], p[1], p[2], p[3]} }
	theta, fit := fitHistories(customers, historyModel{
		logLik:   func(p []float64, c Customer) float64 { return model(p).logLik(c) },
		gradient: func(p []float64, rows []counted, g []float64) { paretoGradient(model(p), rows, g) },
		starts:   [][]float64{{0.5, 0.25, 0.6, 0.3}, {1, 0.5, 1.5, 1}},
		scale:    func(unit float64) []float64 { return []float64{1, unit, 1, unit} },
	})
	return model(theta), fit
}

// historyModel is a model of purchase histories with four parameters.
type historyModel struct {
	logLik   func(p []float64, c Customer) float64
	gradient func(p []float64, rows []counted, g []float64)
	// starts are in the unit of the largest age, scale turns that into parameters
	// of the caller's unit.
	starts [][]float64
	scale  func(unit float64) []float64
}

func fitHistories(customers []Customer, m historyModel) ([]float64, Fitted) {
	unit, w := oldest(customers)
	if w != stats.NoWarning {
		n := math.NaN()
		return []float64{n, n, n, n}, Fitted{n, nil, w}
	}
	rows := distinct(customers, unit)
	// Each repeat purchase brings the density a factor of one over the unit.
	perUnit := 0.0
	for _, c := range rows {
		perUnit += c.n * c.X * math.Log(unit)
	}
	return maximise(objective{
		logLik: func(p []float64) float64 {
			sum := -perUnit
			for _, c := range rows {
				sum += c.n * m.logLik(p, c.Customer)
			}
			return sum
		},
		gradient:  func(p, g []float64) { m.gradient(p, rows, g) },
		customers: float64(len(customers)), starts: m.starts, scale: m.scale(unit),
	})
}

// bgnbdGradient writes the derivatives of the log-likelihood to g.
func bgnbdGradient(m BGNBD, rows []counted, g []float64) {
	clear(g)
	psiR, psiB, psiAB, logAlpha := stats.Digamma(m.R), stats.Digamma(m.B), stats.Digamma(m.A+m.B), math.Log(m.Alpha)
	x, dR, dB, dAB := -1.0, 0.0, 0.0, 0.0 // rows are sorted by X
	for _, c := range rows {
		if c.X != x {
			x = c.X
			dR, dB, dAB = stats.Digamma(m.R+x)-psiR, stats.Digamma(m.B+x)-psiB, psiAB-stats.Digamma(m.A+m.B+x)
		}
		_, departed := m.parts(c.Customer)
		alive := 1 - departed
		g[0] += c.n * (dR + logAlpha - alive*math.Log(m.Alpha+c.Age))
		g[1] += c.n * (m.R/m.Alpha - (m.R+x)*alive/(m.Alpha+c.Age))
		if x > 0 {
			g[0] -= c.n * departed * math.Log(m.Alpha+c.Recency)
			g[1] -= c.n * (m.R + x) * departed / (m.Alpha + c.Recency)
			g[2] += c.n * (dAB + departed/m.A)
			g[3] += c.n * (dAB + dB - departed/(m.B+x-1))
		}
	}
}

// paretoGradient writes the derivatives of the log-likelihood to g. Those of the
// departed part are means over the age of departure.
func paretoGradient(m ParetoNBD, rows []counted, g []float64) {
	clear(g)
	psiR := stats.Digamma(m.R)
	for _, c := range rows {
		_, odds := m.parts(c.Customer)
		departed := math.Exp(-softplus(-odds))
		alive := 1 - departed
		a, b := m.Alpha+c.Age, m.Beta+c.Age
		logA, perA, logB, perB := alive*math.Log(a), alive/a, alive*math.Log(b), alive*m.S/b
		if departed > 0 {
			var sum, la, pa, lb, pb float64
			sum = m.departed(c.Customer, func(w, y float64) {
				la += w * math.Log(m.Alpha+y)
				pa += w / (m.Alpha + y)
				lb += w * math.Log(m.Beta+y)
				pb += w / (m.Beta + y)
			})
			logA += departed * la / sum
			perA += departed * pa / sum
			logB += departed * (lb/sum - 1/m.S)
			perB += departed * (m.S + 1) * pb / sum
		}
		psi := 0.0
		if c.X > 0 {
			psi = stats.Digamma(m.R+c.X) - psiR
		}
		g[0] += c.n * (psi + math.Log(m.Alpha) - logA)
		g[1] += c.n * (m.R/m.Alpha - (m.R+c.X)*perA)
		g[2] += c.n * (math.Log(m.Beta) - logB)
		g[3] += c.n * (m.S/m.Beta - perB)
	}
}

// FitGammaGamma estimates the model by maximum likelihood from the customers
// with repeat purchases; the others are passed over. Warnings as [FitBGNBD].
func FitGammaGamma(spends []Spend) (GammaGamma, Fitted) {
	n := math.NaN()
	var rows []Spend
	var means []float64
	for _, s := range spends {
		if w := s.check(); w != stats.NoWarning {
			return GammaGamma{n, n, n}, Fitted{n, nil, w}
		}
		if s.X > 0 {
			rows, means = append(rows, s), append(means, s.Mean)
		}
	}
	unit := stats.FromValues(means).Mean
	switch {
	case len(rows) < 10:
		return GammaGamma{n, n, n}, Fitted{n, nil, stats.TooFewCustomers}
	case notFinite(unit):
		return GammaGamma{n, n, n}, Fitted{n, nil, stats.Overflow}
	}
	for i := range rows {
		rows[i].Mean /= unit
	}
	theta, fit := maximise(objective{
		logLik: func(p []float64) float64 {
			m, sum := GammaGamma{p[0], p[1], p[2]}, 0.0
			for _, s := range rows {
				sum += m.logLik(s)
			}
			return sum - float64(len(rows))*math.Log(unit)
		},
		gradient: func(p, g []float64) {
			clear(g)
			psiQ := stats.Digamma(p[1])
			for _, s := range rows {
				px, total := p[0]*s.X, s.X*s.Mean
				psi := stats.Digamma(px + p[1])
				g[0] += s.X * (psi - stats.Digamma(px) - math.Log1p(p[2]/total))
				g[1] += psi - psiQ - math.Log1p(total/p[2])
				g[2] += p[1]/p[2] - (px+p[1])/(p[2]+total)
			}
		},
		customers: float64(len(rows)),
		starts:    [][]float64{{2, 3, 1}, {6, 4, 0.5}, {0.7, 2, 2}},
		scale:     []float64{1, 1, unit},
	})
	return GammaGamma{theta[0], theta[1], theta[2]}, fit
}
