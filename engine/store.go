package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine/audit"
)

// Store is what the engine needs of its database. Every write is one transaction; what a
// method answers without error is durable. Methods answer *Error of KindNotFound for
// what does not exist and of KindUnavailable when the database is away.
type Store interface {
	Catalogue
	Experiments
	Ledger
	Identities
	Rates
	Measures
	Reports
	Exports
	PastTests
	Keys
	Jobs
	AuditLog
	Webhooks
	// Ping answers nil when the database takes queries and has every migration.
	Ping(ctx context.Context) error
}

// A Page asks for at most Limit entries after the key After.
type Page struct {
	After string
	Limit int
}

// Catalogue keeps touchpoints, metrics and layers.
type Catalogue interface {
	// PutTouchpoint answers whether it was new. It keeps a promoted winner's mark only
	// while the content stays the same.
	PutTouchpoint(ctx context.Context, t *Touchpoint) (created bool, err error)
	Touchpoint(ctx context.Context, key TouchpointKey) (*Touchpoint, error)
	Touchpoints(ctx context.Context, p Page) ([]Touchpoint, error)
	// DeleteTouchpoint answers KindConflict while an experiment names it.
	DeleteTouchpoint(ctx context.Context, key TouchpointKey, now time.Time) error

	PutMetric(ctx context.Context, m *Metric, now time.Time) (created bool, err error)
	Metric(ctx context.Context, key MetricKey) (*Metric, error)
	Metrics(ctx context.Context, p Page) ([]Metric, error)
	// DeleteMetric answers KindConflict while a draft names it: started experiments keep a copy.
	DeleteMetric(ctx context.Context, key MetricKey, now time.Time) error

	// PutLayer makes a layer or leaves it as it is: its salt never changes.
	PutLayer(ctx context.Context, l *Layer, now time.Time) (created bool, err error)
	Layer(ctx context.Context, key LayerKey) (*Layer, error)
	Layers(ctx context.Context, p Page) ([]Layer, error)

	// PutHoldout makes a holdout with the touchpoints' contents as they are now, or leaves the
	// one that is there as it is.
	PutHoldout(ctx context.Context, h *Holdout) (created bool, err error)
	Holdout(ctx context.Context, key HoldoutKey) (*Holdout, error)
	Holdouts(ctx context.Context, p Page) ([]Holdout, error)
}

// Experiments keeps experiments and the configuration that assignment reads.
type Experiments interface {
	// CreateExperiment answers KindConflict when the key is taken.
	CreateExperiment(ctx context.Context, x *Experiment) error
	Experiment(ctx context.Context, key ExperimentKey) (*Experiment, error)
	Experiments(ctx context.Context, p Page) ([]Experiment, error)
	// ExperimentsNamed answers those that exist, in any order.
	ExperimentsNamed(ctx context.Context, keys []ExperimentKey) ([]Experiment, error)
	// ChangeExperiment makes one state change: it locks the configuration, loads what
	// the rules look at, calls change, and writes all that change altered, or nothing
	// when change answers an error.
	ChangeExperiment(ctx context.Context, key ExperimentKey, change func(c *Change) error) error
	DeleteExperiment(ctx context.Context, key ExperimentKey, version int, now time.Time) error
	// Configuration is one consistent picture of what assignment needs.
	Configuration(ctx context.Context) (*Configuration, error)
	// PutOverride answers KindInvalid when the experiment has limit overrides already.
	PutOverride(ctx context.Context, o Override, limit int, now time.Time) (created bool, err error)
	DeleteOverride(ctx context.Context, experiment ExperimentKey, customer CustomerID, now time.Time) error
	// ConfigurationVersion grows with every change of the configuration.
	ConfigurationVersion(ctx context.Context) (int64, error)
	// Listen calls changed when the configuration has changed, and when it may have without
	// the database being able to tell, until ctx ends. It is quick and not reliable: poll too.
	Listen(ctx context.Context, changed func())
	Decisions(ctx context.Context, key ExperimentKey, p Page) ([]Decision, error)
	// PendingDecisions are those that wait to be carried out, oldest first.
	PendingDecisions(ctx context.Context) ([]Decision, error)
}

