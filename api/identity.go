package api

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

type personJSON struct {
	Customer    string           `json:"customer"`
	Identifiers []string         `json:"identifiers"`
	Conflicts   []idConflictJSON `json:"conflicts"`
}

type idConflictJSON struct {
	Code       string    `json:"code"`
	Kind       string    `json:"kind"`
	ID         string    `json:"id"`
	Type       *string   `json:"type"`
	OccurredAt time.Time `json:"occurred_at"`
	Value      *string   `json:"value"`
	Currency   *string   `json:"currency"`
	Channel    *string   `json:"channel"`
	Touchpoint *string   `json:"touchpoint"`
}

func idConflicts(conflicts []engine.IDConflict) []idConflictJSON {
	all := []idConflictJSON{}
	for _, c := range conflicts {
		j := idConflictJSON{
			Code: "id_conflict", Kind: "event", ID: c.ID, Type: optional(c.Type), OccurredAt: c.OccurredAt.UTC(),
			Currency: optional(c.Currency), Channel: optional(c.Channel), Touchpoint: optional(c.Touchpoint),
		}
		if c.Type == "" {
			j.Kind = "exposure"
		}
		if c.Value != nil {
			value := c.Value.String()
			j.Value = &value
		}
		all = append(all, j)
	}
	return all
}

// linkIdentities makes several identifiers one person. Sent again it changes nothing.
func (s *Server) linkIdentities(c *gin.Context) (reply, error) {
	var b struct {
		Customer    string   `json:"customer"`
		Identifiers []string `json:"identifiers"`
	}
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	identifiers := make([]engine.CustomerID, 0, len(b.Identifiers))
	for _, id := range b.Identifiers {
		identifiers = append(identifiers, engine.CustomerID(id))
	}
	person, err := s.engine.LinkIdentities(c.Request.Context(), engine.CustomerID(b.Customer), identifiers)
	if err != nil {
		return reply{}, err
	}
	return ok(personJSON{string(person.ID), strs(person.Identifiers), idConflicts(person.Conflicts)}), nil
}
