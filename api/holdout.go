package api

import (
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
)

type holdoutBody struct {
	Key   string       `json:"key"`
	Share amountNumber `json:"share"`
}

type holdoutJSON struct {
	Key       string         `json:"key"`
	Share     jsontext.Value `json:"share"`
	Salt      string         `json:"salt"`
	CreatedAt time.Time      `json:"created_at"`
}

func holdoutOf(h *engine.Holdout) holdoutJSON {
	return holdoutJSON{string(h.Key), jsontext.Value(h.Share().String()), h.Salt, h.CreatedAt.UTC()}
}

func (s *Server) putHoldout(c *gin.Context) (reply, error) {
	var b holdoutBody
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	key, err := keyInPath(c, b.Key)
	if err != nil {
		return reply{}, err
	}
	share, err := engine.ParseShare(string(b.Share))
	if err != nil {
		return reply{}, at("/share", err)
	}
	h, isNew, err := s.engine.PutHoldout(c.Request.Context(), &engine.Holdout{Key: engine.HoldoutKey(key), Parts: engine.PartsOf(share)})
	if err != nil {
		return reply{}, err
	}
	return put(isNew, holdoutOf(h)), nil
}

func (s *Server) getHoldout(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "holdout")
	if err != nil {
		return reply{}, err
	}
	h, err := s.engine.Catalogue().Holdout(c.Request.Context(), engine.HoldoutKey(key))
	if err != nil {
		return reply{}, err
	}
	return ok(holdoutOf(h)), nil
}

func (s *Server) listHoldouts(c *gin.Context) (reply, error) {
	return list(c, s.engine.Catalogue().Holdouts, holdoutOf, func(h *engine.Holdout) string { return string(h.Key) })
}

type memberJSON struct {
	Holdout  string `json:"holdout"`
	Customer string `json:"customer"`
	Member   bool   `json:"member"`
}

func (s *Server) getHoldoutMember(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "holdout")
	if err != nil {
		return reply{}, err
	}
	customer, err := engine.ParseIdentifier(c.Param("customer"))
	if err != nil {
		return reply{}, err
	}
	member, err := s.engine.HeldOut(c.Request.Context(), engine.HoldoutKey(key), customer)
	if err != nil {
		return reply{}, err
	}
	return ok(memberJSON{key, string(customer), member}), nil
}
