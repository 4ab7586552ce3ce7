package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate/quad"
)

// gauss16 are the nodes, in ascending order, and weights of the Gauss-Legendre
// rule on [-1, 1]. The rule is symmetric, so reversing the nodes is enough.
var gauss16 = func() (g struct{ x, w [16]float64 }) {
	quad.Legendre{}.FixedLocations(g.x[:], g.w[:], -1, 1)
	if g.x[0] > g.x[15] {
		slices.Reverse(g.x[:])
	}
	return g
}()

// integratePieces integrates f between the smallest and the largest cut with
// 16-point Gauss-Legendre panels no wider than width and never across a cut.
func integratePieces(cuts []float64, width float64, f func(float64) float64) float64 {
	slices.Sort(cuts)
	total := 0.0
	for i := 1; i < len(cuts); i++ {
		gap := cuts[i] - cuts[i-1]
		if gap <= 0 {
			continue
		}
		panels := int(math.Ceil(gap / width))
		half := 0.5 * gap / float64(panels)
		for p := range panels {
			mid := cuts[i-1] + half*float64(2*p+1)
			for k, x := range gauss16.x {
				total += gauss16.w[k] * half * f(mid+half*x)
			}
		}
	}
	return total
}
