package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// An Event is something a customer did: it happened once, on a channel, and may be worth
// money. Properties is a JSON object in canonical form, or nil.
type Event struct {
	ID         string
	Customer   CustomerID
	Type       string
	OccurredAt time.Time
	Value      *decimal.Decimal
	Currency   Currency
	Channel    Channel
	Touchpoint TouchpointKey
	Properties json.RawMessage
}

// An Exposure is a customer meeting a touchpoint.
type Exposure struct {
	ID         string
	Customer   CustomerID
	Touchpoint TouchpointKey
	OccurredAt time.Time
	Enrols     []Enrolment // what it makes, where the customer has none yet
}

// An Enrolment is a customer's entry into an experiment. It is made once and kept. It is
// Contaminated when the same person was also enrolled with another variant, under another
// identifier: only the ledger says so.
type Enrolment struct {
	Customer      CustomerID
	Experiment    ExperimentKey
	Variant       VariantKey
	AssignmentKey string
	EnrolledAt    time.Time
	Channel       Channel // of first contact; "" when unknown
	Touchpoint    TouchpointKey
	Contaminated  bool
	// KnownUpTo is the ingest position that the server knew people up to when it enrolled
	// this customer: one who was erased later than that is not enrolled any more.
	KnownUpTo int64
}

// A Rejection says why one element of a batch was not taken. Retriable ones may be sent
// again as they are, later.
type Rejection struct {
	Index     int
	ID        string
	Code      string
	Detail    string
	Retriable bool
}

// A Receipt says what became of a batch. Accepted rows are durable and count once.
type Receipt struct {
	Accepted   int
	Duplicates int
	Rejections []Rejection
}

const (
	maxFuture     = 5 * time.Minute
	maxProperties = 16 << 10
)

var earliest = time.Unix(0, 0)

// checkTime answers the code and detail of a time that cannot be, in the member of a name.
func checkTime(name string, at, now time.Time) error {
	switch {
	case at.IsZero():
		return Errorf(KindInvalid, "time_missing", "%s must be given as RFC 3339, such as 2026-03-01T10:00:00Z", name)
	case at.Before(earliest):
		return Errorf(KindInvalid, "before_1970", "%s is before 1970", name)
	case at.After(now.Add(maxFuture)):
		return Errorf(KindInvalid, "in_the_future", "%s is more than five minutes in the future", name)
	}
	return nil
}

// negativeTypes must carry values of at most 0.
func mustBeNegative(eventType string) bool {
	return eventType == "refund" || eventType == "chargeback" || isCost(eventType)
}

func isCost(eventType string) bool { return strings.HasSuffix(eventType, "_cost") }

// validate checks an event at the moment it comes in. missing are the days without a rate.
func (e *Event) validate(now time.Time, reporting Currency, missing map[RateDay]bool) error {
	invalid := func(code, format string, args ...any) error { return Errorf(KindInvalid, code, format, args...) }
	switch {
	case !validText(e.ID, maxIdentifier):
		return invalid("invalid_id", "id "+textRule, maxIdentifier)
	case !validText(string(e.Customer), maxIdentifier):
		return invalid("invalid_identifier", "customer "+textRule, maxIdentifier)
	case !validText(e.Type, maxEventType):
		return invalid("invalid_type", "type "+textRule, maxEventType)
	case e.Channel != "" && !slices.Contains(Channels, e.Channel):
		return invalid("unknown_channel", "channel %s", oneOf(Channels))
	case e.Touchpoint != "" && !validKey(string(e.Touchpoint)):
		return invalid("invalid_touchpoint", "touchpoint "+keyRule)
	case len(e.Properties) > maxProperties:
		return invalid("properties_too_large", "properties must be at most %d bytes", maxProperties)
	}
	if err := checkTime("occurred_at", e.OccurredAt, now); err != nil {
		return err
	}
	switch {
	case e.Value == nil:
		return nil
	case e.Currency == "":
		return invalid("currency_missing", "a value needs its currency, such as %s", reporting)
	case mustBeNegative(e.Type) && e.Value.IsPositive():
		return invalid("wrong_sign", "the value of %s must be 0 or negative", e.Type)
	case e.Currency != reporting && missing[e.rateDay()]:
		return invalid("rate_missing", "there is no rate from %s to %s at most seven days old on %s: PUT /v1/rates, then send it again",
			e.Currency, reporting, e.OccurredAt.UTC().Format(time.DateOnly))
	}
	return nil
}

// Digest identifies the body of an event: the same id with another digest is another
// event. 49.9 and 49.90 are one value, and the order of properties does not matter.
func (e *Event) Digest() []byte {
	value := ""
	if e.Value != nil {
		value = e.Value.String()
	}
	return digest(e.Type, stamp(e.OccurredAt), value, string(e.Currency), string(e.Channel),
		string(e.Touchpoint), string(e.Properties))
}

// Digest identifies the body of an exposure.
func (x *Exposure) Digest() []byte { return digest(string(x.Touchpoint), stamp(x.OccurredAt)) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func digest(parts ...string) []byte {
	b := make([]byte, 0, 256)
	for _, part := range parts {
		b = append(append(strconv.AppendInt(b, int64(len(part)), 10), ':'), part...)
	}
	sum := sha256.Sum256(b)
	return sum[:16]
}

func (x *Exposure) validate(now time.Time) error {
	switch {
	case !validText(x.ID, maxIdentifier):
		return Errorf(KindInvalid, "invalid_id", "id "+textRule, maxIdentifier)
	case !validText(string(x.Customer), maxIdentifier):
		return Errorf(KindInvalid, "invalid_identifier", "customer "+textRule, maxIdentifier)
	case !validKey(string(x.Touchpoint)):
		return Errorf(KindInvalid, "invalid_touchpoint", "touchpoint "+keyRule)
	}
	return checkTime("occurred_at", x.OccurredAt, now)
}

// CanonicalObject writes a JSON object with sorted keys and exact numbers, or answers
// false when raw is not an object, or has a number beyond the range of a double.
func CanonicalObject(raw []byte) (json.RawMessage, bool) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&object); err != nil || object == nil || !doubles(object) {
		return nil, false
	}
	canonical, err := json.Marshal(object)
	return canonical, err == nil
}
