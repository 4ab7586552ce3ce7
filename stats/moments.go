package stats

import "math"

// Moments are the sufficient statistics of one variable in one group: the
// number of customers, their mean and the centred sum of squares
//
//	M2 = Σ (x - Mean)².
//
// The zero value is the empty group.
type Moments struct {
	N    int64
	Mean float64
	M2   float64
}

// FromValues returns the moments of x in two passes, with the second pass
// correcting M2 for the rounding of the mean. A NaN or an infinite value makes Mean
// and M2 NaN, which every function here answers with [NonFiniteInput].
func FromValues(x []float64) Moments {
	if len(x) == 0 {
		return Moments{}
	}
	n := float64(len(x))
	mean := meanOf(x)
	var m2, rest float64
	for _, v := range x {
		d := v - mean
		m2 += d * d
		rest += d
	}
	return Moments{N: int64(len(x)), Mean: mean, M2: max(0, m2-rest*rest/n)}
}

// meanOf returns the mean of a non-empty x as a compensated sum over n.
func meanOf(x []float64) float64 {
	return Sum(x) / float64(len(x))
}

// Sum returns Σ x with Neumaier's compensation: the error does not grow with
// the number of terms.
//
// Source: Neumaier 1974, Rundungsfehleranalyse einiger Verfahren zur Summation
// endlicher Summen.
func Sum(x []float64) float64 {
	var s, c float64
	for _, v := range x {
		t := s + v
		if math.Abs(s) >= math.Abs(v) {
			c += (s - t) + v
		} else {
			c += (v - t) + s
		}
		s = t
	}
	if math.IsInf(s, 0) {
		return s
	}
	return s + c
}

// Var returns the sample variance M2/(N-1). It is NaN when N < 2: one customer
// says nothing about spread.
func (m Moments) Var() float64 {
	if m.N < 2 {
		return math.NaN()
	}
	return m.M2 / float64(m.N-1)
}

// SE returns the standard error of the mean, √(Var/N), NaN when N < 2.
func (m Moments) SE() float64 {
	return math.Sqrt(m.Var() / float64(m.N))
}

// Add returns the moments of the union of two disjoint groups,
//
//	d    = b.Mean - a.Mean
//	Mean = a.Mean + d nb/n
//	M2   = a.M2 + b.M2 + d² na nb/n.
//
// Source: Chan, Golub, LeVeque 1983, Algorithms for computing the sample
// variance, The American Statistician 37.
func (m Moments) Add(b Moments) Moments {
	if m.N == 0 {
		return b
	}
	if b.N == 0 {
		return m
	}
	na, nb := float64(m.N), float64(b.N)
	n := na + nb
	d := b.Mean - m.Mean
	return Moments{
		N:    m.N + b.N,
		Mean: m.Mean + d*(nb/n),
		M2:   m.M2 + b.M2 + d*d*(na*nb/n),
	}
}

// Successes returns the moments of n customers of whom x have a 1 and the rest
// a 0: mean x/n and M2 = x(n-x)/n. The variance has the denominator n-1 like
// any other mean.
func Successes(x, n int64) Moments {
	if n == 0 {
		return Moments{}
	}
	fx, fn := float64(x), float64(n)
	return Moments{N: n, Mean: fx / fn, M2: fx * (fn - fx) / fn}
}

// check says why the group cannot be compared.
func (m Moments) check() Warning {
	switch {
	case notFinite(m.Mean) || notFinite(m.M2):
		return NonFiniteInput
	case m.N < 0 || m.M2 < 0:
		return InvalidInput
	case m.N < 2:
		return TooFewCustomers
	}
	return NoWarning
}

// notFinite reports whether x is NaN or infinite: only then is x - x not zero.
func notFinite(x float64) bool { return x-x != 0 }
