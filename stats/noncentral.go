package stats

import (
	"math"

	"gonum.org/v1/gonum/integrate/quad"
)

// NoncentralTCDF returns P(T ≤ t) of the noncentral t distribution with df ≥ 1
// degrees of freedom and noncentrality ncp, by integrating Φ(t s - ncp) over
// the density of s = √(χ²/df). The absolute error is below 1e-12.
func NoncentralTCDF(t, df, ncp float64) float64 {
	if math.IsNaN(t) || !(df >= 1) || notFinite(ncp) {
		return math.NaN()
	}
	if math.IsInf(df, 1) {
		return NormalCDF(t - ncp)
	}
	return overChi(df, func(s float64) float64 { return NormalCDF(t*s - ncp) })
}

// noncentralTSF returns P(T > t), which keeps the digits of small tails.
func noncentralTSF(t, df, ncp float64) float64 {
	return overChi(df, func(s float64) float64 { return NormalSF(t*s - ncp) })
}

// overChi returns the mean of g(s) over s = √(χ²_df/df), leaving out e^-45 of
// the probability on either side (bounds of Laurent & Massart 2000).
func overChi(df float64, g func(s float64) float64) float64 {
	const left = 45
	width := 2 * math.Sqrt(df*left)
	lo := math.Sqrt(max(0, df-width) / df)
	hi := math.Sqrt((df + width + 2*left) / df)
	logFront := math.Ln2 + 0.5*df*math.Log(0.5*df) - LogGamma(0.5*df)
	const panels = 12
	step := (hi - lo) / panels
	total := 0.0
	for k := range panels {
		a := lo + float64(k)*step
		total += quad.Fixed(func(s float64) float64 {
			return g(s) * math.Exp(logFront+(df-1)*math.Log(s)-0.5*df*s*s)
		}, a, a+step, 24, nil, 0)
	}
	return total
}
