package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/perennial-engine/perennial/stats"
)

// A PastTest is what a concluded test found on its primary metrics. All of its treatments
// count, the dull ones too: the effects of winners alone say how lucky winners are, not how
// much effects vary (docs/methods/past-tests.md).
type PastTest struct {
	Experiment ExperimentKey
	Objective  Objective
	Closing    bool      // by its closing report; else by the newest one when it was over
	At         time.Time // as of its closing report; else when it was concluded
	Effects    []PastEffect
}

// A PastEffect is the difference of a treatment from control as a share of control's absolute
// mean, so that tests on customers of different worth can be compared, with the standard error
// of a single look at it. The tags name its stored form.
type PastEffect struct {
	Metric   MetricKey  `json:"metric"`
	Measure  string     `json:"measure"` // digest of what was measured
	Variant  VariantKey `json:"variant"`
	Effect   float64    `json:"effect"`
	StdError float64    `json:"std_error"`
}

// A Shrunken effect is what remains of a difference after past tests of the same metric and
// objective (empirical Bayes): the share that is not luck.
type Shrunken struct {
	Difference *float64    `json:"difference"`
	Interval   [2]*float64 `json:"interval"` // credible, at 1 − alpha
	// Lift is the difference as a share of control's absolute mean.
	Lift         *float64    `json:"lift"`
	LiftInterval [2]*float64 `json:"lift_interval"`
	PastTests    int         `json:"past_tests"`
	// Spread is the standard deviation of the true effects of such tests, as shares.
	Spread *float64 `json:"spread"`
}

const (
	// leastPastTests: with fewer nothing is known of how much effects vary.
	leastPastTests = 5
	// enoughPastTests: with fewer it is known roughly.
	enoughPastTests = 20
)

const fewPastTests = "few_past_tests"

// past is what a report of the experiment says for the tests that follow. A test whose arms
// cannot be trusted to be alike says nothing.
func (x *Experiment) past(r *Report) []PastEffect {
	effects := []PastEffect{}
	if r == nil || !r.Health.passed("sample_ratio") || !r.Health.passed("assignment_hash") {
		return effects
	}
	for i := range x.Metrics.Primary {
		m := &r.Metrics[i]
		for j := range m.Comparisons {
			if e, _, ok := m.effect(&m.Comparisons[j], x.Control().Key); ok {
				effects = append(effects, PastEffect{
					Metric: m.Metric, Measure: x.Frozen[i].measure(), Variant: m.Comparisons[j].Variant,
					Effect: e.Value, StdError: e.SE,
				})
			}
		}
	}
	return effects
}

// measure is the digest of what the metric measures. A cap that is found anew for each test
// makes it no other metric.
func (m *Metric) measure() string {
	same := *m
	same.Name = ""
	if same.CapQuantile != nil {
		same.CapValue = nil
	}
	document, err := json.Marshal(same)
	if err != nil {
		return "" // a metric can be written: it has been stored
	}
	return digestOf(document)
}

// effect is a comparison as a share of control's absolute mean, the baseline. Its error is that
// of a single look, less what a covariate took out: an interval that holds at every look
// is wider than any number of standard errors. ok is false where one of them is unknown and
// where the baseline cannot be told from zero.
func (m *MetricReport) effect(c *Comparison, control VariantKey) (e stats.Estimate, baseline float64, ok bool) {
	i := slices.IndexFunc(m.Arms, func(a ArmReport) bool { return a.Variant == control })
	if i < 0 || m.Arms[i].Mean == nil || m.Arms[i].StdError == nil || c.Difference == nil || c.Fixed.StdError == nil {
		return e, 0, false
	}
	baseline = math.Abs(*m.Arms[i].Mean)
	se := *c.Fixed.StdError
	if c.CovariateGain != nil {
		se *= math.Sqrt(max(0, 1-*c.CovariateGain))
	}
	e = stats.Estimate{Value: *c.Difference / baseline, SE: se / baseline}
	known := baseline > stats.NormalISF(0.025)**m.Arms[i].StdError
	return e, baseline, known && e.SE > 0 && number(e.Value) != nil && number(e.SE) != nil
}

// A prior is how much the true effects of one kind of test vary around zero.
type prior struct {
	tests    int
	variance float64 // NaN while there are too few tests
}

// priorOf takes every treatment of the past tests of the metric as one effect. Those of one
// test share a control; their likelihoods are multiplied all the same, which leaves the
// variance right on average, and they count as one test.
func priorOf(past []PastTest, m *Metric) prior {
	p := prior{variance: math.NaN()}
	measure := m.measure()
	var effects, variances []float64
	for i := range past {
		before := len(effects)
		for _, e := range past[i].Effects {
			if e.Metric == m.Key && e.Measure == measure {
				effects, variances = append(effects, e.Effect), append(variances, e.StdError*e.StdError)
			}
		}
		if len(effects) > before {
			p.tests++
		}
	}
	if p.tests >= leastPastTests {
		p.variance = stats.ShrinkToZero(effects, variances).Tau2
	}
	return p
}

