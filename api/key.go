package api

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

type keyJSON struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes"`
	Key       string     `json:"key,omitzero"` // the secret, once
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at"`
}

func keyOf(k *engine.Key) keyJSON {
	return keyJSON{ID: k.ID, Name: k.Name, Scopes: strs(k.Scopes), CreatedAt: k.CreatedAt.UTC(), RevokedAt: utc(k.RevokedAt)}
}

func (s *Server) createKey(c *gin.Context) (reply, error) {
	var b struct {
		Name   string   `json:"name"`
		Scopes []string `json:"scopes"`
	}
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	k, secret, err := s.engine.CreateKey(c.Request.Context(), b.Name, named[engine.Scope](b.Scopes))
	if err != nil {
		return reply{}, err
	}
	j := keyOf(k)
	j.Key = secret
	return created(j), nil
}

func (s *Server) listKeys(c *gin.Context) (reply, error) {
	return list(c, s.engine.ListKeys, keyOf, func(k *engine.Key) string { return k.ID })
}

func (s *Server) revokeKey(c *gin.Context) (reply, error) {
	id, err := pathKey(c, "id", "key")
	if err != nil {
		return reply{}, err
	}
	return noContent(), s.engine.RevokeKey(c.Request.Context(), id)
}
