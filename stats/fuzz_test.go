package stats_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/perennial-engine/perennial/stats"
)

// The fuzz tests hold every exported function to three promises on any input:
// it does not panic, it gives no NaN without a warning, and no interval of its
// own excludes its estimate. The seeds are the corpus of `go test`.

// answered fails when a result without a warning holds a NaN. Fields named in
// except may be NaN by their documentation.
func answered(t *testing.T, result any, except ...string) {
	t.Helper()
	v := reflect.ValueOf(result)
	if warned(v) {
		return
	}
	noNaN(t, v, v.Type().String(), except)
}

func warned(v reflect.Value) bool {
	if v.Kind() != reflect.Struct {
		return false
	}
	f := v.FieldByName("Warning")
	return f.IsValid() && f.Type() == reflect.TypeFor[stats.Warning]() && f.Uint() != 0
}

func noNaN(t *testing.T, v reflect.Value, path string, except []string) {
	t.Helper()
	switch v.Kind() {
	case reflect.Float64:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) && !mayBeInfinite(path) {
			t.Errorf("%s is %v without a warning", path, v.Float())
		}
	case reflect.Struct:
		if warned(v) {
			return
		}
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; !slices.Contains(except, name) {
				noNaN(t, v.Field(i), path+"."+name, except)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			noNaN(t, v.Index(i), path, except)
		}
	default:
	}
}

// mayBeInfinite reports whether an infinity is an answer in a field: a limit that
// does not bind, the degrees of freedom of a normal statistic, the logarithm of
// an impossible event, and what is measured in errors that are next to nothing.
func mayBeInfinite(path string) bool {
	name := path[strings.LastIndex(path, ".")+1:]
	return slices.Contains([]string{
		"Lower", "Upper", "DF", "DFWelch", "LogP", "Stat", "Chi2", "LogBF",
	}, name)
}

// includes fails when a computed interval excludes its own estimate by more
// than rounding.
func includes(t *testing.T, i stats.Interval, estimate float64) {
	t.Helper()
	slack := 1e-9*math.Abs(estimate) + 1e-300
	if i.Lower > estimate+slack || i.Upper < estimate-slack || i.Lower > i.Upper+slack {
		t.Errorf("interval %v excludes its estimate %v", i, estimate)
	}
}

// awkward are values that have broken statistics before.
var awkward = []float64{
	0, 1, -1, 0.5, 1e-12, 1e-300, 5e-324, 1e12, 1e154, 1e300, math.MaxFloat64, 41.2, 0.05, 0.95, 2, 30,
	math.NaN(), math.Inf(1), math.Inf(-1),
}

// seeds adds every pair of awkward values in every two of k places.
func seeds(f *testing.F, k int, base ...float64) {
	f.Helper()
	add := func(x []float64) {
		args := make([]any, k)
		for i := range args {
			args[i] = x[i]
		}
		f.Add(args...)
	}
	for i := range k {
		for j, v := range awkward {
			x := slices.Clone(base)
			x[i] = v
			x[(i+1)%k] = awkward[(j*7+3)%len(awkward)]
			add(x)
			x[(i+1)%k] = base[(i+1)%k]
			add(x)
		}
	}
}

// count turns any number into a customer count, sometimes a bad one.
func count(x float64) int64 {
	if math.IsNaN(x) || math.Abs(x) > 1e15 {
		return -1
	}
	return int64(x)
}

