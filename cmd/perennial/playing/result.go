package playing

import (
	"math"
	"slices"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/stats"
)

// A Result is what was found out by playing tests. A figure that nothing was played for is nil,
// as the power is where no arm is better. Intervals have a level of 95 %.
type Result struct {
	Scenario         Scenario      `json:"scenario"`
	Tests            int           `json:"tests"`
	Looks            int           `json:"looks"`
	Method           engine.Method `json:"method"`
	Seed             uint64        `json:"seed"`
	Alpha            float64       `json:"alpha"`
	Weights          []int         `json:"weights"`
	Primaries        int           `json:"primaries"`
	HorizonDays      int           `json:"horizon_days"`
	PlannedCustomers int           `json:"planned_customers"` // per arm
	Effect           *float64      `json:"effect"`            // of the scenarios that have one
	ToDate           bool          `json:"to_date"`

	Promoted     int `json:"promoted"`
	StoppedHarm  int `json:"stopped_harm"` // with at least one arm stopped
	KeptControl  int `json:"kept_control"`
	Undecided    int `json:"undecided"`
	Unhealthy    int `json:"unhealthy"` // of the undecided, those that wait for healthy data
	RatioAlarmed int `json:"ratio_alarms"`

	// FalsePromotions are promotions of an arm that is no better than control, among the tests
	// with such a treatment; Interval is that of their rate.
	FalsePromotions    *int        `json:"false_promotions"`
	FalsePromotionRate *float64    `json:"false_promotion_rate"`
	Interval           *[2]float64 `json:"interval"`
	// ErrorRate adds the arms that were stopped for harm and do none.
	ErrorRate         *float64    `json:"error_rate"`
	ErrorRateInterval *[2]float64 `json:"error_rate_interval"`

	// Power is the share of tests with a better arm that promoted it.
	Power         *float64    `json:"power"`
	PowerInterval *[2]float64 `json:"power_interval"`
	// MeanSample is the mean share of the planned customers that had matured when such a test
	// was decided.
	MeanSample         *float64    `json:"mean_sample"`
	MeanSampleInterval *[2]float64 `json:"mean_sample_interval"`

	// HarmStopped is the share of tests with a harmful arm in which that was over before the
	// plan's end, stopped for harm or because it could not win any more; HarmStoppedEarly
	// before half of the planned information; HarmAvoided is the mean share of its customers
	// who never met it.
	HarmStopped         *float64    `json:"harm_stopped"`
	HarmStoppedInterval *[2]float64 `json:"harm_stopped_interval"`
	HarmStoppedEarly    *float64    `json:"harm_stopped_early"`
	HarmEarlyInterval   *[2]float64 `json:"harm_stopped_early_interval"`
	HarmAvoided         *float64    `json:"harm_avoided"`
	HarmAvoidedInterval *[2]float64 `json:"harm_avoided_interval"`

	// MedianDays is of the tests that were decided, also for control.
	MedianDays         *float64    `json:"median_days_to_decision"`
	MedianDaysInterval *[2]float64 `json:"median_days_interval"`
	// Coverage is the share of decided tests whose interval of the first treatment's value
	// held the truth.
	Coverage         *float64    `json:"coverage"`
	CoverageInterval *[2]float64 `json:"coverage_interval"`
}

const level = 0.95

