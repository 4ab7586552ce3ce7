package api

import (
	"encoding/json"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
)

type moneyJSON struct {
	Amount   amount `json:"amount"`
	Currency string `json:"currency"`
}

type touchpointJSON struct {
	Key            string         `json:"key"`
	Name           string         `json:"name"`
	Channel        string         `json:"channel"`
	Stage          *string        `json:"stage"`
	Content        jsontext.Value `json:"content"`
	CostPerContact *moneyJSON     `json:"cost_per_contact"`
	CreatedAt      time.Time      `json:"created_at"`
	UpdatedAt      time.Time      `json:"updated_at"`
}

// touchpointBody is what a PUT takes: the key is that of the path.
type touchpointBody struct {
	Key            string         `json:"key"`
	Name           string         `json:"name"`
	Channel        string         `json:"channel"`
	Stage          string         `json:"stage"`
	Content        jsontext.Value `json:"content"`
	CostPerContact *moneyJSON     `json:"cost_per_contact"`
}

func touchpointOf(t *engine.Touchpoint) touchpointJSON {
	j := touchpointJSON{
		Key: string(t.Key), Name: t.Name, Channel: string(t.Channel), Stage: optional(t.Stage),
		Content: jsontext.Value(t.Content), CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(),
	}
	if c := t.CostPerContact; c != nil {
		j.CostPerContact = &moneyJSON{Amount: amount(c.Amount.String()), Currency: string(c.Currency)}
	}
	return j
}

// keyInPath checks that the key of the body, if any, is the key of the path.
func keyInPath(c *gin.Context, inBody string) (string, error) {
	key := c.Param("key")
	if inBody != "" && inBody != key {
		return "", &engine.Error{
			Kind: engine.KindInvalid, Code: "key_mismatch", Message: "the key of the body differs from the key of the path",
			Fields: []engine.FieldError{{Pointer: "/key", Detail: "must be " + key + ", or left out"}},
		}
	}
	return key, nil
}

func (s *Server) putTouchpoint(c *gin.Context) (reply, error) {
	var b touchpointBody
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	key, err := keyInPath(c, b.Key)
	if err != nil {
		return reply{}, err
	}
	t := &engine.Touchpoint{
		Key: engine.TouchpointKey(key), Name: b.Name, Channel: engine.Channel(b.Channel), Stage: engine.Stage(b.Stage),
		Content: json.RawMessage(plain(b.Content)),
	}
	if b.CostPerContact != nil {
		money, err := parseMoney("/cost_per_contact", *b.CostPerContact)
		if err != nil {
			return reply{}, err
		}
		t.CostPerContact = &money
	}
	isNew, err := s.engine.PutTouchpoint(c.Request.Context(), t)
	if err != nil {
		return reply{}, err
	}
	return put(isNew, touchpointOf(t)), nil
}

func parseMoney(pointer string, m moneyJSON) (engine.Money, error) {
	value, err := engine.ParseAmount(string(m.Amount))
	if err != nil {
		return engine.Money{}, at(pointer+"/amount", err)
	}
	currency, err := engine.ParseCurrency(m.Currency)
	if err != nil {
		return engine.Money{}, at(pointer+"/currency", err)
	}
	return engine.Money{Amount: value, Currency: currency}, nil
}

func (s *Server) getTouchpoint(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "touchpoint")
	if err != nil {
		return reply{}, err
	}
	t, err := s.engine.Catalogue().Touchpoint(c.Request.Context(), engine.TouchpointKey(key))
	if err != nil {
		return reply{}, err
	}
	return ok(touchpointOf(t)), nil
}

func (s *Server) deleteTouchpoint(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "touchpoint")
	if err != nil {
		return reply{}, err
	}
	return noContent(), s.engine.DeleteTouchpoint(c.Request.Context(), engine.TouchpointKey(key))
}

func (s *Server) listTouchpoints(c *gin.Context) (reply, error) {
	return list(c, s.engine.Catalogue().Touchpoints, touchpointOf, func(t *engine.Touchpoint) string { return string(t.Key) })
}
