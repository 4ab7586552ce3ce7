package stats

import "math"

// brownian is the sub-density of B = Z √t over the paths that have not stopped
// by the last look, on the nodes of a composite Gauss-Legendre grid: the
// recursion of Armitage, McPherson and Rowe.
//
// A panel of 16 nodes is at most 3.5 standard deviations of the narrower of the
// two Gaussians that meet on it wide; the rule's error is about 1e-14 then.
//
// Sources: Armitage, McPherson, Rowe 1969, JRSS A 132; Jennison & Turnbull 2000,
// chapter 19.
type brownian struct {
	t     float64   // information of the last look, 0 before the first
	x     []float64 // nodes
	g     []float64 // density times weight
	drift float64   // mean of B per unit of information
}

const (
	// boundReach is where the density is cut on sides without a boundary, in
	// standard deviations: 1e-23 of the probability.
	boundReach = 10
	panelWidth = 3.5
	maxPanels  = 4000
	// leastStep is the smallest share of the information a look may add.
	leastStep = 1e-5
	// maxLooks is more than anyone takes and still ends in seconds.
	maxLooks = 500
)

func newBrownian(drift float64) *brownian {
	return &brownian{x: []float64{0}, g: []float64{1}, drift: drift}
}

// above returns the probability to go on to information t and be above z there.
func (b *brownian) above(t, z float64) float64 { return b.ending(t, z, NormalSF) }

// below returns the probability to go on to information t and be below z there.
func (b *brownian) below(t, z float64) float64 { return b.ending(t, z, NormalCDF) }

func (b *brownian) ending(t, z float64, tail func(float64) float64) float64 {
	if tail(z) == 0 {
		return 0
	}
	step := t - b.t
	sd := math.Sqrt(step)
	level := z*math.Sqrt(t) - b.drift*step
	p := 0.0
	for i, x := range b.x {
		p += b.g[i] * tail((level-x)/sd)
	}
	return p
}

// advance moves to the look at information t, keeping the paths between lower
// and upper (on the z scale); next is the information of the look after it.
func (b *brownian) advance(t, lower, upper, next float64) {
	root := math.Sqrt(t)
	centre := b.drift * t
	lo := max(lower*root, centre-boundReach*root)
	hi := min(upper*root, centre+boundReach*root)
	step := t - b.t
	sd := math.Sqrt(step)
	perSD := 1 / sd
	if !(hi > lo) {
		b.t, b.x, b.g = t, nil, nil
		return
	}
	width := panelWidth * min(sd, math.Sqrt(next-t))
	panels := int(min(maxPanels, math.Ceil((hi-lo)/width)))
	half := 0.5 * (hi - lo) / float64(panels)
	x := make([]float64, 0, 16*panels)
	g := make([]float64, 0, 16*panels)
	first := 0
	for p := range panels {
		mid := lo + half*float64(2*p+1)
		for k, node := range gauss16.x {
			y := mid + half*node
			from := y - b.drift*step
			// The kernel is below 1e-18 beyond nine standard deviations.
			for first < len(b.x) && b.x[first] < from-9*sd {
				first++
			}
			f := 0.0
			for i := first; i < len(b.x) && b.x[i] <= from+9*sd; i++ {
				z := (from - b.x[i]) * perSD
				f += b.g[i] * math.Exp(-0.5*z*z)
			}
			x = append(x, y)
			g = append(g, f*gauss16.w[k]*half/(sd*math.Sqrt(2*math.Pi)))
		}
	}
	b.t, b.x, b.g = t, x, g
}

// checkTimes says whether information times can be analysed.
func checkTimes(times []float64) Warning {
	switch {
	case len(times) == 0:
		return TooFewCustomers
	case len(times) > maxLooks:
		return InvalidInput
	}
	last := 0.0
	for _, t := range times {
		if notFinite(t) {
			return NonFiniteInput
		}
		if t-last < leastStep*max(1, times[len(times)-1]) {
			return InvalidInput
		}
		last = t
	}
	return NoWarning
}
