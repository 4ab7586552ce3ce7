// Package stats is pure inference: numbers in, numbers out.
//
// It turns sufficient statistics into estimates, intervals and p-values. It
// reads no clock, writes no log and knows neither experiments nor databases;
// its only dependencies are the standard library and gonum.
//
// # Notation
//
// Arm 1 is the control and arm 2 the treatment. A difference is always
// treatment minus control, a lift is that difference over the absolute value
// of the control mean. n counts customers, s² is the sample variance with
// denominator n-1, and v = s²/n is the variance of a mean. A level such as
// 0.95 is the coverage of an interval; alpha = 1 - level is the error it
// spends. p-values are two-sided unless an [Alternative] says otherwise.
//
// # Sufficient statistics
//
// Means are compared from [Moments] (count, mean, centred sum of squares),
// never from rows. Moments of disjoint groups add up exactly, so a database
// may sum per day and per arm. Centred sums are used throughout: the textbook
// E[x²] - E[x]² loses every digit when the mean is large against the spread.
//
// # Failures are values
//
// No function panics and none answers a question it cannot answer. A result
// carries a [Warning]; the zero Warning, [NoWarning], says that its numbers are
// answers, save those whose comment says when they are missing. Any other
// warning names the reason why numbers are missing. A missing number is NaN,
// which fails every comparison: a caller who forgets the warning can read
// neither "no effect" nor "significant". Infinite limits are answers: that side
// is not bounded.
//
// Two results know nothing rather than not answer, and warn as well: a
// confidence sequence without information has p = 1 and (-Inf, +Inf), a
// posterior without variance a chance to win of one half.
//
// # Tails
//
// p-values are upper tails computed as such, never as 1-CDF, and every test
// carries the natural logarithm of its p-value, which keeps its digits where
// the p-value itself underflows.
//
// # Where to find what
//
//   - sufficient statistics and results: [Moments], [PairMoments], [Comparison], [Interval], [Warning]
//   - means: [Welch], [Pooled], [MeanZ], [MeanErrors]; of anything else [CompareEstimates]
//   - proportions: [ProportionZ], [ProportionZPooled], [Newcombe], [Wilson], [FisherExact] and others
//   - ratios of sums: [Ratio], [RatioCuped]
//   - a covariate: [Cuped], [CupedSlope], [LinAdjusted]
//   - caps: [PooledCaps]
//   - relative effects: [ShowLift], [LiftDelta], [LiftLog], [Fieller]
//   - strata and clusters: [PostStratified], [MantelHaenszel], [Clustered]
//   - sample ratio: [SampleRatioSequential], [SampleRatioChi2]
//   - open-ended looks: [ConfidenceSequence], [OneSidedSequence], [Rho2], [Look]
//   - planned looks: [Plan], [CrossingProbabilities], [IndependentIncrements]
//   - guardrails: [NonInferiorAbsolute], [NonInferiorRelative], [NonInferiorSequence]
//   - several comparisons: [Adjust], [WeightedHolm], [EBH], [DunnettCritical]
//   - planning: [MeanPower], [MinimalEffect], [MeanSampleSize] and others
//   - past tests: [CombineRandom], [ShrinkToZero], [SurrogateIndex]
//   - for showing: [NormalPosterior], [BetaBinomial]; for allocating: [ProbBest], [TopTwo]
//   - distributions with correct far tails: [NormalSF], [StudentSF], [ChiSquareSF] and others
//   - in subpackages: how long customers stay (survival), what they spent over a
//     window (ltv), what they will still spend (clv)
//
// The pages under docs/methods say for each method which question it answers,
// its formula and source, and when it lies.
package stats
