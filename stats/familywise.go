package stats

import (
	"cmp"
	"math"
	"math/big"
	"slices"
)

// WeightedHolm returns Holm's adjusted p-values when the hypotheses carry
// weights, which need not sum to one: the smallest p/w is tested first, at its
// share of the weight that remains,
//
//	adjusted = min(1, p · (Σ remaining w)/w), running maximum.
//
// A weight of zero can only be rejected after all others. It returns nil when
// the lengths differ or a weight is negative or not finite; NaN p-values are
// left out and stay NaN.
//
// Source: Holm 1979, Scandinavian Journal of Statistics 6, section 4.
func WeightedHolm(p, w []float64) []float64 {
	if len(p) != len(w) {
		return nil
	}
	out := make([]float64, len(p))
	order := make([]int, 0, len(p))
	for i, v := range p {
		if w[i] < 0 || notFinite(w[i]) {
			return nil
		}
		out[i] = math.NaN()
		if v >= 0 && v <= 1 {
			order = append(order, i)
		}
	}
	ratio := func(i int) float64 {
		if w[i] == 0 {
			return math.Inf(1)
		}
		return p[i] / w[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(ratio(a), ratio(b)) })
	// Summed from the last: what is left of a large weight says nothing of small ones.
	rest := 0.0
	for _, i := range slices.Backward(order) {
		rest += w[i]
		out[i] = 1
		if w[i] > 0 {
			out[i] = p[i] / w[i] * rest
		}
	}
	high := 0.0
	for _, i := range order {
		high = min(1, max(high, out[i]))
		out[i] = high
	}
	return out
}

// FixedSequence returns the adjusted p-values of hypotheses tested in the given
// order, each only when all before it were rejected: the running maximum. A
// test that could not be made stops the sequence: it and all after it are NaN.
//
// Source: Maurer, Hothorn, Lehmacher 1995.
func FixedSequence(p []float64) []float64 {
	out := make([]float64, len(p))
	high := 0.0
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			high = math.NaN()
		}
		high = max(high, v)
		out[i] = high
	}
	return out
}

// EBH returns which hypotheses the e-BH procedure rejects at false discovery
// rate q: the k largest e-values, k being the largest with e₍k₎ ≥ K/(k q). It
// is valid under any dependence and at any stopping time. NaN and negative
// e-values are never rejected, but count in K.
//
// Source: Wang & Ramdas 2022, JRSS B 84.
func EBH(e []float64, q float64) []bool {
	rejected := make([]bool, len(e))
	if !(q > 0) {
		return rejected
	}
	order := make([]int, 0, len(e))
	for i, v := range e {
		if v >= 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(e[b], e[a]) })
	k := 0
	for rank, i := range order {
		if reaches(e[i], float64(rank+1), q, float64(len(e))) {
			k = rank + 1
		}
	}
	for _, i := range order[:k] {
		rejected[i] = true
	}
	return rejected
}

// reaches reports whether e k q ≥ all without rounding, which would decide ties.
func reaches(e, k, q, all float64) bool {
	if math.IsInf(e, 1) || math.IsInf(q, 1) {
		return e > 0
	}
	product := new(big.Float).SetPrec(160).SetFloat64(e)
	product.Mul(product, big.NewFloat(k)).Mul(product, big.NewFloat(q))
	return product.Cmp(big.NewFloat(all)) >= 0
}

// DunnettCritical returns the two-sided critical value of the largest of k
// normal comparisons with one control at familywise error alpha, when every
// pair of comparisons has correlation rho (1/2 for equal arms). It is for one
// final look, not for repeated ones. NaN outside k ≥ 1, 0 < alpha < 1,
// 0 ≤ rho < 1.
//
// Source: Dunnett 1955, JASA 50; one-factor integral.
func DunnettCritical(k int, alpha, rho float64) float64 {
	if k < 1 || !(alpha > 0 && alpha < 1) || !(rho >= 0 && rho < 1) {
		return math.NaN()
	}
	load, own := math.Sqrt(rho), math.Sqrt(1-rho)
	outside := func(c float64) float64 {
		// Where the common part w passes ±c, the chance of a miss rises from 0 to 1
		// within a few own/load, which may be narrow: panels are cut there.
		cuts := []float64{-9, 0, 9}
		for _, side := range [...]float64{-1, 1} {
			for _, e := range [...]float64{-8, -4, -2, 0, 2, 4, 8} {
				if w := side * (c + e*own) / load; math.Abs(w) < 9 {
					cuts = append(cuts, w)
				}
			}
		}
		return integratePieces(cuts, 0.75, func(w float64) float64 {
			miss := NormalSF((c+load*w)/own) + NormalSF((c-load*w)/own)
			return normalDensity(w) * -math.Expm1(float64(k)*math.Log1p(-min(miss, 1)))
		})
	}
	c, _ := findRoot(func(c float64) float64 { return math.Log(outside(c) / alpha) },
		0, NormalISF(alpha/2/float64(k))+0.1)
	return c
}
