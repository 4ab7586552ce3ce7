package stats

import "math"

// Lift is a relative effect, (m2-m1)/|m1|: 0.05 is five per cent more.
type Lift struct {
	Lift float64
	// SE is the standard error on the scale of the method: of the lift for
	// [LiftDelta], of ln(m2/m1) for [LiftLog].
	SE      float64
	CI      Interval
	Warning Warning
}

func noLift(w Warning) Lift {
	nan := math.NaN()
	return Lift{nan, nan, Interval{nan, nan}, w}
}

// checkLift also returns the critical value for a level and df (+Inf: normal).
func checkLift(control, treatment Estimate, level, df float64) (crit float64, w Warning) {
	for _, x := range [...]float64{control.Value, control.SE, treatment.Value, treatment.SE} {
		if notFinite(x) {
			return 0, NonFiniteInput
		}
	}
	if control.SE < 0 || treatment.SE < 0 || !(df > 0) {
		return 0, InvalidInput
	}
	if w := checkLevel(level); w != NoWarning {
		return 0, w
	}
	return StudentISF((1-level)/2, df), NoWarning
}

// LiftDelta returns the lift with the symmetric interval of the delta method,
//
//	var = v2/m1² + v1 m2²/m1⁴,
//
// at the critical value of Student's t with df degrees of freedom (+Inf:
// normal). It warns [ZeroBaseline] when m1 = 0; a negative baseline is legal,
// the lift is then relative to its absolute value.
//
// Source: Deng, Knoblich, Lu 2018, KDD.
func LiftDelta(control, treatment Estimate, level, df float64) Lift {
	crit, w := checkLift(control, treatment, level, df)
	if w == NoWarning && control.Value == 0 {
		w = ZeroBaseline
	}
	if w != NoWarning {
		return noLift(w)
	}
	m1 := math.Abs(control.Value)
	ratio := treatment.Value / m1
	l := Lift{
		Lift: (treatment.Value - control.Value) / m1,
		SE:   math.Hypot(treatment.SE, control.SE*ratio) / m1,
	}
	l.CI = Interval{l.Lift - crit*l.SE, l.Lift + crit*l.SE}
	return l.finite()
}

// LiftLog returns the lift with the interval of the logarithm of the ratio,
//
//	exp(ln(m2/m1) ± crit √(v1/m1² + v2/m2²)) - 1,
//
// which cannot fall below -100 %. Both means must be positive: it warns
// [ZeroBaseline] when m1 ≤ 0 and [NoEvents] when m2 ≤ 0.
func LiftLog(control, treatment Estimate, level, df float64) Lift {
	crit, w := checkLift(control, treatment, level, df)
	switch {
	case w != NoWarning:
	case control.Value <= 0:
		w = ZeroBaseline
	case treatment.Value <= 0:
		w = NoEvents
	}
	if w != NoWarning {
		return noLift(w)
	}
	l := Lift{
		Lift: (treatment.Value - control.Value) / control.Value,
		SE:   math.Hypot(control.SE/control.Value, treatment.SE/treatment.Value),
	}
	log := math.Log1p(l.Lift)
	l.CI = Interval{math.Expm1(log - crit*l.SE), math.Expm1(log + crit*l.SE)}
	return l.finite()
}

func (l Lift) finite() Lift {
	if notFinite(l.Lift) || notFinite(l.SE) || notFinite(l.CI.Lower) || notFinite(l.CI.Upper) {
		return noLift(Overflow)
	}
	return l
}

// FiellerKind is the shape of a Fieller set.
type FiellerKind uint8

// The shapes: an interval; everything outside one; every number.
const (
	FiellerInterval FiellerKind = iota
	FiellerComplement
	FiellerAll
)

func (k FiellerKind) String() string {
	switch k {
	case FiellerInterval:
		return "interval"
	case FiellerComplement:
		return "complement"
	case FiellerAll:
		return "all"
	}
	return "unknown"
}

// FiellerSet is the confidence set of a lift.
type FiellerSet struct {
	Kind FiellerKind
	// Limits bound the interval, or the gap of a complement; NaN for all.
	Limits Interval
	// G is crit² v1/m1²: the share of the baseline that is noise. At 1 the
	// baseline can no longer be told from zero.
	G       float64
	Warning Warning
}

