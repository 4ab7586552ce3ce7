package api

import (
	"context"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/engine/audit"
)

type auditJSON struct {
	Seq      int64          `json:"seq"`
	At       time.Time      `json:"at"`
	Actor    string         `json:"actor"`
	Action   string         `json:"action"`
	Object   string         `json:"object"`
	Detail   jsontext.Value `json:"detail"`
	Hash     string         `json:"hash"`
	Previous string         `json:"previous"`
}

func auditOf(r *audit.Row) auditJSON {
	return auditJSON{
		Seq: r.Seq, At: r.At.UTC(), Actor: r.Actor, Action: r.Action, Object: r.Object, Detail: detailOf(r.Detail),
		Hash: r.Hash.String(), Previous: r.Previous.String(),
	}
}

// detailOf is the detail to the letter, since it is hashed. What is not in canonical form
// was tampered with; as a string it can be answered all the same.
func detailOf(text string) jsontext.Value {
	canonical := jsontext.Value(text)
	if err := canonical.Canonicalize(); err == nil && string(canonical) == text {
		return canonical
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return jsontext.Value(`""`)
	}
	return quoted
}

func (s *Server) listAudit(c *gin.Context) (reply, error) {
	return list(c, s.engine.AuditLog, auditOf, func(r *audit.Row) string { return strconv.FormatInt(r.Seq, 10) })
}

// happeningJSON is a row of the audit log as part of an experiment's timeline.
type happeningJSON struct {
	Seq    int64          `json:"seq"`
	At     time.Time      `json:"at"`
	Actor  string         `json:"actor"`
	Action string         `json:"action"`
	Detail jsontext.Value `json:"detail"`
}

func happeningOf(r *audit.Row) happeningJSON {
	return happeningJSON{Seq: r.Seq, At: r.At.UTC(), Actor: r.Actor, Action: r.Action, Detail: detailOf(r.Detail)}
}

func (s *Server) getTimeline(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	fetch := func(ctx context.Context, p engine.Page) ([]audit.Row, error) {
		return s.engine.Timeline(ctx, engine.ExperimentKey(key), p)
	}
	return list(c, fetch, happeningOf, func(r *audit.Row) string { return strconv.FormatInt(r.Seq, 10) })
}
