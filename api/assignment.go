package api

import (
	"encoding/json"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
)

type assignmentBody struct {
	Customer   *string        `json:"customer"`
	Customers  []string       `json:"customers"`
	Touchpoint string         `json:"touchpoint"`
	Attributes jsontext.Value `json:"attributes"`
	Record     *bool          `json:"record"`
}

type assignmentJSON struct {
	Customer   string         `json:"customer"`
	Touchpoint string         `json:"touchpoint"`
	Content    jsontext.Value `json:"content"`
	Variant    *string        `json:"variant"`
	Experiment *string        `json:"experiment"`
	Reason     string         `json:"reason"`
}

type assignmentsJSON struct {
	Assignments []assignmentJSON `json:"assignments"`
}

func (s *Server) assign(c *gin.Context) (reply, error) {
	body, err := readBody(c, maxBatch)
	if err != nil {
		return reply{}, err
	}
	var b assignmentBody
	if err := decode(body, &b); err != nil {
		return reply{}, err
	}
	if b.Touchpoint == "" {
		return reply{}, at("/touchpoint", engine.Errorf(engine.KindInvalid, "touchpoint_missing", "must name a touchpoint"))
	}
	request := engine.AssignRequest{Touchpoint: engine.TouchpointKey(b.Touchpoint), Record: true}
	set(&request.Record, b.Record)
	switch b.Attributes.Kind() {
	case '{':
		request.Attributes = json.RawMessage(b.Attributes)
	case 'n', 0:
	default:
		return reply{}, at("/attributes", engine.Errorf(engine.KindMalformed, "wrong_type", "must be an object of attributes by name"))
	}
	switch {
	case (b.Customer == nil) == (b.Customers == nil):
		return reply{}, at("/customer", engine.Errorf(engine.KindInvalid, "customer_missing", "give either customer or customers"))
	case len(b.Customers) > engine.MaxBatch:
		return reply{}, engine.Errorf(engine.KindTooLarge, "batch_too_large", "a batch has at most %d customers, not %d", engine.MaxBatch, len(b.Customers))
	case b.Customer != nil:
		customer, err := engine.ParseIdentifier(*b.Customer)
		if err != nil {
			return reply{}, at("/customer", err)
		}
		request.Customers = []engine.CustomerID{customer}
	default:
		request.Customers = named[engine.CustomerID](b.Customers)
	}
	answers, err := s.engine.Assign(c.Request.Context(), request)
	if err != nil {
		return reply{}, err
	}
	lines := make([]assignmentJSON, len(answers))
	for i, a := range answers {
		lines[i] = assignmentJSON{
			Customer: string(a.Customer), Touchpoint: b.Touchpoint, Content: jsontext.Value(a.Content),
			Variant: optional(a.Variant), Experiment: optional(a.Experiment), Reason: string(a.Reason),
		}
	}
	if b.Customer != nil {
		return ok(lines[0]), nil
	}
	return ok(assignmentsJSON{lines}), nil
}
