package stats

import "math"

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
// the probability on either side (bounds of Laurent & Massart 2000). With
// h = df/2 and s = 1+d the log-density is
//
//	ln 2 + ln(h)/2 - ln √(2π) - r(h) + h (2 ln(1+d) - 2d - d²) - ln(1+d),
//
// r being Stirling's remainder: nothing of the size of h cancels.
func overChi(df float64, g func(s float64) float64) float64 {
	if df > 1e14 {
		return g(1)
	}
	const left = 45
	width := 2 * math.Sqrt(df*left)
	h := df / 2
	lo := math.Sqrt(max(0, df-width)/df) - 1
	hi := math.Sqrt((df+width+2*left)/df) - 1
	front := math.Ln2 + 0.5*math.Log(h) - logSqrt2Pi - stirling(h)
	return integratePieces([]float64{lo, hi}, (hi-lo)/16, func(d float64) float64 {
		return g(1+d) * math.Exp(front+h*(2*logMinus(d)-d*d)-math.Log1p(d))
	})
}
