package clv

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

// GammaGamma is the gamma-gamma model of money per purchase: purchases are
// Gamma(P, ν) with a scale ν that is Gamma(Q, V) over customers. It assumes
// that spending and frequency are independent: check that their correlation is
// small.
//
// Source: Fader & Hardie 2013, note 025 (V is their γ).
type GammaGamma struct {
	P, Q, V float64
}

// Spend is the mean money per repeat purchase of one customer.
type Spend struct {
	// X counts the repeat purchases, Mean is their mean value.
	X, Mean float64
}

func (g GammaGamma) check() stats.Warning { return checkPositive(g.P, g.Q, g.V) }

func (s Spend) check() stats.Warning {
	switch {
	case notFinite(s.X) || notFinite(s.Mean):
		return stats.NonFiniteInput
	case s.X < 0 || s.Mean < 0 || s.X > 0 && s.Mean == 0:
		return stats.InvalidInput
	}
	return stats.NoWarning
}

// LogLik returns the log-density of a customer's mean spending. It warns
// [stats.NoEvents] for a customer without repeat purchases, of whom the model
// says nothing.
func (g GammaGamma) LogLik(s Spend) (float64, stats.Warning) {
	w := firstWarning(g.check(), s.check())
	if w == stats.NoWarning && s.X == 0 {
		w = stats.NoEvents
	}
	if w != stats.NoWarning {
		return math.NaN(), w
	}
	return number(g.logLik(s))
}

func (g GammaGamma) logLik(s Spend) float64 {
	px, ratio := g.P*s.X, s.X*s.Mean/g.V
	return -math.Log(s.Mean) - stats.LogBeta(px, g.Q) - g.Q*math.Log1p(ratio) - px*math.Log1p(1/ratio)
}

// PopulationMean returns the mean spending per purchase over all customers,
// p v/(q-1). It warns [stats.UndefinedMean] when q ≤ 1.
func (g GammaGamma) PopulationMean() (float64, stats.Warning) {
	return g.ExpectedSpend(Spend{})
}

// ExpectedSpend returns the expected spending per future purchase of a
// customer, p (v + x m)/(p x + q - 1): between their own mean and everyone's,
// which is the population mean for x = 0. It warns [stats.UndefinedMean] when
// p x + q ≤ 1.
func (g GammaGamma) ExpectedSpend(s Spend) (float64, stats.Warning) {
	w := firstWarning(g.check(), s.check())
	if w == stats.NoWarning && g.P*s.X+g.Q <= 1 {
		w = stats.UndefinedMean
	}
	if w != stats.NoWarning {
		return math.NaN(), w
	}
	return number(g.P * (g.V + s.X*s.Mean) / (g.P*s.X + g.Q - 1))
}

// Worth is the predicted value of one customer.
type Worth struct {
	// Value is the discounted money, Purchases and Spend what it is made of.
	Value, Purchases, Spend float64
	Warning                 stats.Warning
}

// Discounting is the horizon and rate of a value.
type Discounting struct {
	Months int
	// MonthlyRate is the discount rate per month, such as 0.01.
	MonthlyRate float64
	// UnitsPerMonth is the length of a month in the models' unit of time.
	UnitsPerMonth float64
}

// Value returns the discounted value of a customer's next months,
//
//	Σ_k (E(k f) - E((k-1) f)) · spend/(1+rate)^k,
//
// with E the expected purchases of the model and f the length of a month. It
// values purchases at the end of their month.
func Value(m BGNBD, g GammaGamma, c Customer, meanSpend float64, d Discounting) Worth {
	nan := math.NaN()
	spend, w := g.ExpectedSpend(Spend{c.X, meanSpend})
	w = firstWarning(m.check(), c.check(), w, checkTime(d.UnitsPerMonth))
	switch {
	case w != stats.NoWarning:
	case notFinite(d.MonthlyRate):
		w = stats.NonFiniteInput
	case d.MonthlyRate <= -1 || d.Months < 0 || d.Months > 1200:
		w = stats.InvalidInput
	}
	if w != stats.NoWarning {
		return Worth{nan, nan, nan, w}
	}
	r := Worth{Spend: spend}
	factor := 1.0
	for k := 1; k <= d.Months; k++ {
		e := m.expectedNext(c, float64(k)*d.UnitsPerMonth)
		factor /= 1 + d.MonthlyRate
		r.Value += (e - r.Purchases) * spend * factor
		r.Purchases = e
	}
	if notFinite(r.Value) || notFinite(r.Purchases) {
		return Worth{nan, nan, nan, stats.Overflow}
	}
	return r
}
