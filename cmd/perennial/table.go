package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxRow bounds a row, so that a quote nobody closed does not read a whole file
// into memory.
const maxRow = 1 << 20

// The formats of a table file.
const (
	formatCSV   = "csv"   // commas or semicolons, quotes
	formatTSV   = "tsv"   // tabs, quotes
	formatSpace = "space" // white space of any width, no quotes
)

// A tableConfig says what is known of a table file before it is read.
type tableConfig struct {
	Format  string   // csv, tsv or space; empty: as the first line looks
	Columns []string // names of the columns of a file without a header line; nil: there is one
}

// check finds what is wrong with the flags behind the configuration.
func (c tableConfig) check(noHeader bool) error {
	var mistakes []error
	if !slices.Contains([]string{"", formatCSV, formatTSV, formatSpace}, c.Format) {
		mistakes = append(mistakes, fmt.Errorf("--format %q is not one of csv, tsv, space", c.Format))
	}
	if noHeader != (c.Columns != nil) {
		mistakes = append(mistakes, errors.New("--no-header and --columns a,b,c belong together"))
	}
	return errors.Join(mistakes...)
}

// A table is a file of rows with named columns, read one row at a time.
type table struct {
	Columns []string

	next  func() ([]string, error)
	count int // rows read
}

// A row is one data row: its 1-based number and its fields. Err says why it
// cannot be read as a row of the table; what fields there are, are there.
type row struct {
	Number int
	Fields []string
	Err    error
}

// openTable recognises gzip by content and the format by the first line, and
// reads the header. Its error is the file's fault.
func openTable(r io.Reader, config tableConfig) (*table, error) {
	input := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := input.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(input)
		if err != nil {
			return nil, fmt.Errorf("looks like gzip and is not: %w", err)
		}
		input = bufio.NewReaderSize(unpacked, 64<<10)
	}
	if mark, _ := input.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = input.Discard(3) // cannot fail: these were peeked
	}
	start, err := input.Peek(input.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	first, _, _ := bytes.Cut(start, []byte("\n"))
	format, comma := sniff(string(first), config.Format)

	t := &table{Columns: config.Columns}
	if format == formatSpace {
		t.next = readSpaced(input)
	} else {
		t.next = readSeparated(input, comma)
	}
	if t.Columns == nil {
		header, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("is empty: it has not even a header line")
		}
		if err != nil {
			return nil, fmt.Errorf("header line: %w", err)
		}
		for _, name := range header {
			t.Columns = append(t.Columns, strings.TrimSpace(name))
		}
	}
	if !utf8.ValidString(strings.Join(t.Columns, "")) {
		return nil, errors.New("is not UTF-8 text: save it as UTF-8 first")
	}
	return t, nil
}

// sniff answers the format and, of separated values, the separator of a file
// that begins with the line first.
func sniff(first, format string) (string, rune) {
	count := make(map[rune]int)
	quoted := false
	for _, r := range first {
		if r == '"' {
			quoted = !quoted
		}
		if !quoted {
			count[r]++
		}
	}
	comma := ','
	if count[';'] > count[','] {
		comma = ';'
	}
	switch {
	case format == formatTSV || (format == "" && count['\t'] > count[comma]):
		return formatTSV, '\t'
	case format == formatSpace:
		return formatSpace, 0
	case format == "" && count[comma] == 0 && len(strings.Fields(first)) > 1:
		return formatSpace, 0
	}
	return formatCSV, comma
}

// Next answers the next row, or an error: io.EOF after the last row, anything
// else when the file cannot be read on.
func (t *table) Next() (row, error) {
	fields, err := t.next()
	var unreadable *csv.ParseError
	switch {
	case err != nil && !errors.As(err, &unreadable):
		return row{}, err
	case err != nil && unreadable.StartLine != unreadable.Line:
		// As one rejected row it would take good rows with it.
		return row{}, fmt.Errorf("the quote opened in line %d is not closed where its field ends", unreadable.StartLine)
	}
	t.count++
	next := row{Number: t.count, Fields: fields}
	switch {
	case err != nil:
		next.Err = fmt.Errorf("line %d: %w", unreadable.Line, unreadable.Err)
	case len(fields) != len(t.Columns):
		next.Err = fmt.Errorf("has %d fields, the file has %d columns", len(fields), len(t.Columns))
	case slices.ContainsFunc(fields, func(s string) bool { return !utf8.ValidString(s) }):
		next.Err = errors.New("is not UTF-8 text")
	}
	return next, nil
}

// readSeparated reads comma, semicolon and tab separated values with quotes.
func readSeparated(r io.Reader, comma rune) func() ([]string, error) {
	bounded := &boundedReader{r: r}
	reader := csv.NewReader(bounded)
	reader.Comma = comma
	reader.FieldsPerRecord = -1
	return func() ([]string, error) {
		bounded.left = maxRow
		return reader.Read()
	}
}

// A boundedReader fails once left bytes were read.
type boundedReader struct {
	r    io.Reader
	left int
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a row of more than %d KiB: is a quote not closed?", maxRow>>10)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

// readSpaced reads lines of fields between white space; blank lines are none.
func readSpaced(r io.Reader) func() ([]string, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxRow)
	return func() ([]string, error) {
		for lines.Scan() {
			if fields := strings.Fields(lines.Text()); len(fields) > 0 {
				return fields, nil
			}
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
}

// column answers the index of a column by its name.
func (t *table) column(name string) (int, error) {
	i := slices.Index(t.Columns, name)
	if i < 0 {
		return 0, fmt.Errorf("the file has no column %s; it has %s", strconv.Quote(name), strings.Join(t.Columns, ", "))
	}
	if slices.Contains(t.Columns[i+1:], name) {
		return 0, fmt.Errorf("the file has more than one column %s", strconv.Quote(name))
	}
	return i, nil
}