func FuzzMeans(f *testing.F) {
	seeds(f, 10, 100, 41.2, 14000, 120, 42.9, 15000, 0.3, 0.95, 3, 1)
	f.Fuzz(func(t *testing.T, n1, m1, s1, n2, m2, s2, null, level, x, cxy float64) {
		a := stats.Moments{N: count(n1), Mean: m1, M2: s1}
		b := stats.Moments{N: count(n2), Mean: m2, M2: s2}
		for _, side := range []stats.Alternative{stats.TwoSided, stats.Greater, stats.Less, 9} {
			q := stats.Test{Null: null, Alternative: side, Level: level}
			for _, c := range []stats.Comparison{stats.Welch(a, b, q), stats.Pooled(a, b, q), stats.MeanZ(a, b, q)} {
				answered(t, c)
				includes(t, c.CI, c.Diff)
			}
		}
		answered(t, stats.MeanErrors(a, b))
		e := stats.CompareEstimates(stats.Estimate{Value: m1, SE: s1}, stats.Estimate{Value: m2, SE: s2}, stats.Test{Null: null, Level: level})
		answered(t, e)
		includes(t, e.CI, e.Diff)
		p := stats.PairMoments{N: a.N, MeanY: m1, MeanX: x, M2Y: s1, M2X: s2, CXY: cxy}
		r := stats.PairMoments{N: b.N, MeanY: m2, MeanX: -x, M2Y: s2, M2X: s1, CXY: -cxy}
		q := stats.Test{Null: null, Level: level}
		c := stats.Cuped(p, r, q)
		answered(t, c, "VarianceRatio")
		includes(t, c.CI, c.Diff)
		l := stats.CupedLift(p, r, level)
		answered(t, l)
		includes(t, l.CI, l.Lift)
		ratio := stats.Ratio(p, r, q)
		answered(t, ratio)
		includes(t, ratio.CI, ratio.Diff)
		for _, d := range []stats.Direction{stats.HigherIsBetter, stats.LowerIsBetter, 7} {
			for _, n := range []stats.NonInferiority{
				stats.NonInferiorAbsolute(a, b, x, 1-level, d), stats.NonInferiorRelative(a, b, x, 1-level, d),
			} {
				answered(t, n)
				includes(t, n.CI, n.Diff)
				if n.NonInferior && n.Warning != stats.NoWarning {
					t.Error("non-inferior with a warning")
				}
			}
			s := stats.NonInferiorSequence(a, b, x, cxy, 1-level, d)
			answered(t, s)
			answered(t, stats.Harm(a, b, level, d))
		}
		answered(t, stats.Equivalent(a, b, x, 1-level))
		strata := []stats.Stratum{{Control: a, Treatment: b}, {Control: b, Treatment: a}}
		answered(t, stats.PostStratified(strata, q))
		answered(t, stats.Clustered([]stats.Moments{a, b, a}, []stats.Moments{b, a}))
		sum := a.Add(b)
		if sum.N < max(a.N, b.N) && a.N >= 0 && b.N >= 0 {
			t.Error("customers lost")
		}
	})
}

func FuzzSequence(f *testing.F) {
	seeds(f, 5, 1.9, 0.6, 2.5, 0.05, 0.2)
	f.Fuzz(func(t *testing.T, value, se, u, alpha, null float64) {
		e := stats.Estimate{Value: value, SE: se}
		s := stats.ConfidenceSequence(e, u, alpha, null)
		answered(t, s)
		includes(t, s.CI, value)
		if s.Warning == stats.NoWarning && math.Abs(s.LogE+math.Log(alpha)) > 1e-6*(1+math.Abs(s.LogE)) &&
			math.Abs(value-null) < 1e9*se && se > 1e-9*math.Abs(value) && u > 1e-9 {
			if (s.LogE > -math.Log(alpha)) == s.CI.Contains(null) {
				t.Errorf("LogE %v and interval %v disagree at %v", s.LogE, s.CI, null)
			}
		}
		for _, side := range []stats.Alternative{stats.Greater, stats.Less, stats.TwoSided} {
			o := stats.OneSidedSequence(e, u, alpha, null, side)
			answered(t, o)
			includes(t, o.CI, value)
		}
		var path stats.SequencePath
		path = path.Look(s, null, alpha, false)
		if s.Warning != stats.NoWarning && path.RejectedAt != 0 {
			t.Error("rejected with a warning")
		}
		stats.OneSidedHalfWidth(se, u, alpha)
		stats.InformationClock(alpha, u, se)
		answered(t, stats.PowerOfSequence(value, se, u, alpha))
		answered(t, stats.NormalPosterior(e, stats.Prior{Mean: null, Variance: u}, 1-alpha))
	})
}

