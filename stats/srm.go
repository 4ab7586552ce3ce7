package stats

import "math"

// RatioCheck is a goodness-of-fit test of assigned counts.
type RatioCheck struct {
	Chi2    float64
	DF      int
	P, LogP float64
	Warning Warning
}

// SampleRatioChi2 tests the assigned counts against weights, which need not sum
// to one: Pearson's Σ (n - e)²/e with one degree of freedom less than there are
// arms with a positive weight. Customers in an arm of weight zero are impossible:
// chi² is +Inf and p exactly 0. It is for one final check only; at repeated
// looks use [SampleRatioSequential].
//
// It warns [TooFewCustomers] when nobody was assigned, [InvalidInput] when the
// lengths differ, a count or weight is negative, or fewer than two weights are
// positive.
//
// Source: Pearson 1900.
func SampleRatioChi2(counts []int64, weights []float64) RatioCheck {
	none := RatioCheck{Chi2: math.NaN(), P: math.NaN(), LogP: math.NaN()}
	total, weight, arms, w := checkCounts(counts, weights)
	if w != NoWarning {
		none.Warning = w
		return none
	}
	r := RatioCheck{DF: arms - 1}
	for i, c := range counts {
		e := total * (weights[i] / weight)
		if e == 0 {
			if c > 0 {
				r.Chi2, r.P, r.LogP = math.Inf(1), 0, math.Inf(-1)
				return r
			}
			continue
		}
		d := float64(c) - e
		r.Chi2 += d / e * d
	}
	r.P = ChiSquareSF(r.Chi2, float64(r.DF))
	r.LogP = ChiSquareLogSF(r.Chi2, float64(r.DF))
	return r
}

func checkCounts(counts []int64, weights []float64) (total, weight float64, arms int, w Warning) {
	if len(counts) != len(weights) {
		return 0, 0, 0, InvalidInput
	}
	for i, c := range counts {
		if notFinite(weights[i]) {
			return 0, 0, 0, NonFiniteInput
		}
		if c < 0 || weights[i] < 0 {
			return 0, 0, 0, InvalidInput
		}
		total += float64(c)
		weight += weights[i]
		if weights[i] > 0 {
			arms++
		}
	}
	switch {
	case arms < 2 || notFinite(weight):
		return 0, 0, 0, InvalidInput
	case total == 0:
		return 0, 0, 0, TooFewCustomers
	}
	return total, weight, arms, NoWarning
}

// RatioEvidence is the evidence against the planned split after one look.
type RatioEvidence struct {
	// LogBF is the logarithm of the Bayes factor against the planned split.
	LogBF float64
	// LogP is the logarithm of the always-valid p-value of this look,
	// min(0, -LogBF), and P its exponential. The reported p-value is the
	// smallest up to now.
	P, LogP float64
	// Posterior is the probability of a wrong split at even prior odds.
	Posterior float64
	Warning   Warning
}

// SampleRatioSequential tests cumulative assigned counts against weights at any
// number of looks: the Bayes factor of a Dirichlet(concentration · p)
// alternative with p = weights/Σ weights,
//
//	ln BF = ln B(α+n) - ln B(α) - Σ n ln p,  α = concentration · p.
//
// P(BF ≥ 1/a ever | planned split) ≤ a. The usual concentration is 10,000. It
// depends on the cumulative counts only. An impossible customer (weight zero)
// gives LogBF = +Inf. No customers give LogBF = 0. Invalid counts or weights
// warn like those of [SampleRatioChi2].
//
// The difference of log-gammas is computed by Stirling's formula around the
// expected counts, which keeps its digits at a billion customers: with c the
// concentration, N = Σ n, M = c + N and ε = (n - N p)/(M p) it is
//
//	Σ M p ((1+ε) ln(1+ε) - ε) - Σ ln(1+ε)/2 - (K-1)/2 · ln(1 + N/c)
//	+ Σ (r(c p + n) - r(c p)) - r(M) + r(c),
//
// r being the remainder of Stirling's formula.
//
// Source: Lindon & Malek 2020, arXiv 2011.03567.
func SampleRatioSequential(counts []int64, weights []float64, concentration float64) RatioEvidence {
	total, weight, arms, w := checkCounts(counts, weights)
	switch {
	case w == TooFewCustomers:
		return RatioEvidence{P: 1, Posterior: 0.5}
	case w == NoWarning && notFinite(concentration):
		w = NonFiniteInput
	case w == NoWarning && concentration <= 0:
		w = InvalidInput
	}
	if w != NoWarning {
		nan := math.NaN()
		return RatioEvidence{nan, nan, nan, nan, w}
	}
	m := concentration + total
	log := -0.5*float64(arms-1)*math.Log1p(total/concentration) - stirling(m) + stirling(concentration)
	for i, c := range counts {
		p, n := weights[i]/weight, float64(c)
		if p == 0 {
			if c > 0 {
				log = math.Inf(1)
				break
			}
			continue
		}
		e := (n - total*p) / (m * p)
		log += m*p*entropyTerm(e) - 0.5*math.Log1p(e) +
			stirling(concentration*p+n) - stirling(concentration*p)
	}
	if math.IsNaN(log) {
		nan := math.NaN()
		return RatioEvidence{nan, nan, nan, nan, Overflow}
	}
	r := RatioEvidence{LogBF: log, LogP: min(0, -log)}
	r.P = math.Exp(r.LogP)
	r.Posterior = 1 / (1 + math.Exp(-log))
	return r
}

// entropyTerm returns (1+ε) ln(1+ε) - ε for ε > -1, by its series near 0, where
// the two terms cancel: Σ (-ε)^k / (k (k-1)) from k = 2.
func entropyTerm(e float64) float64 {
	if math.Abs(e) > 0.1 {
		return (1+e)*math.Log1p(e) - e
	}
	sum, power := 0.0, -e
	for k := 2.0; k < 20; k++ {
		power *= -e
		sum += power / (k * (k - 1))
	}
	return sum
}
