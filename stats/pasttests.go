package stats

import "math"

// FixedEffect is the common effect of several tests, as if they all had the
// same one.
type FixedEffect struct {
	Estimate, SE float64
	// CI is the interval at 95 %.
	CI Interval
	// Q is Cochran's heterogeneity statistic on DF degrees of freedom with its
	// p-value, I2 = max(0, (Q-DF)/Q) the share of the spread that is not noise,
	// H2 = Q/DF. With one test QP, I2 and H2 are NaN.
	Q          float64
	DF         int
	QP, I2, H2 float64
	Warning    Warning
}

// checkTests says why tests cannot be combined.
func checkTests(y, v []float64) Warning {
	if len(y) != len(v) {
		return InvalidInput
	}
	if len(y) == 0 {
		return TooFewCustomers
	}
	for i := range y {
		if notFinite(y[i]) || notFinite(v[i]) {
			return NonFiniteInput
		}
		if v[i] <= 0 {
			return InvalidInput
		}
	}
	return NoWarning
}

// CombineFixed returns the mean of the effects y weighted by the inverse of
// their sampling variances v > 0. It warns [TooFewCustomers] when there is no
// test and [InvalidInput] when a variance is not positive.
//
// Sources: Cochran 1954; Higgins & Thompson 2002 for I² and H².
func CombineFixed(y, v []float64) FixedEffect {
	nan := math.NaN()
	if w := checkTests(y, v); w != NoWarning {
		return FixedEffect{nan, nan, Interval{nan, nan}, nan, 0, nan, nan, nan, w}
	}
	mean, se := weightedMean(y, v, 0)
	half := NormalISF(0.025) * se
	f := FixedEffect{
		Estimate: mean, SE: se, CI: Interval{mean - half, mean + half},
		Q: heterogeneity(y, v), DF: len(y) - 1, QP: nan, I2: nan, H2: nan,
	}
	if f.DF > 0 {
		f.QP = ChiSquareSF(f.Q, float64(f.DF))
		f.H2 = f.Q / float64(f.DF)
		f.I2 = 0
		if f.Q > float64(f.DF) {
			f.I2 = (f.Q - float64(f.DF)) / f.Q
		}
	}
	if notFinite(f.Estimate) || notFinite(f.SE) || notFinite(f.Q) {
		return FixedEffect{nan, nan, Interval{nan, nan}, nan, f.DF, nan, nan, nan, Overflow}
	}
	return f
}

// weightedMean returns the mean of y with weights 1/(v+tau2) and its error.
func weightedMean(y, v []float64, tau2 float64) (mean, se float64) {
	var sw, swy float64
	for i := range y {
		w := 1 / (v[i] + tau2)
		sw += w
		swy += w * y[i]
	}
	return swy / sw, 1 / math.Sqrt(sw)
}

// Heterogeneity is a way to estimate the variance τ² of true effects.
type Heterogeneity uint8

// The ways: DerSimonian & Laird 1986; Paule & Mandel 1982; restricted maximum
// likelihood (Viechtbauer 2005).
const (
	DerSimonianLaird Heterogeneity = iota
	PauleMandel
	REML
)

// RandomEffects is the distribution of the true effects of several tests.
type RandomEffects struct {
	// Tau2 is the variance of the true effects.
	Tau2 float64
	// Estimate is their mean with its normal error, interval and p-value.
	Estimate, SE, P float64
	CI              Interval
	// Prediction is the normal 95 % interval of the effect of a new test.
	Prediction Interval
	// HKSE and HKCI are the error and interval of Hartung and Knapp, on
	// Student's t with one degree of freedom less than there are tests.
	HKSE float64
	HKCI Interval
	// Effects are the tests' effects shrunken towards the mean.
	Effects []Estimate
	Warning Warning
}

// CombineRandom returns the random-effects summary of effects y with sampling
// variances v, and each test's shrunken effect
//
//	λ y + (1-λ) μ,  λ = τ²/(τ²+v),  error² = λ v + (1-λ)² se(μ)².
//
// One test alone says nothing about heterogeneity and warns [TooFewCustomers].
//
// Sources: Viechtbauer 2010 (metafor); Hartung & Knapp 2001.
func CombineRandom(y, v []float64, method Heterogeneity) RandomEffects {
	nan := math.NaN()
	pair := Interval{nan, nan}
	none := RandomEffects{nan, nan, nan, nan, pair, pair, nan, pair, nil, checkTests(y, v)}
	if none.Warning == NoWarning && len(y) < 2 {
		none.Warning = TooFewCustomers
	}
	if none.Warning == NoWarning && method > REML {
		none.Warning = InvalidInput
	}
	if none.Warning != NoWarning {
		return none
	}
	tau2 := heterogeneityVariance(y, v, method)
	mean, se := weightedMean(y, v, tau2)
	df := float64(len(y) - 1)
	hk := 0.0
	for i := range y {
		hk += (y[i] - mean) * (y[i] - mean) / (v[i] + tau2)
	}
	z := NormalISF(0.025)
	r := RandomEffects{
		Tau2: tau2, Estimate: mean, SE: se, P: 2 * NormalSF(math.Abs(mean)/se),
		CI:   Interval{mean - z*se, mean + z*se},
		HKSE: se * math.Sqrt(hk/df),
	}
	spread := z * math.Hypot(se, math.Sqrt(tau2))
	r.Prediction = Interval{mean - spread, mean + spread}
	t := StudentISF(0.025, df) * r.HKSE
	r.HKCI = Interval{mean - t, mean + t}
	if notFinite(mean) || notFinite(se) || notFinite(tau2) || notFinite(t) || notFinite(spread) {
		none.Warning = Overflow
		return none
	}
	r.Effects = make([]Estimate, len(y))
	for i := range y {
		l := tau2 / (tau2 + v[i])
		r.Effects[i] = Estimate{l*y[i] + (1-l)*mean, math.Sqrt(l*v[i] + (1-l)*(1-l)*se*se)}
	}
	return r
}