func FuzzProportions(f *testing.F) {
	seeds(f, 5, 37, 120, 45, 118, 0.95)
	f.Fuzz(func(t *testing.T, x1, n1, x2, n2, level float64) {
		// Exact methods cost as much as there are customers.
		limit := func(x float64) int64 { return min(count(x), 5000) }
		a := stats.Count{Successes: limit(x1), N: limit(n1)}
		b := stats.Count{Successes: limit(x2), N: limit(n2)}
		z := stats.ProportionZ(a, b, level)
		answered(t, z)
		includes(t, z.CI, z.Diff)
		answered(t, stats.ProportionZPooled(a, b), "CI")
		for _, r := range []stats.RateInterval{
			stats.Newcombe(a, b, level), stats.AgrestiCaffo(a, b, level), stats.Wilson(a, level),
			stats.ClopperPearson(a, level), stats.Jeffreys(a, level),
		} {
			answered(t, r)
			includes(t, r.CI, r.Estimate)
		}
		k := stats.RiskRatioKatz(a, b, level)
		answered(t, k)
		includes(t, k.CI, k.Ratio)
		if p, w := stats.FisherExact(a, b); w == stats.NoWarning && !(p >= 0 && p <= 1) {
			t.Errorf("Fisher p = %v", p)
		}
		bb := stats.BetaBinomial(a, b, 1, 1)
		answered(t, bb)
		answered(t, stats.MantelHaenszel([]stats.CountStratum{{Control: a, Treatment: b}}, level))
		answered(t, stats.PowerOfProportions(n1, n2, x1, x2, 1-level))
	})
}

func FuzzLift(f *testing.F) {
	seeds(f, 6, 41.3, 1.1, 43.1, 1.2, 0.95, 30)
	f.Fuzz(func(t *testing.T, m1, se1, m2, se2, level, df float64) {
		a, b := stats.Estimate{Value: m1, SE: se1}, stats.Estimate{Value: m2, SE: se2}
		for _, l := range []stats.Lift{stats.LiftDelta(a, b, level, df), stats.LiftLog(a, b, level, df)} {
			answered(t, l)
			includes(t, l.CI, l.Lift)
		}
		s := stats.Fieller(a, b, level, df)
		if s.Kind != stats.FiellerAll {
			answered(t, s)
		}
		if s.Kind == stats.FiellerInterval && s.Warning == stats.NoWarning {
			includes(t, s.Limits, (m2-m1)/m1)
		}
		shown := stats.ShowLift(a, b, level)
		answered(t, shown)
		includes(t, shown.CI, shown.Lift)
	})
}

func FuzzSampleRatio(f *testing.F) {
	seeds(f, 7, 500, 480, 3, 1, 1, 0, 10000)
	f.Fuzz(func(t *testing.T, n1, n2, n3, w1, w2, w3, concentration float64) {
		counts := []int64{count(n1), count(n2), count(n3)}
		weights := []float64{w1, w2, w3}
		answered(t, stats.SampleRatioChi2(counts, weights))
		answered(t, stats.SampleRatioSequential(counts, weights, concentration))
		stats.SampleRatioChi2(counts[:2], weights)
		arms := []stats.LookArm{{Assigned: counts[0]}, {Assigned: counts[1]}, {Assigned: counts[2]}}
		for i := range arms {
			arms[i].Outcome = stats.PairMoments{N: counts[i], MeanY: w1, MeanX: w2, M2Y: w3, M2X: concentration}
			arms[i].Retained = stats.Count{Successes: counts[0], N: counts[i]}
		}
		r := stats.Look(stats.LookRules{
			Weights: weights, RatioAlpha: 0.001, RatioConcentration: concentration, Alpha: 0.05, NOpt: w1,
			GuardrailAlpha: 0.05, Margin: w2, MinN: 10, MinPayers: 0, MaxN: 100,
		}, arms)
		for _, v := range r.Treatments {
			if v.Verdict == stats.Promote && v.Guardrail.Warning != stats.NoWarning {
				t.Error("promoted without a guardrail")
			}
		}
	})
}