// Fieller returns the exact set {ρ: (m2 - ρ m1)² ≤ crit² (v2 + ρ² v1)} minus 1.
// The baseline must be positive, else it warns [ZeroBaseline].
//
// Source: Fieller 1954, JRSS B 16.
func Fieller(control, treatment Estimate, level, df float64) FiellerSet {
	crit, w := checkLift(control, treatment, level, df)
	nan := math.NaN()
	set := FiellerSet{Kind: FiellerAll, Limits: Interval{nan, nan}, G: nan, Warning: w}
	if w != NoWarning {
		return set
	}
	if control.Value <= 0 {
		set.Warning = ZeroBaseline
		return set
	}
	// In units of the baseline: r = m2/m1, a = crit² v1/m1² = g, b = crit² v2/m1².
	// With δ = ρ - 1 and l = r - 1 the set is (1-g)δ² - 2(l+g)δ + l² - g - b ≤ 0.
	m1 := control.Value
	l := (treatment.Value - m1) / m1
	c1, c2 := crit*control.SE/m1, crit*treatment.SE/m1
	g, b := c1*c1, c2*c2
	r := treatment.Value / m1
	set.G = g
	disc := g*r*r + (1-g)*b
	if notFinite(disc) || notFinite(l) {
		set.Warning, set.G = Overflow, nan
		return set
	}
	if g == 1 || disc < 0 {
		return set
	}
	root := math.Sqrt(disc)
	x, y := stableRoots(1-g, l+g, l*l-g-b, root)
	if notFinite(x) || notFinite(y) {
		set.Warning, set.G = Overflow, nan
		return set
	}
	set.Kind, set.Limits = FiellerInterval, Interval{min(x, y), max(x, y)}
	if g > 1 {
		set.Kind = FiellerComplement
	}
	return set
}

// stableRoots returns the roots of a x² - 2 h x + c, whose reduced discriminant
// h² - a c has the given root, without cancellation in h ± root.
func stableRoots(a, h, c, root float64) (x, y float64) {
	q := h + math.Copysign(root, h)
	if q == 0 {
		return 0, 0
	}
	return q / a, c / q
}

// LiftMethod is the way a shown lift was computed.
type LiftMethod uint8

// The methods of [ShowLift].
const (
	ByLog LiftMethod = iota
	ByFieller
)

// ShownLift is a relative effect fit to be shown. Decisions are taken on the
// absolute effect.
type ShownLift struct {
	Lift    float64
	CI      Interval
	Method  LiftMethod
	Warning Warning
}

// ShowLift returns the relative effect to show beside an absolute one, at a
// normal critical value: the interval of [LiftLog]; that of [Fieller] when
// G > 0.05 or when the treatment mean is not positive; and none, with
// [UncertainBaseline], when G ≥ 1. A baseline that is not positive has no
// relative effect and warns [ZeroBaseline]. A treatment of nothing but zeros
// is a lift of -100 % without an interval and warns [NoEvents]: its error
// is not zero, it is not known.
func ShowLift(control, treatment Estimate, level float64) ShownLift {
	nan := math.NaN()
	set := Fieller(control, treatment, level, math.Inf(1))
	if set.Warning == NoWarning && set.Kind != FiellerInterval {
		set.Warning = UncertainBaseline
	}
	if set.Warning != NoWarning {
		return ShownLift{Lift: nan, CI: Interval{nan, nan}, Warning: set.Warning}
	}
	if treatment == (Estimate{}) {
		return ShownLift{Lift: -1, CI: Interval{nan, nan}, Method: ByFieller, Warning: NoEvents}
	}
	if set.G <= 0.05 && treatment.Value > 0 {
		l := LiftLog(control, treatment, level, math.Inf(1))
		return ShownLift{Lift: l.Lift, CI: l.CI, Method: ByLog, Warning: l.Warning}
	}
	return ShownLift{
		Lift:   (treatment.Value - control.Value) / control.Value,
		CI:     set.Limits,
		Method: ByFieller,
	}
}
