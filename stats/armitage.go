package stats

import (
	"math"
	"slices"
)

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
	x     []float64 // nodes, ascending, of panels of 16; one before the first look
	g     []float64 // density times weight
	half  float64   // half the width of a panel
	drift float64   // mean of B per unit of information
	even  bool      // the density is the same at -x
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
	return &brownian{x: []float64{0}, g: []float64{1}, drift: drift, even: drift == 0}
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

// exceeding returns [brownian.above] and its derivative by -z. It leaves out what starts more
// than 13 standard deviations below, 1e-38 of the probability.
func (b *brownian) exceeding(t, z float64) (p, slope float64) {
	sd := math.Sqrt(t - b.t)
	level := z*math.Sqrt(t) - b.drift*(t-b.t)
	for i, x := range slices.Backward(b.x) {
		u := (level - x) / sd
		if u > 13 {
			break
		}
		tail, density := normalTail(math.Abs(u))
		if u < 0 {
			tail = 1 - tail
		}
		p += b.g[i] * tail
		slope += b.g[i] * density
	}
	return p, slope * math.Sqrt(t) / sd
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
	if !(hi > lo) {
		*b = brownian{t: t, drift: b.drift}
		return
	}
	width := panelWidth * min(sd, math.Sqrt(next-t))
	panels := int(min(maxPanels, math.Ceil((hi-lo)/width)))
	even := b.even && lo == -hi
	to := &brownian{
		t: t, x: make([]float64, 16*panels), g: make([]float64, 16*panels),
		half: 0.5 * (hi - lo) / float64(panels), drift: b.drift, even: even,
	}
	carry := b.carrier(to.half, sd)
	for p := range panels {
		if even && p < panels/2 {
			continue // the mirror image of one above
		}
		mid := lo + to.half*float64(2*p+1)
		density := carry(mid - b.drift*step)
		for k, node := range gauss16.x {
			i := 16*p + k
			to.x[i] = mid + to.half*node
			to.g[i] = density[k] * gauss16.w[k] * to.half / (sd * sqrt2Pi)
			if even {
				mirror := len(to.x) - 1 - i
				to.x[mirror], to.g[mirror] = -to.x[i], to.g[i]
			}
		}
	}
	*b = *to
}

// carrier returns the function that answers the density, times sd √(2π), after a Gaussian step
// at the nodes of a panel of the given half width around a middle.
//
// With m + a a node of that panel and c + d one of those here, the exponential of
// -(m+a-c-d)²/2 is the product of one of m-c alone, one for each node of either panel, and
// one of a-d, which is the same for all pairs of panels. Panels are narrow enough for none to
// overflow.
func (b *brownian) carrier(half, sd float64) func(mid float64) [16]float64 {
	if len(b.x) == 1 {
		return func(mid float64) (f [16]float64) {
			for k, node := range gauss16.x {
				z := (mid + half*node - b.x[0]) / sd
				f[k] = b.g[0] * math.Exp(-0.5*z*z)
			}
			return f
		}
	}
	var kernel [16][16]float64
	for k, a := range gauss16.x {
		for i, d := range gauss16.x {
			z := (half*a - b.half*d) / sd
			kernel[k][i] = math.Exp(-0.5 * z * z)
		}
	}
	// The density of a step is below 1e-18 beyond nine standard deviations.
	reach := 9*sd + half + b.half
	return func(mid float64) (f [16]float64) {
		for at := 0; at < len(b.x); at += 16 {
			apart := mid - 0.5*(b.x[at]+b.x[at+15])
			if math.Abs(apart) > reach {
				continue
			}
			u := apart / sd
			alone := math.Exp(-0.5 * u * u)
			from, to := tilted(u*b.half/sd), tilted(-u*half/sd)
			for i := range from {
				from[i] *= b.g[at+i]
			}
			for k := range f {
				sum := 0.0
				for i := range from {
					sum += kernel[k][i] * from[i]
				}
				f[k] += alone * to[k] * sum
			}
		}
		return f
	}
}

// tilted is exp(slope x) at the nodes.
func tilted(slope float64) (e [16]float64) {
	for k := range 8 {
		e[k] = math.Exp(slope * gauss16.x[k])
		e[15-k] = 1 / e[k]
	}
	return e
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
