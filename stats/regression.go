package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// regression is an ordinary least squares fit, kept as its QR decomposition.
type regression struct {
	n, k      int
	x         *mat.Dense
	beta      []float64
	residuals []float64
	leverage  []float64
	// inverse is (X'X)⁻¹.
	inverse *mat.SymDense
}

// regress fits y on the columns of x, n rows of k. It warns [TooFewCustomers]
// when there are not more rows than columns and [ZeroVariance] when the columns
// are (nearly) dependent.
func regress(x *mat.Dense, y []float64) (regression, Warning) {
	n, k := x.Dims()
	if n != len(y) {
		return regression{}, InvalidInput
	}
	if n <= k {
		return regression{}, TooFewCustomers
	}
	if slices.ContainsFunc(x.RawMatrix().Data, notFinite) || slices.ContainsFunc(y, notFinite) {
		return regression{}, NonFiniteInput
	}
	var qr mat.QR
	qr.Factorize(x)
	if c := qr.Cond(); !(c < 1e13) {
		return regression{}, ZeroVariance
	}
	r := regression{n: n, k: k, x: x}
	var beta mat.VecDense
	if err := qr.SolveVecTo(&beta, false, mat.NewVecDense(n, y)); err != nil {
		return regression{}, ZeroVariance
	}
	r.beta = beta.RawVector().Data
	r.residuals = make([]float64, n)
	r.leverage = make([]float64, n)
	var upper mat.Dense
	qr.RTo(&upper)
	// Rows of X R⁻¹ have the leverages as squared lengths.
	var inv mat.Dense
	if err := inv.Inverse(upper.Slice(0, k, 0, k)); err != nil {
		return regression{}, ZeroVariance
	}
	var q mat.Dense
	q.Mul(x, &inv)
	for i := range n {
		fit := 0.0
		for j := range k {
			fit += x.At(i, j) * r.beta[j]
			r.leverage[i] += q.At(i, j) * q.At(i, j)
		}
		r.residuals[i] = y[i] - fit
	}
	var xtx mat.Dense
	xtx.Mul(&inv, inv.T())
	r.inverse = mat.NewSymDense(k, nil)
	for i := range k {
		for j := i; j < k; j++ {
			r.inverse.SetSym(i, j, xtx.At(i, j))
		}
	}
	return r, NoWarning
}

// robust returns the sandwich (X'X)⁻¹ Σ ω_i e_i² x_i x_i' (X'X)⁻¹ with the
// weight of each row from its leverage: 1 for HC0, 1/(1-h) for HC2, 1/(1-h)²
// for HC3.
func (r regression) robust(weight func(leverage float64) float64) *mat.SymDense {
	meat := mat.NewSymDense(r.k, nil)
	for i := range r.n {
		row := mat.NewVecDense(r.k, r.x.RawRowView(i))
		meat.SymRankOne(meat, weight(r.leverage[i])*r.residuals[i]*r.residuals[i], row)
	}
	return r.sandwich(meat)
}

func (r regression) sandwich(meat *mat.SymDense) *mat.SymDense {
	var half, full mat.Dense
	half.Mul(r.inverse, meat)
	full.Mul(&half, r.inverse)
	out := mat.NewSymDense(r.k, nil)
	for i := range r.k {
		for j := i; j < r.k; j++ {
			out.SetSym(i, j, full.At(i, j))
		}
	}
	return out
}

func hc2(h float64) float64 { return 1 / (1 - h) }
func hc3(h float64) float64 { return 1 / ((1 - h) * (1 - h)) }

// errorOf returns the standard error of coefficient j.
func errorOf(cov *mat.SymDense, j int) float64 { return math.Sqrt(max(0, cov.At(j, j))) }
