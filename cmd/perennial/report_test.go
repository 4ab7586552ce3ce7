package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
)

// reportDocument reads a report as the API answers it.
func reportDocument(t *testing.T, name string) (string, engine.Report) {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("testdata", "report", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var report engine.Report
	if err := json.Unmarshal(document, &report); err != nil {
		t.Fatal(err)
	}
	return string(document), report
}

func TestWriteReport(t *testing.T) {
	for _, name := range []string{"promote", "closing", "segments", "hillstrom", "early", "empty"} {
		t.Run(name, func(t *testing.T) {
			_, report := reportDocument(t, name)
			var text strings.Builder
			if err := writeReport(&text, report, 80); err != nil {
				t.Fatal(err)
			}
			checkGolden(t, filepath.Join("report", name+".golden"), text.String())
		})
	}
}

func TestChartKeepsToTheWidth(t *testing.T) {
	_, report := reportDocument(t, "hillstrom")
	metric := report.Metrics[0]
	for _, width := range []int{40, 60, 80, 200} {
		for line := range strings.Lines(chartText(metric.Comparisons, unitOf(metric), width)) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("width %d: a line of %d: %q", width, n, line)
			}
		}
	}
	if got := chartText(metric.Comparisons, unitOf(metric), 1); got == "" {
		t.Error("no chart at all in a very narrow terminal")
	}
}

func TestFormatP(t *testing.T) {
	for p, want := range map[float64]string{0: "<0.0001", 1.16e-7: "<0.0001", 0.008608: "0.0086", 0.0744: "0.0744", 0.81: "0.81", 1: "1.00"} {
		if got := formatP(&p); got != want {
			t.Errorf("formatP(%g) = %s, want %s", p, got, want)
		}
	}
}

func TestGroupDigits(t *testing.T) {
	for number, want := range map[string]string{
		"": "", "0": "0", "999": "999", "1000": "1,000", "-1000": "-1,000", "168920.00": "168,920.00", "-123456789.123456": "-123,456,789.123456",
	} {
		if got := groupDigits(number); got != want {
			t.Errorf("groupDigits(%s) = %s, want %s", number, got, want)
		}
	}
}

func TestReportCommand(t *testing.T) {
	document, report := reportDocument(t, "promote")
	environ, requests := recorder(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, document) })

	got := perennial(t, environ, "", "report", "welcome-tone")
	if diff := cmp.Diff(result{exitDone, reportText(report, 80), ""}, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	got = perennial(t, environ, "", "report", "welcome-tone", "--as-of", "2026-03-01", "--json")
	var want, printed any
	if err := json.Unmarshal([]byte(document), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(got.stdout), &printed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, printed); diff != "" || got.code != exitDone || got.stderr != "" {
		t.Errorf("exit code %d, standard error %q, --json (-want +got):\n%s", got.code, got.stderr, diff)
	}
	for _, args := range [][]string{{"--segment", "ltv_tier"}, {"--holdback"}, {"--now", "--segment", "a b"}} {
		if got := perennial(t, environ, "", append([]string{"report", "welcome-tone"}, args...)...); got.code != exitDone {
			t.Errorf("%q: %+v", args, got)
		}
	}
	wantRequests := []string{
		"GET /v1/experiments/welcome-tone/report",
		`POST /v1/experiments/welcome-tone/reports {"as_of":"2026-03-01T00:00:00Z"}`,
		`POST /v1/experiments/welcome-tone/reports?segment=ltv_tier {}`,
		"GET /v1/experiments/welcome-tone/holdback",
		`POST /v1/experiments/welcome-tone/reports?segment=a+b {}`,
	}
	if diff := cmp.Diff(wantRequests, *requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if got := perennial(t, environ, "", "report", "welcome-tone", "--as-of", "yesterday"); got.code != exitUsage {
		t.Errorf("a wrong time: %+v", got)
	}
}
