package engine

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine/assign"
)

// Status is the state of an experiment; see the package comment for the transitions.
type Status string

// The states of an experiment.
const (
	StatusDraft     Status = "draft"
	StatusRunning   Status = "running"
	StatusPaused    Status = "paused"
	StatusConcluded Status = "concluded"
)

// Outcome is how a concluded experiment ended.
type Outcome string

// The outcomes of a concluded experiment.
const (
	OutcomePromoted     Outcome = "promoted"
	OutcomeKeptControl  Outcome = "kept_control"
	OutcomeInconclusive Outcome = "inconclusive"
	OutcomeStopped      Outcome = "stopped"
	OutcomeRolledBack   Outcome = "rolled_back"
)

// Assignment says who gives out the variants.
type Assignment string

// The two ways of assignment.
const (
	AssignedByEngine  Assignment = "engine"
	AssignedElsewhere Assignment = "external"
)

// Method is the statistical plan of a test.
type Method string

// The methods of a plan.
const (
	MethodGroupSequential Method = "group_sequential"
	MethodAnytime         Method = "anytime"
	MethodFixed           Method = "fixed"
)

// Mode says who acts on a verdict.
type Mode string

// The modes of a policy.
const (
	ModeAuto    Mode = "auto"
	ModeApprove Mode = "approve"
	ModeManual  Mode = "manual"
)

// Timeout is what is concluded when a plan ends without a verdict.
type Timeout string

// The two ways to end without a verdict.
const (
	TimeoutKeepControl  Timeout = "keep_control"
	TimeoutInconclusive Timeout = "inconclusive"
)

// A Spec is what a marketer writes down about a test. The tags name its stored form.
type Spec struct {
	Key         ExperimentKey   `json:"key"`
	Name        string          `json:"name"`
	Hypothesis  string          `json:"hypothesis"`
	Objective   Objective       `json:"objective"`
	Touchpoints []TouchpointKey `json:"touchpoints"`
	Audience    string          `json:"audience"`
	Layer       LayerKey        `json:"layer"`
	Traffic     decimal.Decimal `json:"traffic"`
	Assignment  Assignment      `json:"assignment"`
	Variants    []Variant       `json:"variants"`
	Metrics     Metrics         `json:"metrics"`
	Plan        Plan            `json:"plan"`
	Policy      Policy          `json:"policy"`
}

// A Variant is one arm. A touchpoint without content of its own serves the touchpoint's.
type Variant struct {
	Key     VariantKey                        `json:"key"`
	Control bool                              `json:"control"`
	Weight  int                               `json:"weight"`
	Content map[TouchpointKey]json.RawMessage `json:"content,omitempty"`
}

// Metrics are the metrics of an experiment by role. Only primaries decide.
type Metrics struct {
	Primary     []MetricKey `json:"primary"`
	Secondary   []MetricKey `json:"secondary,omitempty"`
	Diagnostics []MetricKey `json:"diagnostics,omitempty"`
	Guardrails  []Guardrail `json:"guardrails,omitempty"`
}

// A Guardrail must not be worse than control by more than Margin, a share of control's mean.
type Guardrail struct {
	Metric MetricKey `json:"metric"`
	Margin float64   `json:"margin"`
}

// A Plan says how the test is judged. It is frozen at start.
type Plan struct {
	Method           Method  `json:"method"`
	Alpha            float64 `json:"alpha"`
	Power            float64 `json:"power"`
	MinEffect        float64 `json:"min_effect"`
	PromoteAbove     float64 `json:"promote_above"`
	Covariate        bool    `json:"covariate"`
	PlannedCustomers int     `json:"planned_customers"` // per arm; 0 until the planner or a person sets it
}

// A Policy says what may be done, by whom and when.
type Policy struct {
	Mode         Mode      `json:"mode"`
	MinDays      int       `json:"min_days"`
	MaxDays      int       `json:"max_days"` // 0: no end
	MinCustomers int       `json:"min_customers"`
	Ramp         []float64 `json:"ramp"`
	RampHours    int       `json:"ramp_hours"`
	Holdback     float64   `json:"holdback"`
	HoldbackDays int       `json:"holdback_days"`
	OnTimeout    Timeout   `json:"on_timeout"`
}

