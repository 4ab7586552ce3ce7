package clv

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/perennial-engine/perennial/stats"
)

// objective is a log-likelihood of positive parameters in a rescaled unit.
type objective struct {
	logLik   func(p []float64) float64
	gradient func(p, g []float64)
	starts   [][]float64
	// scale turns parameters of the rescaled unit into those of the caller.
	scale []float64
}

// cost is minus the log-likelihood at the logarithms x of the parameters, +Inf
// where there is none.
func (o objective) cost(x []float64) float64 {
	if l := o.logLik(exponentials(x)); !notFinite(l) {
		return -l
	}
	return math.Inf(1)
}

func (o objective) slope(x []float64) []float64 {
	p := exponentials(x)
	g := make([]float64, len(x))
	o.gradient(p, g)
	for i := range g {
		g[i] *= -p[i]
	}
	return g
}

func exponentials(x []float64) []float64 {
	p := make([]float64, len(x))
	for i, v := range x {
		p[i] = math.Exp(v)
	}
	return p
}

// maximise finds the largest likelihood over the logarithms of the parameters:
// quasi-Newton from every start, then Newton's method on the gradient.
func maximise(o objective) ([]float64, Fitted) {
	var best []float64
	least := math.Inf(1)
	for _, start := range o.starts {
		x := make([]float64, len(start))
		for i, v := range start {
			x[i] = math.Log(v)
		}
		x = o.descend(x)
		if c := o.cost(x); c < least {
			best, least = x, c
		}
	}
	failed := Fitted{LogLik: math.NaN(), Warning: stats.NoConvergence}
	none := slices.Repeat([]float64{math.NaN()}, len(o.scale))
	if best == nil {
		return none, failed
	}
	best, information, ok := o.polish(best)
	var chol mat.Cholesky
	var cov mat.SymDense
	if !ok || !chol.Factorize(information) || chol.InverseTo(&cov) != nil {
		return none, failed
	}
	p := exponentials(best)
	fit := Fitted{LogLik: o.logLik(p)}
	for i := range p {
		p[i] *= o.scale[i]
		// At the maximum the information of p is that of ln p over p².
		fit.SE = append(fit.SE, p[i]*math.Sqrt(cov.At(i, i)))
	}
	return p, fit
}

// descend minimises the cost by BFGS with halving steps.
//
// Source: Nocedal & Wright 2006, algorithm 6.1.
func (o objective) descend(x []float64) []float64 {
	k := len(x)
	inverse := mat.NewDense(k, k, nil)
	reset := func(scale float64) {
		inverse.Zero()
		for i := range k {
			inverse.Set(i, i, scale)
		}
	}
	f, g := o.cost(x), o.slope(x)
	reset(1 / max(1, floats.Norm(g, 2)))
	for range 300 {
		var direction mat.VecDense
		direction.MulVec(inverse, mat.NewVecDense(k, g))
		downhill := mat.Dot(&direction, mat.NewVecDense(k, g))
		if !(downhill > 1e-12*max(1, math.Abs(f))) {
			break
		}
		size := min(1, 2/mat.Norm(&direction, math.Inf(1)))
		next := make([]float64, k)
		for range 50 {
			for i := range next {
				next[i] = x[i] - size*direction.AtVec(i)
			}
			if o.cost(next) <= f-1e-4*size*downhill {
				break
			}
			size /= 2
		}
		cost := o.cost(next)
		if !(cost < f) {
			break
		}
		slope := o.slope(next)
		s, y := mat.NewVecDense(k, nil), mat.NewVecDense(k, nil)
		for i := range k {
			s.SetVec(i, next[i]-x[i])
			y.SetVec(i, slope[i]-g[i])
		}
		update(inverse, s, y)
		x, f, g = next, cost, slope
	}
	return x
}

// update applies the BFGS formula to an inverse Hessian, unless the curvature
// along the step is not positive.
func update(inverse *mat.Dense, s, y *mat.VecDense) {
	sy := mat.Dot(s, y)
	if !(sy > 1e-14) {
		return
	}
	var hy mat.VecDense
	hy.MulVec(inverse, y)
	factor := (1 + mat.Dot(y, &hy)/sy) / sy
	n := s.Len()
	for i := range n {
		for j := range n {
			inverse.Set(i, j, inverse.At(i, j)+factor*s.AtVec(i)*s.AtVec(j)-
				(hy.AtVec(i)*s.AtVec(j)+s.AtVec(i)*hy.AtVec(j))/sy)
		}
	}
}

// polish takes Newton steps to a minimum and returns the matrix of second
// derivatives there. ok is false when that is not positive definite or the
// parameters run away: there is no proper maximum then.
func (o objective) polish(x []float64) (best []float64, hessian *mat.SymDense, ok bool) {
	for range 20 {
		hessian = o.curvature(x)
		var chol mat.Cholesky
		var step mat.VecDense
		if !chol.Factorize(hessian) || chol.SolveVecTo(&step, mat.NewVecDense(len(x), o.slope(x))) != nil {
			return nil, nil, false
		}
		size := mat.Norm(&step, math.Inf(1))
		if notFinite(size) || size > 20 {
			return nil, nil, false
		}
		next := slices.Clone(x)
		for i := range next {
			next[i] -= min(1, 1/size) * step.AtVec(i)
			if math.Abs(next[i]) > 30 {
				return nil, nil, false
			}
		}
		if o.cost(next) > o.cost(x) {
			return x, hessian, size < 1e-4
		}
		x = next
		if size < 1e-7 {
			return x, hessian, true
		}
	}
	return x, hessian, false
}

// curvature returns the second derivatives of the cost from central differences
// of its slope.
func (o objective) curvature(x []float64) *mat.SymDense {
	const h = 1e-4
	k := len(x)
	full := mat.NewDense(k, k, nil)
	for i := range k {
		y := slices.Clone(x)
		y[i] += h
		up := o.slope(y)
		y[i] -= 2 * h
		down := o.slope(y)
		for j := range k {
			full.Set(i, j, (up[j]-down[j])/(2*h))
		}
	}
	s := mat.NewSymDense(k, nil)
	for i := range k {
		for j := i; j < k; j++ {
			s.SetSym(i, j, 0.5*(full.At(i, j)+full.At(j, i)))
		}
	}
	return s
}

// differences returns a gradient by central differences, for likelihoods that
// are cheap.
func differences(logLik func(p []float64) float64) func(p, g []float64) {
	return func(p, g []float64) {
		q := slices.Clone(p)
		for i := range p {
			h := 1e-5 * p[i]
			q[i] = p[i] + h
			up := logLik(q)
			q[i] = p[i] - h
			g[i] = (up - logLik(q)) / (2 * h)
			q[i] = p[i]
		}
	}
}
