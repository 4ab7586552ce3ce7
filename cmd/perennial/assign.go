package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perennial-engine/perennial/engine"
)

// assignOptions are the flags of assign.
type assignOptions struct {
	touchpoint string
	in, out    string
	column     string
	record     bool
	batch      int
	table      tableConfig
	noHeader   bool
	rejects    string
}

func newAssign(a *app) *cobra.Command {
	var o assignOptions
	cmd := &cobra.Command{
		Use:   "assign --touchpoint KEY --in FILE --out FILE",
		Short: "Ask what each customer of a send list gets",
		Long: `Reads customers from a file (CSV, TSV or white-space separated, plain or gzip, or "-" for
standard input) and writes a CSV file with a line for each, in their order: customer, variant, experiment, reason,
content. Who is assigned to a test is enrolled; --record=false asks without.

The customer is in the column "customer", or in the only one; --column names another. Rows without a customer are
written to OUT.rejected.csv with the reason. OUT appears whole, at the end. A run may be repeated: the same customer
gets the same answer.

Exit code 0 when the file was read to its end, even if rows were rejected; 1 when it was not, or when every row was
rejected.`,
		Example: `  perennial assign --touchpoint newsletter --in customers.csv --out send-list.csv
  zcat crm.csv.gz | perennial assign --touchpoint letter --in - --column member_id --out letters.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runAssign(cmd, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.touchpoint, "touchpoint", "", "touchpoint where they will be met")
	flags.StringVar(&o.in, "in", "", `file of customers; "-" is standard input`)
	flags.StringVar(&o.out, "out", "", "file to write")
	flags.StringVar(&o.column, "column", "", `column with the customer (default: "customer", or the only one)`)
	flags.BoolVar(&o.record, "record", true, "enrol who is assigned to a test")
	flags.IntVar(&o.batch, "batch", engine.MaxBatch, "customers asked for at a time")
	flags.StringVar(&o.table.Format, "format", "", "csv, tsv or space (default: as the first line looks)")
	flags.BoolVar(&o.noHeader, "no-header", false, "the first line is data; name the columns with --columns")
	flags.StringSliceVar(&o.table.Columns, "columns", nil, "names of the columns of a file without a header")
	flags.StringVar(&o.rejects, "rejects", "", "file for the rejected rows (default OUT.rejected.csv)")
	addSettings(flags, "url", "key")
	return cmd
}

// complete checks the options that need no file and fills in what follows from others.
func (o *assignOptions) complete() error {
	if o.touchpoint == "" || o.in == "" || o.out == "" {
		return errors.New("--touchpoint, --in and --out are needed")
	}
	mistakes := []error{o.table.check(o.noHeader), checkOut(o.out)}
	if o.out == "-" {
		mistakes = append(mistakes, errors.New("--out - is standard output, and the list is written whole or not at all: give a file"))
	}
	if o.batch < 1 || o.batch > engine.MaxBatch {
		mistakes = append(mistakes, fmt.Errorf("--batch %d is not between 1 and %d", o.batch, engine.MaxBatch))
	}
	if o.rejects == "" {
		o.rejects = o.out + ".rejected.csv"
	}
	files := []string{filepath.Clean(o.in), filepath.Clean(o.out), filepath.Clean(o.rejects)}
	if slices.Sort(files); len(slices.Compact(files)) < 3 {
		mistakes = append(mistakes, errors.New("--in, --out and --rejects must be three files"))
	}
	return errors.Join(mistakes...)
}

func (a *app) runAssign(cmd *cobra.Command, o assignOptions) error {
	client, err := a.clientFor(cmd)
	if err != nil {
		return err
	}
	if err := o.complete(); err != nil {
		return usageError{err}
	}
	input, size, err := a.openInput(o.in)
	if err != nil {
		return err
	}
	defer func() { _ = input.Close() }()
	counted := &countingReader{r: input}
	rows, err := openTable(counted, o.table)
	if err != nil {
		return fmt.Errorf("%s: %w", o.in, err)
	}
	column, err := o.customerColumn(rows, a.stderr)
	if err != nil {
		return usageError{err}
	}
	as := &assigner{
		client: client, options: o, table: rows, column: column, input: counted,
		rejects:  &rejectFile{path: o.rejects, columns: rows.Columns},
		progress: newProgress(a.stderr, size, "customers"),
		summary:  assignSummary{File: o.in, Out: o.out, Touchpoint: o.touchpoint, ByReason: map[string]int{}, ByVariant: map[string]int{}},
	}
	started := time.Now()
	err = as.run(cmd.Context())
	as.summary.Seconds = time.Since(started).Round(time.Millisecond).Seconds()
	as.summary.Complete = err == nil
	if err := a.answer(as.summary, as.summary.text); err != nil {
		return err
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w\n%s was not written. Run the same command again: every customer gets the same answer", err, o.out)
	case as.summary.Assigned == 0 && as.summary.Rejected > 0:
		return fmt.Errorf("every row was rejected; %s says why", o.rejects)
	}
	return nil
}

// customerColumn finds where the customer stands, and says on w what it took for the name of
// a column, where the file may have none.
func (o *assignOptions) customerColumn(t *table, w io.Writer) (int, error) {
	const usual = "customer"
	switch {
	case o.column != "" || slices.Contains(t.Columns, usual):
		return t.column(cmp.Or(o.column, usual))
	case len(t.Columns) > 1:
		return 0, fmt.Errorf("no column of %s is named %s; it has %s: name the one with the customer, --column NAME",
			o.in, usual, strings.Join(t.Columns, ", "))
	}
	if !o.noHeader {
		name := o.in
		if name == "-" {
			name = "standard input"
		}
		_, _ = fmt.Fprintf(w, "customers come from the column %q, the first line of %s\n", t.Columns[0], name)
	}
	return 0, nil
}

// An assignSummary tells what became of a send list. Rows = Assigned + Rejected.
type assignSummary struct {
	File        string         `json:"file"`
	Out         string         `json:"out"`
	Touchpoint  string         `json:"touchpoint"`
	Rows        int            `json:"rows"`
	Assigned    int            `json:"assigned"` // customers with an answer, whatever it is
	Rejected    int            `json:"rejected"`
	RejectsFile *string        `json:"rejects_file"` // null without rejected rows
	ByReason    map[string]int `json:"by_reason"`
	ByVariant   map[string]int `json:"by_variant"` // by experiment/variant
	Seconds     float64        `json:"seconds"`
	Complete    bool           `json:"complete"` // the file was read to its end and OUT is there
}

func (s *assignSummary) text() string {
	rows := [][]string{
		{"rows read", groupDigits(strconv.Itoa(s.Rows))},
		{"rejected", groupDigits(strconv.Itoa(s.Rejected))},
		{"answered", groupDigits(strconv.Itoa(s.Assigned))},
	}
	for _, counts := range []map[string]int{s.ByReason, s.ByVariant} {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			rows = append(rows, []string{"  " + name, groupDigits(strconv.Itoa(counts[name]))})
		}
	}
	text := align(rows, 1, "")
	if s.RejectsFile != nil {
		text += fmt.Sprintf("The rejected rows are in %s, with reasons.\n", *s.RejectsFile)
	}
	return text
}
