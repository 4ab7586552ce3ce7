package stats

import "math"

// Plan is a group-sequential plan: at which information to look and how to
// spend the error. Information fractions may exceed 1 when more was collected
// than planned; each look must add at least 1e-5 of the whole, and there are at
// most 500.
type Plan struct {
	Spending Spending
	// Alpha is the error of one side, 0.025 for 5 % two-sided.
	Alpha float64
	// TwoSided stops at either of two symmetric boundaries.
	TwoSided bool
	// Times are the information fractions of the looks, increasing; they set the
	// correlation of the statistics.
	Times []float64
	// SpendTimes are the fractions at which the error is spent, when they differ
	// from Times: planned customers instead of observed information. Nil means
	// Times. At the planned end set it to 1, whatever was reached.
	SpendTimes []float64
}

// Boundaries are the stopping boundaries of a plan, per look.
type Boundaries struct {
	// Spent is the cumulative error of one side.
	Spent []float64
	// Upper are the boundaries of Z. A look that may spend less than 1e-18
	// cannot stop: its boundary is +Inf. With TwoSided the lower ones are -Upper.
	Upper []float64
	// NominalP is 1 - Φ(Upper).
	NominalP []float64
	Warning  Warning
}

// Boundaries returns the boundaries at which a plan spends its error exactly.
//
// Sources: Lan & DeMets 1983, Biometrika 70; Jennison & Turnbull 2000, chapter 7.
func (p Plan) Boundaries() Boundaries {
	if w := p.check(); w != NoWarning {
		return Boundaries{Warning: w}
	}
	b := newBrownian(0)
	r := Boundaries{}
	before, guess := 0.0, math.Inf(1)
	for k, t := range p.Times {
		spent := max(before, p.Spending.Spent(p.Alpha, p.spendTime(k)))
		z, ok := b.boundary(t, spent-before, guess)
		if !ok {
			return Boundaries{Warning: NoConvergence}
		}
		r.Spent = append(r.Spent, spent)
		r.Upper = append(r.Upper, z)
		r.NominalP = append(r.NominalP, NormalSF(z))
		before, guess = spent, z
		if k+1 < len(p.Times) {
			b.advance(t, p.lower(z), z, p.Times[k+1])
		}
	}
	return r
}

func (p Plan) check() Warning {
	if w := checkTimes(p.Times); w != NoWarning {
		return w
	}
	if p.SpendTimes != nil && len(p.SpendTimes) != len(p.Times) {
		return InvalidInput
	}
	for k := range p.Times {
		if math.IsNaN(p.Spending.Spent(p.Alpha, p.spendTime(k))) {
			return InvalidInput
		}
	}
	if p.Alpha >= 0.5 {
		return InvalidInput
	}
	return NoWarning
}

func (p Plan) spendTime(k int) float64 {
	if p.SpendTimes != nil {
		return p.SpendTimes[k]
	}
	return p.Times[k]
}

// lower returns the lower boundary that belongs to an upper one.
func (p Plan) lower(upper float64) float64 {
	if p.TwoSided {
		return -upper
	}
	return math.Inf(-1)
}

// boundary returns the z above which the paths that go on to information t have
// probability spend. The search begins at a guess.
func (b *brownian) boundary(t, spend, guess float64) (z float64, ok bool) {
	if spend < 1e-18 {
		return math.Inf(1), true
	}
	target := math.Log(spend)
	// Without earlier stops the boundary would be the nominal one; with them it
	// is lower.
	hi := NormalISF(spend) + 1e-6
	lo := -40.0
	z = min(guess, hi)
	// The logarithm of the probability is concave, so that Newton's steps go to its root; where
	// it is not finite, or they leave the bracket, the bracket is narrowed.
	for range 200 {
		p, slope := b.exceeding(t, z)
		excess := math.Log(p) - target
		step := excess * p / slope
		if math.Abs(step) <= 1e-14*max(1, math.Abs(z)) {
			return z + step, true
		}
		if excess > 0 {
			lo = z
		} else {
			hi = z
		}
		if z += step; !(z > lo && z < hi) {
			z = max(0.5*(lo+hi), hi-2)
		}
	}
	return z, hi-lo < 1e-9 && lo > -40
}

