package api

import (
	"encoding/json"
	"io"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

type customerJSON struct {
	Customer    string                    `json:"customer"`
	Identifiers []string                  `json:"identifiers"`
	Attributes  map[string]jsontext.Value `json:"attributes"`
	Enrolments  []customerEnrolmentJSON   `json:"enrolments"`
	FirstSeen   *time.Time                `json:"first_seen"`
	IDConflicts []idConflictJSON          `json:"id_conflicts"`
	Assignments []meetingJSON             `json:"assignments"`
	Exposures   []exposureCountJSON       `json:"exposures"`
	Events      []eventCountJSON          `json:"events"`
	Latest      []latestEventJSON         `json:"latest_events"`
	Value       valueToDateJSON           `json:"value"`
	Tier        *string                   `json:"tier"`
}

type meetingJSON struct {
	Touchpoint string  `json:"touchpoint"`
	Channel    string  `json:"channel"`
	Variant    *string `json:"variant"`
	Experiment *string `json:"experiment"`
	Reason     string  `json:"reason"`
}

type exposureCountJSON struct {
	Channel *string   `json:"channel"`
	Count   int64     `json:"count"`
	First   time.Time `json:"first_at"`
	Last    time.Time `json:"last_at"`
}

type eventCountJSON struct {
	Type  string    `json:"type"`
	Count int64     `json:"count"`
	Value *string   `json:"value"`
	First time.Time `json:"first_at"`
	Last  time.Time `json:"last_at"`
}

type latestEventJSON struct {
	ID         string         `json:"id"`
	Type       string         `json:"type"`
	OccurredAt time.Time      `json:"occurred_at"`
	Value      *string        `json:"value"`
	Currency   *string        `json:"currency"`
	Channel    *string        `json:"channel"`
	Touchpoint *string        `json:"touchpoint"`
	Properties jsontext.Value `json:"properties"`
}

type valueToDateJSON struct {
	Currency string `json:"currency"`
	Gross    string `json:"gross"`
	Net      string `json:"net"`
}

type customerEnrolmentJSON struct {
	Experiment   string    `json:"experiment"`
	Variant      string    `json:"variant"`
	EnrolledAt   time.Time `json:"enrolled_at"`
	Channel      *string   `json:"channel"`
	Touchpoint   *string   `json:"touchpoint"`
	Contaminated bool      `json:"contaminated"`
}

func (s *Server) customerOf(customer *engine.Customer) customerJSON {
	j := customerJSON{
		Customer: string(customer.ID), Identifiers: strs(customer.Identifiers),
		Attributes: map[string]jsontext.Value{}, FirstSeen: utc(customer.FirstSeen),
		IDConflicts: idConflicts(customer.IDConflicts),
		Value:       valueToDateJSON{string(s.engine.Reporting()), customer.Gross.String(), customer.Net.String()},
		Tier:        optional(customer.Tier()),
	}
	for name, value := range customer.Attributes {
		j.Attributes[name] = jsontext.Value(value)
	}
	for _, e := range customer.Enrolments {
		j.Enrolments = append(j.Enrolments, customerEnrolmentJSON{
			string(e.Experiment), string(e.Variant), e.EnrolledAt.UTC(), optional(e.Channel), optional(e.Touchpoint), e.Contaminated,
		})
	}
	for _, m := range customer.Meets {
		j.Assignments = append(j.Assignments, meetingJSON{
			string(m.Touchpoint), string(m.Channel), optional(m.Variant), optional(m.Experiment), string(m.Reason),
		})
	}
	for _, x := range customer.Exposures {
		j.Exposures = append(j.Exposures, exposureCountJSON{optional(x.Channel), x.Count, x.First.UTC(), x.Last.UTC()})
	}
	for _, e := range customer.Events {
		j.Events = append(j.Events, eventCountJSON{e.Type, e.Count, decimalText(e.Value), e.First.UTC(), e.Last.UTC()})
	}
	for i := range customer.Latest {
		e := &customer.Latest[i]
		j.Latest = append(j.Latest, latestEventJSON{
			e.ID, e.Type, e.OccurredAt.UTC(), decimalText(e.Value), optional(e.Currency), optional(e.Channel),
			optional(e.Touchpoint), jsontext.Value(e.Properties),
		})
	}
	return j
}

// decimalText is an exact number as text, or nil.
func decimalText(d *decimal.Decimal) *string {
	if d == nil {
		return nil
	}
	text := d.String()
	return &text
}

func (s *Server) putCustomer(c *gin.Context) (reply, error) {
	var b struct {
		Attributes map[string]jsontext.Value `json:"attributes"`
	}
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	customer := engine.Customer{ID: engine.CustomerID(c.Param("identifier")), Attributes: engine.Attributes{}}
	for name, value := range b.Attributes {
		customer.Attributes[name] = json.RawMessage(plain(value))
	}
	isNew, err := s.engine.PutCustomer(c.Request.Context(), customer)
	if err != nil {
		return reply{}, err
	}
	merged, err := s.engine.Customer(c.Request.Context(), customer.ID)
	if err != nil {
		return reply{}, err
	}
	return put(isNew, s.customerOf(merged)), nil
}

func (s *Server) getCustomer(c *gin.Context) (reply, error) {
	id, err := engine.ParseIdentifier(c.Param("identifier"))
	if err != nil {
		return reply{}, err
	}
	customer, err := s.engine.Customer(c.Request.Context(), id)
	if err != nil {
		return reply{}, err
	}
	return ok(s.customerOf(customer)), nil
}

// exportCustomer answers every row that names a person, as it is read.
func (s *Server) exportCustomer(c *gin.Context) (reply, error) {
	id, err := engine.ParseIdentifier(c.Param("identifier"))
	if err != nil {
		return reply{}, err
	}
	ctx, now := c.Request.Context(), s.now().UTC()
	return ok(streamedBody{"application/json", func(w io.Writer) error {
		out := jsontext.NewEncoder(w)
		err := writeTokens(out, jsontext.BeginObject, jsontext.String("customer"), jsontext.String(string(id)),
			jsontext.String("exported_at"), jsontext.String(now.Format(time.RFC3339Nano)), jsontext.String("tables"), jsontext.BeginObject)
		if err != nil {
			return err
		}
		open := ""
		if err := s.engine.ExportCustomer(ctx, id, func(table string, row json.RawMessage) error {
			if table != open {
				if open != "" {
					if err := out.WriteToken(jsontext.EndArray); err != nil {
						return err
					}
				}
				open = table
				if err := writeTokens(out, jsontext.String(table), jsontext.BeginArray); err != nil {
					return err
				}
			}
			return out.WriteValue(jsontext.Value(row))
		}); err != nil {
			return err
		}
		if open != "" {
			if err := out.WriteToken(jsontext.EndArray); err != nil {
				return err
			}
		}
		return writeTokens(out, jsontext.EndObject, jsontext.EndObject)
	}}), nil
}

func writeTokens(out *jsontext.Encoder, tokens ...jsontext.Token) error {
	for _, token := range tokens {
		if err := out.WriteToken(token); err != nil {
			return err
		}
	}
	return nil
}

// deleteCustomer erases a person. Sent again it does so again, which finds nothing.
func (s *Server) deleteCustomer(c *gin.Context) (reply, error) {
	id, err := engine.ParseIdentifier(c.Param("identifier"))
	if err != nil {
		return reply{}, err
	}
	return noContent(), s.engine.Erase(c.Request.Context(), id)
}