// DefaultPlan is the plan of an experiment that names none.
func DefaultPlan() Plan {
	return Plan{Method: MethodGroupSequential, Alpha: 0.05, Power: 0.8}
}

// DefaultPolicy is the policy of an experiment that names none: the engine acts, after
// two weeks, on arms of at least a hundred matured customers.
func DefaultPolicy() Policy {
	return Policy{
		Mode: ModeAuto, MinDays: 14, MinCustomers: 100, Ramp: []float64{1}, RampHours: 24,
		HoldbackDays: 90, OnTimeout: TimeoutKeepControl,
	}
}

// An Experiment is a Spec and what has become of it.
type Experiment struct {
	Spec
	Status      Status
	Outcome     Outcome
	Winner      VariantKey
	Version     int // grows with every change; the ETag
	Salt        string
	Slots       assign.Slots
	Frozen      []Metric     // the metrics as they were at start
	Stopped     []VariantKey // arms stopped for harm: they serve control's content
	CreatedAt   time.Time
	UpdatedAt   time.Time
	StartedAt   *time.Time
	ConcludedAt *time.Time
}

// Control is the control arm.
func (s *Spec) Control() Variant {
	i := slices.IndexFunc(s.Variants, func(v Variant) bool { return v.Control })
	return s.Variants[max(i, 0)]
}

// Variant finds an arm by its key.
func (s *Spec) Variant(key VariantKey) (Variant, bool) {
	i := slices.IndexFunc(s.Variants, func(v Variant) bool { return v.Key == key })
	if i < 0 {
		return Variant{}, false
	}
	return s.Variants[i], true
}

// Weights are the weights of the arms in stored order.
func (s *Spec) Weights() []int {
	weights := make([]int, len(s.Variants))
	for i, v := range s.Variants {
		weights[i] = v.Weight
	}
	return weights
}

// SlotCount is the number of slots that the traffic asks for: traffic × 10,000, half up.
func (s *Spec) SlotCount() int {
	return int(s.Traffic.Mul(decimal.NewFromInt(assign.SlotCount)).Round(0).IntPart())
}

// horizon is how many days after enrolment a customer has matured for every primary.
func (x *Experiment) horizon() (days int) { return longest(x.Frozen[:len(x.Metrics.Primary)]) }

// longest is the last day of the longest window.
func longest(metrics []Metric) (days int) {
	for i := range metrics {
		days = max(days, metrics[i].Window.ToDay)
	}
	return days
}

// Live reports whether the experiment is running or paused.
func (x *Experiment) Live() bool { return x.Status == StatusRunning || x.Status == StatusPaused }

// Active are the treatments that have not been stopped for harm.
func (x *Experiment) Active() []Variant {
	var active []Variant
	for _, v := range x.Variants {
		if !v.Control && !slices.Contains(x.Stopped, v.Key) {
			active = append(active, v)
		}
	}
	return active
}

// all lists every metric of the experiment with its role, primaries first.
func (m *Metrics) all() []roleMetric {
	var all []roleMetric
	for i, key := range m.Primary {
		all = append(all, roleMetric{key: key, role: RolePrimary, index: i})
	}
	for i, key := range m.Secondary {
		all = append(all, roleMetric{key: key, role: RoleSecondary, index: i})
	}
	for i, g := range m.Guardrails {
		all = append(all, roleMetric{key: g.Metric, role: RoleGuardrail, index: i, margin: g.Margin})
	}
	for i, key := range m.Diagnostics {
		all = append(all, roleMetric{key: key, role: RoleDiagnostic, index: i})
	}
	return all
}

// Keys are the keys of all metrics of the experiment, primaries first.
func (m *Metrics) Keys() []MetricKey {
	var keys []MetricKey
	for _, r := range m.all() {
		keys = append(keys, r.key)
	}
	return keys
}

// Role is what a metric is for in an experiment.
type Role string

// The roles of a metric in an experiment.
const (
	RolePrimary    Role = "primary"
	RoleSecondary  Role = "secondary"
	RoleGuardrail  Role = "guardrail"
	RoleDiagnostic Role = "diagnostic"
)

type roleMetric struct {
	key    MetricKey
	role   Role
	index  int     // within its role
	margin float64 // of a guardrail
}
