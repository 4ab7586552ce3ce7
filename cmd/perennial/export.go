package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// formatNDJSON is a format of exports; the other is formatCSV.
const formatNDJSON = "ndjson"

// exportEndings are the formats of files by how their names end.
var exportEndings = map[string]string{"": formatNDJSON, ".ndjson": formatNDJSON, ".jsonl": formatNDJSON, ".json": formatNDJSON, ".csv": formatCSV}

// exportOptions are the flags of an export.
type exportOptions struct {
	experiment string
	from, to   string
	format     string
	out        string
}

func newExport(a *app) *cobra.Command {
	exports := newGroup("export", "Write events, enrolments, measures or reports to a file",
		newExportOf(a, "events", "Write what customers did to a file",
			`  perennial export events --out events.ndjson
  perennial export events --from 2026-03-01 --to 2026-04-01 --out march.csv`),
		newExportOf(a, "enrolments", "Write who is in which experiment to a file",
			`  perennial export enrolments --experiment welcome-tone --out enrolments.csv`),
		newExportOf(a, "measures", "Write what each metric makes of each customer to a file",
			`  perennial export measures --experiment welcome-tone --out measures.csv
  perennial export measures | jq -r 'select(.analysed) | [.variant, .value] | @tsv'`),
		newExportOf(a, "reports", "Write stored reports to a file",
			`  perennial export reports --experiment welcome-tone --out reports.csv
  perennial export reports | gzip > reports.ndjson.gz`),
	)
	addSettings(exports.PersistentFlags(), "url", "key")
	return exports
}

func newExportOf(a *app, what, short, example string) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   what,
		Short: short,
		Long: short + `, or to standard output: NDJSON, or CSV for
spreadsheets, in which a text that would be run as a formula gets an apostrophe in
front. docs/export.md says what each column is.

All rows are of one moment, whatever comes in meanwhile. FILE appears whole, at the
end: until then it is FILE.part.

Exit code 0 when all is written; 1 when it is not: what is on standard output by
then is not whole.`,
		Example: example,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runExport(cmd, what, o) },
	}
	flags := cmd.Flags()
	if what == "events" {
		flags.StringVar(&o.from, "from", "", "only what happened at this `TIME` or later, 2026-03-01 or 2026-03-01T10:00:00Z")
		flags.StringVar(&o.to, "to", "", "only what happened before this `TIME`")
	} else {
		flags.StringVar(&o.experiment, "experiment", "", "only of the experiment with this `KEY`")
	}
	flags.StringVar(&o.format, "format", "", "ndjson or csv (default: as FILE ends; ndjson on standard output)")
	flags.StringVar(&o.out, "out", "-", "`FILE` to write; \"-\" is standard output")
	return cmd
}

// complete checks the options and fills in what follows from others.
func (o *exportOptions) complete(flags *pflag.FlagSet, asJSON bool) error {
	var mistakes []error
	for _, name := range []string{"experiment", "from", "to"} {
		if flag := flags.Lookup(name); flag != nil && flag.Changed && flag.Value.String() == "" {
			mistakes = append(mistakes, fmt.Errorf("--%s is empty: give a value, or leave it out to export all", name))
		}
	}
	if o.out == "" {
		mistakes = append(mistakes, errors.New("--out is empty: give a file, or - for standard output"))
	}
	if asJSON && o.out == "-" {
		mistakes = append(mistakes, errors.New("--json prints what was exported on standard output: give the rows a file with --out FILE"))
	}
	mistakes = append(mistakes, cmp.Or(checkOut(o.out), o.chooseFormat()))
	for _, flag := range []struct {
		name string
		text *string
	}{{"--from", &o.from}, {"--to", &o.to}} {
		if *flag.text == "" {
			continue
		}
		at, err := parseTime(*flag.text)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s %w", flag.name, err))
		}
		*flag.text = at.Format(time.RFC3339Nano)
	}
	return errors.Join(mistakes...)
}

// chooseFormat holds --format and the ending of FILE together.
func (o *exportOptions) chooseFormat() error {
	if !slices.Contains([]string{"", formatNDJSON, formatCSV}, o.format) {
		return fmt.Errorf("--format %q is not ndjson or csv", o.format)
	}
	ending := strings.ToLower(filepath.Ext(o.out))
	byName, known := exportEndings[ending]
	switch {
	case o.out == "-" || (ending == "" && o.format != ""):
		byName = cmp.Or(o.format, formatNDJSON)
	case ending == ".gz":
		inner := exportEndings[strings.ToLower(filepath.Ext(strings.TrimSuffix(o.out, filepath.Ext(o.out))))]
		return fmt.Errorf("--out %s: nothing is compressed here; write --format %s --out - | gzip > %[1]s",
			shellWord(o.out), cmp.Or(o.format, inner, formatNDJSON))
	case !known && o.format == "":
		return fmt.Errorf("--out %s: %s is not an ending of an export; take .csv or .ndjson, or say the --format", o.out, ending)
	case known && o.format != "" && o.format != byName:
		return fmt.Errorf("--format %s is not what %s ends in: leave --format out, or give FILE another ending", o.format, o.out)
	}
	o.format = cmp.Or(o.format, byName)
	return nil
}

// call asks for the export.
func (o *exportOptions) call(what string) call {
	query := url.Values{"format": {o.format}}
	for name, value := range map[string]string{"experiment": o.experiment, "from": o.from, "to": o.to} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return call{method: http.MethodGet, path: "/v1/export/" + what + "?" + query.Encode()}
}

func (a *app) runExport(cmd *cobra.Command, what string, o exportOptions) error {
	client, err := a.clientFor(cmd)
	if err != nil {
		return err
	}
	if err := o.complete(cmd.Flags(), a.json); err != nil {
		return usageError{err}
	}
	client.http = &http.Client{} // it takes as long as it takes
	ex := &exporter{client: client, call: o.call(what), rows: rowCounter{csv: o.format == formatCSV}}
	started := time.Now()
	if o.out == "-" {
		if terminalWidth(a.stdout) == 0 { // else the rows show how far it is
			ex.terminal = a.stderr
		}
		return ex.copy(cmd.Context(), a.stdout)
	}
	ex.terminal = a.stderr
	if err := ex.write(cmd.Context(), o.out); err != nil {
		return fmt.Errorf("%w\n%s was not written", err, o.out)
	}
	summary := exportSummary{
		What: what, File: o.out, Format: o.format, Rows: ex.rows.count(), Bytes: ex.rows.bytes,
		Seconds: time.Since(started).Round(time.Millisecond).Seconds(),
	}
	return a.answer(summary, summary.text)
}

// An exportSummary tells what was written.
type exportSummary struct {
	What    string  `json:"what"`
	File    string  `json:"file"`
	Format  string  `json:"format"`
	Rows    int     `json:"rows"` // without the header of CSV
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

func (s exportSummary) text() string {
	return fmt.Sprintf("%s rows, %s, are in %s.\n", groupDigits(strconv.Itoa(s.Rows)), megabytes(s.Bytes), s.File)
}

// megabytes is a size as people read it.
func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
