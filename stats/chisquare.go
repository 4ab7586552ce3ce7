package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// ChiSquareCDF returns the lower tail of the chi-squared distribution with df
// degrees of freedom, P(df/2, x/2).
func ChiSquareCDF(x, df float64) float64 { return GammaP(df/2, max(x, 0)/2) }

// ChiSquareSF returns the upper tail, Q(df/2, x/2).
func ChiSquareSF(x, df float64) float64 { return GammaQ(df/2, max(x, 0)/2) }

// ChiSquareLogSF returns the logarithm of the upper tail, also where the tail
// itself underflows.
func ChiSquareLogSF(x, df float64) float64 { return logGammaQ(df/2, max(x, 0)/2) }

// ChiSquareQuantile returns the x with P(X ≤ x) = p.
func ChiSquareQuantile(p, df float64) float64 {
	switch {
	case !(p >= 0 && p <= 1) || !(df > 0):
		return math.NaN()
	case p == 0:
		return 0
	case p == 1:
		return math.Inf(1)
	}
	return 2 * mathext.GammaIncRegInv(df/2, p)
}
