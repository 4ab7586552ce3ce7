package survival

import (
	"math"

	"github.com/perennial-engine/perennial/stats"
)

// IntervalType is the scale on which a pointwise interval is symmetric.
type IntervalType uint8

// The types. LogLog, the default, never leaves [0, 1]; the others are clipped.
const (
	LogLog IntervalType = iota
	Log
	Plain
)

// Curve is a Kaplan-Meier curve.
type Curve struct {
	Points []Point
	// Median is the smallest time with S ≤ 1/2, NaN when the curve stays above.
	Median  float64
	Warning stats.Warning
}

// Point is the curve at one time and until the next.
type Point struct {
	Time                     float64
	AtRisk, Events, Censored int64
	// Survival is the share still there after Time, SE its Greenwood error and
	// CI its interval. At Survival = 0 error and interval are NaN: nobody is left
	// to estimate them from. Before the first event they are 0 and [1, 1].
	Survival, SE float64
	CI           stats.Interval
	// CumHazard is the Nelson-Aalen estimate with its error √Σ d/n².
	CumHazard, SECumHazard float64

	greenwood float64 // Σ d/(n (n-d))
}

// KaplanMeier returns the curve of a table,
//
//	S(t) = Π (1 - d/n),  SE = S √Σ d/(n (n-d)).
//
// It warns [stats.TooFewCustomers] for an empty table and [stats.InvalidInput]
// when counts do not fit.
//
// Sources: Kaplan & Meier 1958; Greenwood 1926; Nelson 1969.
func KaplanMeier(t Table, kind IntervalType, level float64) Curve {
	w := t.check()
	if w == stats.NoWarning && !(level > 0 && level < 1 && kind <= Plain) {
		w = stats.InvalidInput
	}
	if w != stats.NoWarning {
		return Curve{Median: math.NaN(), Warning: w}
	}
	z := stats.NormalISF((1 - level) / 2)
	c := Curve{Points: make([]Point, 0, len(t.Rows)), Median: math.NaN()}
	t.walk(func(p Point) bool {
		if n := len(c.Points); n > 0 && p.Events == 0 {
			p.CI = c.Points[n-1].CI
		} else {
			p.CI = p.interval(kind, z)
		}
		if p.Survival == 0 {
			p.SE = math.NaN()
		}
		c.Points = append(c.Points, p)
		// A product of fractions that is exactly 1/2 may round to a little more.
		if math.IsNaN(c.Median) && p.Survival <= 0.5+1e-11 {
			c.Median = p.Time
		}
		return true
	})
	return c
}

// walk visits the points of the curve in order, without intervals, until visit
// says to stop.
func (t Table) walk(visit func(Point) bool) {
	p := Point{AtRisk: t.N, Survival: 1}
	var hazard2 float64
	for _, r := range t.Rows {
		n, d := float64(p.AtRisk), float64(r.Events)
		p.Time, p.Events, p.Censored = r.Time, r.Events, r.Censored
		if d > 0 {
			p.Survival *= (n - d) / n
			p.greenwood += d / (n * (n - d)) // +Inf when nobody is left
			p.CumHazard += d / n
			hazard2 += d / (n * n)
		}
		p.SE = p.Survival * math.Sqrt(p.greenwood)
		p.SECumHazard = math.Sqrt(hazard2)
		if !visit(p) {
			return
		}
		p.AtRisk -= r.Events + r.Censored
	}
}

func (p Point) interval(kind IntervalType, z float64) stats.Interval {
	s := p.Survival
	switch {
	case s == 0:
		return stats.Interval{Lower: math.NaN(), Upper: math.NaN()}
	case p.greenwood == 0:
		return stats.Interval{Lower: 1, Upper: 1}
	}
	half := z * math.Sqrt(p.greenwood)
	var lower, upper float64
	switch kind {
	case Plain:
		lower, upper = s-half*s, s+half*s
	case Log:
		lower, upper = s*math.Exp(-half), s*math.Exp(half)
	case LogLog:
		l := math.Log(s)
		wider := math.Exp(-half / l)
		lower, upper = math.Exp(l*wider), math.Exp(l/wider)
	}
	return stats.Interval{Lower: max(0, lower), Upper: min(1, upper)}
}

// At returns the point in force at time t: that of the last row not after t.
// Before the first row everyone is there. Beyond the last row the curve is
// known only when nobody is left; ok is false elsewhere.
func (t Table) At(time float64) (p Point, ok bool) {
	if t.check() != stats.NoWarning || math.IsNaN(time) {
		return Point{}, false
	}
	p = Point{AtRisk: t.N, Survival: 1, CI: stats.Interval{Lower: 1, Upper: 1}}
	t.walk(func(q Point) bool {
		if q.Time > time {
			return false
		}
		p = q
		return true
	})
	last := t.Rows[len(t.Rows)-1].Time
	return p, time <= last || p.Survival == 0
}
