package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/perennial-engine/perennial/engine"
)

// The play with real customers: Hillstrom's e-mail test of 2008. Two thirds of 64,000 past
// customers of a shop got an e-mail, about men's or about women's merchandise; what all of
// them spent in the two weeks after is known.
const (
	mens   = "Mens E-Mail"
	womens = "Womens E-Mail"
)

var (
	mailed   = time.Date(2008, time.March, 20, 10, 0, 0, 0, time.UTC)
	ordered  = mailed.AddDate(0, 0, 5) // the file has no dates
	finished = mailed.AddDate(0, 0, 15)
)

var hillstromColumns = []string{"segment", "visit", "conversion", "spend"}

var hillstromParts = []definition{
	{"/v1/touchpoints/mailing", `{"name": "Mailing", "channel": "email", "content": {"text": "(no e-mail)"}}`},
	{"/v1/metrics/spend_14", `{"name": "Spend in two weeks", "kind": "ltv", "events": ["order"],
		"window": {"from_day": 0, "to_day": 14}}`},
	{"/v1/metrics/bought_14", `{"name": "Orders in two weeks", "kind": "conversion", "events": ["order"],
		"window": {"from_day": 0, "to_day": 14}}`},
	{"/v1/metrics/visited_14", `{"name": "Visits in two weeks", "kind": "click", "events": ["visit"],
		"window": {"from_day": 0, "to_day": 14}}`},
}

// hillstromTest enrols on one day, that of the mailing, and is judged once, when everybody's
// two weeks are over.
const hillstromTest = `{
	"key": "mens-or-womens", "name": "E-mail for men's or women's merchandise", "objective": "win_back",
	"assignment": "external", "touchpoints": ["mailing"],
	"variants": [
		{"key": "No E-Mail", "control": true, "weight": 1},
		{"key": "Mens E-Mail", "weight": 1, "content": {"mailing": {"text": "Men's merchandise"}}},
		{"key": "Womens E-Mail", "weight": 1, "content": {"mailing": {"text": "Women's merchandise"}}}],
	"metrics": {"primary": "spend_14", "secondary": ["bought_14"], "diagnostics": ["visited_14"]},
	"plan": {"method": "fixed", "planned_customers": 21333},
	"policy": {"mode": "auto", "min_days": 1, "max_days": 1, "min_customers": 1000}}`

// checkHillstrom answers whether a file can be played, before anything is started for it.
func checkHillstrom(path string) error {
	f, err := os.Open(path) //nolint:gosec // The user names the file.
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	rows, err := openTable(f, tableConfig{})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, column := range hillstromColumns {
		if !slices.Contains(rows.Columns, column) {
			return usagef("%s is not Hillstrom's e-mail test: it has no column %q\nIts columns: %s\n"+
				"Your own data go into a running engine: perennial import --help",
				path, column, strings.Join(rows.Columns, ", "))
		}
	}
	return nil
}

// playHillstrom imports the real test as any other, within its own time.
func (d *demo) playHillstrom(ctx context.Context) error {
	d.stage.set(mailed)
	d.opening("virtual: from " + mailed.Format("2 January 2006") + " until two weeks later, then now")
	d.story.say("")
	d.story.tell("", "The customers are real: Kevin Hillstrom's e-mail test of 2008. Two thirds of 64,000 past customers of a shop "+
		"got an e-mail, and what all of them spent in the two weeks after is known. The results are published; "+
		"the engine has to find them by itself.")
	d.story.chapter("The test")
	if err := d.define(ctx, hillstromParts, hillstromTest); err != nil {
		return err
	}
	d.story.say(`  "Mens E-Mail" and "Womens E-Mail" against "No E-Mail", as given out in 2008
  decides    spend_14: what a customer spends in two weeks
  is shown   bought_14 and visited_14: orders and visits in two weeks
  The engine looks once, at the end.`)
	d.story.chapter("The data")
	if err := d.importHillstrom(ctx); err != nil {
		return err
	}
	if _, err := d.runJobs(ctx); err != nil {
		return err
	}
	if err := d.conclude(ctx, "mailing"); err != nil {
		return err
	}
	d.story.chapter("The decision")
	d.decided()
	d.story.chapter("Against what is known")
	if err := d.compare(); err != nil {
		return err
	}
	d.story.chapter("What everybody gets from now on")
	a := d.result.Assignment
	d.story.say("  %s  email  %s  %q  %s (%s)", a.Customer, a.Touchpoint, a.show(), a.Variant, a.Reason)
	d.story.chapter("The report it was decided on")
	return writeReport(d.story.w, *d.result.Report, d.story.width)
}

// importHillstrom runs the import command as a user would.
func (d *demo) importHillstrom(ctx context.Context) error {
	at := func(t time.Time) string { return t.Format(time.RFC3339) }
	file := d.options.file
	enrolments := []string{
		"import", "enrolments", file, "--map", "customer=row-{#}", "--map", "variant=segment",
		"--set", "experiment=" + d.result.Experiment, "--set", "enrolled_at=" + at(mailed),
	}
	orders := []string{
		"import", "events", file, "--where", "conversion=1", "--map", "customer=row-{#}", "--map", "id=order-{#}",
		"--map", "value=spend", "--set", "currency=USD", "--set", "type=order", "--set", "occurred_at=" + at(ordered),
	}
	visits := []string{
		"import", "events", file, "--where", "visit=1", "--map", "customer=row-{#}", "--map", "id=visit-{#}",
		"--set", "type=visit", "--set", "occurred_at=" + at(ordered),
	}
	if err := d.importRows(ctx, enrolments); err != nil {
		return err
	}
	d.stage.set(finished)
	if err := d.importRows(ctx, orders); err != nil {
		return err
	}
	return d.importRows(ctx, visits)
}

