package engine

import (
	"math"
	"math/big"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/survival"
)

// arm is one arm's sums of one metric, ready for inference.
type arm struct {
	variant VariantKey
	nonZero int64
	binary  bool
	moments stats.Moments
	warning stats.Warning  // why there are no moments
	plain   *stats.Moments // the moments before the covariate was taken out, if it was
}

func (a arm) count() stats.Count { return stats.Count{Successes: a.nonZero, N: a.moments.N} }

// unadjusted is the arm as it was before the covariate was taken out.
func (a arm) unadjusted() arm {
	if a.plain != nil {
		a.moments, a.plain = *a.plain, nil
	}
	return a
}

// newArms makes the arms of one metric in the order of the variants. A covariate has the same
// slope in all of them.
func newArms(t *Totals, x *Experiment, m *Metric) map[VariantKey]arm {
	arms := make(map[VariantKey]arm, len(x.Variants))
	pairs := make(map[VariantKey]stats.PairMoments, len(x.Variants))
	all := make([]stats.PairMoments, 0, len(x.Variants))
	for _, v := range x.Variants {
		total := t.value(m.Key, v.Key)
		if m.Kind == KindSurvival {
			arms[v.Key] = newSurvivalArm(total, t.days(m.Key, v.Key), m.Window.ToDay)
			continue
		}
		arms[v.Key] = newArm(total, m.Kind)
		pairs[v.Key] = pairMoments(total)
		all = append(all, pairs[v.Key])
	}
	if !x.Plan.Covariate || !m.Kind.takesCovariate() {
		return arms
	}
	theta, grand := stats.CupedSlope(all...)
	for key, a := range arms {
		plain := a.moments
		a.plain, a.moments = &plain, pairs[key].Adjust(theta, grand)
		arms[key] = a
	}
	return arms
}

// takesCovariate reports whether the past of a customer can be taken out of the metric.
func (k MetricKind) takesCovariate() bool { return k != KindSurvival && k != KindRatio }

// newArm turns exact sums into moments: of a ratio those of the customers' contributions to
// the quotient of the sums (the delta method), of other kinds those of the values.
func newArm(t ArmTotal, kind MetricKind) arm {
	a := arm{variant: t.Variant, nonZero: t.NonZero, binary: kind.IsBinary(), moments: stats.Moments{N: t.Mature}}
	if t.Mature == 0 {
		return a
	}
	pair := pairMoments(t)
	a.moments = pair.Y()
	if kind == KindRatio {
		a.moments, a.warning = pair.Linearise()
		if a.warning != stats.NoWarning {
			a.moments = stats.Moments{N: t.Mature, Mean: math.NaN(), M2: math.NaN()}
		}
	}
	return a
}

// newSurvivalArm is an arm whose mean is the restricted mean up to toDay of everybody in it,
// with the error of that, and whose number is that of the customers observed up to toDay.
func newSurvivalArm(t ArmTotal, days []DayCount, toDay int) arm {
	a := arm{variant: t.Variant, nonZero: t.NonZero, moments: stats.Moments{N: t.Mature}}
	if t.Mature == 0 {
		return a
	}
	mean := lifeTable(days).RestrictedMean(float64(toDay))
	n := float64(t.Mature)
	a.moments.Mean, a.moments.M2, a.warning = mean.Mean, mean.SE*mean.SE*n*(n-1), mean.Warning
	return a
}

// lifeTable adds up day counts in the order of days.
func lifeTable(days []DayCount) survival.Table {
	table := survival.Table{}
	for _, d := range days {
		table.N += d.Churned + d.Censored
		if last := len(table.Rows) - 1; last >= 0 && table.Rows[last].Time == float64(d.Day) {
			table.Rows[last].Events += d.Churned
			table.Rows[last].Censored += d.Censored
			continue
		}
		table.Rows = append(table.Rows, survival.Row{Time: float64(d.Day), Events: d.Churned, Censored: d.Censored})
	}
	return table
}

// pairMoments turns exact sums into joint moments. Centred sums such as Σx² − (Σx)²/n are
// computed exactly in rationals, so nothing cancels.
func pairMoments(t ArmTotal) stats.PairMoments {
	p := stats.PairMoments{N: t.Mature}
	if t.Mature == 0 {
		return p
	}
	n := new(big.Rat).SetInt64(t.Mature)
	centred := func(products, a, b decimal.Decimal) float64 {
		shift := new(big.Rat).Mul(a.Rat(), b.Rat())
		f, _ := new(big.Rat).Sub(products.Rat(), shift.Quo(shift, n)).Float64()
		return f
	}
	p.MeanY, p.MeanX = meanOf(t.Sum, t.Mature), meanOf(t.SumX, t.Mature)
	p.M2Y, p.M2X = centred(t.SumSquares, t.Sum, t.Sum), centred(t.SumXX, t.SumX, t.SumX)
	p.CXY = centred(t.SumXY, t.SumX, t.Sum)
	return p
}

// meanOf is the nearest double to sum/n, for n above 0.
func meanOf(sum decimal.Decimal, n int64) float64 {
	f, _ := new(big.Rat).Quo(sum.Rat(), new(big.Rat).SetInt64(n)).Float64()
	return f
}

// value adds up the parts of an arm.
func (t *Totals) value(metric MetricKey, variant VariantKey) ArmTotal {
	sum := ArmTotal{Metric: metric, Variant: variant}
	for i := range t.Values {
		if v := &t.Values[i]; v.Metric == metric && v.Variant == variant {
			sum = sum.plus(v)
		}
	}
	return sum
}

// plus adds up two totals.
func (t ArmTotal) plus(o *ArmTotal) ArmTotal {
	t.Mature += o.Mature
	t.NonZero += o.NonZero
	t.Sum, t.SumSquares, t.Uncapped = t.Sum.Add(o.Sum), t.SumSquares.Add(o.SumSquares), t.Uncapped.Add(o.Uncapped)
	t.SumX, t.SumXX, t.SumXY = t.SumX.Add(o.SumX), t.SumXX.Add(o.SumXX), t.SumXY.Add(o.SumXY)
	return t
}

// mature counts the matured customers of a metric in all arms.
func (t *Totals) mature(metric MetricKey) (customers int64) {
	for i := range t.Values {
		if t.Values[i].Metric == metric {
			customers += t.Values[i].Mature
		}
	}
	return customers
}

// days lists the day counts of an arm in the order of days.
func (t *Totals) days(metric MetricKey, variant VariantKey) []DayCount {
	var days []DayCount
	for _, d := range t.Days {
		if d.Metric == metric && d.Variant == variant {
			days = append(days, d)
		}
	}
	slices.SortStableFunc(days, func(a, b DayCount) int { return a.Day - b.Day })
	return days
}

// customers counts the enrolled customers by variant.
func (t *Totals) customers(x *Experiment) map[VariantKey]int64 {
	counts := make(map[VariantKey]int64, len(x.Variants))
	for _, v := range x.Variants {
		counts[v.Key] = 0
	}
	for _, a := range t.Arms {
		counts[a.Variant] += a.Customers
	}
	return counts
}