// shrink is what remains of an effect; nil without a prior. Where past tests differ by no more
// than noise nothing remains, and nothing can be said of how sure that is.
func (p prior) shrink(e stats.Estimate, baseline, level float64) *Shrunken {
	if math.IsNaN(p.variance) {
		return nil
	}
	s := &Shrunken{PastTests: p.tests, Spread: number(math.Sqrt(p.variance))}
	if p.variance == 0 {
		s.Difference, s.Lift = new(0.0), new(0.0)
		return s
	}
	q := stats.NormalPosterior(e, stats.Prior{Variance: p.variance}, level)
	if q.Warning != stats.NoWarning {
		return nil
	}
	s.Lift, s.LiftInterval = number(q.Mean), limits(q.CI)
	s.Difference = number(q.Mean * baseline)
	s.Interval = limits(stats.Interval{Lower: q.CI.Lower * baseline, Upper: q.CI.Upper * baseline})
	return s
}

// shrink adds to the comparisons of primaries what past tests leave of them, and says it in
// words of the one that is to be promoted. It informs: the verdict stands before.
func (c *caseFile) shrink(r *Report, past []PastTest) {
	var winner *assessment
	if r.Verdict.Action == ActionPromote || r.Verdict.Action == ActionNeedsApproval {
		winner, _ = c.winner()
	}
	if winner != nil && winner.treatment.variant != r.Verdict.Variant {
		winner = nil // a closing report: another was promoted
	}
	for i := range c.experiment.Metrics.Primary {
		m := &r.Metrics[i]
		p := priorOf(past, &c.experiment.Frozen[i])
		for j := range m.Comparisons {
			comparison := &m.Comparisons[j]
			if e, baseline, ok := m.effect(comparison, c.experiment.Control().Key); ok {
				comparison.Shrunken = p.shrink(e, baseline, 1-c.plan.Alpha)
			}
			promoted := winner != nil && winner.metric.Key == m.Metric && winner.treatment.variant == comparison.Variant
			if p.tests < enoughPastTests && (promoted || comparison.Shrunken != nil) {
				comparison.Warnings = append(comparison.Warnings, fewPastTests)
			}
			if s := comparison.Shrunken; s != nil && s.Interval[0] == nil {
				comparison.Warnings = append(comparison.Warnings, "no_spread")
			}
			if promoted {
				r.Verdict.Reasons = append(r.Verdict.Reasons, c.expected(&c.experiment.Frozen[i], comparison, p))
			}
		}
	}
}

// expected says what to expect of a winner.
func (c *caseFile) expected(m *Metric, comparison *Comparison, p prior) Reason {
	tests := fmt.Sprintf("past tests of %s", m.Key)
	if c.experiment.Objective != "" {
		tests += fmt.Sprintf(" for %s", c.experiment.Objective)
	}
	s := comparison.Shrunken
	switch {
	case p.tests < leastPastTests:
		return Reason{fewPastTests, fmt.Sprintf(
			"%s: winners are partly lucky, so expect less than was measured; how much less is told from %d %s on (%d so far)",
			m.Key, leastPastTests, tests, p.tests)}
	case s == nil:
		return Reason{"shrunken_effect", fmt.Sprintf(
			"%s: winners are partly lucky, so expect less than was measured; it cannot be compared with the %d %s",
			m.Key, p.tests, tests)}
	case s.Interval[0] == nil:
		return Reason{"shrunken_effect", fmt.Sprintf(
			"%s: winners are partly lucky, and the %d %s differ by no more than noise: what to expect of %s may be next to nothing",
			m.Key, p.tests, tests, comparison.Variant)}
	}
	scale, unit := c.unit(m)
	text := fmt.Sprintf("%s: winners are partly lucky; after %d %s expect %s%s a customer (%.4g %% interval %s to %s) of %s, %+.1f %%",
		m.Key, p.tests, tests, figure(scale**s.Difference), unit, 100*(1-c.plan.Alpha),
		figure(scale*valueOf(s.Interval[0])), figure(scale*valueOf(s.Interval[1])), comparison.Variant, 100*valueOf(s.Lift))
	if p.tests < enoughPastTests {
		text += fmt.Sprintf("; roughly, with fewer than %d such tests", enoughPastTests)
	}
	return Reason{"shrunken_effect", text}
}

// valueOf is the number, NaN for one that is not known.
func valueOf(x *float64) float64 { return *cmp.Or(x, new(math.NaN())) }
