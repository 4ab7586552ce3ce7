package api

import (
	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

type overrideBody struct {
	Variant string `json:"variant"`
}

type overrideJSON struct {
	Experiment string `json:"experiment"`
	Customer   string `json:"customer"`
	Variant    string `json:"variant"`
}

// overrideInPath reads whom an override is for.
func overrideInPath(c *gin.Context) (engine.Override, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return engine.Override{}, err
	}
	customer, err := engine.ParseIdentifier(c.Param("customer"))
	return engine.Override{Experiment: engine.ExperimentKey(key), Customer: customer}, err
}

func (s *Server) putOverride(c *gin.Context) (reply, error) {
	var b overrideBody
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	o, err := overrideInPath(c)
	if err != nil {
		return reply{}, err
	}
	o.Variant = engine.VariantKey(b.Variant)
	isNew, err := s.engine.PutOverride(c.Request.Context(), o)
	if err != nil {
		return reply{}, err
	}
	return put(isNew, overrideJSON{string(o.Experiment), string(o.Customer), b.Variant}), nil
}

func (s *Server) deleteOverride(c *gin.Context) (reply, error) {
	o, err := overrideInPath(c)
	if err != nil {
		return reply{}, err
	}
	return noContent(), s.engine.DeleteOverride(c.Request.Context(), o.Experiment, o.Customer)
}
