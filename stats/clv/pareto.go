package clv

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/perennial-engine/perennial/stats"
)

// ParetoNBD is the Pareto/NBD model: purchases at a rate that is
// Gamma(R, Alpha) over customers, and departure at any time at a rate that is
// Gamma(S, Beta).
//
// Sources: Schmittlein, Morrison, Colombo 1987; Fader & Hardie 2005, note 009.
type ParetoNBD struct {
	R, Alpha, S, Beta float64
}

func (m ParetoNBD) check() stats.Warning { return checkPositive(m.R, m.Alpha, m.S, m.Beta) }

// LogLik returns the log-likelihood of one history,
//
//	Γ(r+x) α^r β^s/Γ(r) · [ (α+T)^-(r+x) (β+T)^-s
//	  + s ∫ (α+y)^-(r+x) (β+y)^-(s+1) dy, y from t_x to T ].
//
// The integral is positive and is summed as such; the usual difference of two
// ₂F₁ cancels and overflows.
func (m ParetoNBD) LogLik(c Customer) (float64, stats.Warning) {
	if w := firstWarning(m.check(), c.check()); w != stats.NoWarning {
		return math.NaN(), w
	}
	return number(m.logLik(c))
}

func (m ParetoNBD) logLik(c Customer) float64 {
	alive, odds := m.parts(c)
	count := 0.0
	if c.X > 0 {
		count = stats.LogGamma(m.R+c.X) - stats.LogGamma(m.R)
	}
	return count + m.R*math.Log(m.Alpha) + m.S*math.Log(m.Beta) + alive + softplus(odds)
}

// parts returns the logarithm of the alive part and of departed over alive.
func (m ParetoNBD) parts(c Customer) (alive, odds float64) {
	alive = -(m.R+c.X)*math.Log(m.Alpha+c.Age) - m.S*math.Log(m.Beta+c.Age)
	if c.Recency == c.Age {
		return alive, math.Inf(-1)
	}
	start := -(m.R+c.X)*math.Log(m.Alpha+c.Recency) - (m.S+1)*math.Log(m.Beta+c.Recency)
	return alive, math.Log(m.S) + start + math.Log(m.departed(c, nil)) - alive
}

// paretoNodes are the Gauss-Legendre nodes and weights on [0, 1].
var paretoNodes = func() (g struct{ x, w [12]float64 }) {
	quad.Legendre{}.FixedLocations(g.x[:], g.w[:], 0, 1)
	return g
}()

// paretoPanels is more than any finite parameters need: with the widest panels
// 3,000 reach from the smallest float64 to the largest.
const paretoPanels = 4000

// departed returns the integral over its integrand at the start. In
// q = ln((m+y)/(m+t_x)), m the smaller of α and β, the exponent falls ever
// faster; panels cover three units of it each and stop at fifty. Unless nil,
// visit is told the weight and age of every node.
func (m ParetoNBD) departed(c Customer, visit func(weight, age float64)) float64 {
	a, b, base := m.Alpha+c.Recency, m.Beta+c.Recency, min(m.Alpha, m.Beta)+c.Recency
	purchase, leave := m.R+c.X, m.S+1
	fall := func(y float64) float64 { return purchase*math.Log1p(y/a) + leave*math.Log1p(y/b) }
	end := math.Log1p((c.Age - c.Recency) / base)
	total, q := 0.0, 0.0
	for panel := 0; q < end; panel++ {
		if panel == paretoPanels {
			return math.NaN()
		}
		grown := base * math.Expm1(q)
		if fall(grown) > 50 {
			break
		}
		rate := (base + grown) * (purchase/(a+grown) + leave/(b+grown))
		width := min(end-q, min(0.5, 3/rate))
		for k, x := range paretoNodes.x {
			y := base * math.Expm1(q+width*x)
			w := paretoNodes.w[k] * width * (base + y) * math.Exp(-fall(y))
			total += w
			if visit != nil {
				visit(w, c.Recency+y)
			}
		}
		q += width
	}
	return total
}

// Alive returns the probability that the customer is still one.
func (m ParetoNBD) Alive(c Customer) (float64, stats.Warning) {
	if w := firstWarning(m.check(), c.check()); w != stats.NoWarning {
		return math.NaN(), w
	}
	_, odds := m.parts(c)
	return number(math.Exp(-softplus(odds)))
}

// Expected returns the expected repeat purchases of a new customer by age t,
// r β/(α (s-1)) · (1 - (β/(β+t))^(s-1)), with its limit at s = 1.
func (m ParetoNBD) Expected(t float64) (float64, stats.Warning) {
	if w := firstWarning(m.check(), checkTime(t)); w != stats.NoWarning {
		return math.NaN(), w
	}
	return number(m.expected(t))
}

func (m ParetoNBD) expected(t float64) float64 {
	log := math.Log1p(t / m.Beta)
	grown := log
	if m.S != 1 {
		grown = -math.Expm1(-(m.S-1)*log) / (m.S - 1)
	}
	return m.R * m.Beta / m.Alpha * grown
}

// ExpectedNext returns the expected purchases in the next t of a customer with
// a history: Alive times [ParetoNBD.Expected] of the posterior
// (r+x, α+T, s, β+T).
func (m ParetoNBD) ExpectedNext(c Customer, t float64) (float64, stats.Warning) {
	if w := firstWarning(m.check(), c.check(), checkTime(t)); w != stats.NoWarning {
		return math.NaN(), w
	}
	_, odds := m.parts(c)
	posterior := ParetoNBD{R: m.R + c.X, Alpha: m.Alpha + c.Age, S: m.S, Beta: m.Beta + c.Age}
	return number(math.Exp(-softplus(odds)) * posterior.expected(t))
}
