package stats

import "math"

// Count is the number of successes among the customers of one arm.
type Count struct {
	Successes, N int64
}

func (c Count) check() Warning {
	switch {
	case c.N < 0 || c.Successes < 0 || c.Successes > c.N:
		return InvalidInput
	case c.N == 0:
		return TooFewCustomers
	}
	return NoWarning
}

func (c Count) rate() float64 { return float64(c.Successes) / float64(c.N) }

// ProportionZ compares two proportions with the unpooled (Wald) standard error
// √(p1(1-p1)/n1 + p2(1-p2)/n2). It warns [ZeroVariance] when both arms are all
// failures or all successes.
func ProportionZ(control, treatment Count, level float64) Comparison {
	if w := first(control.check(), treatment.check()); w != NoWarning {
		return noComparison(w)
	}
	se := math.Sqrt(control.spread()/float64(control.N) + treatment.spread()/float64(treatment.N))
	return compare(rateDifference(control, treatment), se, math.Inf(1), Test{Level: level})
}

// spread returns p (1-p) from the counts, also where 1-p would cancel.
func (c Count) spread() float64 { return c.rate() * (float64(c.N-c.Successes) / float64(c.N)) }

// rateDifference returns p2 - p1 = (x2 n1 - x1 n2)/(n1 n2) with the products' rounding
// added back: nearly equal rates do not cancel.
func rateDifference(control, treatment Count) float64 {
	n1, n2 := float64(control.N), float64(treatment.N)
	x1, x2 := float64(control.Successes), float64(treatment.Successes)
	a, b := x2*n1, x1*n2
	return (a - b + (math.FMA(x2, n1, -a) - math.FMA(x1, n2, -b))) / n1 / n2
}

// ProportionZPooled compares two proportions with the standard error under
// equality, √(p(1-p)(1/n1 + 1/n2)) with the common p. Stat² is Pearson's chi²
// of the 2×2 table without continuity correction. It has no interval, because
// the error holds only under the null hypothesis.
//
// Source: Pearson 1900.
func ProportionZPooled(control, treatment Count) Comparison {
	if w := first(control.check(), treatment.check()); w != NoWarning {
		return noComparison(w)
	}
	n1, n2 := float64(control.N), float64(treatment.N)
	both := Count{control.Successes + treatment.Successes, control.N + treatment.N}
	se := math.Sqrt(both.spread() * (1/n1 + 1/n2))
	c := compare(rateDifference(control, treatment), se, math.Inf(1), Test{Level: 0.95})
	c.CI = Interval{math.NaN(), math.NaN()}
	return c
}

// RateInterval is an interval of one proportion or of a contrast of two.
type RateInterval struct {
	// Estimate is the proportion or contrast the interval is centred on in its
	// own scale; see each function.
	Estimate float64
	CI       Interval
	Warning  Warning
}

func noRate(w Warning) RateInterval {
	nan := math.NaN()
	return RateInterval{nan, Interval{nan, nan}, w}
}

func checkLevel(level float64) Warning {
	if !(level > 0 && level < 1) {
		return InvalidInput
	}
	return NoWarning
}

// Wilson returns the score interval of one proportion,
//
//	(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).
//
// It is legal for 0/n and n/n.
//
// Source: Wilson 1927, JASA 22.
func Wilson(c Count, level float64) RateInterval {
	if w := first(c.check(), checkLevel(level)); w != NoWarning {
		return noRate(w)
	}
	z := NormalISF((1 - level) / 2)
	return RateInterval{Estimate: c.rate(), CI: wilson(c, z)}
}

func wilson(c Count, z float64) Interval {
	n := float64(c.N)
	x, y := float64(c.Successes), float64(c.N-c.Successes)
	z2 := z * z
	root := z * math.Sqrt(z2+4*x*y/n)
	// The smaller root of a quadratic by its conjugate: no cancellation.
	i := Interval{0, 1}
	if x > 0 {
		i.Lower = 2 * x * x / n / (2*x + z2 + root)
	}
	if y > 0 {
		i.Upper = 1 - 2*y*y/n/(2*y+z2+root)
	}
	return i
}

// Newcombe returns the hybrid score interval of p2 - p1, which combines the
// Wilson intervals (l, u) of the arms:
//
//	lower = d - √((p2-l2)² + (u1-p1)²),  upper = d + √((u2-p2)² + (p1-l1)²).
//
// It is legal for 0/n and n/n. Source: Newcombe 1998, Stat Med 17, method 10.
func Newcombe(control, treatment Count, level float64) RateInterval {
	if w := first(control.check(), treatment.check(), checkLevel(level)); w != NoWarning {
		return noRate(w)
	}
	z := NormalISF((1 - level) / 2)
	w1, w2 := wilson(control, z), wilson(treatment, z)
	p1, p2 := control.rate(), treatment.rate()
	d := rateDifference(control, treatment)
	return RateInterval{Estimate: d, CI: Interval{
		Lower: d - math.Hypot(p2-w2.Lower, w1.Upper-p1),
		Upper: d + math.Hypot(w2.Upper-p2, p1-w1.Lower),
	}}
}

// AgrestiCaffo returns the Wald interval of p2 - p1 after adding one success
// and one failure to each arm. Estimate is the centre, the shrunken difference.
//
// Source: Agresti & Caffo 2000, The American Statistician 54.
func AgrestiCaffo(control, treatment Count, level float64) RateInterval {
	if w := first(control.check(), treatment.check(), checkLevel(level)); w != NoWarning {
		return noRate(w)
	}
	n1, n2 := float64(control.N)+2, float64(treatment.N)+2
	p1, p2 := float64(control.Successes+1)/n1, float64(treatment.Successes+1)/n2
	half := NormalISF((1-level)/2) * math.Sqrt(p1*(1-p1)/n1+p2*(1-p2)/n2)
	return RateInterval{Estimate: p2 - p1, CI: Interval{p2 - p1 - half, p2 - p1 + half}}
}

// RiskRatio is the ratio of two proportions.
type RiskRatio struct {
	// Ratio is p2/p1; SELog the standard error of its logarithm.
	Ratio, SELog float64
	CI           Interval
	Warning      Warning
}

// RiskRatioKatz returns p2/p1 with the interval exp(ln(p2/p1) ± z se),
// se² = (1-p1)/x1 + (1-p2)/x2. It warns [NoEvents] when an arm has no success
// and [ZeroVariance] when every customer of both arms is one.
//
// Source: Katz et al. 1978, Biometrics 34.
func RiskRatioKatz(control, treatment Count, level float64) RiskRatio {
	nan := math.NaN()
	none := RiskRatio{nan, nan, Interval{nan, nan}, NoWarning}
	none.Warning = first(control.check(), treatment.check(), checkLevel(level))
	if none.Warning == NoWarning && (control.Successes == 0 || treatment.Successes == 0) {
		none.Warning = NoEvents
	}
	if none.Warning != NoWarning {
		return none
	}
	p1, p2 := control.rate(), treatment.rate()
	r := RiskRatio{
		Ratio: p2 / p1,
		SELog: math.Sqrt((1-p1)/float64(control.Successes) + (1-p2)/float64(treatment.Successes)),
	}
	if r.SELog == 0 {
		none.Warning = ZeroVariance
		return none
	}
	half := NormalISF((1-level)/2) * r.SELog
	r.CI = Interval{r.Ratio * math.Exp(-half), r.Ratio * math.Exp(half)}
	return r
}