func (p *player) result(outcomes []outcome) *Result {
	r := &Result{
		Scenario: p.Scenario, Tests: p.Tests, Looks: p.Looks, Method: p.Method, Seed: p.Seed, Alpha: p.Alpha,
		Weights: p.Weights, Primaries: p.Primaries, HorizonDays: p.Horizon, PlannedCustomers: p.Customers, ToDate: p.ToDate,
	}
	if p.Scenario.effective() {
		r.Effect = &p.Effect
	}
	r.count(outcomes)
	some := func(keep func(*outcome) bool) (kept []outcome) {
		for i := range outcomes {
			if keep(&outcomes[i]) {
				kept = append(kept, outcomes[i])
			}
		}
		return kept
	}
	nulls := some(func(o *outcome) bool { return len(p.Weights) > 2 || o.truth.lift <= 0 })
	if len(nulls) > 0 {
		n := count(nulls, (*outcome).falselyPromoted)
		r.FalsePromotions = &n
	}
	r.FalsePromotionRate, r.Interval = rate(nulls, (*outcome).falselyPromoted)
	r.ErrorRate, r.ErrorRateInterval = rate(nulls, func(o *outcome) bool { return o.falselyPromoted() || o.falselyStopped() })

	better := some(func(o *outcome) bool { return o.truth.lift > 0 })
	r.Power, r.PowerInterval = rate(better, func(o *outcome) bool { return o.winner == 1 })
	r.MeanSample, r.MeanSampleInterval = mean(better, func(o *outcome) float64 {
		if o.ended == "" {
			return 1
		}
		return min(1, o.information)
	})

	worse := some(func(o *outcome) bool { return o.truth.lift < 0 })
	r.HarmStopped, r.HarmStoppedInterval = rate(worse, func(o *outcome) bool { return o.spared >= 0 && o.overAt < 1 })
	r.HarmStoppedEarly, r.HarmEarlyInterval = rate(worse, func(o *outcome) bool { return o.spared >= 0 && o.overAt < 0.5 })
	r.HarmAvoided, r.HarmAvoidedInterval = mean(worse, func(o *outcome) float64 { return max(0, o.spared) })

	decided := some(func(o *outcome) bool { return o.ended != "" })
	r.MedianDays, r.MedianDaysInterval = medianDays(decided)
	measured := some(func(o *outcome) bool { return o.covered != nil })
	r.Coverage, r.CoverageInterval = rate(measured, func(o *outcome) bool { return *o.covered })
	return r
}

// count counts the ways in which tests ended.
func (r *Result) count(outcomes []outcome) {
	for i := range outcomes {
		o := &outcomes[i]
		switch o.ended {
		case engine.OutcomePromoted:
			r.Promoted++
		case engine.OutcomeKeptControl:
			r.KeptControl++
		case engine.OutcomeStopped, engine.OutcomeInconclusive, engine.OutcomeRolledBack:
		default:
			r.Undecided++
			if o.unhealthy {
				r.Unhealthy++
			}
		}
		if len(o.stopped) > 0 {
			r.StoppedHarm++
		}
		if o.alarmed {
			r.RatioAlarmed++
		}
	}
}

func count(outcomes []outcome, holds func(*outcome) bool) (n int) {
	for i := range outcomes {
		if holds(&outcomes[i]) {
			n++
		}
	}
	return n
}

// rate is the share of outcomes with its exact interval (Clopper-Pearson).
func rate(outcomes []outcome, holds func(*outcome) bool) (share *float64, interval *[2]float64) {
	if len(outcomes) == 0 {
		return nil, nil
	}
	r := stats.ClopperPearson(stats.Count{Successes: int64(count(outcomes, holds)), N: int64(len(outcomes))}, level)
	return &r.Estimate, &[2]float64{r.CI.Lower, r.CI.Upper}
}

// mean is the mean over outcomes with its normal interval, which two or more have.
func mean(outcomes []outcome, value func(*outcome) float64) (average *float64, interval *[2]float64) {
	if len(outcomes) == 0 {
		return nil, nil
	}
	n := float64(len(outcomes))
	var total, squares float64
	for i := range outcomes {
		total += value(&outcomes[i])
	}
	m := total / n
	if len(outcomes) == 1 {
		return &m, nil
	}
	for i := range outcomes {
		d := value(&outcomes[i]) - m
		squares += d * d
	}
	half := stats.NormalISF((1-level)/2) * math.Sqrt(squares/(n-1)/n)
	return &m, &[2]float64{m - half, m + half}
}

// medianDays is the median day of decision with the interval between the order statistics of
// ranks n/2 ∓ 1.96·√n/2.
func medianDays(outcomes []outcome) (median *float64, interval *[2]float64) {
	n := len(outcomes)
	if n == 0 {
		return nil, nil
	}
	days := make([]float64, n)
	for i := range outcomes {
		days[i] = outcomes[i].day
	}
	slices.Sort(days)
	middle := (days[(n-1)/2] + days[n/2]) / 2
	half := stats.NormalISF((1-level)/2) * math.Sqrt(float64(n)) / 2
	low := max(0, int(math.Floor(float64(n)/2-half))-1)
	high := min(n-1, int(math.Ceil(float64(n)/2+half)))
	return &middle, &[2]float64{days[low], days[high]}
}
