package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// importOptions are the flags of an import.
type importOptions struct {
	mapping
	table    tableConfig
	noHeader bool
	rejects  string
}

func newImport(a *app) *cobra.Command {
	imports := newGroup("import", "Read events, enrolments or customers from a file",
		newImportKind(a, importKinds[0], "Read what customers did from a file",
			`  perennial import events orders.csv --map customer=card --set type=order \
      --map occurred_at=date --date-format DD/MM/YYYY --map value=total --set currency=EUR

  # a TRUE/FALSE column becomes events of the rows that have it
  perennial import events players.csv.gz --map customer=userid --set type=return_7 \
      --where retention_7=TRUE --map id='return-7-{userid}' --set occurred_at=2026-03-08T00:00:00Z

  # no header, white space between the fields
  perennial import events sample.txt --no-header --columns master,id,date,discs,dollars \
      --map customer=master --map occurred_at=date --date-format YYYYMMDD \
      --set type=order --map value=dollars --set currency=USD`),
		newImportKind(a, importKinds[1], "Read the arms of an external test from a file",
			`  perennial import enrolments mailing.csv --set experiment=spring-mail \
      --map customer=id --map variant=arm --map enrolled_at=sent --date-format 'YYYY-MM-DD HH:mm'

  # names in the file that are not the variants' keys: one import for each
  perennial import enrolments mailing.csv --map customer='row-{#}' --set experiment=spring-mail \
      --where segment='Mens E-Mail' --set variant=mens --set enrolled_at=2026-03-01T00:00:00Z`),
		newImportKind(a, importKinds[2], "Read attributes of customers from a file",
			`  perennial import customers crm.csv --map customer=id --map attributes.country=land \
      --map attributes.age:number=age --map attributes.member:bool=is_member`),
	)
	addSettings(imports.PersistentFlags(), "url", "key")
	return imports
}

func newImportKind(a *app, kind importKind, short, example string) *cobra.Command {
	var options importOptions
	typed := ""
	if kind.Open != "" {
		typed = fmt.Sprintf("\n%s.NAME is text; %s.NAME:number and %s.NAME:bool are what they say.", kind.Open, kind.Open, kind.Open)
	}
	cmd := &cobra.Command{
		Use:   kind.Name + " FILE",
		Short: short,
		Long: fmt.Sprintf(`%s: CSV, TSV or white-space separated, plain or gzip, or "-" for
standard input. One row becomes one element.

Fields: %s.%s

--map takes a column, or a template with columns and the number of the data row
in braces: 'row-{#}'. An empty column makes an empty field: left out where the
field may be, else the row is rejected. Money is sent with the digits of the file.
An event without an id is called after the file and its row, orders.csv:17.

An import may be repeated: what the engine has already counts as a duplicate, so
an interrupted import is simply run again. Rejected rows are written to
FILE.rejected.csv with the reason; correct FILE and import it again.

Exit code 0 when the file was read to its end, even if rows were rejected;
1 when it was not, or when every row was rejected; 2 for a wrong mapping, before
anything is sent.`, short, kind.fields(), typed),
		Example: example,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runImport(cmd, kind, args[0], options)
		},
	}
	flags := cmd.Flags()
	addMapping(flags, &options)
	flags.StringVar(&options.rejects, "rejects", "", "file for the rejected rows (default FILE.rejected.csv)")
	return cmd
}

// addMapping adds the flags that say how to read a file.
func addMapping(flags *pflag.FlagSet, options *importOptions) {
	flags.StringArrayVar(&options.Map, "map", nil, "field=column or field='template {column} {#}'; repeatable")
	flags.StringArrayVar(&options.Set, "set", nil, "field=value for every row; repeatable")
	flags.StringArrayVar(&options.Where, "where", nil, "only rows with column=value or column!=value; repeatable, all must hold")
	flags.StringVar(&options.DateFormat, "date-format", dateRFC3339, "rfc3339, unix or a pattern of YYYY MM M DD D HH mm ss, in UTC")
	flags.StringVar(&options.table.Format, "format", "", "csv, tsv or space (default: as the first line looks)")
	flags.BoolVar(&options.noHeader, "no-header", false, "the first line is data; name the columns with --columns")
	flags.StringSliceVar(&options.table.Columns, "columns", nil, "names of the columns of a file without a header")
}

// runImport opens the file, checks everything that can be checked before
// anything is sent, and imports.
func (a *app) runImport(cmd *cobra.Command, kind importKind, path string, options importOptions) error {
	client, err := a.clientFor(cmd)
	if err != nil {
		return err
	}
	if err := options.complete(path); err != nil {
		return usageError{err}
	}
	input, size, err := a.openInput(path)
	if err != nil {
		return err
	}
	defer func() { _ = input.Close() }()
	counted := &countingReader{r: input}
	rows, err := openTable(counted, options.table)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	mapper, err := newMapper(kind, rows, options.mapping)
	if err != nil {
		return usagef("%s\nThe columns of %s: %s\nThe fields of %s: %s",
			err, path, strings.Join(rows.Columns, ", "), kind.Name, kind.fields())
	}

	im := &importer{
		client: client, kind: kind, table: rows, mapper: mapper, input: counted,
		rejects:  &rejectFile{path: options.rejects, columns: rows.Columns},
		progress: newProgress(a.stderr, size, "rows"),
		summary:  importSummary{File: path, RejectedByCode: map[string]int{}, RowIDs: mapper.rowIDs},
	}
	started := time.Now()
	err = im.run(cmd.Context())
	im.summary.Seconds = time.Since(started).Round(time.Millisecond).Seconds()
	im.summary.Complete = err == nil
	if err := a.answer(im.summary, im.summary.text); err != nil {
		return err
	}
	switch taken := im.summary.Accepted + im.summary.Duplicates; {
	case err != nil:
		return fmt.Errorf("%w\nThe import is not complete. Run the same command again: what was taken counts as duplicates", err)
	case taken == 0 && im.summary.Rejected > 0:
		return fmt.Errorf("every row was rejected; %s says why", options.rejects)
	}
	return nil
}

// complete checks the options that need no file and fills in what follows from its name.
func (o *importOptions) complete(path string) error {
	mistakes := []error{o.table.check(o.noHeader)}
	name := "stdin"
	if path != "-" {
		name = path
		o.IDPrefix = filepath.Base(path) + ":"
	}
	if o.rejects == "" {
		o.rejects = name + ".rejected.csv"
	}
	if filepath.Clean(o.rejects) == filepath.Clean(path) {
		mistakes = append(mistakes, errors.New("--rejects is the file to import; give it another name"))
	}
	return errors.Join(mistakes...)
}

// openInput opens the file, or standard input, and answers its size, -1 if unknown.
func (a *app) openInput(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(a.stdin), -1, nil
	}
	f, err := os.Open(path) //nolint:gosec // The user names the file.
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return f, -1, nil
	}
	return f, info.Size(), nil
}
