package stats

import "math"

// Interval is a confidence interval. A side that is not bounded is ±Inf; both
// sides are NaN when there is no interval.
type Interval struct {
	Lower, Upper float64
}

// Contains reports whether x lies in the closed interval. It is false for an
// interval that could not be computed.
func (i Interval) Contains(x float64) bool { return i.Lower <= x && x <= i.Upper }

// Estimate is a value with its standard error.
type Estimate struct {
	Value, SE float64
}

// Estimate returns the mean of the group with its standard error.
func (m Moments) Estimate() Estimate { return Estimate{Value: m.Mean, SE: m.SE()} }

// Alternative is the side on which a test looks for an effect.
type Alternative uint8

// The alternatives, about treatment minus control.
const (
	TwoSided Alternative = iota
	Greater
	Less
)

// Test is the question put to a comparison.
type Test struct {
	// Null is the difference under the null hypothesis.
	Null float64
	// Alternative is the side of the p-value and of the interval.
	Alternative Alternative
	// Level is the coverage of the interval, in (0, 1), such as 0.95; at least
	// 1/2 for a one-sided one, which would exclude its own estimate below.
	Level float64
}

func (t Test) check() Warning {
	switch {
	case notFinite(t.Null):
		return NonFiniteInput
	case !(t.Level > 0 && t.Level < 1) || t.Alternative > Less,
		t.Alternative != TwoSided && t.Level < 0.5:
		return InvalidInput
	}
	return NoWarning
}

// Comparison is the answer to a [Test]. When Warning is not [NoWarning], the
// numbers that could not be computed are NaN.
type Comparison struct {
	// Diff is treatment minus control, in the unit of the metric.
	Diff float64
	// SE is the standard error of Diff.
	SE float64
	// Stat is (Diff - null)/SE: t when DF is finite, z when it is +Inf.
	Stat float64
	// DF are the degrees of freedom of Stat, +Inf for a normal statistic.
	DF float64
	// P is the p-value and LogP its natural logarithm, exact where P underflows.
	P, LogP float64
	// CI is the interval of the difference; unbounded on one side for a
	// one-sided alternative.
	CI      Interval
	Warning Warning
}

// noComparison is the comparison that could not be made.
func noComparison(w Warning) Comparison {
	nan := math.NaN()
	return Comparison{
		Diff: nan, SE: nan, Stat: nan, DF: nan, P: nan, LogP: nan,
		CI: Interval{nan, nan}, Warning: w,
	}
}

// compare tests diff with its standard error against Student's t with df
// degrees of freedom (+Inf: normal).
func compare(diff, se, df float64, t Test) (c Comparison) {
	c.compare(diff, se, df, t)
	return c
}

func (c *Comparison) compare(diff, se, df float64, t Test) {
	w := t.check()
	switch {
	case w != NoWarning:
	case notFinite(diff) || notFinite(se) || math.IsNaN(df):
		w = Overflow
	case se == 0:
		w = ZeroVariance
	}
	if w != NoWarning {
		*c = noComparison(w)
		return
	}
	c.Diff, c.SE, c.Stat, c.DF, c.Warning = diff, se, (diff-t.Null)/se, df, NoWarning
	alpha := 1 - t.Level
	switch t.Alternative {
	case TwoSided:
		half := se * StudentISF(alpha/2, df)
		sf, log := studentTail(math.Abs(c.Stat), df)
		c.P, c.LogP = min(1, 2*sf), min(0, log+math.Ln2)
		c.CI.Lower, c.CI.Upper = diff-half, diff+half
	case Greater:
		c.P, c.LogP = studentUpper(c.Stat, df)
		c.CI.Lower, c.CI.Upper = diff-se*StudentISF(alpha, df), math.Inf(1)
	case Less:
		c.P, c.LogP = studentUpper(-c.Stat, df)
		c.CI.Lower, c.CI.Upper = math.Inf(-1), diff+se*StudentISF(alpha, df)
	}
}