func (d *demo) importRows(ctx context.Context, args []string) error {
	d.story.say("%s", commandText(d.app.program, args, d.story.width))
	var out bytes.Buffer
	inner := &app{
		program: d.app.program,
		environ: map[string]string{"PERENNIAL_URL": d.url, "PERENNIAL_KEY": d.key, "PERENNIAL_LOG_LEVEL": d.logLevel},
		stdin:   strings.NewReader(""), stdout: &out, stderr: d.app.stderr,
	}
	root := newRoot(inner)
	root.SetArgs(append(slices.Clone(args), "--json", "--rejects", filepath.Join(d.dir, "rejected.csv")))
	err := root.ExecuteContext(ctx)
	var summary importSummary
	if out.Len() > 0 {
		err = cmp.Or(json.Unmarshal(out.Bytes(), &summary), err)
	}
	if summary.Rejected > 0 {
		return fmt.Errorf("%s: of %d rows %d are rejected (%s): it is not Hillstrom's file as it was published",
			d.options.file, summary.Sent, summary.Rejected, strings.Join(slices.Sorted(maps.Keys(summary.RejectedByCode)), ", "))
	}
	if err != nil {
		return err
	}
	d.story.say("    %s rows taken of %s, in %.1f s", formatCount(int64(summary.Accepted)), formatCount(int64(summary.Rows)), summary.Seconds)
	return nil
}

// commandText writes a command as one would type it, folded to a width.
func commandText(program string, args []string, width int) string {
	lines := []string{"  $ " + shellWord(program)}
	var word string // with its value
	fold := func() {
		last := &lines[len(lines)-1]
		if len(*last)+1+len(word)+2 > width {
			*last += " \\"
			lines = append(lines, "     ")
			last = &lines[len(lines)-1]
		}
		*last += word
	}
	for _, arg := range args {
		arg = shellWord(arg)
		if strings.HasPrefix(arg, "--") {
			fold()
			word = ""
		}
		word += " " + arg
	}
	fold()
	return strings.Join(lines, "\n")
}

// shellWord quotes a word where a shell would not take it as it is.
func shellWord(word string) string {
	if strings.ContainsAny(word, " {}#'") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

// A referenceFigure is a published result, or one recomputed from the file with R, and what
// the engine makes of it.
type referenceFigure struct {
	Figure    string `json:"figure"`
	Reference string `json:"reference"`
	Engine    string `json:"engine"` // in the digits of the reference
	Agrees    bool   `json:"agrees"`
}

// compare holds the report against the reference.
func (d *demo) compare() error {
	m, men, err := d.metric("spend_14", mens)
	if err != nil {
		return err
	}
	_, women, err := d.metric("spend_14", womens)
	if err != nil {
		return err
	}
	mean := map[engine.VariantKey]*float64{}
	for _, arm := range m.Arms {
		mean[arm.Variant] = arm.Mean
	}
	for _, f := range []struct {
		figure, reference string
		number            *float64
	}{
		{"mean spend, no e-mail", "0.652789", mean["No E-Mail"]},
		{"mean spend, men's", "1.422617", mean[mens]},
		{"mean spend, women's", "1.077202", mean[womens]},
		{"men's − no e-mail", "0.769827", men.Difference},
		{"  its standard error", "0.145247", men.Fixed.StdError},
		{"  Welch's t", "5.30014", men.Fixed.Statistic},
		{"  p", "1.16e-07", men.Fixed.PValue},
		{"women's − no e-mail", "0.424412", women.Difference},
		{"  its standard error", "0.130333", women.Fixed.StdError},
		{"  Welch's t", "3.25637", women.Fixed.Statistic},
		{"  p", "0.001129", women.Fixed.PValue},
	} {
		own := likewise(f.number, f.reference)
		d.result.Reference = append(d.result.Reference, referenceFigure{f.figure, f.reference, own, own == f.reference})
	}
	rows := [][]string{{"USD a customer", "known", "engine", ""}}
	for _, f := range d.result.Reference {
		rows = append(rows, []string{f.Figure, f.Reference, f.Engine, map[bool]string{true: "✓", false: "differs"}[f.Agrees]})
	}
	d.story.say("%sMeans as published, tests recomputed from the file with R 4.2.2.", align(rows, 1, "  "))
	return nil
}

// likewise writes a number with the digits that another was printed with.
func likewise(number *float64, printed string) string {
	if number == nil {
		return "–"
	}
	mantissa, _, exponent := strings.Cut(printed, "e")
	_, decimals, _ := strings.Cut(mantissa, ".")
	format := byte('f')
	if exponent {
		format = 'e'
	}
	return strconv.FormatFloat(*number, format, len(decimals), 64)
}
