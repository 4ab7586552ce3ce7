package stats

import (
	"math"
	"slices"
)

// Caps limit single values, so that one customer cannot decide a mean. A side
// without a cap is ±Inf; caps that could not be found are NaN.
type Caps struct {
	Lower, Upper float64
	// Warning is [ZeroCap] when the upper cap is zero although values are not:
	// the cap stands, but the metric would lose everything it measures, so the
	// caller must refuse it.
	Warning Warning
}

// PooledCaps returns the type-7 quantiles of all arms together at the shares
// lower and upper, to be applied to all arms alike (a cap per arm creates
// effects). lower = 0 means no lower cap. With ignoreZeros the quantiles are
// those of the values that are not zero, as for payers.
//
// It warns [TooFewCustomers] when there is no value, [NoEvents] when zeros are
// ignored and there is nothing else, [InvalidInput] when a share is outside
// [0, 1] or lower > upper. Decide the cap at design, on blinded data, and keep
// it: a cap found again at each look changes what is estimated.
func PooledCaps(arms [][]float64, lower, upper float64, ignoreZeros bool) Caps {
	nan := math.NaN()
	if !(lower >= 0 && upper <= 1 && lower <= upper) {
		return Caps{nan, nan, InvalidInput}
	}
	var all []float64
	zeros := 0
	for _, arm := range arms {
		for _, v := range arm {
			if notFinite(v) {
				return Caps{nan, nan, NonFiniteInput}
			}
			if v == 0 {
				zeros++
				if ignoreZeros {
					continue
				}
			}
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		if zeros > 0 {
			return Caps{nan, nan, NoEvents}
		}
		return Caps{nan, nan, TooFewCustomers}
	}
	slices.Sort(all)
	c := Caps{Lower: math.Inf(-1), Upper: quantile(all, upper)}
	if lower > 0 {
		c.Lower = quantile(all, lower)
	}
	if c.Upper == 0 {
		c.Warning = ZeroCap
		if zeros == len(all) {
			c.Warning = NoEvents
		}
	}
	return c
}

// Apply returns the moments of x limited to the caps and how many values were
// beyond them. NaN caps change nothing.
func (c Caps) Apply(x []float64) (m Moments, capped int) {
	limited := make([]float64, len(x))
	for i, v := range x {
		limited[i] = v
		if v > c.Upper {
			limited[i] = c.Upper
			capped++
		} else if v < c.Lower {
			limited[i] = c.Lower
			capped++
		}
	}
	return FromValues(limited), capped
}

// Quantile returns the type-7 sample quantile of x at p: linear interpolation
// between order statistics at 1 + (n-1) p, the default of R and NumPy. NaN for
// an empty x, a NaN in x or p outside [0, 1].
//
// Source: Hyndman & Fan 1996, The American Statistician 50.
func Quantile(x []float64, p float64) float64 {
	if len(x) == 0 || !(p >= 0 && p <= 1) || slices.ContainsFunc(x, math.IsNaN) {
		return math.NaN()
	}
	return quantile(slices.Sorted(slices.Values(x)), p)
}

// quantile takes the product (n-1) p exactly: 0.95 of 100 lies just below 95, because 0.95 does.
func quantile(sorted []float64, p float64) float64 {
	steps := float64(len(sorted) - 1)
	h := steps * p
	rest := math.FMA(steps, p, -h)
	i := int(math.Round(h))
	switch off := h - float64(i) + rest; {
	case off > 0:
		return sorted[i] + off*(sorted[i+1]-sorted[i])
	case off < 0:
		return sorted[i] + off*(sorted[i]-sorted[i-1])
	}
	return sorted[i]
}
