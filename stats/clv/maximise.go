package clv

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/diff/fd"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"

	"github.com/perennial-engine/perennial/stats"
)

// objective is a log-likelihood of positive parameters in a rescaled unit.
type objective struct {
	logLik func(p []float64) float64
	// gradient writes the derivatives of logLik to g; nil for a likelihood cheap
	// enough to be differenced.
	gradient func(p, g []float64)
	// customers is the number the likelihood sums over: the cost is that of one,
	// so that tolerances mean the same for a hundred and a million.
	customers float64
	starts    [][]float64
	// scale turns parameters of the rescaled unit into those of the caller.
	scale []float64
}

// cost is minus the mean log-likelihood at the logarithms x of the parameters,
// +Inf where there is none and beyond e^±40 of the unit, where no customers are.
func (o objective) cost(x []float64) float64 {
	if !(floats.Norm(x, math.Inf(1)) < 40) {
		return math.Inf(1)
	}
	if l := o.logLik(exponentials(x)); !notFinite(l) {
		return -l / o.customers
	}
	return math.Inf(1)
}

// slope writes the derivatives of the cost to g.
func (o objective) slope(g, x []float64) {
	if o.gradient == nil {
		fd.Gradient(g, o.cost, x, &fd.Settings{Formula: fd.Central, Step: 1e-5})
		return
	}
	p := exponentials(x)
	o.gradient(p, g)
	for i := range g {
		g[i] *= -p[i] / o.customers
	}
}

func exponentials(x []float64) []float64 { return mapped(x, math.Exp) }

func mapped(x []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

// maximise finds the largest likelihood over the logarithms of the parameters
// by gonum's BFGS from every start. It warns [stats.NoConvergence] when that is
// no proper maximum.
func maximise(o objective) ([]float64, Fitted) {
	var best []float64
	least := math.Inf(1)
	for _, start := range o.starts {
		x := mapped(start, math.Log)
		g := make([]float64, len(x))
		// The search divides by the length of the first gradient.
		if o.slope(g, x); notFinite(floats.Norm(g, 2)) {
			continue
		}
		// An error says that the line search can go no lower; the result is the
		// lowest point all the same, and polish judges it.
		r, _ := optimize.Minimize(
			optimize.Problem{Func: o.cost, Grad: o.slope}, x,
			&optimize.Settings{
				FuncEvaluations: 1000,
				Converger:       &optimize.FunctionConverge{Absolute: 1e-13, Iterations: 5},
			},
			&optimize.BFGS{GradStopThreshold: 1e-9},
		)
		if r != nil && r.F < least {
			best, least = r.X, r.F
		}
	}
	failed := Fitted{LogLik: math.NaN(), Warning: stats.NoConvergence}
	none := slices.Repeat([]float64{math.NaN()}, len(o.scale))
	if best == nil {
		return none, failed
	}
	best, covariance, ok := o.polish(best)
	if !ok {
		return none, failed
	}
	p := exponentials(best)
	fit := Fitted{LogLik: o.logLik(p)}
	for i := range p {
		p[i] *= o.scale[i]
		// At the maximum the information of p is that of ln p over p².
		fit.SE = append(fit.SE, p[i]*math.Sqrt(covariance.At(i, i)))
	}
	return p, fit
}

// polish takes Newton steps until they vanish and returns the covariance of the
// logarithms of the parameters there. The search goes by values of the cost,
// whose differences drown in rounding on a nearly flat top before the slope
// does: there, a per cent short of the maximum, Newton's steps finish the way.
// ok is false when the cost is not curved upwards, when the steps do not settle,
// or when there is no peak.
func (o objective) polish(x []float64) (best []float64, covariance *mat.SymDense, ok bool) {
	g := make([]float64, len(x))
	for range 20 {
		o.slope(g, x)
		hessian := o.curvature(x)
		var chol mat.Cholesky
		var step mat.VecDense
		if !chol.Factorize(hessian) || chol.SolveVecTo(&step, mat.NewVecDense(len(x), g)) != nil {
			return nil, nil, false
		}
		size := mat.Norm(&step, math.Inf(1))
		next := slices.Clone(x)
		floats.AddScaled(next, -min(1, 1/size), step.RawVector().Data)
		better := o.cost(next) <= o.cost(x)
		if !better && size > 1e-4 {
			return nil, nil, false
		}
		if better {
			x = next
		}
		if !better || size < 1e-7 {
			covariance = mat.NewSymDense(len(x), nil)
			if !o.peak(x, hessian) || chol.InverseTo(covariance) != nil {
				return nil, nil, false
			}
			covariance.ScaleSym(1/o.customers, covariance)
			return x, covariance, true
		}
	}
	return nil, nil, false
}

// peak reports whether the cost rises on both sides of x along every axis of its
// curvature, by more than rounding a factor of e away. Where the likelihood
// rises for ever, as that of customers who are all alike does, curvature and
// slope fade together, and what rounding makes of them can look like a maximum.
// Beyond e^12 there is none either: no customers tell a spread of a quarter of a
// per cent from none at all.
func (o objective) peak(x []float64, hessian *mat.SymDense) bool {
	const visible, farthest = 1e-9, 12
	var axes mat.Dense
	var eigen mat.EigenSym
	if floats.Norm(x, math.Inf(1)) > farthest || !eigen.Factorize(hessian, true) {
		return false
	}
	eigen.VectorsTo(&axes)
	least := o.cost(x) + visible
	for axis := range x {
		for _, side := range [...]float64{-1, 1} {
			y := slices.Clone(x)
			floats.AddScaled(y, side, mat.Col(nil, axis, &axes))
			if !(o.cost(y) > least) {
				return false
			}
		}
	}
	return true
}

// curvature returns the second derivatives of the cost from central differences
// of its slope.
func (o objective) curvature(x []float64) *mat.SymDense {
	full := mat.NewDense(len(x), len(x), nil)
	fd.Jacobian(full, o.slope, x, &fd.JacobianSettings{Formula: fd.Central, Step: 1e-4})
	s := mat.NewSymDense(len(x), nil)
	for i := range x {
		for j := i; j < len(x); j++ {
			s.SetSym(i, j, 0.5*(full.At(i, j)+full.At(j, i)))
		}
	}
	return s
}
