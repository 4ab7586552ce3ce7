package stats

import "math"

// ClusterResult is a difference of row means with the errors that do and do not
// respect that rows of one customer belong together.
type ClusterResult struct {
	// Diff is the treatment's mean over rows minus the control's.
	Diff float64
	// Classical, HC1 and HC2 ignore the clusters; they are shown to say how
	// wrong that is.
	Classical, HC1, HC2 float64
	// CR0 is the sandwich error, CR1 with G/(G-1), CR1S with the further
	// (N-1)/(N-2) of Stata.
	CR0, CR1, CR1S float64
	// CR2 is the bias-reduced error with Satterthwaite's degrees of freedom.
	// Use it below 30 clusters.
	CR2, CR2DF float64
	// Delta is the error of the ratio of sums with clusters as units, the
	// recommended form: CR0 per arm times √(G/(G-1)).
	Delta   float64
	Warning Warning
}

// Clustered compares means over rows when customers, the clusters, were
// randomised. Each cluster is given as the moments of its rows. With S the sum
// of a cluster's residuals about its arm's mean over all N rows,
//
//	CR0² = Σ S²/N²,  CR2² = Σ S²/(1 - m/N)/N²
//
// summed over the clusters of both arms, m being the cluster's rows; this is
// the regression of the rows on an intercept and the arm. It warns
// [TooFewCustomers] with fewer than two clusters in an arm, giving Diff alone.
//
// Sources: Liang & Zeger 1986; Bell & McCaffrey 2002 (CR2 and its df under
// independent errors); Deng, Knoblich, Lu 2018 (delta method).
func Clustered(control, treatment []Moments) ClusterResult {
	nan := math.NaN()
	none := ClusterResult{nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, NoWarning}
	a, w1 := clusterSums(control)
	b, w2 := clusterSums(treatment)
	if none.Warning = first(w1, w2); none.Warning != NoWarning {
		return none
	}
	none.Diff = b.all.Mean - a.all.Mean
	if a.clusters < 2 || b.clusters < 2 || a.all.N+b.all.N < 3 {
		none.Warning = TooFewCustomers
		return none
	}
	n, g := float64(a.all.N+b.all.N), float64(a.clusters+b.clusters)
	cr0 := a.cr0 + b.cr0
	r := ClusterResult{
		Diff:      none.Diff,
		Classical: meanErrors(a.all.Var(), b.all.Var(), a.all.N, b.all.N).Pooled,
		HC1:       math.Sqrt((a.hc0() + b.hc0()) * n / (n - 2)),
		HC2:       math.Sqrt(a.all.SE()*a.all.SE() + b.all.SE()*b.all.SE()),
		CR0:       math.Sqrt(cr0),
		CR1:       math.Sqrt(cr0 * g / (g - 1)),
		CR1S:      math.Sqrt(cr0 * g / (g - 1) * (n - 1) / (n - 2)),
		CR2:       math.Sqrt(a.cr2 + b.cr2),
		Delta: math.Sqrt(a.cr0*float64(a.clusters)/float64(a.clusters-1) +
			b.cr0*float64(b.clusters)/float64(b.clusters-1)),
	}
	trace := 1/float64(a.all.N) + 1/float64(b.all.N)
	r.CR2DF = trace * trace / (a.trace2 + b.trace2)
	switch {
	case cr0 == 0:
		none.Warning = ZeroVariance
		return none
	case notFinite(r.CR2) || notFinite(r.CR2DF) || notFinite(r.Classical):
		none.Warning = Overflow
		return none
	}
	return r
}

// clusterArm are the sums of one arm.
type clusterArm struct {
	all      Moments
	clusters int
	cr0, cr2 float64
	// trace2 is the arm's part of the trace of the squared matrix of
	// Satterthwaite's df.
	trace2 float64
}

func (a clusterArm) hc0() float64 { return a.all.M2 / float64(a.all.N) / float64(a.all.N) }

func clusterSums(clusters []Moments) (clusterArm, Warning) {
	var a clusterArm
	for _, c := range clusters {
		if w := c.check(); w != NoWarning && w != TooFewCustomers { // one row is enough
			return a, w
		}
		if c.N > 0 {
			a.clusters++
		}
		a.all = a.all.Add(c)
	}
	if a.all.N == 0 {
		return a, TooFewCustomers
	}
	n := float64(a.all.N)
	var q, q2 float64
	for _, c := range clusters {
		if c.N == 0 {
			continue
		}
		m := float64(c.N)
		s := m * (c.Mean - a.all.Mean) / n
		a.cr0 += s * s
		a.cr2 += s * s / (1 - m/n)
		t := m * m / (n * n) / (1 - m/n)
		q += t
		q2 += t * t
		a.trace2 += m * m / (n * n * n * n)
	}
	a.trace2 += (q*q - q2) / (n * n)
	return a, NoWarning
}
