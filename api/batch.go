package api

import (
	"bytes"
	"context"
	"encoding/json"
	"mime"
	"time"

	"github.com/gin-gonic/gin"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
)

// receiptJSON says what became of a batch.
type receiptJSON struct {
	Accepted   int                      `json:"accepted"`
	Duplicates int                      `json:"duplicates"`
	Rejected   int                      `json:"rejected"`
	Rejections []rejectionJSON          `json:"rejections"`
	Errors     map[string]rejectionBody `json:"errors"`
}

type rejectionJSON struct {
	Index     int     `json:"index"`
	ID        *string `json:"id"`
	Code      string  `json:"code"`
	Detail    string  `json:"detail"`
	Retriable bool    `json:"retriable"`
}

type rejectionBody struct {
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Retriable bool   `json:"retriable"`
}

func receiptOf(r *engine.Receipt) receiptJSON {
	j := receiptJSON{
		Accepted: r.Accepted, Duplicates: r.Duplicates, Rejected: len(r.Rejections),
		Rejections: []rejectionJSON{}, Errors: map[string]rejectionBody{},
	}
	for _, x := range r.Rejections {
		j.Rejections = append(j.Rejections, rejectionJSON{x.Index, optional(x.ID), x.Code, x.Detail, x.Retriable})
		if x.ID != "" {
			j.Errors[x.ID] = rejectionBody{x.Code, x.Detail, x.Retriable}
		}
	}
	return j
}

// readBatch takes a batch apart: {"name": [elements]}, or NDJSON with an element a line.
// Only a body without that shape is refused; the elements are read one by one.
func readBatch(c *gin.Context, name string) ([]jsontext.Value, error) {
	body, err := readBody(c, maxBatch)
	if err != nil {
		return nil, err
	}
	var elements []jsontext.Value
	mediaType, _, _ := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if mediaType == "application/x-ndjson" || mediaType == "application/ndjson" {
		for line := range bytes.Lines(body) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				elements = append(elements, line)
			}
		}
	} else if elements, err = envelope(body, name); err != nil {
		return nil, err
	}
	if len(elements) > engine.MaxBatch {
		return nil, engine.Errorf(engine.KindTooLarge, "batch_too_large", "a batch has at most %d elements, not %d", engine.MaxBatch, len(elements))
	}
	return elements, nil
}

// lenient takes what an element may get wrong by itself: that is a rejection, not a 400.
var lenient = jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

