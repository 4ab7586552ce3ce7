package api

import (
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

func (s *Server) getReport(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	r, err := s.engine.LatestReport(c.Request.Context(), engine.ExperimentKey(key))
	if err != nil {
		return reply{}, err
	}
	return ok(r), nil
}

func (s *Server) getHoldbackReport(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	r, err := s.engine.HoldbackReport(c.Request.Context(), engine.ExperimentKey(key))
	if err != nil {
		return reply{}, err
	}
	return ok(r), nil
}

func (s *Server) listReports(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	fetch := func(ctx context.Context, p engine.Page) ([]engine.Report, error) {
		if _, err := strconv.ParseInt(cmp.Or(p.After, "0"), 10, 32); err != nil {
			return nil, errBadCursor
		}
		return s.engine.Reports(ctx, engine.ExperimentKey(key), p)
	}
	return list(c, fetch, func(r *engine.Report) *engine.Report { return r },
		func(r *engine.Report) string { return strconv.Itoa(r.Version) })
}

func (s *Server) createReport(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	var b struct {
		AsOf    *time.Time `json:"as_of"`
		DataCut *int64     `json:"data_cut"`
	}
	if err := readOptional(c, &b); err != nil {
		return reply{}, err
	}
	r, err := s.engine.Analyze(c.Request.Context(), engine.ExperimentKey(key), engine.ReportQuery{
		AsOf: b.AsOf, DataCut: b.DataCut, Segment: c.Query("segment"),
	})
	if err != nil {
		return reply{}, err
	}
	return created(r), nil
}

type decisionJSON struct {
	ID            string          `json:"id"`
	Experiment    string          `json:"experiment"`
	ReportVersion *int            `json:"report_version"`
	Action        string          `json:"action"`
	Variant       *string         `json:"variant"`
	Reasons       []engine.Reason `json:"reasons"`
	Mode          string          `json:"mode"`
	DecidedBy     string          `json:"decided_by"`
	ApprovedBy    *string         `json:"approved_by"`
	Note          *string         `json:"note"`
	DecidedAt     time.Time       `json:"decided_at"`
	AppliedAt     *time.Time      `json:"applied_at"`
	SupersededAt  *time.Time      `json:"superseded_at"`
}

func decisionOf(d *engine.Decision) decisionJSON {
	return decisionJSON{
		ID: d.ID, Experiment: string(d.Experiment), ReportVersion: positive(d.ReportVersion), Action: string(d.Action),
		Variant: optional(d.Variant), Reasons: d.Reasons, Mode: string(d.Mode), DecidedBy: d.DecidedBy,
		ApprovedBy: optional(d.ApprovedBy), Note: optional(d.Note), DecidedAt: d.DecidedAt.UTC(),
		AppliedAt: utc(d.AppliedAt), SupersededAt: utc(d.SupersededAt),
	}
}

func (s *Server) listDecisions(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	fetch := func(ctx context.Context, p engine.Page) ([]engine.Decision, error) {
		return s.engine.Decisions(ctx, engine.ExperimentKey(key), p)
	}
	return list(c, fetch, decisionOf, func(d *engine.Decision) string { return d.ID })
}
