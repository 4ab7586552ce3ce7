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
	var asOf string
	var now bool
	cmd := &cobra.Command{
		Use:   "report KEY",
		Short: "Print the newest report of an experiment, or one as of a time",
		Long: `Print the newest report of an experiment: customers, health, every metric per
arm, the differences from control with their intervals, and the verdict.

With --now a new report is computed from what has happened so far, with --as-of
from what had happened by then (a date means its first second, UTC). Neither
decides anything. A dash stands for a number that cannot be computed; a warning says why.`,
		Example: `  perennial report welcome-tone
  perennial report welcome-tone --now
  perennial report welcome-tone --as-of 2026-03-01
  perennial report welcome-tone --json | jq .verdict`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request, err := reportCall(args[0], asOf, now)
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
	cmd.Flags().StringVar(&asOf, "as-of", "", "compute a report as of this `TIME`, 2026-03-01 or 2026-03-01T10:00:00Z")
	cmd.Flags().BoolVar(&now, "now", false, "compute a report now")
	cmd.MarkFlagsMutuallyExclusive("now", "as-of")
	addSettings(cmd.Flags(), "url", "key")
	return cmd
}

// reportCall asks for the newest report, or for one of now or as of a time.
func reportCall(key, asOf string, now bool) (call, error) {
	path := "/v1/experiments/" + url.PathEscape(key)
	if now {
		return call{method: http.MethodPost, path: path + "/reports", body: struct{}{}, idempotency: rand.Text()}, nil
	}
	if asOf == "" {
		return call{method: http.MethodGet, path: path + "/report"}, nil
	}
	at, err := parseTime(asOf)
	if err != nil {
		return call{}, usagef("--as-of %w", err)
	}
	return call{method: http.MethodPost, path: path + "/reports", body: map[string]time.Time{"as_of": at}, idempotency: rand.Text()}, nil
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