func FuzzDistributions(f *testing.F) {
	seeds(f, 4, 0.4, 2.5, 3.5, 0.3)
	f.Fuzz(func(t *testing.T, x, a, b, p float64) {
		limit := func(v float64) float64 { return max(-1e6, min(v, 1e6)) }
		probability := func(name string, v float64, domain bool) {
			t.Helper()
			if domain && !(v >= 0 && v <= 1+1e-12) {
				t.Errorf("%s(%v, %v, %v, %v) = %v", name, x, a, b, p, v)
			}
		}
		number := !math.IsNaN(x)
		probability("NormalSF", stats.NormalSF(x), number)
		probability("NormalCDF", stats.NormalCDF(x), number)
		probability("StudentSF", stats.StudentSF(x, limit(a)), number && a > 0)
		probability("StudentCDF", stats.StudentCDF(x, limit(a)), number && a > 0)
		probability("StudentTwoSidedP", stats.StudentTwoSidedP(x, limit(a)), number && a > 0)
		probability("ChiSquareSF", stats.ChiSquareSF(x, limit(a)), number && a > 1e-300)
		probability("ChiSquareCDF", stats.ChiSquareCDF(x, limit(a)), number && a > 1e-300)
		positive := a > 1e-6 && b > 1e-6
		probability("BetaCDF", stats.BetaCDF(x, limit(a), limit(b)), number && positive)
		probability("BetaSF", stats.BetaSF(x, limit(a), limit(b)), number && positive)
		probability("FSF", stats.FSF(x, limit(a), limit(b)), number && positive)
		stats.BinomialCDF(limit(x), limit(a), p)
		stats.BinomialSF(limit(x), limit(a), p)
		for _, v := range []float64{
			stats.NormalLogSF(x), stats.NormalQuantile(p), stats.NormalISF(p), stats.StudentLogSF(x, limit(a)),
			stats.StudentQuantile(p, limit(a)), stats.ChiSquareLogSF(x, limit(a)), stats.ChiSquareQuantile(p, limit(a)),
			stats.BetaQuantile(p, limit(a), limit(b)), stats.GammaP(limit(a), x), stats.GammaQ(limit(a), x),
			stats.LogGamma(x), stats.Digamma(x), stats.LogBeta(a, b), stats.LambertWm1(x),
			stats.NoncentralTCDF(x, limit(a), limit(b)), stats.Hyp2F1(limit(a), limit(b), limit(x), p),
			stats.Rho2(p, a), stats.MixtureRate(p), stats.MixtureRateExact(p), stats.Quantile([]float64{x, a, b}, p),
		} {
			_ = v // outside its domain a distribution is NaN, as documented
		}
		if d := stats.Digamma(x); x > 0 && math.IsNaN(d) {
			t.Errorf("Digamma(%v) = %v", x, d)
		}
		if p > 1e-12 && p < 1-1e-12 && a > 0.1 && a < 1e9 {
			q := stats.StudentISF(p, a)
			if back := stats.StudentSF(q, a); math.Abs(back-p) > 1e-9*p {
				t.Errorf("StudentSF(StudentISF(%v, %v)) = %v", p, a, back)
			}
		}
	})
}

