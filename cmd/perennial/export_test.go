package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What stood there before stays until the new file is whole, and nothing else is left.
func TestExportIsWholeOrNotAtAll(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   string // in standard error, or in the file
	}{
		"whole":   {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "a\nb\n") }, "a\nb\n"},
		"nothing": {func(http.ResponseWriter) {}, ""},
		"cut off": {func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "a\nb\n")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "the export was cut off after 2 rows: unexpected EOF"},
		"refused":   {func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, "403 Forbidden"},
		"not there": {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, "404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			out := writeFile(t, "events.ndjson", "the old ones")
			environ, requests := recorder(t, func(w http.ResponseWriter, _ *http.Request) { c.answer(w) })
			got := perennial(t, environ, "", "export", "events", "--out", out)
			if good := !strings.Contains(c.want, " "); good {
				text := fmt.Sprintf("%d rows, 0.0 MB, are in %s.\n", strings.Count(c.want, "\n"), out)
				if got != (result{exitDone, text, ""}) || read(t, out) != c.want {
					t.Errorf("%+v, out: %q", got, read(t, out))
				}
			} else if got.code != exitFailed || got.stdout != "" || !strings.Contains(got.stderr, c.want) ||
				!strings.Contains(got.stderr, out+" was not written") || read(t, out) != "the old ones" {
				t.Errorf("%+v, out: %q", got, read(t, out))
			}
			if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
			if len(*requests) != 1 || (*requests)[0] != "GET /v1/export/events?format=ndjson" {
				t.Errorf("requests: %q", *requests)
			}
		})
	}
}

// While it is written the file is FILE.part.
func TestExportInParts(t *testing.T) {
	out := filepath.Join(t.TempDir(), "reports.csv")
	environ, _ := recorder(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "x,y\n")
		_ = http.NewResponseController(w).Flush()
		if _, err := os.Stat(out + ".part"); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(out); !os.IsNotExist(err) {
			t.Errorf("the file is there before its time: %v", err)
		}
	})
	if got := perennial(t, environ, "", "export", "reports", "--out", out); got.code != exitDone || read(t, out) != "x,y\n" {
		t.Errorf("%+v", got)
	}
	if got := perennial(t, environ, "", "export", "reports", "--out", filepath.Join(out, "no", "folder")); got.code != exitFailed ||
		!strings.Contains(got.stderr, "choose another --out") {
		t.Errorf("%+v", got)
	}
}

func TestExportAnswers(t *testing.T) {
	const table = "customer,properties\nc1,\"{\"\"note\"\":\n\"\"x\"\"}\"\nc2,\n"
	away := 1
	environ, requests := recorder(t, func(w http.ResponseWriter, _ *http.Request) {
		if away--; away == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("X-Total-Count", "2")
		_, _ = io.WriteString(w, table)
	})
	if got := perennial(t, environ, "", "export", "measures", "--experiment", "a b", "--format", "csv"); got != (result{exitDone, table, ""}) {
		t.Errorf("%+v", got)
	}
	out := filepath.Join(t.TempDir(), "march.CSV")
	got := perennial(t, environ, "", "export", "events", "--json", "--out", out, "--from", "2026-03-01", "--to", "2026-03-01T12:00:00.5+01:00")
	var summary exportSummary
	if err := json.Unmarshal([]byte(got.stdout), &summary); err != nil || got.code != exitDone || got.stderr != "" {
		t.Fatalf("%v: %+v", err, got)
	}
	summary.Seconds = 0
	want := exportSummary{What: "events", File: out, Format: "csv", Rows: 2, Bytes: int64(len(table))}
	if diff := cmp.Diff(want, summary); diff != "" || read(t, out) != table {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{
		"GET /v1/export/measures?experiment=a+b&format=csv", "GET /v1/export/measures?experiment=a+b&format=csv",
		"GET /v1/export/events?format=csv&from=2026-03-01T00%3A00%3A00Z&to=2026-03-01T11%3A00%3A00.5Z",
	}, *requests); diff != "" {
		t.Error(diff)
	}
}

// The ending of the file says the format, unless --format does.
func TestExportFormat(t *testing.T) {
	for name, c := range map[string]struct{ out, format, want string }{
		"standard output":          {"-", "", "ndjson"},
		"standard output as CSV":   {"-", "csv", "csv"},
		"csv":                      {"a.CSV", "", "csv"},
		"csv, said too":            {"a.csv", "csv", "csv"},
		"ndjson":                   {"a.ndjson", "", "ndjson"},
		"jsonl":                    {"a.jsonl", "", "ndjson"},
		"json":                     {"a.json", "ndjson", "ndjson"},
		"no ending":                {"a", "", "ndjson"},
		"no ending, as CSV":        {"a", "csv", "csv"},
		"another ending, as CSV":   {"a.txt", "csv", "csv"},
		"a dot in a folder's name": {"b.d/a", "", "ndjson"},
	} {
		t.Run(name, func(t *testing.T) {
			o := exportOptions{out: c.out, format: c.format}
			if err := o.chooseFormat(); err != nil || o.format != c.want {
				t.Errorf("%q, %v; want %q", o.format, err, c.want)
			}
		})
	}
}

