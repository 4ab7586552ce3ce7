package ltv

import (
	"cmp"
	"math"
	"slices"

	"github.com/perennial-engine/perennial/stats"
)

// Purchase is money from a customer at an age since assignment. Refunds are
// negative amounts.
type Purchase struct {
	// Customer is the index of the customer in the follow-up times.
	Customer int
	Age      float64
	Amount   float64
}

// Arm is what is known of one arm at the data cut.
type Arm struct {
	// FollowUp is the potential age of every customer at the data cut.
	FollowUp []float64
	// Purchases have 0 < Age ≤ the customer's FollowUp.
	Purchases []Purchase
}

func (a Arm) check(horizon float64) stats.Warning {
	if math.IsNaN(horizon) || math.IsInf(horizon, 0) {
		return stats.NonFiniteInput
	}
	for _, f := range a.FollowUp {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return stats.NonFiniteInput
		}
	}
	for _, p := range a.Purchases {
		if p.Customer < 0 || p.Customer >= len(a.FollowUp) {
			return stats.InvalidInput
		}
		if math.IsNaN(p.Age) || math.IsNaN(p.Amount) || math.IsInf(p.Amount, 0) {
			return stats.NonFiniteInput
		}
		if p.Age < 0 || p.Age > a.FollowUp[p.Customer] {
			return stats.InvalidInput
		}
	}
	return stats.NoWarning
}

// Matured returns the moments of the value up to the horizon of the customers
// followed at least that long. It warns [stats.InvalidInput] for a purchase of
// no customer or outside the follow-up, and [stats.NotIdentified] when nobody
// has matured; the moments are empty then.
//
// Source: equal to Bang & Tsiatis 2000 under administrative censoring.
func Matured(a Arm, horizon float64) (stats.Moments, stats.Warning) {
	if w := a.check(horizon); w != stats.NoWarning {
		return stats.Moments{}, w
	}
	total := make([]float64, len(a.FollowUp))
	for _, p := range a.Purchases {
		if p.Age <= horizon {
			total[p.Customer] += p.Amount
		}
	}
	values := total[:0]
	for i, v := range total {
		if a.FollowUp[i] >= horizon {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return stats.Moments{}, stats.NotIdentified
	}
	return stats.FromValues(values), stats.NoWarning
}

// Value is a mean value per customer with its error.
type Value struct {
	Mean, SE float64
	Warning  stats.Warning
}

func (v Value) estimate() stats.Estimate { return stats.Estimate{Value: v.Mean, SE: v.SE} }

// CumulativeValue returns the mean cumulative value at the horizon from all
// customers,
//
//	m(H) = Σ_{t ≤ H} C(t)/Y(t)
//	var  = Σ_i [Σ_{t ≤ min(H, followUp_i)} (c_i(t) - C(t)/Y(t))/Y(t)]²,
//
// with C(t) the money at age t and Y(t) the customers with potential follow-up
// of at least t. Cohorts must be exchangeable: stratify by week of entry when
// the season matters. It warns [stats.NotIdentified] when nobody was followed to
// the horizon; below about 30 customers there the error is not to be trusted.
//
// Source: Lawless & Nadeau 1995, Technometrics 37.
func CumulativeValue(a Arm, horizon float64) Value {
	nan := math.NaN()
	if w := a.check(horizon); w != stats.NoWarning {
		return Value{nan, nan, w}
	}
	follow := slices.Sorted(slices.Values(a.FollowUp))
	atRisk := func(t float64) float64 {
		i, _ := slices.BinarySearch(follow, t)
		return float64(len(follow) - i)
	}
	if atRisk(horizon) == 0 {
		return Value{nan, nan, stats.NotIdentified}
	}
	used := make([]Purchase, 0, len(a.Purchases))
	for _, p := range a.Purchases {
		if p.Age <= horizon {
			used = append(used, p)
		}
	}
	slices.SortFunc(used, func(x, y Purchase) int { return cmp.Compare(x.Age, y.Age) })
	// ages and drift hold, per distinct age t, Σ_{s ≤ t} C(s)/Y(s)².
	var ages, drift []float64
	influence := make([]float64, len(a.FollowUp))
	v := Value{}
	sum := 0.0
	for i := 0; i < len(used); {
		j, money := i, 0.0
		y := atRisk(used[i].Age)
		for ; j < len(used) && used[j].Age == used[i].Age; j++ {
			money += used[j].Amount
			influence[used[j].Customer] += used[j].Amount / y
		}
		v.Mean += money / y
		sum += money / y / y
		ages, drift = append(ages, used[i].Age), append(drift, sum)
		i = j
	}
	variance := 0.0
	for i, f := range a.FollowUp {
		k, found := slices.BinarySearch(ages, min(f, horizon))
		if found {
			k++
		}
		if k > 0 {
			influence[i] -= drift[k-1]
		}
		variance += influence[i] * influence[i]
	}
	v.SE = math.Sqrt(variance)
	if math.IsInf(v.Mean, 0) || math.IsNaN(v.SE) || math.IsInf(v.SE, 0) {
		return Value{nan, nan, stats.Overflow}
	}
	return v
}

// Comparison compares the cumulative value of two independent arms.
type Comparison struct {
	Control, Treatment Value
	// Diff is treatment minus control, SE its error, Z and P its normal test.
	Diff, SE, Z, P float64
	CI             stats.Interval
	Warning        stats.Warning
}

// Compare compares [CumulativeValue] at one horizon. For repeated looks feed
// Diff and SE to stats.ConfidenceSequence with stats.InformationClock. It warns
// like CumulativeValue, and [stats.ZeroVariance] when neither arm varies.
func Compare(control, treatment Arm, horizon, level float64) Comparison {
	nan := math.NaN()
	c := Comparison{
		Control: CumulativeValue(control, horizon), Treatment: CumulativeValue(treatment, horizon),
		Diff: nan, SE: nan, Z: nan, P: nan, CI: stats.Interval{Lower: nan, Upper: nan},
	}
	c.Warning = c.Control.Warning
	if c.Warning == stats.NoWarning {
		c.Warning = c.Treatment.Warning
	}
	if c.Warning == stats.NoWarning && !(level > 0 && level < 1) {
		c.Warning = stats.InvalidInput
	}
	if c.Warning != stats.NoWarning {
		return c
	}
	c.Diff = c.Treatment.Mean - c.Control.Mean
	d := stats.CompareEstimates(c.Control.estimate(), c.Treatment.estimate(), stats.Test{Level: level})
	c.SE, c.Z, c.P, c.CI, c.Warning = d.SE, d.Stat, d.P, d.CI, d.Warning
	return c
}