func FuzzFamilies(f *testing.F) {
	seeds(f, 6, 0.01, 0.2, 0.04, 0.5, 2, 0.05)
	f.Fuzz(func(t *testing.T, p1, p2, p3, w1, w2, q float64) {
		p := []float64{p1, p2, p3}
		for method := range stats.BenjaminiYekutieli + 2 {
			for i, v := range stats.Adjust(p, method) {
				valid := p[i] >= 0 && p[i] <= 1 && method <= stats.BenjaminiYekutieli
				if valid != !math.IsNaN(v) || valid && !(v >= p[i]*(1-1e-12) && v <= 1) {
					t.Errorf("method %d: %v adjusted to %v", method, p[i], v)
				}
			}
		}
		stats.WeightedHolm(p, []float64{w1, w2, q})
		stats.FixedSequence(p)
		stats.EBH(p, q)
		if q > 0.001 && q < 0.5 {
			stats.DunnettCritical(3, q, 0.5)
		}
		y, v := []float64{p1, p2, p3}, []float64{w1, w2, q}
		answered(t, stats.CombineFixed(y, v))
		for _, method := range []stats.Heterogeneity{stats.DerSimonianLaird, stats.PauleMandel, stats.REML, 9} {
			r := stats.CombineRandom(y, v, method)
			answered(t, r)
			includes(t, r.CI, r.Estimate)
		}
		answered(t, stats.ShrinkToZero(y, v))
		stats.TopTwo(p, w1, q)
		arms := []stats.Estimate{{Value: p1, SE: w1}, {Value: p2, SE: w2}, {Value: p3, SE: q}}
		if best, w := stats.ProbBest(arms); w == stats.NoWarning {
			for _, b := range best {
				if !(b >= 0 && b <= 1+1e-9) {
					t.Errorf("ProbBest(%v) = %v", arms, best)
				}
			}
		}
		answered(t, stats.IndependentIncrements([]float64{p1, p2}, [][]float64{{w1, q}, {q, w2}}))
	})
}

func FuzzPlans(f *testing.F) {
	seeds(f, 6, 0.3, 0.7, 1, 0.025, -4, 2.1)
	f.Fuzz(func(t *testing.T, t1, t2, t3, alpha, param, z float64) {
		for family := range stats.PowerSpending + 2 {
			p := stats.Plan{
				Spending: stats.Spending{Family: family, Param: param}, Alpha: alpha, TwoSided: family%2 == 0,
				Times: []float64{t1, t2, t3},
			}
			answered(t, p.Boundaries())
			if spent := p.Spending.Spent(alpha, t1); alpha > 0 && alpha < 1 && t1 >= 0 && spent > alpha*(1+1e-12) {
				t.Errorf("family %d, parameter %v: spent %v of %v at %v", family, param, spent, alpha, t1)
			}
			p.RepeatedP(2, z)
			answered(t, stats.CrossingProbabilities(p.Times, []float64{z, z, z}, nil, param))
		}
		p := stats.Plan{Alpha: alpha, Times: []float64{t1, t2, t3}}
		answered(t, p.Inflation(0.8))
		answered(t, p.NonBindingFutility(stats.Spending{Family: stats.HwangShihDeCani, Param: param}, 0.2))
		s := p.Stagewise(p.Times, 2, z, 0.95)
		answered(t, s)
		includes(t, s.CI, s.MedianUnbiased)
	})
}

func FuzzPower(f *testing.F) {
	seeds(f, 7, 1000, 900, 5, 5.5, 0.5, 0.05, 0.8)
	f.Fuzz(func(t *testing.T, n1, n2, sd1, sd2, delta, alpha, power float64) {
		d := stats.Design{N1: n1, N2: n2, SD1: sd1, SD2: sd2}
		for _, side := range []stats.Alternative{stats.TwoSided, stats.Greater, stats.Less, 5} {
			answered(t, stats.MeanPower(d, delta, alpha, side))
		}
		answered(t, stats.LiftPower(d, sd1, delta, alpha))
		if e, w := stats.MinimalEffect(d, alpha, power); w == stats.NoWarning && math.IsNaN(e) {
			t.Error("minimal effect is NaN")
		}
		answered(t, stats.MeanSampleSize(delta, sd1, sd2, alpha, power, n1))
		answered(t, stats.MarginSampleSize(delta, sd1, sd1, sd2, alpha, power, n1))
		answered(t, stats.StudentPower(n1, n2, delta, sd1, alpha))
		stats.WangTsiatis(int(count(min(n1, 8))), alpha, power)
	})
}
