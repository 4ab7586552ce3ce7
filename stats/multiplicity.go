package stats

import (
	"cmp"
	"math"
	"slices"
)

// Correction is a way to adjust the p-values of a family of tests.
type Correction uint8

// The corrections, as R's p.adjust and its two Šidák forms. Holm is the
// default: valid under any dependence and never worse than Bonferroni.
// Hochberg and Hommel need positive dependence. The last two bound the false
// discovery rate, not the chance of any false discovery: they are for
// exploring, not for deciding.
const (
	Holm Correction = iota
	Bonferroni
	Hochberg
	Hommel
	Sidak
	HolmSidak
	BenjaminiHochberg
	BenjaminiYekutieli
)

// Adjust returns the adjusted p-values of a family in the order given, capped
// at 1. A NaN, the p-value of a test that could not be made, is left out: it
// does not count in the size of the family and stays NaN. A p-value outside
// [0, 1] is treated like NaN. Equal p-values get equal adjusted values.
//
// Sources: Holm 1979; Hochberg 1988; Hommel 1988; Benjamini & Hochberg 1995;
// Benjamini & Yekutieli 2001; Šidák 1967.
func Adjust(p []float64, method Correction) []float64 {
	out := make([]float64, len(p))
	order := make([]int, 0, len(p))
	for i, v := range p {
		out[i] = math.NaN()
		if v >= 0 && v <= 1 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	sorted := make([]float64, len(order))
	for k, i := range order {
		sorted[k] = p[i]
	}
	adjusted := adjustSorted(sorted, method)
	for k, i := range order {
		out[i] = min(1, adjusted[k])
	}
	return out
}

// adjustSorted adjusts ascending p-values. Step-down methods take the running
// maximum from the smallest, step-up methods the running minimum from the
// largest.
func adjustSorted(p []float64, method Correction) []float64 {
	m := float64(len(p))
	q := make([]float64, len(p))
	each := func(f func(rank, p float64) float64) {
		for k, v := range p {
			q[k] = f(float64(k+1), v)
		}
	}
	switch method {
	case Bonferroni:
		each(func(_, p float64) float64 { return m * p })
	case Sidak:
		each(func(_, p float64) float64 { return sidak(p, m) })
	case Holm:
		each(func(k, p float64) float64 { return (m - k + 1) * p })
		stepDown(q)
	case HolmSidak:
		each(func(k, p float64) float64 { return sidak(p, m-k+1) })
		stepDown(q)
	case Hochberg:
		each(func(k, p float64) float64 { return (m - k + 1) * p })
		stepUp(q)
	case BenjaminiHochberg:
		each(func(k, p float64) float64 { return m / k * p })
		stepUp(q)
	case BenjaminiYekutieli:
		harmonic := 0.0
		for k := range p {
			harmonic += 1 / float64(k+1)
		}
		each(func(k, p float64) float64 { return harmonic * m / k * p })
		stepUp(q)
	case Hommel:
		hommel(p, q)
	default:
		each(func(_, _ float64) float64 { return math.NaN() })
	}
	return q
}

// sidak returns 1 - (1-p)^m with the digits of small p.
func sidak(p, m float64) float64 { return -math.Expm1(m * math.Log1p(-p)) }

func stepDown(q []float64) {
	for k := 1; k < len(q); k++ {
		q[k] = max(q[k], q[k-1])
	}
}

func stepUp(q []float64) {
	for k := len(q) - 2; k >= 0; k-- {
		q[k] = min(q[k], q[k+1])
	}
}

// hommel writes Hommel's adjusted values of ascending p to q: the largest, over
// the sizes j of an intersection, of Simes' p-value of the least favourable one.
//
// Source: Wright 1992, Biometrics 48, algorithm in the appendix.
func hommel(p, q []float64) {
	m := len(p)
	copy(q, p)
	a := make([]float64, m)
	for j := m; j >= 2; j-- {
		fj := float64(j)
		least := math.Inf(1)
		for i := m - j + 1; i < m; i++ {
			least = min(least, fj*p[i]/float64(j-m+i+1))
		}
		for i := 0; i <= m-j; i++ {
			a[i] = min(least, fj*p[i])
		}
		for i := m - j + 1; i < m; i++ {
			a[i] = a[m-j]
		}
		for i := range q {
			q[i] = max(q[i], a[i])
		}
	}
}
