package engine

import "time"

// A Report is one published analysis of an experiment. It is a document with a version:
// it is stored and answered as it is, and never changes. A number that could not be
// computed is nil, with a warning that says why.
type Report struct {
	Experiment  ExperimentKey        `json:"experiment"`
	Version     int                  `json:"version"`
	AsOf        time.Time            `json:"as_of"`
	ComputedAt  time.Time            `json:"computed_at"`
	DataCut     int64                `json:"data_cut"`
	Look        *int                 `json:"look"`        // nil: a report that could not decide
	Information float64              `json:"information"` // matured customers, as a share of the plan
	Final       bool                 `json:"final"`       // the plan has run its course
	Closing     bool                 `json:"closing"`     // the one that came when everybody enrolled had matured
	Method      Method               `json:"method"`
	Alpha       float64              `json:"alpha"`
	Customers   map[VariantKey]int64 `json:"customers"`       // enrolled
	Looks       []SpentLook          `json:"looks,omitempty"` // of a group-sequential plan
	Health      Health               `json:"health"`
	Metrics     []MetricReport       `json:"metrics"`
	Verdict     Verdict              `json:"verdict"`
	Warnings    []string             `json:"warnings"`
	// What follows informs; no verdict looks at it.
	Contaminated *Contamination  `json:"contaminated,omitempty"`
	SegmentBy    string          `json:"segment_by,omitempty"`
	Segments     []SegmentReport `json:"segments,omitempty"`
}

// A ReportQuery asks for a report: as of a time, now by default; from what had come in up to
// an earlier data cut, by default all; and divided by the channel of first contact or a stored
// attribute, by default not.
type ReportQuery struct {
	AsOf    *time.Time
	DataCut *int64
	Segment string
}

// Contamination is what customers do to a report who met several variants under different
// identifiers: how many they are, and the primary metrics without them.
type Contamination struct {
	Customers map[VariantKey]int64 `json:"customers"`
	Share     float64              `json:"share"`
	Without   []MetricReport       `json:"without"`
}

// A SegmentReport is a report's metrics among some of its customers. An empty name is of those
// for whom nothing is known. Nothing is corrected for the number of segments.
type SegmentReport struct {
	Segment   string               `json:"segment"`
	Customers map[VariantKey]int64 `json:"customers"`
	Metrics   []MetricReport       `json:"metrics"`
}

// Health says whether the data can be trusted. Nothing is decided on unhealthy data.
type Health struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

// A Check is one question put to the data.
type Check struct {
	Check     string   `json:"check"`
	OK        bool     `json:"ok"`
	PValue    *float64 `json:"p_value"`
	Threshold *float64 `json:"threshold"`
	Detail    string   `json:"detail"`
}

// A MetricReport is one metric over all arms.
type MetricReport struct {
	Metric      MetricKey    `json:"metric"`
	Name        string       `json:"name"`
	Role        Role         `json:"role"`
	Kind        MetricKind   `json:"kind"`
	Direction   Direction    `json:"direction"`
	Currency    Currency     `json:"currency,omitempty"`
	Margin      *float64     `json:"margin,omitempty"`    // of a guardrail
	CapValue    string       `json:"cap_value,omitempty"` // what a customer counts for at most
	Arms        []ArmReport  `json:"arms"`
	Comparisons []Comparison `json:"comparisons"`
}

// An ArmReport is one metric in one arm, over matured customers.
type ArmReport struct {
	Variant   VariantKey `json:"variant"`
	Customers int64      `json:"customers"`
	Mature    int64      `json:"mature"`
	Mean      *float64   `json:"mean"`
	StdError  *float64   `json:"std_error"`
	Total     string     `json:"total"`
	// UncappedMean is the mean without the metric's cap, if it has one.
	UncappedMean *float64 `json:"uncapped_mean,omitempty"`
}

// A Comparison is a treatment against control. Interval and PValue follow the plan's
// method; Fixed is the answer of a single look, for comparison only.
type Comparison struct {
	Variant        VariantKey  `json:"variant"`
	Difference     *float64    `json:"difference"`
	Interval       [2]*float64 `json:"interval"`
	Lift           *float64    `json:"lift"`
	LiftInterval   [2]*float64 `json:"lift_interval"`
	PValue         *float64    `json:"p_value"`
	AdjustedPValue *float64    `json:"adjusted_p_value"`
	Decisive       bool        `json:"decisive"`
	CovariateGain  *float64    `json:"covariate_gain"`
	NonInferior    *bool       `json:"non_inferior,omitempty"` // of a guardrail
	// Shrunken is what past tests leave of the difference, of a primary; nil with too few of them.
	Shrunken *Shrunken `json:"shrunken"`
	// Boundary is what the difference over its error has to reach in a group-sequential plan,
	// nil where the last look cannot stop.
	Boundary *float64  `json:"boundary,omitempty"`
	Fixed    FixedLook `json:"fixed"`
	Warnings []string  `json:"warnings"`
}

// FixedLook is Welch's test, or for values of 0 and 1 the unpooled z interval and error
// and the pooled z statistic and p-value.
type FixedLook struct {
	StdError  *float64    `json:"std_error"`
	Statistic *float64    `json:"statistic"`
	PValue    *float64    `json:"p_value"`
	Interval  [2]*float64 `json:"interval"`
}

// A Verdict is what the rules make of a report.
type Verdict struct {
	Action    DecisionAction `json:"action"`
	Variant   VariantKey     `json:"variant,omitempty"`
	Reasons   []Reason       `json:"reasons"`
	BlockedBy []string       `json:"blocked_by"`
	// ProjectedAt is when the plan will be full at the rate so far, of a test that goes on.
	ProjectedAt *time.Time `json:"projected_at,omitempty"`
}

// A Reason is a rule that applied, in words.
type Reason struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// DecisionAction is what a verdict asks for, or a person did.
type DecisionAction string

// The actions of verdicts and of people.
const (
	ActionContinue      DecisionAction = "continue"
	ActionPromote       DecisionAction = "promote"
	ActionKeepControl   DecisionAction = "keep_control"
	ActionStopHarm      DecisionAction = "stop_harm"
	ActionNeedsApproval DecisionAction = "needs_approval"
	ActionFixHealth     DecisionAction = "fix_health"
	ActionStop          DecisionAction = "stop"
	ActionRollback      DecisionAction = "rollback"
)

// A Decision is a verdict, or a person's word, that changes an experiment. It is written
// with its report in one transaction and carried out once.
type Decision struct {
	ID            string
	Experiment    ExperimentKey
	ReportVersion int // 0: no report, a person decided
	Action        DecisionAction
	Variant       VariantKey
	Mode          Mode
	Reasons       []Reason
	DecidedBy     string // "engine", or the name of a key
	ApprovedBy    string
	Note          string
	DecidedAt     time.Time
	AppliedAt     *time.Time
	SupersededAt  *time.Time
}
