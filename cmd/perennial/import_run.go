package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"golang.org/x/sync/errgroup"
)

// An import reads ahead and sends a few batches at a time; their receipts are
// taken in the order of the file.
const (
	batchRows    = 2_000
	batchBytes   = 4 << 20 // of fields; well below the 32 MiB the API takes
	batchesAhead = 3
)

// An importer sends the rows of a table to the engine.
type importer struct {
	client   *client
	kind     importKind
	table    *table
	mapper   *mapper
	input    *countingReader
	rejects  *rejectFile
	progress *progress
	summary  importSummary
}

// A batch is some rows on their way.
type batch struct {
	rows     int // read, filtered ones too
	offset   int64
	items    []item
	elements []map[string]any
	sent     []int // the item of each element

	answered chan struct{} // closed once receipt and err are there
	receipt  receipt
	err      error
}

// An item is a row that is wanted, and why it is refused here, if it is.
type item struct {
	row     row
	refusal *refusal
}

// A receipt is the API's answer to a batch.
type receipt struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
	Rejected   int `json:"rejected"`
	Rejections []struct {
		Index     int    `json:"index"`
		Code      string `json:"code"`
		Detail    string `json:"detail"`
		Retriable bool   `json:"retriable"`
	} `json:"rejections"`
}

// check tells whether a receipt accounts for n elements: one that does not
// would lose rows without a word.
func (r receipt) check(n int) error {
	if r.Accepted+r.Duplicates+r.Rejected != n || len(r.Rejections) != r.Rejected {
		return fmt.Errorf("the engine accounts for %d accepted, %d duplicates and %d rejected (%d of them named) out of %d",
			r.Accepted, r.Duplicates, r.Rejected, len(r.Rejections), n)
	}
	for _, rejection := range r.Rejections {
		if rejection.Index < 0 || rejection.Index >= n {
			return fmt.Errorf("the engine rejects element %d of %d", rejection.Index, n)
		}
	}
	return nil
}

// run imports the table. The summary tells how far it came.
func (im *importer) run(ctx context.Context) error {
	if err := im.client.find(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	pending := make(chan *batch, batchesAhead)
	var unreadable error
	group.Go(func() error {
		defer close(pending)
		var err error
		unreadable, err = im.read(ctx, group, pending)
		return err
	})
	group.Go(func() error { return im.collect(pending) })
	err := errors.Join(group.Wait(), im.rejects.close())
	im.progress.done()
	if err != nil {
		return err
	}
	return unreadable
}

// read fills batches and sends them off. What makes the rest of the file
// unreadable is answered apart: what was read before is on its way.
func (im *importer) read(ctx context.Context, group *errgroup.Group, pending chan<- *batch) (unreadable, err error) {
	for unreadable == nil {
		b := &batch{answered: make(chan struct{})}
		unreadable = im.fill(b)
		b.offset = im.input.count()
		select {
		case pending <- b:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		group.Go(func() error {
			defer close(b.answered)
			b.err = im.send(ctx, b)
			return b.err
		})
	}
	if errors.Is(unreadable, io.EOF) {
		return nil, nil
	}
	return fmt.Errorf("%s, after row %d: %w", im.summary.File, im.table.count, unreadable), nil
}

// fill reads rows until the batch is full or the table ends.
func (im *importer) fill(b *batch) error {
	for size := 0; len(b.items) < batchRows && size < batchBytes && b.rows < 10*batchRows; {
		r, err := im.table.Next()
		if err != nil {
			return err
		}
		b.rows++
		if !im.mapper.Wants(r) {
			continue
		}
		element, refused := im.mapper.Element(r)
		if refused == nil {
			b.sent = append(b.sent, len(b.items))
			b.elements = append(b.elements, element)
		}
		b.items = append(b.items, item{r, refused})
		for _, field := range r.Fields {
			size += len(field)
		}
	}
	return nil
}

func (im *importer) send(ctx context.Context, b *batch) error {
	if len(b.elements) == 0 {
		return nil
	}
	body := map[string]any{im.kind.Name: b.elements}
	err := im.client.do(ctx, call{method: http.MethodPost, path: im.kind.Path, body: body}, &b.receipt)
	if err != nil {
		return err
	}
	return b.receipt.check(len(b.elements))
}

// collect takes the receipts in the order of the file.
func (im *importer) collect(pending <-chan *batch) error {
	for b := range pending {
		<-b.answered
		if b.err != nil {
			return b.err
		}
		for _, rejection := range b.receipt.Rejections {
			refused := &refusal{rejection.Code, rejection.Detail}
			if rejection.Retriable {
				refused.Detail += " (may be taken later)"
			}
			b.items[b.sent[rejection.Index]].refusal = refused
		}
		for _, item := range b.items {
			if item.refusal == nil {
				continue
			}
			im.summary.RejectedByCode[item.refusal.Code]++
			if err := im.rejects.write(item); err != nil {
				return err
			}
			im.summary.RejectsFile = &im.rejects.path
		}
		im.summary.add(b)
		im.progress.show(b.offset, im.summary.Rows)
	}
	return nil
}
