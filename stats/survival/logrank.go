package survival

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"github.com/perennial-engine/perennial/stats"
)

// LogRankResult compares the curves of two or more groups.
type LogRankResult struct {
	Chi2    float64
	DF      int
	P, LogP float64
	// Observed and Expected are the (weighted) events per group.
	Observed, Expected []float64
	Warning            stats.Warning
}

// LogRank tests whether groups share one survival curve, weighting the time t by
// S(t-)^rho of all groups together: 0 is the log-rank test, 1 the
// Peto-Prentice form of the Wilcoxon test. The variance is hypergeometric. It
// warns [stats.NoEvents] when there is no event with more than one group at
// risk and [stats.Overflow] when a weight is beyond float64, as for a very
// negative rho.
//
// Sources: Mantel 1966; Harrington & Fleming 1982; R's survdiff.
func LogRank(groups []Table, rho float64) LogRankResult {
	return StratifiedLogRank([][]Table{groups}, rho)
}

// StratifiedLogRank sums the statistics of [LogRank] over strata, each with the
// same groups in the same order. A group without customers in a stratum is
// legal there.
func StratifiedLogRank(strata [][]Table, rho float64) LogRankResult {
	none := func(w stats.Warning) LogRankResult {
		return LogRankResult{Chi2: math.NaN(), P: math.NaN(), LogP: math.NaN(), Warning: w}
	}
	if len(strata) == 0 || len(strata[0]) < 2 || math.IsNaN(rho) || math.IsInf(rho, 0) {
		return none(stats.InvalidInput)
	}
	k := len(strata[0])
	r := LogRankResult{Observed: make([]float64, k), Expected: make([]float64, k)}
	v := mat.NewSymDense(k, nil)
	for _, groups := range strata {
		if len(groups) != k {
			return none(stats.InvalidInput)
		}
		for _, g := range groups {
			if w := g.check(); w != stats.NoWarning && (g.N != 0 || len(g.Rows) != 0) {
				return none(w)
			}
		}
		r.add(groups, rho, v)
	}
	for i := range k {
		// A weight S^rho of a negative rho is beyond float64 where S is small.
		if all := r.Observed[i] + r.Expected[i] + v.At(i, i); math.IsNaN(all) || math.IsInf(all, 0) {
			return none(stats.Overflow)
		}
	}
	chi2, df, ok := quadratic(r.Observed, r.Expected, v)
	if !ok {
		return none(stats.NoEvents)
	}
	if math.IsNaN(chi2) || math.IsInf(chi2, 0) {
		return none(stats.Overflow)
	}
	r.Chi2, r.DF = chi2, df
	r.P, r.LogP = stats.ChiSquareSF(chi2, float64(df)), stats.ChiSquareLogSF(chi2, float64(df))
	return r
}

// add walks the groups' rows in order of time.
func (r *LogRankResult) add(groups []Table, rho float64, v *mat.SymDense) {
	k := len(groups)
	next := make([]int, k)
	risk := make([]float64, k)
	events := make([]float64, k)
	n := 0.0
	for j, g := range groups {
		risk[j] = float64(g.N)
		n += risk[j]
	}
	survival := 1.0
	for {
		time := math.Inf(1)
		for j, g := range groups {
			if next[j] < len(g.Rows) {
				time = min(time, g.Rows[next[j]].Time)
			}
		}
		if math.IsInf(time, 1) {
			return
		}
		d, leave := 0.0, 0.0
		for j, g := range groups {
			events[j] = 0
			if next[j] < len(g.Rows) && g.Rows[next[j]].Time == time {
				events[j] = float64(g.Rows[next[j]].Events)
				d += events[j]
			}
		}
		if d > 0 {
			r.event(risk, events, n, d, math.Pow(survival, rho), v)
			survival *= (n - d) / n
		}
		for j, g := range groups {
			if next[j] < len(g.Rows) && g.Rows[next[j]].Time == time {
				gone := float64(g.Rows[next[j]].Events + g.Rows[next[j]].Censored)
				risk[j] -= gone
				leave += gone
				next[j]++
			}
		}
		n -= leave
	}
}

// event adds the d events among n at risk at one time.
func (r *LogRankResult) event(risk, events []float64, n, d, weight float64, v *mat.SymDense) {
	factor := 0.0
	if n > 1 {
		factor = weight * weight * d * (n - d) / (n - 1)
	}
	for i := range risk {
		p := risk[i] / n
		r.Observed[i] += weight * events[i]
		r.Expected[i] += weight * d * p
		v.SetSym(i, i, v.At(i, i)+factor*p*(1-p))
		for j := i + 1; j < len(risk); j++ {
			v.SetSym(i, j, v.At(i, j)-factor*p*risk[j]/n)
		}
	}
}

// quadratic returns (O-E)' V⁻ (O-E) over the groups that vary, less one.
func quadratic(observed, expected []float64, v *mat.SymDense) (chi2 float64, df int, ok bool) {
	var use []int
	for i := range observed {
		if v.At(i, i) > 0 {
			use = append(use, i)
		}
	}
	df = len(use) - 1
	if df < 1 {
		return 0, 0, false
	}
	use = use[:df]
	s := mat.NewSymDense(df, nil)
	d := mat.NewVecDense(df, nil)
	for a, i := range use {
		d.SetVec(a, observed[i]-expected[i])
		for b := a; b < df; b++ {
			s.SetSym(a, b, v.At(i, use[b]))
		}
	}
	var chol mat.Cholesky
	var x mat.VecDense
	if !chol.Factorize(s) || chol.SolveVecTo(&x, d) != nil {
		return 0, 0, false
	}
	return mat.Dot(d, &x), df, true
}