// A Change is one state change of an experiment under the configuration's lock.
type Change struct {
	Experiment  *Experiment
	Layer       Layer
	Metrics     map[MetricKey]Metric          // those the experiment names and that exist
	Touchpoints map[TouchpointKey]*Touchpoint // likewise; altered content is written
	Others      []Experiment                  // running or paused ones that share a touchpoint
	Promoted    []PromotedExperiment          // others that were promoted and share a touchpoint; altered ones are written
	Promotion   *Promotion                    // the experiment's, if any; a new or altered one is written
	Pending     *Decision                     // the decision that waits, if any; altered, it is written
	Decision    *Decision                     // a new one to write
}

// Configuration is what assignment and authentication read.
type Configuration struct {
	Version     int64
	Touchpoints []PromotedTouchpoint
	Layers      []Layer
	Live        []Experiment
	Promoted    []PromotedExperiment         // whose promotion is in force, oldest first
	Winners     map[ExperimentKey]VariantKey // of all promotions, also those that are over
	Covering    map[ExperimentKey]Replaced   // promotions that are over, made over one that is in force
	Holdouts    []Holdout
	Overrides   []Override      // of experiments that are not concluded
	Drafts      []Experiment    // those with overrides
	Over        []ExperimentKey // concluded, and no promotion of theirs in force
	Keys        []Key
	Secret      []byte // for keyed hashes of identifiers
}

// A PromotedTouchpoint is a touchpoint and the variant whose content it serves, if any.
type PromotedTouchpoint struct {
	Touchpoint
	PromotedVariant VariantKey
}

// RowStatus says what became of one row of a batch.
type RowStatus int

// What can become of a row.
const (
	RowAccepted  RowStatus = iota
	RowDuplicate           // the same row was there
	RowConflict            // another row was there under its id
	RowErased              // an erased customer had it: it is not taken in again
)

// Ledger keeps what happened. Inserts are idempotent and answer a status per row, in order.
// A customer may be named by any of their identifiers.
type Ledger interface {
	InsertEvents(ctx context.Context, events []Event) ([]RowStatus, error)
	// InsertExposures also records the enrolments that accepted exposures make, the earliest
	// first, where the person has none in that experiment yet.
	InsertExposures(ctx context.Context, exposures []Exposure) ([]RowStatus, error)
	// InsertEnrolments lets the earliest of a person's enrolments in an experiment count, by
	// EnrolledAt, then the bytewise smallest AssignmentKey, also when it comes in late. The
	// same key and variant again, not earlier, is a duplicate; all others are kept as
	// superseded, and of another variant they make the person contaminated.
	InsertEnrolments(ctx context.Context, enrolments []Enrolment) ([]RowStatus, error)
	// MergeCustomers writes attributes over those known; it answers how many customers were new.
	MergeCustomers(ctx context.Context, customers []Customer, now time.Time) (created int, err error)
	// WriteTiers computes the tier of every customer from all that is known, and stores those
	// that changed as AttributeTier. It answers how many, also of those before a failure.
	WriteTiers(ctx context.Context, now time.Time) (changed int, err error)
	// Customer answers all but what they meet and the value of it all.
	Customer(ctx context.Context, id CustomerID) (*Customer, error)
	// ExportCustomer hands over every row of every table that names the person, on one picture
	// of the database, table by table. Of somebody unknown it hands over nothing and answers
	// KindNotFound.
	ExportCustomer(ctx context.Context, id CustomerID, row func(table string, row json.RawMessage) error) error
	// AttributesSince pages through customers in the order of their last change: those after
	// a place, with the named attributes only.
	AttributesSince(ctx context.Context, names []string, after AttributesAt) ([]CustomerAttributes, error)
	// SeenAttributes are those of the names that some customer has; SeenEvents those of the
	// types that have an event since a time.
	SeenAttributes(ctx context.Context, names []string) ([]string, error)
	SeenEvents(ctx context.Context, types []string, since time.Time) ([]string, error)
	// AddUnrecorded counts enrolments that were answered and are missing, by test.
	AddUnrecorded(ctx context.Context, from map[ExperimentKey]int64, now time.Time) error
}

