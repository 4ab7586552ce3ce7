package api

import (
	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

type checklistItemJSON struct {
	Level   string `json:"level"`
	Code    string `json:"code"`
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

type checklistJSON struct {
	Experiment string              `json:"experiment"`
	Ready      bool                `json:"ready"`
	Items      []checklistItemJSON `json:"items"`
}

func (s *Server) getStartChecklist(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	list, err := s.engine.StartChecklist(c.Request.Context(), engine.ExperimentKey(key))
	if err != nil {
		return reply{}, err
	}
	answer := checklistJSON{Experiment: key, Ready: list.Ready, Items: []checklistItemJSON{}}
	for _, item := range list.Items {
		answer.Items = append(answer.Items, checklistItemJSON{string(item.Level), item.Code, item.Pointer, item.Detail})
	}
	return ok(answer), nil
}
