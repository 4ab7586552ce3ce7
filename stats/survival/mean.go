package survival

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

// Mean is a restricted mean with its error.
type Mean struct {
	Mean, SE float64
	Warning  stats.Warning
}

// RestrictedMean returns the mean time until the event or tau, whichever is
// first: the area under the curve up to tau, with
//
//	se² = Σ A_i² d_i/(n_i (n_i - d_i)),
//
// A_i being the area from t_i to tau. It warns [stats.BeyondFollowUp] when the
// last customer was censored before tau: the curve is not known there and is
// not extrapolated.
//
// Sources: Irwin 1949; Uno et al. 2014; R's survRM2.
func (t Table) RestrictedMean(tau float64) Mean { return t.DiscountedMean(tau, 0) }

// DiscountedMean returns the present value of one unit per unit of time while a
// customer stays, ∫₀^tau S(u) e^(-delta u) du at the continuous rate delta, with
// the error of [Table.RestrictedMean] on discounted areas. Times a margin per
// period it is the value of a subscription up to tau.
func (t Table) DiscountedMean(tau, delta float64) Mean {
	nan := math.NaN()
	w := t.check()
	switch {
	case w != stats.NoWarning:
	case math.IsNaN(tau) || math.IsInf(tau, 0) || math.IsNaN(delta) || math.IsInf(delta, 0):
		w = stats.NonFiniteInput
	case tau < 0:
		w = stats.InvalidInput
	}
	if w == stats.NoWarning {
		if _, ok := t.At(tau); !ok {
			w = stats.BeyondFollowUp
		}
	}
	if w != stats.NoWarning {
		return Mean{nan, nan, w}
	}
	// The areas after each event time are what is left of the whole.
	area := func(from, to float64) float64 {
		if delta == 0 {
			return to - from
		}
		return math.Exp(-delta*from) * -math.Expm1(-delta*(to-from)) / delta
	}
	var whole, before, last float64
	survival := 1.0
	t.walk(func(p Point) bool {
		if p.Time >= tau {
			return false
		}
		whole += survival * area(last, p.Time)
		survival, last = p.Survival, p.Time
		return true
	})
	whole += survival * area(last, tau)
	variance := 0.0
	survival, last = 1, 0
	t.walk(func(p Point) bool {
		if p.Time >= tau {
			return false
		}
		before += survival * area(last, p.Time)
		survival, last = p.Survival, p.Time
		n, d := float64(p.AtRisk), float64(p.Events)
		if rest := whole - before; d > 0 && n > d {
			variance += rest * rest * d / (n * (n - d))
		}
		return true
	})
	m := Mean{Mean: whole, SE: math.Sqrt(variance)}
	if math.IsNaN(m.SE) || math.IsInf(m.Mean, 0) || math.IsInf(m.SE, 0) || math.IsNaN(m.Mean) {
		return Mean{nan, nan, stats.Overflow}
	}
	return m
}

// MeanComparison compares restricted means.
type MeanComparison struct {
	Control, Treatment Mean
	// Diff is treatment minus control in the unit of time, SE its error, Z and P
	// its normal test.
	Diff, SE, Z, P float64
	CI             stats.Interval
	// Ratio is treatment over control with its log-scale interval.
	Ratio   float64
	RatioCI stats.Interval
	Warning stats.Warning
}

