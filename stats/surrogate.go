package stats

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// SurrogateEffect is an effect on a long-term outcome predicted from
// short-term ones.
type SurrogateEffect struct {
	// Beta are the coefficients of the index, intercept first.
	Beta []float64
	// Effect is the difference of the mean predictions.
	Effect float64
	// SESampling is Welch's error of the index, SEModel that of its
	// coefficients; SETotal also has the bias.
	SESampling, SEModel, SETotal float64
	Z, P                         float64
	Warning                      Warning
}

// SurrogateIndex fits the long-term outcome y on the short-term outcomes s of
// past customers, one row each, by least squares (HC1 covariance V) and applies
// the fit to both arms:
//
//	total² = Welch² + D' V D + bias²,  D = difference of the mean surrogates.
//
// biasSD is the standard deviation, over past tests, of the predicted minus the
// realised effect; with fewer than ten such tests at least half the effect. The
// index ranks and forecasts; it never decides alone, least of all on a discount,
// which moves purchases forward and breaks the surrogate.
//
// Source: Athey, Chetty, Imbens, Kang 2019, NBER 26463.
func SurrogateIndex(historyS [][]float64, historyY []float64, controlS, treatmentS [][]float64, biasSD float64) SurrogateEffect {
	nan := math.NaN()
	none := SurrogateEffect{nil, nan, nan, nan, nan, nan, nan, NoWarning}
	k, ok := columns(historyS, controlS, treatmentS)
	switch {
	case !ok || len(historyS) != len(historyY) || biasSD < 0:
		none.Warning = InvalidInput
		return none
	case notFinite(biasSD):
		none.Warning = NonFiniteInput
		return none
	case len(historyS) <= k+1 || len(controlS) < 2 || len(treatmentS) < 2:
		none.Warning = TooFewCustomers
		return none
	}
	design := mat.NewDense(len(historyS), k+1, nil)
	for i, row := range historyS {
		design.Set(i, 0, 1)
		for j, v := range row {
			design.Set(i, j+1, v)
		}
	}
	fit, w := regress(design, historyY)
	if w != NoWarning {
		none.Warning = w
		return none
	}
	hc1 := float64(fit.n) / float64(fit.n-fit.k)
	cov := fit.robust(func(float64) float64 { return hc1 })
	control, meanC := applyIndex(fit.beta, controlS)
	treatment, meanT := applyIndex(fit.beta, treatmentS)
	c := Welch(control, treatment, Test{Level: 0.95})
	if none.Warning = c.Warning; c.Warning != NoWarning {
		return none
	}
	d := mat.NewVecDense(k+1, nil)
	for j := range k {
		d.SetVec(j+1, meanT[j]-meanC[j])
	}
	r := SurrogateEffect{
		Beta: fit.beta, Effect: c.Diff, SESampling: c.SE,
		SEModel: math.Sqrt(max(0, mat.Inner(d, cov, d))),
	}
	r.SETotal = math.Sqrt(r.SESampling*r.SESampling + r.SEModel*r.SEModel + biasSD*biasSD)
	r.Z = r.Effect / r.SETotal
	r.P = 2 * NormalSF(math.Abs(r.Z))
	if notFinite(r.Z) || notFinite(r.SETotal) {
		none.Warning = Overflow
		return none
	}
	return r
}

// columns returns the common number of columns of all rows, at least one.
func columns(tables ...[][]float64) (k int, ok bool) {
	k = -1
	for _, rows := range tables {
		for _, row := range rows {
			if k < 0 {
				k = len(row)
			}
			if len(row) != k {
				return 0, false
			}
		}
	}
	return k, k >= 1
}

// applyIndex returns the moments of the index and the means of the surrogates.
func applyIndex(beta []float64, s [][]float64) (Moments, []float64) {
	index := make([]float64, len(s))
	means := make([]float64, len(beta)-1)
	for i, row := range s {
		index[i] = beta[0]
		for j, v := range row {
			index[i] += beta[j+1] * v
			means[j] += v / float64(len(s))
		}
	}
	return FromValues(index), means
}