func envelope(body []byte, name string) ([]jsontext.Value, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, malformed("empty_body", "", "the request needs a JSON body: {%q: […]}", name)
	}
	d := jsontext.NewDecoder(bytes.NewReader(body), lenient)
	var elements []jsontext.Value
	seen := false
	wrong := func(pointer jsontext.Pointer, format string, args ...any) ([]jsontext.Value, error) {
		return nil, malformed("wrong_envelope", pointer, format, args...)
	}
	if d.PeekKind() != '{' {
		if err := d.SkipValue(); err != nil {
			return nil, decodeError(err)
		}
		return wrong("", "the body must be an object: {%q: […]}", name)
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, decodeError(err)
	}
	for d.PeekKind() == '"' {
		member, err := d.ReadToken()
		if err != nil {
			return nil, decodeError(err)
		}
		key := member.String()
		switch {
		case key != name:
			return nil, malformed("unknown_field", d.StackPointer(), "is not a field of this request: it takes %q", name)
		case seen:
			return nil, malformed("duplicate_key", d.StackPointer(), "stands twice")
		}
		seen = true
		if d.PeekKind() != '[' {
			if err := d.SkipValue(); err != nil {
				return nil, decodeError(err)
			}
			return wrong(jsontext.Pointer("/"+name), "must be a list")
		}
		if _, err := d.ReadToken(); err != nil {
			return nil, decodeError(err)
		}
		for d.PeekKind() != ']' {
			value, err := d.ReadValue()
			if err != nil {
				return nil, decodeError(err)
			}
			elements = append(elements, value.Clone())
		}
		if _, err := d.ReadToken(); err != nil {
			return nil, decodeError(err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, decodeError(err)
	}
	if len(bytes.TrimSpace(body[d.InputOffset():])) > 0 {
		return nil, malformed("trailing_data", "", "there is something behind the JSON document")
	}
	if !seen {
		return wrong(jsontext.Pointer("/"+name), "is missing")
	}
	return elements, nil
}

// batch makes the handler of a route that takes batches: each element is read by itself,
// and the good ones are taken in together. What became of them is counted.
func batch[J, T any](
	counts batchCounts, name string, read func(*J) (T, error), ingest func(context.Context, []engine.Element[T]) (*engine.Receipt, error),
) func(*gin.Context) (reply, error) {
	return func(c *gin.Context) (reply, error) {
		raw, err := readBatch(c, name)
		if err != nil {
			return reply{}, err
		}
		// An answer comes before the connection's own limit: what is in by then counts as a
		// duplicate when it is sent again.
		ctx, cancel := context.WithTimeout(c.Request.Context(), batchTimeout)
		defer cancel()
		receipt, err := ingest(ctx, elementsOf(raw, read))
		if err != nil {
			return reply{}, err
		}
		counts.add(receipt)
		return ok(receiptOf(receipt)), nil
	}
}

// batchTimeout is how long a batch may wait for the database.
const batchTimeout = 20 * time.Second

// elementsOf reads the elements of a batch one by one.
func elementsOf[J any, T any](raw []jsontext.Value, read func(*J) (T, error)) []engine.Element[T] {
	elements := make([]engine.Element[T], len(raw))
	for i, value := range raw {
		var j J
		if err := decode(value, &j); err != nil {
			elements[i].ID, elements[i].Err = elementID(value), elementError(err)
			continue
		}
		if known, ok := any(&j).(identified); ok {
			elements[i].ID = known.id()
		}
		elements[i].Value, elements[i].Err = read(&j)
	}
	return elements
}

// elementError says in one sentence where an element is wrong.
func elementError(err error) error {
	known, ok := err.(*engine.Error) //nolint:errorlint // decode answers it unwrapped
	if !ok || len(known.Fields) == 0 {
		return err
	}
	return engine.Errorf(known.Kind, known.Code, "%s %s", known.Fields[0].Pointer, known.Fields[0].Detail)
}

// maxEchoedID is the longest id that a rejection repeats; longer ones are no ids.
const maxEchoedID = 256

// identified is an element that has an id.
type identified interface{ id() string }

// elementID reads the id of an element that is wrong otherwise.
func elementID(raw jsontext.Value) string {
	var j struct {
		ID any `json:"id"`
	}
	if err := jsonv2.Unmarshal(raw, &j, lenient); err != nil {
		return ""
	}
	id, _ := j.ID.(string)
	return echoed(id)
}

func echoed(id string) string {
	if len(id) > maxEchoedID {
		return ""
	}
	return id
}

type eventJSON struct {
	ID         string         `json:"id"`
	Customer   string         `json:"customer"`
	Type       string         `json:"type"`
	OccurredAt time.Time      `json:"occurred_at"`
	Value      *amount        `json:"value"`
	Currency   *string        `json:"currency"`
	Channel    *string        `json:"channel"`
	Touchpoint *string        `json:"touchpoint"`
	Properties jsontext.Value `json:"properties"`
}

func (j *eventJSON) id() string { return echoed(j.ID) }

func (j *eventJSON) event() (engine.Event, error) {
	e := engine.Event{ID: j.ID, Customer: engine.CustomerID(j.Customer), Type: j.Type, OccurredAt: j.OccurredAt}
	if j.Value != nil {
		value, err := engine.ParseAmount(string(*j.Value))
		if err != nil {
			return e, err
		}
		e.Value = &value
	}
	if j.Currency != nil {
		currency, err := engine.ParseCurrency(*j.Currency)
		if err != nil {
			return e, err
		}
		e.Currency = currency
	}
	setText(&e.Channel, j.Channel)
	setText(&e.Touchpoint, j.Touchpoint)
	switch j.Properties.Kind() {
	case 0, 'n':
	default:
		properties, ok := engine.CanonicalObject(j.Properties)
		if !ok {
			return e, engine.Errorf(engine.KindInvalid, "invalid_properties", "properties must be an object whose numbers are in the range of a double")
		}
		if string(properties) != "{}" {
			e.Properties = properties
		}
	}
	return e, nil
}

type exposureJSON struct {
	ID         string    `json:"id"`
	Customer   string    `json:"customer"`
	Touchpoint string    `json:"touchpoint"`
	OccurredAt time.Time `json:"occurred_at"`
}

func (j *exposureJSON) id() string { return echoed(j.ID) }

func (j *exposureJSON) exposure() (engine.Exposure, error) {
	return engine.Exposure{
		ID: j.ID, Customer: engine.CustomerID(j.Customer), Touchpoint: engine.TouchpointKey(j.Touchpoint), OccurredAt: j.OccurredAt,
	}, nil
}

type enrolmentJSON struct {
	Experiment string    `json:"experiment"`
	Variant    string    `json:"variant"`
	Customer   string    `json:"customer"`
	EnrolledAt time.Time `json:"enrolled_at"`
}

func (j *enrolmentJSON) enrolment() (engine.Enrolment, error) {
	return engine.Enrolment{
		Experiment: engine.ExperimentKey(j.Experiment), Variant: engine.VariantKey(j.Variant),
		Customer: engine.CustomerID(j.Customer), EnrolledAt: j.EnrolledAt,
	}, nil
}

type customerBody struct {
	Customer   string                    `json:"customer"`
	Attributes map[string]jsontext.Value `json:"attributes"`
}

func (j *customerBody) customer() (engine.Customer, error) {
	customer := engine.Customer{ID: engine.CustomerID(j.Customer), Attributes: engine.Attributes{}}
	for name, value := range j.Attributes {
		customer.Attributes[name] = json.RawMessage(plain(value))
	}
	return customer, nil
}
