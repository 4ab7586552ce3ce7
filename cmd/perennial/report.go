package main

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perennial-engine/perennial/engine"
)

func newReport(a *app) *cobra.Command {
	var q reportQuery
	cmd := &cobra.Command{
		Use:   "report KEY",
		Short: "Print the newest report of an experiment, or one as of a time",
		Long: `Print the newest report of an experiment: customers, health, every metric per
arm, the differences from control with their intervals, and the verdict.

With --now a new report is computed from what has happened so far, with --as-of
from what had happened by then (a date means its first second, UTC), with --segment
one that is divided: by channel, ltv_tier, objective or a stored attribute. None of them
decides anything. --holdback prints how those fare who are held back from a promoted
winner. A dash stands for a number that cannot be computed; a warning says why.`,
		Example: `  perennial report welcome-tone
  perennial report welcome-tone --now
  perennial report welcome-tone --as-of 2026-03-01
  perennial report welcome-tone --segment ltv_tier
  perennial report welcome-tone --holdback
  perennial report welcome-tone --json | jq .verdict`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := q.call(args[0])
			if err != nil {
				return err
			}
			client, err := a.clientFor(cmd)
			if err != nil {
				return err
			}
			var document json.RawMessage
			if err := client.do(cmd.Context(), request, &document); err != nil {
				return err
			}
			var report engine.Report
			if err := json.Unmarshal(document, &report); err != nil {
				return fmt.Errorf("the engine answers another kind of report; is it of another version? %w", err)
			}
			return a.answer(document, func() string {
				return reportText(report, cmp.Or(terminalWidth(a.stdout), 80))
			})
		},
	}
	cmd.Flags().StringVar(&q.asOf, "as-of", "", "compute a report as of this `TIME`, 2026-03-01 or 2026-03-01T10:00:00Z")
	cmd.Flags().BoolVar(&q.now, "now", false, "compute a report now")
	cmd.Flags().StringVar(&q.segment, "segment", "", "compute a report divided by this `NAME`: channel, ltv_tier, objective or an attribute")
	cmd.Flags().BoolVar(&q.holdback, "holdback", false, "compare those held back from the promoted winner with all others")
	cmd.MarkFlagsMutuallyExclusive("now", "as-of", "holdback")
	cmd.MarkFlagsMutuallyExclusive("segment", "holdback")
	addSettings(cmd.Flags(), "url", "key")
	return cmd
}

// A reportQuery is the report that is asked for: the newest, unless a new one is to be
// computed, of now or as of a time, perhaps divided; or that on the holdback.
type reportQuery struct {
	asOf, segment string
	now, holdback bool
}

func (q *reportQuery) call(key string) (call, error) {
	path := "/v1/experiments/" + url.PathEscape(key)
	switch {
	case q.holdback:
		return call{method: http.MethodGet, path: path + "/holdback"}, nil
	case !q.now && q.asOf == "" && q.segment == "":
		return call{method: http.MethodGet, path: path + "/report"}, nil
	}
	body := map[string]time.Time{}
	if q.asOf != "" {
		at, err := parseTime(q.asOf)
		if err != nil {
			return call{}, usagef("--as-of %w", err)
		}
		body["as_of"] = at
	}
	path += "/reports"
	if q.segment != "" {
		path += "?" + url.Values{"segment": {q.segment}}.Encode()
	}
	return call{method: http.MethodPost, path: path, body: body, idempotency: rand.Text()}, nil
}

// parseTime reads a time; a date is its first second, UTC.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-03-01 or 2026-03-01T10:00:00Z", text)
}
