package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/perennial-engine/perennial/engine"
)

// An assigner asks for the customers of a table, batch by batch.
type assigner struct {
	client   *client
	options  assignOptions
	table    *table
	column   int
	input    *countingReader
	rejects  *rejectFile
	progress *progress
	summary  assignSummary
}

// The columns of the file that assign writes, and where they stand in the API's CSV.
var assignColumns = []string{"customer", "variant", "experiment", "reason", "content"}

// run writes the file, whole or not at all.
func (as *assigner) run(ctx context.Context) (err error) {
	if err := as.client.find(ctx); err != nil {
		return err
	}
	out, err := os.CreateTemp(filepath.Dir(as.options.out), filepath.Base(as.options.out)+".*.unfinished")
	if err != nil {
		return fmt.Errorf("cannot write (choose another --out): %w", err)
	}
	defer func() {
		as.progress.done()
		if err != nil {
			_ = out.Close()
			err = errors.Join(err, os.Remove(out.Name()))
		}
	}()
	lines := csv.NewWriter(out)
	if err := lines.Write(assignColumns); err != nil {
		return err
	}
	for more := true; more; {
		var customers []string
		if customers, more, err = as.read(); err != nil {
			return errors.Join(err, as.rejects.close())
		}
		if err := as.ask(ctx, customers, lines); err != nil {
			return errors.Join(err, as.rejects.close())
		}
		as.progress.show(as.input.count(), as.summary.Rows)
	}
	if lines.Flush(); lines.Error() != nil {
		return lines.Error()
	}
	// The file is readable by others, as one made without a detour would be.
	if err := errors.Join(as.rejects.close(), out.Chmod(0o644), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), as.options.out)
}

// read reads the customers of the next batch; more is false at the end of the file.
func (as *assigner) read() (customers []string, more bool, err error) {
	for len(customers) < as.options.batch {
		r, err := as.table.Next()
		if errors.Is(err, io.EOF) {
			return customers, false, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("%s, after row %d: %w", as.options.in, as.table.count, err)
		}
		as.summary.Rows++
		customer, refused := as.customer(r)
		if refused == nil {
			customers = append(customers, customer)
			continue
		}
		as.summary.Rejected++
		as.summary.RejectsFile = &as.rejects.path
		if err := as.rejects.write(item{r, refused}); err != nil {
			return nil, false, err
		}
	}
	return customers, true, nil
}

func (as *assigner) customer(r row) (string, *refusal) {
	if r.Err != nil {
		return "", &refusal{"unreadable_row", r.Err.Error()}
	}
	customer := strings.TrimSpace(r.Fields[as.column])
	if _, err := engine.ParseIdentifier(customer); err != nil {
		return "", &refusal{"invalid_identifier", err.Error()}
	}
	return customer, nil
}

// ask writes a line for each of the customers.
func (as *assigner) ask(ctx context.Context, customers []string, to *csv.Writer) error {
	if len(customers) == 0 {
		return nil
	}
	var answer []byte
	if err := as.client.do(ctx, call{method: http.MethodPost, path: "/v1/assignments?format=csv", body: map[string]any{
		"customers": customers, "touchpoint": as.options.touchpoint, "record": as.options.record,
	}}, &answer); err != nil {
		return err
	}
	if len(answer) == maxAnswer {
		return errors.New("the contents are too large for so many customers at a time: give a smaller --batch")
	}
	table, err := openTable(strings.NewReader(string(answer)), tableConfig{Format: formatCSV})
	if err != nil {
		return fmt.Errorf("the engine answers what is no table: %w", err)
	}
	var columns [5]int
	for i, name := range assignColumns {
		if columns[i], err = table.column(name); err != nil {
			return fmt.Errorf("the engine answers another table: %w", err)
		}
	}
	for {
		r, err := table.Next()
		switch {
		case errors.Is(err, io.EOF) && table.count != len(customers):
			return fmt.Errorf("the engine answers for %d of %d customers", table.count, len(customers))
		case errors.Is(err, io.EOF):
			return nil
		case err != nil || r.Err != nil:
			return fmt.Errorf("the engine answers an unreadable line: %w", errors.Join(err, r.Err))
		}
		var line [5]string
		for i, column := range columns {
			line[i] = r.Fields[column]
		}
		as.summary.Assigned++
		as.summary.ByReason[line[3]]++
		if line[1] != "" {
			as.summary.ByVariant[line[2]+"/"+line[1]]++
		}
		if err := to.Write(line[:]); err != nil {
			return err
		}
	}
}
