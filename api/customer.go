package api

import (
	"encoding/json"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
)

type customerJSON struct {
	Customer    string                    `json:"customer"`
	Identifiers []string                  `json:"identifiers"`
	Attributes  map[string]jsontext.Value `json:"attributes"`
	Enrolments  []customerEnrolmentJSON   `json:"enrolments"`
	FirstSeen   *time.Time                `json:"first_seen"`
	IDConflicts []idConflictJSON          `json:"id_conflicts"`
}

type customerEnrolmentJSON struct {
	Experiment   string    `json:"experiment"`
	Variant      string    `json:"variant"`
	EnrolledAt   time.Time `json:"enrolled_at"`
	Channel      *string   `json:"channel"`
	Touchpoint   *string   `json:"touchpoint"`
	Contaminated bool      `json:"contaminated"`
}

func customerOf(customer *engine.Customer) customerJSON {
	j := customerJSON{
		Customer: string(customer.ID), Identifiers: strs(customer.Identifiers),
		Attributes: map[string]jsontext.Value{}, FirstSeen: utc(customer.FirstSeen),
		IDConflicts: idConflicts(customer.IDConflicts),
	}
	for name, value := range customer.Attributes {
		j.Attributes[name] = jsontext.Value(value)
	}
	for _, e := range customer.Enrolments {
		j.Enrolments = append(j.Enrolments, customerEnrolmentJSON{
			string(e.Experiment), string(e.Variant), e.EnrolledAt.UTC(), optional(e.Channel), optional(e.Touchpoint), e.Contaminated,
		})
	}
	return j
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
	return put(isNew, customerOf(merged)), nil
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
	return ok(customerOf(customer)), nil
}

// deleteCustomer erases a person. Sent again it does so again, which finds nothing.
func (s *Server) deleteCustomer(c *gin.Context) (reply, error) {
	id, err := engine.ParseIdentifier(c.Param("identifier"))
	if err != nil {
		return reply{}, err
	}
	return noContent(), s.engine.Erase(c.Request.Context(), id)
}
