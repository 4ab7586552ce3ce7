package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EventName names what webhooks are told of.
type EventName string

// The events of experiments.
const (
	EventStarted    EventName = "experiment.started"
	EventDecision   EventName = "experiment.decision"
	EventPromoted   EventName = "experiment.promoted"
	EventRolledBack EventName = "experiment.rolled_back"
	EventUnhealthy  EventName = "experiment.unhealthy"
	EventConcluded  EventName = "experiment.concluded"
)

// EventNames are all events.
var EventNames = []EventName{
	EventStarted, EventDecision, EventPromoted, EventRolledBack, EventUnhealthy, EventConcluded,
}

// A Message tells webhooks what happened, once: its id is made of what happened. Who stores
// a change stores its messages in the same transaction.
type Message struct {
	ID    string
	Event EventName
	At    time.Time
	Body  []byte // a CloudEvent in JSON
}

// cloudEvent is the structured JSON form of CloudEvents 1.0.
type cloudEvent struct {
	Specversion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject"`
	Time            string `json:"time"`
	Datacontenttype string `json:"datacontenttype"`
	Data            news   `json:"data"`
}

// news is what a message says of an experiment. It names no customer.
type news struct {
	Experiment ExperimentKey `json:"experiment"`
	Name       string        `json:"name"`
	Version    int           `json:"version"` // of the experiment
	Status     Status        `json:"status"`
	Outcome    Outcome       `json:"outcome,omitempty"`
	Winner     VariantKey    `json:"winner,omitempty"`
	PlanSHA256 string        `json:"plan_sha256,omitempty"` // started
	Decision   *decisionNews `json:"decision,omitempty"`
	Report     int           `json:"report,omitempty"` // the report behind it
	Checks     []Check       `json:"checks,omitempty"` // unhealthy: those that failed
}

type decisionNews struct {
	ID         string         `json:"id"`
	Action     DecisionAction `json:"action"`
	Variant    VariantKey     `json:"variant,omitempty"`
	Mode       Mode           `json:"mode"`
	Reasons    []Reason       `json:"reasons"`
	DecidedBy  string         `json:"decided_by"`
	ApprovedBy string         `json:"approved_by,omitempty"`
	Note       string         `json:"note,omitempty"`
	DecidedAt  time.Time      `json:"decided_at"`
	Applied    bool           `json:"applied"` // false: it waits for the decide job or a person
}

func newsOf(x *Experiment, d *Decision) news {
	n := news{
		Experiment: x.Key, Name: x.Name, Version: x.Version, Status: x.Status, Outcome: x.Outcome, Winner: x.Winner,
	}
	if d != nil {
		n.Report = d.ReportVersion
		n.Decision = &decisionNews{
			ID: d.ID, Action: d.Action, Variant: d.Variant, Mode: d.Mode, Reasons: d.Reasons, DecidedBy: d.DecidedBy,
			ApprovedBy: d.ApprovedBy, Note: d.Note, DecidedAt: d.DecidedAt.UTC(), Applied: d.AppliedAt != nil,
		}
	}
	return n
}

// message writes a message. What happened, parts, happens once in the life of the
// experiment with this salt.
func message(event EventName, x *Experiment, at time.Time, n news, parts ...string) (Message, error) {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{string(event), x.Salt}, parts...), "\n")))
	m := Message{ID: "msg_" + hex.EncodeToString(sum[:16]), Event: event, At: microseconds(at)}
	var err error
	m.Body, err = json.Marshal(cloudEvent{
		Specversion: "1.0", ID: m.ID, Source: "urn:perennial:engine", Type: "perennial." + string(event),
		Subject: "experiment/" + string(x.Key), Time: m.At.Format(time.RFC3339Nano), Datacontenttype: "application/json",
		Data: n,
	})
	return m, err
}

// Messages says what a change of state is to be told of, by what is different from before.
func (c *Change) Messages(before *Change) ([]Message, error) {
	x, was, at := *c.Experiment, before.Experiment, c.Experiment.UpdatedAt
	x.Version = was.Version + 1 // as it is once stored
	n := newsOf(&x, c.decided())
	var events []EventName
	if x.Status == StatusRunning && was.Status == StatusDraft {
		n.PlanSHA256 = x.frozenPlan().digest()
		events = append(events, EventStarted)
	}
	if c.Decision != nil {
		events = append(events, EventDecision)
	}
	if x.Outcome == OutcomePromoted && was.Outcome != OutcomePromoted {
		events = append(events, EventPromoted)
	}
	if x.Outcome == OutcomeRolledBack && was.Outcome != OutcomeRolledBack {
		events = append(events, EventRolledBack)
	}
	if x.Status == StatusConcluded && was.Status != StatusConcluded {
		events = append(events, EventConcluded)
	}
	messages := make([]Message, 0, len(events))
	for _, event := range events {
		m, err := message(event, &x, at, n, strconv.Itoa(x.Version))
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// LookMessages says what a stored look is to be told of: its decision, if any, and that the
// data has become unhealthy since the look before.
func LookMessages(x *Experiment, r *Report, d *Decision, wasHealthy bool) ([]Message, error) {
	var messages []Message
	if wasHealthy && !r.Health.OK {
		n := newsOf(x, nil)
		n.Report = r.Version
		n.Checks = slices.DeleteFunc(slices.Clone(r.Health.Checks), func(c Check) bool { return c.OK })
		m, err := message(EventUnhealthy, x, r.ComputedAt, n, strconv.Itoa(r.Version))
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	if d != nil {
		m, err := message(EventDecision, x, r.ComputedAt, newsOf(x, d), d.ID)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}
