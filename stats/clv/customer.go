package clv

import (
	"cmp"
	"math"
	"slices"

	"github.com/perennial-engine/perennial/stats"
)

// Customer is a purchase history reduced to what the models need.
type Customer struct {
	// X counts the repeat purchases.
	X float64
	// Recency is the age at the last purchase, 0 without a repeat purchase.
	Recency float64
	// Age is the time since the first purchase.
	Age float64
}

func (c Customer) check() stats.Warning {
	switch {
	case notFinite(c.X) || notFinite(c.Recency) || notFinite(c.Age):
		return stats.NonFiniteInput
	case c.X < 0 || c.X != math.Floor(c.X) || c.Recency < 0 || c.Recency > c.Age || c.X == 0 && c.Recency != 0:
		return stats.InvalidInput
	}
	return stats.NoWarning
}

func notFinite(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// checkPositive says why parameters are not usable.
func checkPositive(parameters ...float64) stats.Warning {
	for _, p := range parameters {
		if notFinite(p) {
			return stats.NonFiniteInput
		}
		if p <= 0 {
			return stats.InvalidInput
		}
	}
	return stats.NoWarning
}

// number returns v, or NaN with a warning when it is none.
func number(v float64) (float64, stats.Warning) {
	if notFinite(v) {
		return math.NaN(), stats.Overflow
	}
	return v, stats.NoWarning
}

// counted is a history with the number of customers who share it.
type counted struct {
	Customer
	n float64
}

// distinct merges equal histories and rescales time by 1/unit: the likelihood
// of a large base costs no more than that of its different histories.
func distinct(customers []Customer, unit float64) []counted {
	sorted := slices.Clone(customers)
	slices.SortFunc(sorted, func(a, b Customer) int {
		return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Recency, b.Recency), cmp.Compare(a.Age, b.Age))
	})
	var out []counted
	for i, c := range sorted {
		if i > 0 && c == sorted[i-1] {
			out[len(out)-1].n++
			continue
		}
		out = append(out, counted{Customer{c.X, c.Recency / unit, c.Age / unit}, 1})
	}
	return out
}

// oldest returns the largest age and why the customers cannot be fitted.
func oldest(customers []Customer) (float64, stats.Warning) {
	age, repeat := 0.0, false
	for _, c := range customers {
		if w := c.check(); w != stats.NoWarning {
			return 0, w
		}
		age = max(age, c.Age)
		repeat = repeat || c.X > 0
	}
	switch {
	case len(customers) < 10:
		return 0, stats.TooFewCustomers
	case !repeat || age == 0:
		return 0, stats.NoEvents
	}
	return age, stats.NoWarning
}