func heterogeneityVariance(y, v []float64, method Heterogeneity) float64 {
	switch method {
	case DerSimonianLaird:
		var s1, s2 float64
		for _, x := range v {
			s1 += 1 / x
			s2 += 1 / x / x
		}
		excess := heterogeneity(y, v) - float64(len(y)-1)
		return max(0, excess/(s1-s2/s1))
	case PauleMandel:
		return pauleMandel(y, v)
	case REML:
		return largestLikelihood(y, v, remlLikelihood, remlScore)
	}
	return math.NaN()
}

// pauleMandel solves Q(τ²) = k - 1, whose left side decreases.
func pauleMandel(y, v []float64) float64 {
	f := func(tau2 float64) float64 {
		mean, _ := weightedMean(y, v, tau2)
		q := 0.0
		for i := range y {
			q += (y[i] - mean) * (y[i] - mean) / (v[i] + tau2)
		}
		return q - float64(len(y)-1)
	}
	if f(0) <= 0 {
		return 0
	}
	hi := effectSpread(y, v)
	for f(hi) > 0 {
		hi *= 2
	}
	tau2, _ := findRoot(f, 0, hi)
	return tau2
}

// effectSpread returns a variance beyond that of the effects.
func effectSpread(y, v []float64) float64 {
	s := 0.0
	for i := range y {
		s = max(s, v[i])
		for j := range i {
			s = max(s, (y[i]-y[j])*(y[i]-y[j]))
		}
		s = max(s, y[i]*y[i])
	}
	return s
}

func remlLikelihood(y, v []float64, tau2 float64) float64 {
	mean, se := weightedMean(y, v, tau2)
	l := 2 * math.Log(se)
	for i := range y {
		d := y[i] - mean
		l -= math.Log(v[i]+tau2) + d*d/(v[i]+tau2)
	}
	return 0.5 * l
}

// remlScore is twice the derivative of remlLikelihood.
func remlScore(y, v []float64, tau2 float64) float64 {
	mean, _ := weightedMean(y, v, tau2)
	var s1, s2, score float64
	for i := range y {
		w := 1 / (v[i] + tau2)
		d := y[i] - mean
		s1 += w
		s2 += w * w
		score += w*w*d*d - w
	}
	return score + s2/s1
}

// largestLikelihood returns the τ² ≥ 0 of the largest likelihood: a geometric
// grid finds the best neighbourhood, the score's root polishes it.
func largestLikelihood(y, v []float64, l, score func(y, v []float64, tau2 float64) float64) float64 {
	hi := 4 * effectSpread(y, v)
	grid := []float64{0}
	for t := hi; t > hi*1e-14; t /= 1.5 {
		grid = append(grid, t)
	}
	best := 0
	for i := range grid {
		if l(y, v, grid[i]) > l(y, v, grid[best]) {
			best = i
		}
	}
	if best == 0 && score(y, v, 0) <= 0 {
		return 0
	}
	lo, up := 0.0, grid[len(grid)-1]
	if best > 0 {
		lo, up = grid[best]/1.5, grid[best]*1.5
		if best == len(grid)-1 {
			lo = 0
		}
	}
	tau2, ok := findRoot(func(t float64) float64 { return score(y, v, t) }, lo, up)
	if !ok {
		return grid[best]
	}
	return tau2
}

// Shrinkage is the programme of past tests of one kind as a prior for effects.
type Shrinkage struct {
	// Tau2 is the variance of the true effects around zero.
	Tau2 float64
	// Effects are the past tests' effects shrunken towards zero, each with the
	// standard deviation of its posterior.
	Effects []Estimate
	Warning Warning
}

// ShrinkToZero fits the prior N(0, τ²) to past effects y with sampling
// variances v by maximum marginal likelihood and shrinks them,
//
//	λ y,  λ = τ²/(τ²+v),  sd = √(λ v).
//
// τ² becomes trustworthy from about twenty tests. A new effect is shrunken by
// [NormalPosterior] with Prior{0, Tau2}.
//
// Source: Efron & Morris 1973; docs/methods/past-tests.md.
func ShrinkToZero(y, v []float64) Shrinkage {
	if w := checkTests(y, v); w != NoWarning {
		return Shrinkage{math.NaN(), nil, w}
	}
	s := Shrinkage{Tau2: largestLikelihood(y, v, zeroLikelihood, zeroScore)}
	if notFinite(s.Tau2) {
		return Shrinkage{math.NaN(), nil, Overflow}
	}
	s.Effects = make([]Estimate, len(y))
	for i := range y {
		l := s.Tau2 / (s.Tau2 + v[i])
		s.Effects[i] = Estimate{l * y[i], math.Sqrt(l * v[i])}
	}
	return s
}

func zeroLikelihood(y, v []float64, tau2 float64) float64 {
	l := 0.0
	for i := range y {
		l -= 0.5 * (math.Log(v[i]+tau2) + y[i]*y[i]/(v[i]+tau2))
	}
	return l
}

// zeroScore is twice the derivative of zeroLikelihood.
func zeroScore(y, v []float64, tau2 float64) float64 {
	score := 0.0
	for i := range y {
		w := 1 / (v[i] + tau2)
		score += w*w*y[i]*y[i] - w
	}
	return score
}