// CustomerAttributes are some attributes of a customer, as a JSON object.
type CustomerAttributes struct {
	Customer   CustomerID
	Attributes []byte
	At         AttributesAt
}

// AttributesAt is a customer's place in the order of changes.
type AttributesAt struct {
	Position int64      `json:"position"`
	Customer CustomerID `json:"customer"`
}

// Identities keeps which identifiers are one person.
type Identities interface {
	// LinkIdentities makes the identifiers, and all who are linked to one of them, one
	// person, and moves what the ledger has of them to that person. Links in any order, also
	// at once, end in the same state.
	LinkIdentities(ctx context.Context, identifiers []CustomerID) (*Person, error)
	// IngestPosition is that of the newest data.
	IngestPosition(ctx context.Context) (int64, error)
	// PeopleSince answers a page of what came in after an ingest position and the position
	// that the page goes up to. The position is that of the newest data when the page is the
	// last. From position 0 on, the pages are everything.
	PeopleSince(ctx context.Context, position int64) (people *People, upTo int64, err error)
	// Erase deletes all that is kept of the person with this identifier, and leaves keyed
	// hashes, so that what they had is not taken in again. Of somebody unknown it leaves that
	// what other servers have yet to bring in is too late. What can be computed again, such as
	// measures, is gone when it answers, too. Sent again it does the same.
	Erase(ctx context.Context, identifier CustomerID, now time.Time) error
}

// Rates keeps what other currencies were worth. What was known at an ingest position stays
// known as of it: a correction is a new row.
type Rates interface {
	// PutRates answers how many of the rates are new or other than before. The customers whose
	// events they concern are measured again.
	PutRates(ctx context.Context, rates []Rate) (changed int, err error)
	// RatesKnown answers, for each day, whether there is a rate on it or at most MaxRateAge before.
	RatesKnown(ctx context.Context, days []RateDay) ([]bool, error)
}

// Measures keeps each customer's value per experiment and metric.
type Measures interface {
	// Measure brings the values of an experiment up to the newest ingest position and
	// answers how many customers were measured again.
	Measure(ctx context.Context, x *Experiment) (customers int, err error)
	// Totals measures and then sums up what v shows, on one picture of the ledger. At an
	// earlier data cut it measures from nothing what was known then. It answers KindInvalid
	// for a cut that is not reached yet and for a segment of too many values.
	Totals(ctx context.Context, x *Experiment, v View) (*Totals, error)
	// Recompute measures everybody from nothing and answers how many values differ from
	// those that are kept, which it leaves as they are.
	Recompute(ctx context.Context, x *Experiment) (customers, differences int, err error)
	// Evidence looks in a part of the ledger for what no sum shows.
	Evidence(ctx context.Context, x *Experiment, s Span) (*Evidence, error)
	// History values everybody seen before the newest whole window of a metric over that window,
	// and over as many days before it where the covariate is asked for.
	History(ctx context.Context, m *Metric, covariate bool, now time.Time, attributes []string) (History, error)
	// QuantileBefore is the type-7 quantile of a metric's values, uncapped, over the length of
	// its window up to a time: of the customers who did anything in that time and whose
	// attributes, as JSON, among accepts (nil: all). It is exact, and 0 without any.
	QuantileBefore(ctx context.Context, m *Metric, q decimal.Decimal, at time.Time, among func(attributes []byte) bool) (
		customers int64, value decimal.Decimal, err error)
}

// A View is the part of the ledger that a report is about.
type View struct {
	AsOf    time.Time // what happened later does not count
	DataCut *int64    // what came in later does not count; nil: all counts
	Segment string    // one of those below, a stored attribute, or "" for no segments
}

// A Span is what came in after one ingest position up to another, and happened by AsOf.
type Span struct {
	AsOf        time.Time
	Since, UpTo int64
}

// Evidence is what the health of a test is told from besides its sums.
type Evidence struct {
	Enrolments int64 // in the span, of a test that the engine assigns
	Mismatched int64 // of these, with another variant than their key hashes to
	Days       []ChannelDay
	Several    int64     // identifiers that were enrolled in several variants, ever
	Lost       int64     // enrolments that were answered and never recorded, ever
	LostAt     time.Time // the last of them
}

