package stats

import "math"

// ProbBest returns for each of several independent normal posteriors the
// probability that its mean is the largest,
//
//	P_k = ∫ φ((x-m_k)/s_k)/s_k Π_{j≠k} Φ((x-m_j)/s_j) dx,
//
// by quadrature, not by simulation: the same posteriors give the same
// probabilities. These are also the shares of Thompson sampling. It warns
// [InvalidInput] when the lengths differ, [NonFiniteInput], [ZeroVariance] when
// a standard deviation is not positive, and returns nil then.
func ProbBest(arms []Estimate) ([]float64, Warning) {
	for _, a := range arms {
		if notFinite(a.Value) || notFinite(a.SE) {
			return nil, NonFiniteInput
		}
		if a.SE <= 0 {
			return nil, ZeroVariance
		}
	}
	p := make([]float64, len(arms))
	total := 0.0
	for k := range arms {
		p[k] = probBest(arms, k)
		total += p[k]
	}
	for k := range p {
		p[k] /= total
	}
	return p, NoWarning
}

func probBest(arms []Estimate, k int) float64 {
	// In units of arm k, panels are cut at the other arms' edges, so that a
	// narrow arm is not stepped over.
	const reach = 9
	cuts := []float64{-reach, reach}
	for j, a := range arms {
		if j == k {
			continue
		}
		for _, e := range [...]float64{-8, -4, -2, 0, 2, 4, 8} {
			x := (a.Value + e*a.SE - arms[k].Value) / arms[k].SE
			if x > -reach && x < reach {
				cuts = append(cuts, x)
			}
		}
	}
	return integratePieces(cuts, 0.75, func(x float64) float64 {
		f := normalDensity(x)
		for j, a := range arms {
			if j != k {
				f *= NormalCDF((arms[k].Value - a.Value + x*arms[k].SE) / a.SE)
			}
		}
		return f
	})
}

// TopTwo returns the allocation of top-two sampling from the probabilities of
// being best,
//
//	ψ_i = p_i (β + (1-β) Σ_{j≠i} p_j/(1-p_j)),
//	x_i = floor + (1 - K floor) ψ_i.
//
// A certain winner gets β, the others share the rest. β = 1 is Thompson
// sampling. It warns [InvalidInput] when the probabilities do not sum to one,
// β is outside [0, 1] or K·floor above 1, and returns nil then.
//
// Source: Russo 2020, Operations Research 68.
func TopTwo(probBest []float64, beta, floor float64) ([]float64, Warning) {
	k := float64(len(probBest))
	if !(beta >= 0 && beta <= 1) || !(floor >= 0 && k*floor <= 1) {
		return nil, InvalidInput
	}
	total := 0.0
	for _, p := range probBest {
		if !(p >= 0 && p <= 1) {
			return nil, InvalidInput
		}
		total += p
	}
	if math.Abs(total-1) > 1e-6 {
		return nil, InvalidInput
	}
	out := make([]float64, len(probBest))
	for i, p := range probBest {
		second := 0.0
		certain := false
		for j, q := range probBest {
			switch {
			case j == i:
			case q < 1:
				second += q / (1 - q)
			default:
				certain = true
			}
		}
		psi := p * (beta + (1-beta)*second)
		switch {
		case certain: // another arm surely wins: the rest is shared equally
			psi = (1 - beta) / (k - 1)
		case p == 1 && k == 1:
			psi = 1
		}
		out[i] = floor + (1-k*floor)*psi
	}
	return out, NoWarning
}
