package stats

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// Increments is a sequence of estimates with independent increments.
type Increments struct {
	// Estimates combine all looks so far with the smallest variance; Variances
	// are theirs and Information is 1/Variances.
	Estimates, Variances, Information []float64
	Warning                           Warning
}

// IndependentIncrements replaces the estimates of successive looks, whose
// covariance is given, by the combinations of least variance,
//
//	(1' Σ_j⁻¹ θ_j)/(1' Σ_j⁻¹ 1) over the first j looks,
//
// which have independent increments, as group-sequential boundaries need. It
// changes nothing where they already have. Use it for cumulative value and
// restricted means under staggered entry. It warns [InvalidInput] when the
// covariance is not symmetric and positive definite or the sizes differ.
//
// Sources: Van Lancker, Betz, Rosenblum 2022; Tsiatis & Davidian 2025.
func IndependentIncrements(estimates []float64, cov [][]float64) Increments {
	n := len(estimates)
	if n == 0 {
		return Increments{Warning: TooFewCustomers}
	}
	if len(cov) != n {
		return Increments{Warning: InvalidInput}
	}
	for i, row := range cov {
		if len(row) != n {
			return Increments{Warning: InvalidInput}
		}
		for j, v := range row {
			if notFinite(v) || notFinite(estimates[i]) {
				return Increments{Warning: NonFiniteInput}
			}
			if len(cov[j]) != n || math.Abs(v-cov[j][i]) > 1e-9*math.Abs(v) {
				return Increments{Warning: InvalidInput}
			}
		}
	}
	r := Increments{}
	for j := 1; j <= n; j++ {
		s := mat.NewSymDense(j, nil)
		ones := mat.NewVecDense(j, nil)
		for a := range j {
			ones.SetVec(a, 1)
			for b := a; b < j; b++ {
				s.SetSym(a, b, cov[a][b])
			}
		}
		var chol mat.Cholesky
		var w mat.VecDense
		if !chol.Factorize(s) || chol.SolveVecTo(&w, ones) != nil {
			return Increments{Warning: InvalidInput}
		}
		info := mat.Sum(&w)
		if !(info > 0) || notFinite(info) {
			return Increments{Warning: InvalidInput}
		}
		combined := mat.Dot(&w, mat.NewVecDense(j, estimates[:j:j])) / info
		if notFinite(combined) || notFinite(1/info) {
			return Increments{Warning: Overflow}
		}
		r.Estimates = append(r.Estimates, combined)
		r.Variances = append(r.Variances, 1/info)
		r.Information = append(r.Information, info)
	}
	return r
}