// A ChannelDay counts the customers enrolled on a channel and a UTC day, and those of them who
// were seen to meet a touchpoint of the test.
type ChannelDay struct {
	Channel  Channel
	Day      time.Time
	Enrolled int64
	Exposed  int64
}

// What customers are divided by other than an attribute: the channel of their first contact,
// and the tier of their value before enrolment among the customers of the report, which
// nothing that a variant did can have changed.
const (
	SegmentChannel = "channel"
	SegmentTier    = AttributeTier
	// SegmentObjective puts everybody under the test's objective, for those who compare tests.
	SegmentObjective = "objective"
)

// Totals are the exact sums behind a report. Each arm is divided by contamination and, where
// the view asks for it, by segment; the parts add up to the arm.
type Totals struct {
	DataCut  int64
	Restated bool       // a link or an erasure came since the cut
	First    *time.Time // first enrolment, nil without any
	Last     *time.Time // nobody who counts was enrolled later, nil without any
	Arms     []ArmCount
	Values   []ArmTotal
	Days     []DayCount // of survival
}

// ArmCount is the number of customers enrolled in a part of an arm.
type ArmCount struct {
	Variant      VariantKey
	Contaminated bool // met another variant under another identifier
	Segment      string
	Customers    int64
}

// ArmTotal sums up one metric in a part of an arm over its matured customers. Y is a
// customer's value, at most the cap; X is the denominator of a ratio and otherwise the
// covariate. Of survival Sum is the days that all were seen to stay, and NonZero who churned.
type ArmTotal struct {
	Metric       MetricKey
	Variant      VariantKey
	Contaminated bool
	Segment      string
	Mature       int64
	NonZero      int64
	Sum          decimal.Decimal // Σ y
	SumSquares   decimal.Decimal // Σ y²
	Uncapped     decimal.Decimal // Σ y without a cap
	SumX         decimal.Decimal
	SumXX        decimal.Decimal
	SumXY        decimal.Decimal
}

// DayCount counts the customers of a part of an arm who churned on a day after enrolment, or
// were last seen to stay on it.
type DayCount struct {
	Metric       MetricKey
	Variant      VariantKey
	Contaminated bool
	Segment      string
	Day          int
	Churned      int64
	Censored     int64
}

// Reports keeps computed reports. They never change.
type Reports interface {
	// SaveReport gives the report its version and stores it. With a look it also stores
	// the decision, if any, in the same transaction; a decision still waiting gives way. A
	// look answers KindConflict when the experiment is no longer running.
	SaveReport(ctx context.Context, r *Report, decision *Decision) error
	// LatestReport is the report as of the latest time; LatestLook the newest look up to a time.
	LatestReport(ctx context.Context, key ExperimentKey) (*Report, error)
	LatestLook(ctx context.Context, key ExperimentKey, asOf time.Time) (*Report, error)
	Reports(ctx context.Context, key ExperimentKey, p Page) ([]Report, error)
	// SaveComparison gives a look at those who are held back from the experiment's winner its
	// version and stores it. It answers KindConflict when another worker has taken that look.
	SaveComparison(ctx context.Context, key ExperimentKey, r *Report) error
	LatestComparison(ctx context.Context, key ExperimentKey) (*Report, error)
}

// Exports hands over many rows, in no order that is promised unless said, from one consistent
// picture of the database. Of customers who are erased meanwhile no row follows. The database
// bounds how many run at a time: one too many is KindUnavailable.
type Exports interface {
	ExportEvents(ctx context.Context, happened Period, out Output[Event]) error
	// ExportEnrolments hands over those that count.
	ExportEnrolments(ctx context.Context, of []Experiment, out Output[ExportedEnrolment]) error
	// ExportMeasures brings the measures of the experiments up to date and hands over a value of
	// each metric of theirs for each customer.
	ExportMeasures(ctx context.Context, of []Experiment, out Output[MeasuredValue]) error
	// ExportReports hands over those of one experiment or, of "", of all, by experiment and version.
	ExportReports(ctx context.Context, of ExperimentKey, out Output[Report]) error
}

