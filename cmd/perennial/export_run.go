package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// An exporter takes an export down.
type exporter struct {
	client   *client
	call     call
	terminal io.Writer // for progress; nil: none
	rows     rowCounter
}

// write writes the file, whole or not at all.
func (ex *exporter) write(ctx context.Context, path string) (err error) {
	part := path + ".part"
	out, err := os.Create(part) //nolint:gosec // the file that the user names
	if err != nil {
		return fmt.Errorf("cannot write (choose another --out): %w", err)
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			err = errors.Join(err, os.Remove(part))
		}
	}()
	if err := ex.copy(ctx, out); err != nil {
		return err
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// copy reads the export to its end. One that is cut off is an error.
func (ex *exporter) copy(ctx context.Context, to io.Writer) error {
	response, err := ex.client.open(ctx, ex.call)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	total, err := strconv.ParseInt(response.Header.Get("X-Total-Count"), 10, 64)
	if err != nil {
		total = -1 // nobody knows
	}
	show := &progress{}
	if ex.terminal != nil {
		show = newProgress(ex.terminal, total, "rows")
	}
	defer show.done()
	buffer := make([]byte, 1<<16)
	for {
		n, err := response.Body.Read(buffer)
		if _, err := to.Write(buffer[:n]); err != nil {
			return err
		}
		ex.rows.add(buffer[:n])
		show.showBytes(ex.rows.count(), ex.rows.bytes)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("the export was cut off after %s rows: %w\nThe engine's log says why (request %s); run the same command again",
				groupDigits(strconv.Itoa(ex.rows.count())), err, cmp.Or(response.Header.Get("X-Request-Id"), "without an id"))
		}
	}
}

// A rowCounter counts rows in text that comes in pieces.
type rowCounter struct {
	csv    bool
	quoted bool // inside quotes of CSV, where a line may end without a row
	lines  int
	bytes  int64
}

func (c *rowCounter) add(text []byte) {
	c.bytes += int64(len(text))
	for _, b := range text {
		switch {
		case b == '"' && c.csv:
			c.quoted = !c.quoted
		case b == '\n' && !c.quoted:
			c.lines++
		}
	}
}

// count is the number of rows, without the header of CSV.
func (c *rowCounter) count() int {
	if c.csv {
		return max(c.lines-1, 0)
	}
	return c.lines
}