func TestExportUsage(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"of nothing":             {nil, "needs a subcommand: events, enrolments, measures, reports"},
		"of something else":      {[]string{"customers"}, "unknown"},
		"JSON and no file":       {[]string{"events", "--json"}, "--out FILE"},
		"JSON on the output":     {[]string{"events", "--json", "--out", "-"}, "--out FILE"},
		"no name":                {[]string{"events", "--out", ""}, "--out is empty"},
		"another format":         {[]string{"events", "--format", "xlsx"}, `--format "xlsx" is not ndjson or csv`},
		"compressed":             {[]string{"measures", "--out", "m.csv.gz"}, "--out m.csv.gz: nothing is compressed here; write --format csv --out - | gzip > m.csv.gz\n"},
		"compressed, no format":  {[]string{"measures", "--out", "my m.gz"}, "write --format ndjson --out - | gzip > 'my m.gz'\n"},
		"a workbook":             {[]string{"measures", "--out", "m.XLSX"}, ".xlsx is not an ending of an export; take .csv or .ndjson"},
		"CSV in NDJSON":          {[]string{"measures", "--out", "m.jsonl", "--format", "csv"}, "--format csv is not what m.jsonl ends in"},
		"NDJSON in CSV":          {[]string{"measures", "--out", "m.csv", "--format", "ndjson"}, "--format ndjson is not what m.csv ends in"},
		"a folder":               {[]string{"measures", "--out", t.TempDir()}, "is a folder: give a file in it"},
		"an unset variable":      {[]string{"measures", "--experiment", ""}, "--experiment is empty"},
		"an unset time":          {[]string{"events", "--from", ""}, "--from is empty"},
		"no time":                {[]string{"events", "--from", "yesterday"}, `--from "yesterday" is not a time`},
		"events of one":          {[]string{"events", "--experiment", "x"}, "unknown flag"},
		"measures of a period":   {[]string{"measures", "--from", "2026-03-01"}, "unknown flag"},
		"more than one argument": {[]string{"events", "out.csv"}, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			environ, requests := recorder(t, func(http.ResponseWriter, *http.Request) {})
			got := perennial(t, environ, "", append([]string{"export"}, c.args...)...)
			if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, c.want) || len(*requests) > 0 {
				t.Errorf("%+v, %q; want %q", got, *requests, c.want)
			}
		})
	}
}

// What was exported from an engine as CSV is imported into it again, and is all there.
func TestExportAsksARealEngine(t *testing.T) {
	r := startUp(t, t.TempDir())
	var orders strings.Builder
	orders.WriteString("id,card,total\n")
	for i := range 12_345 {
		fmt.Fprintf(&orders, "o%d,\"c,%d\",%d.%02d\n", i, i%500, i, i%100)
	}
	in := writeFile(t, "orders.csv", orders.String())
	r.perennial("import", "events", in, "--map", "id=id", "--map", "customer=card", "--map", "value=total", "--set", "currency=EUR",
		"--set", "type=order", "--set", "occurred_at=2026-03-01T10:00:00Z")
	folder := t.TempDir()
	csv, ndjson := filepath.Join(folder, "events.csv"), filepath.Join(folder, "events.ndjson")
	r.perennial("export", "events", "--out", csv)
	r.perennial("export", "events", "--out", ndjson)
	var got []string
	for line := range strings.Lines(read(t, ndjson)) {
		var e struct{ ID, Customer, Value string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, e.ID+" "+e.Customer+" "+e.Value)
	}
	var want []string
	for i := range 12_345 {
		value := strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%02d", i, i%100), "0"), ".")
		want = append(want, fmt.Sprintf("o%d c,%d %s", i, i%500, value))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other events:\n%.2000s", diff)
	}
	again := r.perennial("import", "events", csv, "--map", "id=id", "--map", "customer=customer", "--map", "type=type", "--map", "occurred_at=occurred_at",
		"--map", "value=value", "--map", "currency=currency", "--json")
	var summary importSummary
	if err := json.Unmarshal([]byte(again), &summary); err != nil || summary.Duplicates != 12_345 || summary.Rejected+summary.Accepted > 0 {
		t.Errorf("%v: %+v", err, summary)
	}
	r.stop()
}