// Crossing are the probabilities of stopping at each look.
type Crossing struct {
	Upper, Lower []float64
	// Power is the probability of ever crossing the upper boundary.
	Power float64
	// ExpectedInformation is the mean information at the end, in the unit of the
	// times; a path that never stops ends at the last look.
	ExpectedInformation float64
	Warning             Warning
}

// CrossingProbabilities returns the probabilities of stopping at looks with the
// given information times and boundaries on the z scale, when Z has mean
// drift·√t. A nil lower means no lower boundary; ±Inf in either means that the
// look cannot stop on that side.
func CrossingProbabilities(times, upper, lower []float64, drift float64) Crossing {
	w := checkTimes(times)
	switch {
	case w != NoWarning:
	case len(upper) != len(times) || lower != nil && len(lower) != len(times):
		w = InvalidInput
	case notFinite(drift):
		w = NonFiniteInput
	}
	for k := range upper {
		if math.IsNaN(upper[k]) || len(lower) > k && !(lower[k] <= upper[k]) {
			w = first(w, InvalidInput)
		}
	}
	if w != NoWarning {
		return Crossing{Power: math.NaN(), ExpectedInformation: math.NaN(), Warning: w}
	}
	b := newBrownian(drift)
	c := Crossing{}
	going := 1.0
	for k, t := range times {
		low := math.Inf(-1)
		if lower != nil {
			low = lower[k]
			c.Lower = append(c.Lower, b.below(t, low))
		}
		c.Upper = append(c.Upper, b.above(t, upper[k]))
		stop := c.Upper[k]
		if lower != nil {
			stop += c.Lower[k]
		}
		if k+1 == len(times) {
			c.ExpectedInformation += max(0, going) * t
		} else {
			c.ExpectedInformation += stop * t
			b.advance(t, low, upper[k], times[k+1])
		}
		going -= stop
		c.Power += c.Upper[k]
	}
	return c
}

// power returns the probability of crossing the upper boundary under a drift.
func (p Plan) power(upper []float64, drift float64) Crossing {
	var lower []float64
	if p.TwoSided {
		for _, u := range upper {
			lower = append(lower, -u)
		}
	}
	return CrossingProbabilities(p.Times, upper, lower, drift)
}

// Inflation says what a plan costs against one look at the end.
type Inflation struct {
	// Drift is the mean of Z at information 1 at which the plan has the power.
	Drift float64
	// Factor multiplies the sample size of the single look, (z_α + z_β)².
	Factor float64
	// ExpectedInformation is the mean information used when the effect is there.
	ExpectedInformation float64
	Warning             Warning
}

// Inflation returns the sample-size inflation of the plan for the given power,
// counting crossings of the upper boundary under a positive drift. The last
// look should be at information 1.
func (p Plan) Inflation(power float64) Inflation {
	nan := math.NaN()
	bounds := p.Boundaries()
	w := bounds.Warning
	if w == NoWarning && !(power > p.Alpha && power < 1) {
		w = InvalidInput
	}
	if w != NoWarning {
		return Inflation{nan, nan, nan, w}
	}
	single := NormalISF(p.Alpha) - NormalISF(power)
	drift, ok := findRoot(func(d float64) float64 {
		return p.power(bounds.Upper, d).Power - power
	}, 0, 3*single+3)
	if !ok {
		return Inflation{nan, nan, nan, NoConvergence}
	}
	return Inflation{
		Drift: drift, Factor: drift * drift / (single * single),
		ExpectedInformation: p.power(bounds.Upper, drift).ExpectedInformation,
	}
}
