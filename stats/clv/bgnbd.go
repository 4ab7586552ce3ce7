package clv

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

// BGNBD is the beta-geometric/NBD model: purchases at a rate that is
// Gamma(R, Alpha) over customers, and after each purchase departure with a
// probability that is Beta(A, B).
//
// A customer without a repeat purchase has had no chance to depart: the model
// says they are alive with certainty, which is its best-known artefact.
//
// Source: Fader, Hardie, Lee 2005, Marketing Science 24.
type BGNBD struct {
	R, Alpha, A, B float64
}

func (m BGNBD) check() stats.Warning { return checkPositive(m.R, m.Alpha, m.A, m.B) }

// LogLik returns the log-likelihood of one history.
func (m BGNBD) LogLik(c Customer) (float64, stats.Warning) {
	if w := firstWarning(m.check(), c.check()); w != stats.NoWarning {
		return math.NaN(), w
	}
	return number(m.logLik(c))
}

func (m BGNBD) logLik(c Customer) float64 {
	l, _ := m.parts(c)
	if c.X == 0 {
		return m.R*math.Log(m.Alpha) + l
	}
	return stats.LogGamma(m.R+c.X) - stats.LogGamma(m.R) + m.R*math.Log(m.Alpha) +
		stats.LogBeta(m.A, m.B+c.X) - stats.LogBeta(m.A, m.B) + l
}

// parts returns the logarithm of the alive and departed parts together and the
// share of the departed one.
func (m BGNBD) parts(c Customer) (log, departed float64) {
	alive := -(m.R + c.X) * math.Log(m.Alpha+c.Age)
	if c.X == 0 {
		return alive, 0
	}
	odds := math.Log(m.A) - math.Log(m.B+c.X-1) -
		(m.R+c.X)*math.Log((m.Alpha+c.Recency)/(m.Alpha+c.Age))
	if odds > 0 {
		return alive + odds + math.Log1p(math.Exp(-odds)), 1 / (1 + math.Exp(-odds))
	}
	return alive + math.Log1p(math.Exp(odds)), math.Exp(odds) / (1 + math.Exp(odds))
}

// Alive returns the probability that the customer is still one,
//
//	1/(1 + a/(b+x-1) ((α+T)/(α+t_x))^(r+x)),  1 for x = 0.
func (m BGNBD) Alive(c Customer) (float64, stats.Warning) {
	if w := firstWarning(m.check(), c.check()); w != stats.NoWarning {
		return math.NaN(), w
	}
	return m.alive(c), stats.NoWarning
}

func (m BGNBD) alive(c Customer) float64 {
	if c.X == 0 {
		return 1
	}
	return math.Exp(-softplus(math.Log(m.A) - math.Log(m.B+c.X-1) -
		(m.R+c.X)*math.Log((m.Alpha+c.Recency)/(m.Alpha+c.Age))))
}

// softplus returns ln(1 + e^s).
func softplus(s float64) float64 {
	if s > 0 {
		return s + math.Log1p(math.Exp(-s))
	}
	return math.Log1p(math.Exp(s))
}

// Expected returns the expected repeat purchases of a new customer by age t,
//
//	∫ (1 - (1 + p t/α)^-r)/p Beta(p; a, b) dp.
//
// The closed form with ₂F₁ is 0/0 at a = 1 and loses its digits for small t;
// the integral, by the double-exponential rule in ln(p/(1-p)), does neither.
func (m BGNBD) Expected(t float64) (float64, stats.Warning) {
	if w := firstWarning(m.check(), checkTime(t)); w != stats.NoWarning {
		return math.NaN(), w
	}
	return number(m.expected(t))
}

func checkTime(t float64) stats.Warning {
	switch {
	case notFinite(t):
		return stats.NonFiniteInput
	case t < 0:
		return stats.InvalidInput
	}
	return stats.NoWarning
}

func (m BGNBD) expected(t float64) float64 {
	if t == 0 {
		return 0
	}
	logB := stats.LogBeta(m.A, m.B)
	mode, width := math.Log(m.A/m.B), min(1, math.Sqrt(1/m.A+1/m.B))
	f := func(u float64) float64 {
		s := mode + width*math.Sinh(u)
		p, log := 1/(1+math.Exp(-s)), -m.A*softplus(-s)-m.B*softplus(s)-logB
		// p underflows far to the left, where the average is r t/α.
		rate := m.R * t / m.Alpha
		if p > 1e-290 {
			rate = -math.Expm1(-m.R*math.Log1p(p*t/m.Alpha)) / p
		}
		return math.Exp(log) * rate * width * math.Cosh(u)
	}
	// Nodes spread from the centre until they no longer count. Halving the step
	// all but squares the error, so a change of 1e-9 leaves less than 1e-12.
	h := 1.0 / 7
	sum := f(0)
	var ends [2]float64
	for i, sign := range [...]float64{-1, 1} {
		for k := 1; k < 500; k++ {
			u := sign * h * float64(k)
			v := f(u)
			sum += v
			ends[i] = u
			if v < 1e-18*sum && k > 10 {
				break
			}
		}
	}
	before := sum * h
	for range 7 {
		for u := ends[0] + h/2; u < ends[1]; u += h {
			sum += f(u)
		}
		h /= 2
		now := sum * h
		if math.Abs(now-before) <= 1e-9*now {
			return now
		}
		before = now
	}
	return before
}

// ExpectedNext returns the expected purchases in the next t of a customer with
// a history: given alive, the rate is Gamma(r+x, α+T) and the departure
// probability Beta(a, b+x), so it is Alive times [BGNBD.Expected] of those.
func (m BGNBD) ExpectedNext(c Customer, t float64) (float64, stats.Warning) {
	if w := firstWarning(m.check(), c.check(), checkTime(t)); w != stats.NoWarning {
		return math.NaN(), w
	}
	return number(m.expectedNext(c, t))
}

func (m BGNBD) expectedNext(c Customer, t float64) float64 {
	posterior := BGNBD{R: m.R + c.X, Alpha: m.Alpha + c.Age, A: m.A, B: m.B + c.X}
	alive := m.alive(c)
	if alive == 0 {
		return 0
	}
	return alive * posterior.expected(t)
}

// Probability returns the probability that a new customer makes exactly n
// repeat purchases by age t. The negative-binomial tail in it is an incomplete
// beta function, not one minus a sum.
func (m BGNBD) Probability(t float64, n int) (float64, stats.Warning) {
	w := firstWarning(m.check(), checkTime(t))
	if w == stats.NoWarning && n < 0 {
		w = stats.InvalidInput
	}
	if w != stats.NoWarning {
		return math.NaN(), w
	}
	if t == 0 {
		if n == 0 {
			return 1, stats.NoWarning
		}
		return 0, stats.NoWarning
	}
	x, z := float64(n), t/(m.Alpha+t)
	logB := stats.LogBeta(m.A, m.B)
	logCount := 0.0
	if n > 0 {
		logCount = -math.Log(x) - stats.LogBeta(m.R, x) // Γ(r+n)/(Γ(r) n!)
	}
	p := math.Exp(stats.LogBeta(m.A, m.B+x) - logB + logCount -
		m.R*math.Log1p(t/m.Alpha) + x*math.Log(z))
	if n > 0 {
		p += math.Exp(stats.LogBeta(m.A+1, m.B+x-1)-logB) * stats.BetaCDF(z, x, m.R)
	}
	return number(p)
}

func firstWarning(ws ...stats.Warning) stats.Warning {
	for _, w := range ws {
		if w != stats.NoWarning {
			return w
		}
	}
	return stats.NoWarning
}
