package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packed is text as gzip has it.
func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// readAll answers a table's rows; of those that cannot be read, the reason.
func readAll(t *testing.T, rows *table) [][]string {
	t.Helper()
	var all [][]string
	for {
		r, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Number != len(all)+1 {
			t.Errorf("row %d has the number %d", len(all)+1, r.Number)
		}
		if r.Err != nil {
			r.Fields = []string{r.Err.Error()}
		}
		all = append(all, r.Fields)
	}
}

func TestTable(t *testing.T) {
	ab := [][]string{{"a", "b"}, {"1", "2"}}
	tests := []struct {
		name   string
		text   string
		config tableConfig
		want   [][]string // the columns and the rows
	}{
		{"commas", "a,b\n1,2\n", tableConfig{}, ab},
		{"carriage returns, no line end", "a,b\r\n1,2", tableConfig{}, ab},
		{"semicolons", "a;b\n1;2\n", tableConfig{}, ab},
		{"tabs", "a\tb\n1\t2\n", tableConfig{}, ab},
		{"white space", " a   b \n\n 1\t2\n", tableConfig{}, ab},
		{"gzip", packed(t, "a,b\n1,2\n"), tableConfig{}, ab},
		{"byte order mark", "\ufeffa,b\n1,2\n", tableConfig{}, ab},
		{"byte order mark before a quote", "\ufeff\"a\",b\n1,2\n", tableConfig{}, ab},
		{"byte order mark in gzip", packed(t, "\ufeffa,b\n1,2\n"), tableConfig{}, ab},
		{"blank lines", "a,b\n\n1,2\n\n", tableConfig{}, ab},
		{"space around names", "a , b\n1,2\n", tableConfig{}, ab},
		{"no header", "1,2\n", tableConfig{Columns: []string{"a", "b"}}, ab},
		{"one column", "a\n1\n2\n", tableConfig{}, [][]string{{"a"}, {"1"}, {"2"}}},
		{"only a header", "a,b\n", tableConfig{}, [][]string{{"a", "b"}}},
		{
			"quotes", "\"a,1\",b\n\"x,\"\"y\"\"\",\"two\nlines\"\n",
			tableConfig{},
			[][]string{{"a,1", "b"}, {`x,"y"`, "two\nlines"}},
		},
		{"commas in white space", "a,b c\n1,2 3\n", tableConfig{Format: formatSpace}, [][]string{{"a,b", "c"}, {"1,2", "3"}}},
		{"one column with spaces", "full name\nAda L\n", tableConfig{Format: formatCSV}, [][]string{{"full name"}, {"Ada L"}}},
		{
			"rows that are none", "a,b\n1\n1,2,3\n1,\"x\"y\n\"\xff\",2\n1,2\n",
			tableConfig{},
			[][]string{
				{"a", "b"},
				{"has 1 fields, the file has 2 columns"},
				{"has 3 fields, the file has 2 columns"},
				{`line 4: extraneous or missing " in quoted-field`},
				{"is not UTF-8 text"},
				{"1", "2"},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rows, err := openTable(strings.NewReader(test.text), test.config)
			if err != nil {
				t.Fatal(err)
			}
			got := append([][]string{rows.Columns}, readAll(t, rows)...)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTableUnreadable(t *testing.T) {
	long := packed(t, "a,b\n"+strings.Repeat("1,2\n", 100_000))
	tests := []struct {
		name, text, want string
	}{
		{"empty", "", "is empty"},
		{"not gzip", "\x1f\x8bnonsense", "looks like gzip"},
		{"half a gzip", long[:len(long)/2], "unexpected EOF"},
		{"latin 1", "pr\xe9nom,b\n", "is not UTF-8"},
		{"a quote that is never closed", "a,b\n1,\"2\n1,2\n1,2\n", "opened in line 2"},
		{"a quote that swallows a large file", "a,b\n1,\"2\n" + strings.Repeat("1,2\n", 400_000), "more than 1024 KiB"},
		{"a line without end", "a b\n" + strings.Repeat("1", 2<<20), "too long"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rows, err := openTable(strings.NewReader(test.text), tableConfig{})
			for err == nil {
				_, err = rows.Next()
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want %q in it", err, test.want)
			}
		})
	}
}
