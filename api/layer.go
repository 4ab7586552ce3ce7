package api

import (
	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

type layerJSON struct {
	Key  string `json:"key"`
	Salt string `json:"salt"`
}

func layerOf(l *engine.Layer) layerJSON { return layerJSON{string(l.Key), l.Salt} }

func (s *Server) putLayer(c *gin.Context) (reply, error) {
	var b struct {
		Key string `json:"key"`
	}
	if err := readOptional(c, &b); err != nil {
		return reply{}, err
	}
	key, err := keyInPath(c, b.Key)
	if err != nil {
		return reply{}, err
	}
	layer, isNew, err := s.engine.PutLayer(c.Request.Context(), engine.LayerKey(key))
	if err != nil {
		return reply{}, err
	}
	return put(isNew, layerOf(layer)), nil
}

func (s *Server) getLayer(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "layer")
	if err != nil {
		return reply{}, err
	}
	layer, err := s.engine.Catalogue().Layer(c.Request.Context(), engine.LayerKey(key))
	if err != nil {
		return reply{}, err
	}
	return ok(layerOf(layer)), nil
}

func (s *Server) listLayers(c *gin.Context) (reply, error) {
	return list(c, s.engine.Catalogue().Layers, layerOf, func(l *engine.Layer) string { return string(l.Key) })
}