// PastTests keeps what concluded tests found.
type PastTests interface {
	// Unclosed are the concluded experiments without a closing report.
	Unclosed(ctx context.Context) ([]UnclosedExperiment, error)
	// KeepPastTest writes down what a test has found when it is over, and when its last customer
	// will have matured. What was written down before stays; the time does not.
	KeepPastTest(ctx context.Context, p *PastTest, maturesAt time.Time) error
	// CloseExperiment gives the closing report its version and stores it with what the test
	// found. It answers KindConflict when there is one already.
	CloseExperiment(ctx context.Context, r *Report, p *PastTest) error
	// PastTests are the tests of the objective of x, without x, that were concluded at a time and
	// as much as was known of them at an ingest position. The answer is not nil.
	PastTests(ctx context.Context, x *Experiment, asOf time.Time, dataCut int64) ([]PastTest, error)
}

// Keys keeps API keys and the answers of idempotent creates.
type Keys interface {
	CreateKey(ctx context.Context, k *Key) error
	Keys(ctx context.Context, p Page) ([]Key, error)
	RevokeKey(ctx context.Context, id string, now time.Time) error
	// ClaimIdempotency reserves an idempotency key for a request, or answers what was
	// stored for it before.
	ClaimIdempotency(ctx context.Context, c IdempotencyClaim, now time.Time) (*IdempotentAnswer, error)
	// SaveIdempotency stores the answer, or frees the key when answer is nil.
	SaveIdempotency(ctx context.Context, c IdempotencyClaim, answer *IdempotentAnswer) error
}

// An IdempotencyClaim is a create request under its Idempotency-Key.
type IdempotencyClaim struct {
	Owner  string // id of the API key
	Key    string
	Digest []byte // of method, path and body
}

// An IdempotentAnswer is the first answer to a create. Body is sealed by the API.
type IdempotentAnswer struct {
	Digest []byte
	Status int // 0 while the first request is in flight
	Body   []byte
}

// AuditLog keeps who changed what. Every change of state that a method of the store makes
// adds its Entry in the same transaction, by the actor of the context.
type AuditLog interface {
	AuditRows(ctx context.Context, object string, p Page) ([]audit.Row, error)
}

// Webhooks keeps who wants to be told, and what they were told. The messages of a change
// are put in their outbox by the method that makes the change, in its transaction.
type Webhooks interface {
	CreateWebhook(ctx context.Context, w *Webhook) error
	Webhooks(ctx context.Context, p Page) ([]Webhook, error)
	DeleteWebhook(ctx context.Context, id string, now time.Time) error
	// DueDeliveries are those to be sent by now, oldest first, at most limit of each webhook.
	DueDeliveries(ctx context.Context, now time.Time, limit int) ([]Delivery, error)
	// SaveAttempt writes down an attempt and what is next. One to a webhook that no longer
	// exists is nothing.
	SaveAttempt(ctx context.Context, a *Attempt) error
	Deliveries(ctx context.Context, webhook string, p Page) ([]DeliveryRecord, error)
	// ReplayDelivery makes a delivery due, also one that was delivered or given up.
	ReplayDelivery(ctx context.Context, webhook, message string, now time.Time) error
}

// Jobs keeps the record of the scheduled jobs and lets one process run each at a time.
type Jobs interface {
	// RunExclusively runs fn unless another process runs this job, and records the run.
	// ran is false when another one does. With a slot it runs only where CheckSlot lets it, and
	// else answers what that does.
	RunExclusively(ctx context.Context, job string, slot *time.Time, now func() time.Time, fn func(context.Context) (rows int, err error)) (ran bool, err error)
	JobRuns(ctx context.Context) (map[string]JobRun, error)
}

// A JobRun is the record of a job's last run.
type JobRun struct {
	StartedAt  time.Time
	FinishedAt *time.Time // nil: it is under way, or its process has died
	Slot       *time.Time // of the schedule, the latest that a run was for
	Rows       int
	Error      string
	History    JobHistory
}

// A JobHistory sums up all runs of a job that have ended. A run whose process died counts
// as a failure once the next one begins.
type JobHistory struct {
	Runs     int64
	Failures int64
	Busy     time.Duration // of all runs together
	FailedAt *time.Time
	Failure  string // why the last run that failed did
}
