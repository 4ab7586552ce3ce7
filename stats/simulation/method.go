package simulation

import (
	"math"
	"slices"
	"sync"

	"github.com/perennial-engine/perennial/stats"
)

// alpha is the two-sided error of every method.
const alpha = 0.05

// Method decides by intervals: it stops at the first look whose interval
// excludes zero.
type Method struct {
	Name string
	// DecisionError uses the larger of Welch's and the pooled error instead of
	// Welch's.
	DecisionError bool
	// BurnIn is what must have been seen before the first decision.
	BurnIn BurnIn
	// start reads the plan off a path and returns the interval of each look.
	start func(path []Look) intervals
	// report, when set, replaces the interval shown at the stop.
	report func(path []Look, k int, e stats.Estimate) stats.Interval
}

// intervals gives the interval of look k (from 0) around an estimate.
type intervals func(k int, e stats.Estimate) stats.Interval

// BurnIn is the time before the first decision: so many looks passed over, and so
// many payers in the arm that has fewer.
type BurnIn struct {
	Looks  int
	Payers int64
}

// Guarded returns the method with the decision error and a burn-in.
func (m Method) Guarded(b BurnIn) Method {
	m.DecisionError, m.BurnIn = true, b
	return m
}

// After returns the method with a burn-in only.
func (m Method) After(b BurnIn) Method {
	m.BurnIn = b
	return m
}

// Named returns the method under another name.
func (m Method) Named(name string) Method {
	m.Name = name
	return m
}

// Naive takes a plain 95 % interval at every look. It exists to show what that
// does.
func Naive() Method {
	return bounded("naive z", func(path []Look) []float64 {
		return constant(len(path), stats.NormalISF(alpha/2))
	})
}

// BonferroniLooks splits the error evenly over the looks.
func BonferroniLooks() Method {
	return bounded("Bonferroni/looks", func(path []Look) []float64 {
		return constant(len(path), stats.NormalISF(alpha/2/float64(len(path))))
	})
}

// FinalLook looks once, at the end.
func FinalLook() Method {
	return bounded("final look", func(path []Look) []float64 {
		upper := constant(len(path), math.Inf(1))
		upper[len(path)-1] = stats.NormalISF(alpha / 2)
		return upper
	})
}

// GroupSequential follows a plan whose looks are at the shares of the path.
// Its interval is the repeated one, diff ± boundary · se. It ends at share 1.
func GroupSequential(name string, s stats.Spending) Method {
	return bounded(name, planned(s, alpha/2))
}

// GroupSequentialOverrun carries on after the planned end with the last boundary,
// which is wrong, on paths that are twice as long as planned.
func GroupSequentialOverrun(name string, s stats.Spending) Method {
	within := planned(s, alpha/2)
	return bounded(name, func(path []Look) []float64 {
		half := slices.Clone(path[:len(path)/2])
		for i := range half {
			half[i].Share = float64(i+1) / float64(len(half))
		}
		upper := slices.Clone(within(half))
		return append(upper, constant(len(path)-len(half), upper[len(upper)-1])...)
	})
}

// Stagewise is [GroupSequential] reporting the stage-wise interval at the stop.
func Stagewise(name string, s stats.Spending) Method {
	m := GroupSequential(name, s)
	m.report = func(path []Look, k int, e stats.Estimate) stats.Interval {
		information := make([]float64, len(path))
		for j := range path {
			information[j] = path[j].Share / path[k].Share / (e.SE * e.SE)
		}
		// The ordering has one side: a stop below is a stop above, mirrored.
		z, sign := e.Value/e.SE, 1.0
		if z < 0 && k+1 < len(path) {
			z, sign = -z, -1
		}
		plan := stats.Plan{Spending: s, Alpha: alpha / 2}
		ci := plan.Stagewise(information, k+1, z, 1-alpha).CI
		if sign < 0 {
			ci.Lower, ci.Upper = -ci.Upper, -ci.Lower
		}
		return ci
	}
	return m
}

// Sequence is the confidence sequence tuned at a share of the customers the
// path ends with.
func Sequence(name string, share float64) Method {
	return sequence(name, func(path []Look, k int, _ float64) float64 {
		end := float64(path[len(path)-1].N)
		return float64(path[k].N) * stats.Rho2(alpha, share*end)
	})
}

// SequenceAt is the confidence sequence tuned at a number of customers.
func SequenceAt(name string, nOpt float64) Method {
	return sequence(name, func(path []Look, k int, _ float64) float64 {
		return float64(path[k].N) * stats.Rho2(alpha, nOpt)
	})
}

// SequenceByInformation is the confidence sequence on the information clock,
// tuned at a planned variance of the difference.
func SequenceByInformation(name string, varOpt float64) Method {
	return sequence(name, func(_ []Look, _ int, se float64) float64 {
		return stats.InformationClock(alpha, varOpt, se)
	})
}

// MSPRT is the mixture sequential probability ratio test with a normal prior of
// deviation tau on the effect, as the sequence that it is: u = τ²/se².
func MSPRT(name string, tau float64) Method {
	return sequence(name, func(_ []Look, _ int, se float64) float64 {
		return tau * tau / (se * se)
	})
}

func sequence(name string, u func(path []Look, k int, se float64) float64) Method {
	return Method{Name: name, start: func(path []Look) intervals {
		return func(k int, e stats.Estimate) stats.Interval {
			return stats.ConfidenceSequence(e, u(path, k, e.SE), alpha, 0).CI
		}
	}}
}

// bounded decides by boundaries of z.
func bounded(name string, upper func(path []Look) []float64) Method {
	return Method{Name: name, start: func(path []Look) intervals {
		bounds := upper(path)
		return func(k int, e stats.Estimate) stats.Interval {
			half := bounds[k] * e.SE
			return stats.Interval{Lower: e.Value - half, Upper: e.Value + half}
		}
	}}
}

// planned returns the boundaries of a plan at the shares of a path. The last ones
// of each number of looks are kept: most scenarios have the same shares in every
// run, and methods that differ by their errors only share the plan.
func planned(s stats.Spending, side float64) func(path []Look) []float64 {
	type known struct{ times, upper []float64 }
	var last sync.Map
	return func(path []Look) []float64 {
		times := make([]float64, len(path))
		for k, l := range path {
			times[k] = l.Share
		}
		before, _ := last.Load(len(times))
		if k, ok := before.(known); ok && slices.Equal(k.times, times) {
			return k.upper
		}
		k := known{times, boundaries(s, side, times)}
		last.Store(len(times), k)
		return k.upper
	}
}

// boundaries are +Inf, which never stops, when the plan cannot be computed.
func boundaries(s stats.Spending, side float64, times []float64) []float64 {
	b := stats.Plan{Spending: s, Alpha: side, TwoSided: true, Times: times}.Boundaries()
	if b.Warning != stats.NoWarning {
		return constant(len(times), math.Inf(1))
	}
	return b.Upper
}

func constant(n int, x float64) []float64 { return slices.Repeat([]float64{x}, n) }
