package engine

import (
	"slices"
	"strconv"

	"github.com/shopspring/decimal"
)

// MetricKind says how a customer's value is made from their events.
type MetricKind string

// The kinds of metric of the contract.
const (
	KindLTV        MetricKind = "ltv"        // sum of event values
	KindRetention  MetricKind = "retention"  // 1 if any event happened
	KindSurvival   MetricKind = "survival"   // days until churn
	KindRepeat     MetricKind = "repeat"     // 1 if at least min_count events happened
	KindRevenue    MetricKind = "revenue"    // sum of event values
	KindCount      MetricKind = "count"      // number of events
	KindConversion MetricKind = "conversion" // 1 if any event happened
	KindRatio      MetricKind = "ratio"      // quotient of two sums
	KindClick      MetricKind = "click"      // 1 if any short-lived signal happened
)

// MetricKinds are all kinds, in the contract's order.
var MetricKinds = []MetricKind{
	KindLTV, KindRetention, KindSurvival, KindRepeat, KindRevenue, KindCount, KindConversion, KindRatio, KindClick,
}

// MayDecide reports whether a metric of this kind may be the primary of an experiment.
func (k MetricKind) MayDecide() bool {
	return slices.Contains([]MetricKind{KindLTV, KindRetention, KindSurvival, KindRepeat}, k)
}

// MayGuard reports whether a metric of this kind may be a guardrail or secondary.
func (k MetricKind) MayGuard() bool { return k != KindClick }

// IsMoney reports whether the metric is an amount of money.
func (k MetricKind) IsMoney() bool { return k == KindLTV || k == KindRevenue }

// IsBinary reports whether a customer's value is 0 or 1.
func (k MetricKind) IsBinary() bool {
	return slices.Contains([]MetricKind{KindRetention, KindRepeat, KindConversion, KindClick}, k)
}

// Direction is the way in which a metric should move.
type Direction string

// The two directions.
const (
	Increase Direction = "increase"
	Decrease Direction = "decrease"
)

// A Window is the part of a customer's time after enrolment that a metric looks at:
// from_day <= days since enrolment < to_day, in days of 86,400 seconds.
type Window struct {
	FromDay int `json:"from_day"`
	ToDay   int `json:"to_day"`
}

// A Metric is a definition of one value per customer. The tags name its stored form:
// an experiment keeps a copy of its metrics from the moment it starts.
type Metric struct {
	Key            MetricKey        `json:"key"`
	Name           string           `json:"name"`
	Kind           MetricKind       `json:"kind"`
	Events         []string         `json:"events,omitempty"`
	Denominator    []string         `json:"denominator,omitempty"`
	Window         *Window          `json:"window,omitempty"`
	Direction      Direction        `json:"direction"`
	MarginRate     *decimal.Decimal `json:"margin_rate,omitempty"`
	MinCount       int              `json:"min_count,omitempty"`
	ChurnEvent     string           `json:"churn_event,omitempty"`
	InactivityDays int              `json:"inactivity_days,omitempty"`
	CapQuantile    *float64         `json:"cap_quantile,omitempty"`
	CapValue       *decimal.Decimal `json:"cap_value,omitempty"`
}

const (
	maxDay       = 3650
	maxEventType = 100
	maxEvents    = 50
)

// Validate checks a metric by itself and fills in what may be left out.
func (m *Metric) Validate() error {
	var v violations
	if !validKey(string(m.Key)) {
		v.add("/key", keyRule)
	}
	if m.Name == "" {
		m.Name = string(m.Key)
	} else if !validText(m.Name, maxName) {
		v.add("/name", textRule, maxName)
	}
	if !slices.Contains(MetricKinds, m.Kind) {
		v.add("/kind", "%s", oneOf(MetricKinds))
	}
	if m.Direction == "" {
		m.Direction = Increase
	}
	if m.Direction != Increase && m.Direction != Decrease {
		v.add("/direction", "must be increase or decrease")
	}
	checkEventTypes(&v, "/events", m.Events, m.Kind != KindSurvival)
	checkEventTypes(&v, "/denominator", m.Denominator, m.Kind == KindRatio)
	m.checkWindow(&v)
	m.checkKind(&v)
	return v.err("metric")
}

func checkEventTypes(v *violations, pointer string, types []string, required bool) {
	if required && len(types) == 0 {
		v.add(pointer, "must name at least one event type")
	}
	if len(types) > maxEvents {
		v.add(pointer, "must name at most %d event types", maxEvents)
		return
	}
	for i, t := range types {
		at := pointer + "/" + strconv.Itoa(i)
		if !validText(t, maxEventType) {
			v.add(at, textRule, maxEventType)
		}
		if slices.Contains(types[:i], t) {
			v.add(at, "%q stands twice", t)
		}
	}
}

func (m *Metric) checkWindow(v *violations) {
	switch w := m.Window; {
	case w == nil:
		v.add("/window", "must be given: {\"from_day\": 0, \"to_day\": 90}")
	case w.FromDay < 0 || w.FromDay > maxDay:
		v.add("/window/from_day", "must be 0 to %d", maxDay)
	case w.ToDay <= w.FromDay || w.ToDay > maxDay:
		v.add("/window/to_day", "must be above from_day and at most %d", maxDay)
	}
}

func (m *Metric) checkKind(v *violations) {
	if m.MarginRate != nil && (!m.Kind.IsMoney() || m.MarginRate.IsNegative() || m.MarginRate.GreaterThan(decimal.NewFromInt(1))) {
		v.add("/margin_rate", "is a share of 0 to 1, for metrics of kind ltv and revenue")
	}
	switch {
	case m.Kind == KindRepeat && (m.MinCount < 1 || m.MinCount > 1000):
		v.add("/min_count", "must be 1 to 1000 for kind repeat")
	case m.Kind != KindRepeat && m.MinCount != 0:
		v.add("/min_count", "is for kind repeat only")
	}
	if m.Kind != KindRatio && len(m.Denominator) > 0 {
		v.add("/denominator", "is for kind ratio only")
	}
	survival := m.Kind == KindSurvival
	if survival && (m.ChurnEvent == "") == (m.InactivityDays == 0) {
		v.add("/churn_event", "kind survival needs either churn_event or inactivity_days")
	}
	if !survival && m.ChurnEvent != "" {
		v.add("/churn_event", "is for kind survival only")
	}
	if !survival && m.InactivityDays != 0 {
		v.add("/inactivity_days", "is for kind survival only")
	}
	if !validOptionalText(m.ChurnEvent, maxEventType) {
		v.add("/churn_event", textRule, maxEventType)
	}
	if m.InactivityDays < 0 || m.InactivityDays > maxDay {
		v.add("/inactivity_days", "must be 1 to %d", maxDay)
	}
	if survival && m.Window != nil && m.Window.FromDay != 0 {
		v.add("/window/from_day", "must be 0 for kind survival: days are counted from enrolment")
	}
	if q := m.CapQuantile; q != nil && (*q <= 0.5 || *q >= 1) {
		v.add("/cap_quantile", "must lie between 0.5 and 1, such as 0.999")
	}
	if c := m.CapValue; c != nil && !c.IsPositive() {
		v.add("/cap_value", "must be above 0")
	}
	capped := m.Kind.IsMoney() || m.Kind == KindCount
	if !capped && m.CapQuantile != nil {
		v.add("/cap_quantile", "is for kinds ltv, revenue and count only")
	}
	if !capped && m.CapValue != nil {
		v.add("/cap_value", "is for kinds ltv, revenue and count only")
	}
}
