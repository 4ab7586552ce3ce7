package stats

import "math"

// Welch compares two means without assuming equal variances,
//
//	se² = v1 + v2,  v = s²/n,  t = (diff - null)/se
//	df  = (v1 + v2)² / (v1²/(n1-1) + v2²/(n2-1)).
//
// One arm without variance is legal: the df come from the other. It warns
// [TooFewCustomers] when an arm has fewer than two customers and [ZeroVariance]
// when neither arm varies.
//
// Source: Welch 1947, Biometrika 34.
func Welch(control, treatment Moments, t Test) Comparison {
	if w := first(control.check(), treatment.check()); w != NoWarning {
		return noComparison(w)
	}
	return welch(treatment.Mean-control.Mean, control.Var()/float64(control.N),
		treatment.Var()/float64(treatment.N), control.N, treatment.N, t)
}

// welch compares diff, whose variance is v1 + v2 with n1-1 and n2-1 degrees of
// freedom.
func welch(diff, v1, v2 float64, n1, n2 int64, t Test) (c Comparison) {
	c.welch(diff, v1, v2, n1, n2, t)
	return c
}

func (c *Comparison) welch(diff, v1, v2 float64, n1, n2 int64, t Test) {
	if v1+v2 == 0 {
		*c = noComparison(ZeroVariance)
		return
	}
	f1, f2 := float64(n1-1), float64(n2-1)
	share := v1 / (v1 + v2)
	rest := 1 - share
	df := f1 * f2 / (share*share*f2 + rest*rest*f1)
	c.compare(diff, math.Sqrt(v1+v2), df, t)
}

// Pooled compares two means assuming equal variances: Student's test with
// s² = (M2₁ + M2₂)/(n1+n2-2), se² = s²(1/n1 + 1/n2) and df = n1+n2-2. Prefer
// [Welch]; this one is here for the decision standard error and for reference.
//
// Source: Student 1908, Biometrika 6.
func Pooled(control, treatment Moments, t Test) Comparison {
	if w := first(control.check(), treatment.check()); w != NoWarning {
		return noComparison(w)
	}
	e := meanErrors(control.Var(), treatment.Var(), control.N, treatment.N)
	return compare(treatment.Mean-control.Mean, e.Pooled, float64(control.N)+float64(treatment.N)-2, t)
}

// MeanZ is [Welch] with the normal distribution instead of Student's: the two
// agree to six digits beyond a million customers.
func MeanZ(control, treatment Moments, t Test) Comparison {
	if w := first(control.check(), treatment.check()); w != NoWarning {
		return noComparison(w)
	}
	return CompareEstimates(control.Estimate(), treatment.Estimate(), t)
}

// CompareEstimates compares two independent estimates, such as survival curves at
// one time, on the normal distribution: se² is the sum of theirs. It warns
// [ZeroVariance] when neither has an error.
func CompareEstimates(control, treatment Estimate, t Test) Comparison {
	for _, x := range [...]float64{control.Value, control.SE, treatment.Value, treatment.SE} {
		if notFinite(x) {
			return noComparison(NonFiniteInput)
		}
	}
	if control.SE < 0 || treatment.SE < 0 {
		return noComparison(InvalidInput)
	}
	return compare(treatment.Value-control.Value, math.Hypot(control.SE, treatment.SE), math.Inf(1), t)
}

// StandardErrors are the standard errors of one difference of means.
type StandardErrors struct {
	Welch, Pooled float64
	// Decision is the larger of the two. With a skewed metric and unequal arms
	// the mean and the variance of the small arm move together, so that Welch's
	// error is smallest just when the small arm looks worst; the pooled error is
	// not fooled. In equal arms of equal size the two coincide.
	Decision float64
	Warning  Warning
}

// MeanErrors returns the standard errors of treatment minus control. Sequential
// and automatic decisions use Decision.
//
// Source: docs/methods/decision-error.md (own simulation); the same warning in
// arXiv 2510.23666.
func MeanErrors(control, treatment Moments) StandardErrors {
	w := first(control.check(), treatment.check())
	if w != NoWarning {
		nan := math.NaN()
		return StandardErrors{nan, nan, nan, w}
	}
	return meanErrors(control.Var(), treatment.Var(), control.N, treatment.N)
}

func meanErrors(s1, s2 float64, n1, n2 int64) StandardErrors {
	f1, f2 := float64(n1), float64(n2)
	pooled := ((f1-1)*s1 + (f2-1)*s2) / (f1 + f2 - 2)
	e := StandardErrors{
		Welch:  math.Sqrt(s1/f1 + s2/f2),
		Pooled: math.Sqrt(pooled * (1/f1 + 1/f2)),
	}
	e.Decision = max(e.Welch, e.Pooled)
	switch {
	case e.Decision == 0:
		e.Warning = ZeroVariance
	case notFinite(e.Decision):
		nan := math.NaN()
		return StandardErrors{nan, nan, nan, Overflow}
	}
	return e
}