// CompareMeans compares the restricted means of two independent groups up to
// the same tau. It warns like [Table.RestrictedMean] and [stats.ZeroVariance]
// when nothing happened before tau in either group; the means and Diff stand.
func CompareMeans(control, treatment Table, tau, level float64) MeanComparison {
	nan := math.NaN()
	r := MeanComparison{
		Control: control.RestrictedMean(tau), Treatment: treatment.RestrictedMean(tau),
		Diff: nan, SE: nan, Z: nan, P: nan, CI: stats.Interval{Lower: nan, Upper: nan},
		Ratio: nan, RatioCI: stats.Interval{Lower: nan, Upper: nan},
	}
	r.Warning = r.Control.Warning
	if r.Warning == stats.NoWarning {
		r.Warning = r.Treatment.Warning
	}
	if r.Warning == stats.NoWarning && !(level > 0 && level < 1) {
		r.Warning = stats.InvalidInput
	}
	if r.Warning != stats.NoWarning {
		return r
	}
	a, b := r.Control, r.Treatment
	r.Diff = b.Mean - a.Mean
	d := stats.CompareEstimates(stats.Estimate{Value: a.Mean, SE: a.SE}, stats.Estimate{Value: b.Mean, SE: b.SE}, stats.Test{Level: level})
	r.SE, r.Z, r.P, r.CI, r.Warning = d.SE, d.Stat, d.P, d.CI, d.Warning
	if r.Warning != stats.NoWarning {
		return r
	}
	r.Ratio = b.Mean / a.Mean
	half := stats.NormalISF((1-level)/2) * math.Hypot(a.SE/a.Mean, b.SE/b.Mean)
	r.RatioCI = stats.Interval{Lower: r.Ratio * math.Exp(-half), Upper: r.Ratio * math.Exp(half)}
	return r
}

// ShareComparison compares the shares of two groups still there at one time.
type ShareComparison struct {
	Control, Treatment float64
	// Diff is treatment minus control with its Greenwood error and normal test.
	Diff, SE, Z, P float64
	CI             stats.Interval
	// CloglogZ and CloglogP test the difference of ln(-ln S), which is safer
	// when a share is near 0 or 1; positive when the treatment's is lower. NaN
	// when a share is 0 or 1.
	CloglogZ, CloglogP float64
	Warning            stats.Warning
}

// CompareShares compares the survival of two independent groups at a time. It
// warns [stats.BeyondFollowUp] when either curve is not known there and
// [stats.ZeroVariance] when neither varies; the shares and Diff stand then.
//
// Source: Klein et al. 2007, Stat Med 26.
func CompareShares(control, treatment Table, time, level float64) ShareComparison {
	nan := math.NaN()
	r := ShareComparison{nan, nan, nan, nan, nan, nan, stats.Interval{Lower: nan, Upper: nan}, nan, nan, stats.NoWarning}
	for _, t := range [...]Table{control, treatment} {
		if w := t.check(); w != stats.NoWarning {
			r.Warning = w
			return r
		}
	}
	a, okA := control.At(time)
	b, okB := treatment.At(time)
	switch {
	case !okA || !okB:
		r.Warning = stats.BeyondFollowUp
		return r
	case !(level > 0 && level < 1):
		r.Warning = stats.InvalidInput
		return r
	}
	r.Control, r.Treatment, r.Diff = a.Survival, b.Survival, b.Survival-a.Survival
	d := stats.CompareEstimates(a.estimate(), b.estimate(), stats.Test{Level: level})
	r.SE, r.Z, r.P, r.CI, r.Warning = d.SE, d.Stat, d.P, d.CI, d.Warning
	if r.Warning != stats.NoWarning {
		return r
	}
	la, lb := math.Log(a.Survival), math.Log(b.Survival)
	cloglog := math.Hypot(math.Sqrt(a.greenwood)/la, math.Sqrt(b.greenwood)/lb)
	if x := (math.Log(-lb) - math.Log(-la)) / cloglog; !math.IsNaN(x) && !math.IsInf(cloglog, 0) && cloglog > 0 {
		r.CloglogZ, r.CloglogP = x, 2*stats.NormalSF(math.Abs(x))
	}
	return r
}

// estimate returns the share with its error, which is 0 when nobody is left.
func (p Point) estimate() stats.Estimate {
	if p.Survival == 0 {
		return stats.Estimate{}
	}
	return stats.Estimate{Value: p.Survival, SE: p.SE}
}
