package stats

import "math"

// StagewiseEstimate is an estimate that allows for having stopped early.
type StagewiseEstimate struct {
	// P is the one-sided p-value in the stage-wise ordering: stopping earlier on
	// the upper boundary is more extreme than stopping later.
	P float64
	// MedianUnbiased is the effect at which this result is a coin toss, CI the
	// interval of the same ordering; Naive is z/√information, which exaggerates.
	MedianUnbiased float64
	CI             Interval
	Naive          float64
	Warning        Warning
}

// Stagewise returns the p-value and estimate after ending at a look (from 1)
// with statistic z, given the information 1/se² of every look of the whole plan,
// those to come as planned. It replaces the plan's times: the looks are at its
// shares of the last one, which is the planned end; leaving out looks to come
// would say that the plan ended here. Only the upper boundary counts.
//
// Source: Jennison & Turnbull 2000, sections 8.4 and 8.5.
func (p Plan) Stagewise(information []float64, look int, z, level float64) StagewiseEstimate {
	nan := math.NaN()
	none := StagewiseEstimate{nan, nan, Interval{nan, nan}, nan, NoWarning}
	none.Warning = checkLevel(level)
	switch {
	case none.Warning != NoWarning:
	case look < 1 || look > len(information):
		none.Warning = InvalidInput
	case notFinite(z) || notFinite(information[len(information)-1]):
		none.Warning = NonFiniteInput
	}
	if none.Warning != NoWarning {
		return none
	}
	whole := information[len(information)-1]
	p.TwoSided, p.Times = false, nil
	for _, i := range information {
		p.Times = append(p.Times, i/whole)
	}
	bounds := p.Boundaries()
	if none.Warning = bounds.Warning; none.Warning != NoWarning {
		return none
	}
	scale := math.Sqrt(whole)
	tail := func(effect float64) float64 {
		upper := append(append([]float64{}, bounds.Upper[:look-1]...), z)
		return CrossingProbabilities(p.Times[:look], upper, nil, effect*scale).Power
	}
	naive := z / math.Sqrt(information[look-1])
	se := 1 / math.Sqrt(information[look-1])
	solve := func(target float64) (float64, bool) {
		lo, hi := naive-2*se, naive+2*se
		for range 60 {
			if tail(lo) < target {
				break
			}
			lo -= 2 * se
		}
		for range 60 {
			if tail(hi) > target {
				break
			}
			hi += 2 * se
		}
		return findRoot(func(e float64) float64 { return tail(e) - target }, lo, hi)
	}
	r := StagewiseEstimate{P: tail(0), Naive: naive}
	var ok [3]bool
	r.MedianUnbiased, ok[0] = solve(0.5)
	r.CI.Lower, ok[1] = solve((1 - level) / 2)
	r.CI.Upper, ok[2] = solve((1 + level) / 2)
	if ok != [3]bool{true, true, true} {
		none.Warning = NoConvergence
		return none
	}
	return r
}

// RepeatedP returns the repeated one-sided p-value of statistic z at a look
// (from 1): the smallest error of one side at which the plan would have crossed
// its boundary there. It is valid at every look and may be fed to [Holm];
// in a family of two-sided questions double it first.
//
// Sources: Jennison & Turnbull 2000, section 9.4; Maurer & Bretz 2013.
func (p Plan) RepeatedP(look int, z float64) (float64, Warning) {
	switch {
	case look < 1 || look > len(p.Times):
		return math.NaN(), InvalidInput
	case notFinite(z):
		return math.NaN(), NonFiniteInput
	}
	p.Times = p.Times[:look]
	if p.SpendTimes != nil {
		p.SpendTimes = p.SpendTimes[:look]
	}
	const most = 0.4999
	p.Alpha = most
	if w := p.check(); w != NoWarning {
		return math.NaN(), w
	}
	// The boundary lies above the nominal one of all that has been spent: the
	// error whose spending is the nominal p-value is a lower bound.
	nominal := NormalSF(z)
	spent := func(logAlpha float64) float64 {
		return math.Log(p.Spending.Spent(math.Exp(logAlpha), p.spendTime(look-1)) / nominal)
	}
	least := math.Log(1e-17)
	if nominal >= most || spent(math.Log(most)) <= 0 {
		return 1, NoWarning
	}
	if spent(least) < 0 {
		least, _ = findRoot(func(l float64) float64 { return max(spent(l), -1e3) }, least, math.Log(most))
	}
	return p.repeated(NormalISF(math.Exp(least)), NormalISF(most), z)
}

// repeated finds the least error of one side, of at most that of the normal quantile from and at
// least that of to, at which the boundary of the last look is z. Over the quantile of the error the
// boundary is nearly a straight line of slope 1, so that secants find it in a few steps.
func (p Plan) repeated(from, to, z float64) (float64, Warning) {
	excess := func(w float64) float64 {
		p.Alpha = NormalSF(w)
		b := p.Boundaries()
		if b.Warning != NoWarning {
			return math.NaN()
		}
		return min(b.Upper[len(b.Upper)-1], 40) - z
	}
	w, slope, lo, hi := from, 1.0, math.Inf(-1), from
	d := excess(w)
	if d <= 0 {
		return NormalSF(w), NoWarning
	}
	for range 200 {
		next := w - max(-1, min(d/slope, 1))
		// The next step would be exact to the square of this one.
		if math.Abs(d) < 1e-9 || hi-lo < 1e-13 {
			return NormalSF(next), NoWarning
		}
		if math.IsInf(lo, -1) {
			next = max(next, to)
		} else if !(next > lo && next < hi) {
			next = 0.5 * (lo + hi)
		}
		at := excess(next)
		if math.IsNaN(at) {
			break
		}
		if at > 0 {
			if hi = next; hi == to {
				return 1, NoWarning
			}
		} else {
			lo = next
		}
		if s := (at - d) / (next - w); s > 0 {
			slope = s
		}
		w, d = next, at
	}
	return math.NaN(), NoConvergence
}
