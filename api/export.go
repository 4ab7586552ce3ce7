package api

import (
	"context"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

// totalHeader tells the number of rows of an export, where that is known when it begins.
const totalHeader = "X-Total-Count"

// exportEvents answers the ledger, as lines that POST /v1/events takes.
func (s *Server) exportEvents(c *gin.Context) (reply, error) {
	query, err := exportQuery(c, "from", "to")
	if err != nil {
		return reply{}, err
	}
	var happened engine.Period
	if happened.From, err = timeOf(query, "from"); err != nil {
		return reply{}, err
	}
	if happened.To, err = timeOf(query, "to"); err != nil {
		return reply{}, err
	}
	return export(c, exportedEvent{}, func(ctx context.Context, out *lines) error {
		return s.engine.ExportEvents(ctx, happened, engine.Output[engine.Event]{
			Total: out.total, Row: func(e *engine.Event) error { return out.add(exportedEventOf(e)) },
		})
	}), nil
}

// exportEnrolments answers the enrolments that count.
func (s *Server) exportEnrolments(c *gin.Context) (reply, error) {
	query, err := exportQuery(c, "experiment")
	if err != nil {
		return reply{}, err
	}
	return export(c, exportedEnrolment{}, func(ctx context.Context, out *lines) error {
		return s.engine.ExportEnrolments(ctx, exportedOf(query), engine.Output[engine.ExportedEnrolment]{
			Total: out.total, Row: func(e *engine.ExportedEnrolment) error { return out.add(exportedEnrolmentOf(e)) },
		})
	}), nil
}

// exportMeasures answers what each metric makes of each customer.
func (s *Server) exportMeasures(c *gin.Context) (reply, error) {
	query, err := exportQuery(c, "experiment")
	if err != nil {
		return reply{}, err
	}
	return export(c, exportedMeasure{}, func(ctx context.Context, out *lines) error {
		return s.engine.ExportMeasures(ctx, exportedOf(query), engine.Output[engine.MeasuredValue]{
			Total: out.total, Row: func(v *engine.MeasuredValue) error { return out.add(s.exportedMeasureOf(v)) },
		})
	}), nil
}

// exportReports answers stored reports: whole documents, or as CSV a line for each arm of
// each metric.
func (s *Server) exportReports(c *gin.Context) (reply, error) {
	query, err := exportQuery(c, "experiment")
	if err != nil {
		return reply{}, err
	}
	return export(c, exportedReportLine{}, func(ctx context.Context, out *lines) error {
		row := func(r *engine.Report) error { return out.add(r) }
		if out.csv != nil {
			// How many lines the reports have is not known before.
			out.total = func(int64) {}
			row = func(r *engine.Report) error {
				for _, line := range reportLines(r) {
					if err := out.add(exportedReportLineOf(r, line)); err != nil {
						return err
					}
				}
				return nil
			}
		}
		return s.engine.ExportReports(ctx, exportedOf(query), engine.Output[engine.Report]{Total: out.total, Row: row})
	}), nil
}

// export is an answer of many rows, written as they are read. empty has the columns of CSV.
func export(c *gin.Context, empty any, read func(ctx context.Context, out *lines) error) reply {
	ctx, contentType := c.Request.Context(), "application/x-ndjson"
	asCSV := wantsCSV(c) && c.Query("format") != "ndjson"
	if asCSV {
		contentType = "text/csv; charset=utf-8"
	}
	return ok(streamedBody{contentType, func(w io.Writer) error {
		out, err := newLines(w, asCSV, empty)
		if err != nil {
			return err
		}
		out.total = func(rows int64) { c.Header(totalHeader, strconv.FormatInt(rows, 10)) }
		if err := read(ctx, out); err != nil {
			return err
		}
		return out.flush()
	}})
}

// exportQuery reads the parameters of an export and refuses others: a misspelt one would
// export too much.
func exportQuery(c *gin.Context, known ...string) (url.Values, error) {
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return nil, engine.Errorf(engine.KindMalformed, "malformed_query", "the query is not URL-encoded")
	}
	known = append(known, "format")
	for name, values := range query {
		if !slices.Contains(known, name) {
			return nil, engine.Errorf(engine.KindMalformed, "unknown_parameter",
				"%q is not a parameter of this export: it takes %s", name, strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return nil, engine.Errorf(engine.KindMalformed, "duplicate_parameter", "%s stands twice", name)
		}
		if values[0] == "" {
			return nil, engine.Errorf(engine.KindMalformed, "empty_parameter", "%s is empty: leave it out to export all", name)
		}
	}
	if f := query.Get("format"); f != "" && f != "csv" && f != "ndjson" {
		return nil, engine.Errorf(engine.KindMalformed, "unknown_format", "format must be ndjson or csv")
	}
	return query, nil
}

func timeOf(query url.Values, name string) (*time.Time, error) {
	text := query.Get(name)
	if text == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, engine.Errorf(engine.KindMalformed, "invalid_time", "%s must be RFC 3339, such as 2026-03-01T10:00:00Z", name)
	}
	return &at, nil
}

func exportedOf(query url.Values) engine.ExperimentKey {
	return engine.ExperimentKey(query.Get("experiment"))
}
