package stats

import "math"

// CountStratum holds the counts of the two arms of one stratum.
type CountStratum struct {
	Control, Treatment Count
}

// MantelHaenszelResult compares proportions within strata.
type MantelHaenszelResult struct {
	// Chi2 is the Cochran-Mantel-Haenszel statistic on one degree of freedom
	// with its p-value; Chi2Corrected has the continuity correction of 1/2.
	Chi2, P, LogP, Chi2Corrected float64
	// OddsRatio is the common odds ratio, SELogOdds the error of its logarithm.
	OddsRatio, SELogOdds float64
	OddsCI               Interval
	// LogRiskRatio and RiskDifference are the common ratio and difference of
	// the proportions with their errors.
	LogRiskRatio, SELogRisk float64
	RiskDifference, SERisk  float64
	Warning                 Warning
}

// MantelHaenszel compares proportions within strata of 2×2 tables. With a, b
// the treatment's successes and failures, c, d the control's, n2 = a+b,
// n1 = c+d and N the stratum's size:
//
//	OR = Σ ad/N / Σ bc/N            (error: Robins, Breslow, Greenland)
//	RR = Σ a n1/N / Σ c n2/N        (error: Greenland, Robins)
//	RD = Σ (a n1 - c n2)/N / Σ n1 n2/N  (error: Sato)
//	chi² = (|Σ a - E(a)| - cc)² / Σ var(a), hypergeometric.
//
// An empty stratum says nothing and is left out. It warns [NoEvents] when one of
// these is undefined, because an arm has no success, or no failure, in any
// stratum: that one is NaN and the others stand. It warns [TooFewCustomers] when
// no stratum has both arms.
//
// Sources: Mantel & Haenszel 1959; Robins, Breslow, Greenland 1986; Greenland &
// Robins 1985; Sato, Greenland, Robins 1989.
func MantelHaenszel(strata []CountStratum, level float64) MantelHaenszelResult {
	w := checkLevel(level)
	var s mantelSums
	for _, t := range strata {
		if t.Control.N == 0 || t.Treatment.N == 0 {
			continue
		}
		w = first(w, t.Control.check(), t.Treatment.check())
		s.add(t)
	}
	switch {
	case w != NoWarning:
	case s.weight == 0:
		w = TooFewCustomers
	}
	if w != NoWarning {
		n := math.NaN()
		return MantelHaenszelResult{n, n, n, n, n, n, Interval{n, n}, n, n, n, n, w}
	}
	corrected := max(0, math.Abs(s.excess)-0.5)
	m := MantelHaenszelResult{
		Chi2:          s.excess * s.excess / s.variance,
		Chi2Corrected: corrected * corrected / s.variance,
		OddsRatio:     s.r / s.s,
		SELogOdds: math.Sqrt(s.pr/(2*s.r*s.r) + (s.ps+s.qr)/(2*s.r*s.s) +
			s.qs/(2*s.s*s.s)),
		LogRiskRatio:   math.Log(s.rr2 / s.rr1),
		SELogRisk:      math.Sqrt(s.rrVar / (s.rr2 * s.rr1)),
		RiskDifference: (s.rr2 - s.rr1) / s.weight,
	}
	m.P, m.LogP = ChiSquareSF(m.Chi2, 1), ChiSquareLogSF(m.Chi2, 1)
	half := NormalISF((1-level)/2) * m.SELogOdds
	m.OddsCI = Interval{m.OddsRatio * math.Exp(-half), m.OddsRatio * math.Exp(half)}
	m.SERisk = math.Sqrt((m.RiskDifference*s.rdP + s.rdQ) / (s.weight * s.weight))
	nan := math.NaN()
	if s.variance == 0 {
		m.Chi2, m.P, m.LogP, m.Chi2Corrected, m.Warning = nan, nan, nan, nan, NoEvents
	}
	if s.r == 0 || s.s == 0 {
		m.OddsRatio, m.SELogOdds, m.OddsCI, m.Warning = nan, nan, Interval{nan, nan}, NoEvents
	}
	if s.rr2 == 0 || s.rr1 == 0 {
		m.LogRiskRatio, m.SELogRisk, m.Warning = nan, nan, NoEvents
	}
	return m
}

// mantelSums are the sums over strata, named as in the papers.
type mantelSums struct {
	excess, variance        float64
	r, s, pr, ps, qr, qs    float64
	rr2, rr1, rrVar, weight float64
	rdP, rdQ                float64
}

func (m *mantelSums) add(t CountStratum) {
	n1, n2 := float64(t.Control.N), float64(t.Treatment.N)
	a, c := float64(t.Treatment.Successes), float64(t.Control.Successes)
	b, d := n2-a, n1-c
	n := n1 + n2
	m.excess += a - (a+c)*n2/n
	if n > 1 {
		m.variance += n1 * n2 * (a + c) * (b + d) / (n * n * (n - 1))
	}
	r, s, p, q := a*d/n, b*c/n, (a+d)/n, (b+c)/n
	m.r += r
	m.s += s
	m.pr += p * r
	m.ps += p * s
	m.qr += q * r
	m.qs += q * s
	m.rr2 += a * n1 / n
	m.rr1 += c * n2 / n
	m.rrVar += (n1*n2*(a+c) - a*c*n) / (n * n)
	m.weight += n1 * n2 / n
	m.rdP += (n2*n2*c - n1*n1*a + n1*n2*(n1-n2)/2) / (n * n)
	m.rdQ += (a*(n1-c) + c*(n2-a)) / (2 * n)
}
