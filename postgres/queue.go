package postgres

import (
	"context"
	"sync"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

const (
	// groupRows bounds how long one transaction holds the ledger's lock, so that a large
	// import lets others in between. Groups of a hundred are about as fast as larger ones.
	groupRows = 1000
	// maxQueued bounds the rows that wait in memory.
	maxQueued = 100_000
)

// A queue commits the rows of many requests together: what arrives while a transaction is
// under way goes into the next one. A request is answered after its commit. Rows go in in
// the order they came.
type queue[T any] struct {
	store  *Store
	insert insertion[T]

	mu      sync.Mutex
	waiting []*request[T]
	rows    int // waiting
	writing bool
	writers sync.WaitGroup
}

// A request is what one caller wants to have inserted: at most groupRows.
type request[T any] struct {
	ctx      context.Context // of the caller who waits: a request that was given up is not written
	rows     []T
	statuses []engine.RowStatus
	err      error
	done     chan struct{} // closed when statuses or err stand
}

// put waits until the rows are committed, or ctx ends. What was not answered may be in all
// the same; sent again, it counts as duplicates.
func (q *queue[T]) put(ctx context.Context, rows []T) ([]engine.RowStatus, error) {
	var requests []*request[T]
	for len(rows) > 0 {
		n := min(len(rows), groupRows)
		requests = append(requests, &request[T]{ctx: ctx, rows: rows[:n], done: make(chan struct{})})
		rows = rows[n:]
	}
	if err := q.enqueue(requests); err != nil {
		return nil, err
	}
	statuses := []engine.RowStatus{}
	for _, r := range requests {
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil, translate(ctx.Err())
		}
		if r.err != nil {
			return nil, r.err
		}
		statuses = append(statuses, r.statuses...)
	}
	return statuses, nil
}

func (q *queue[T]) enqueue(requests []*request[T]) error {
	n := 0
	for _, r := range requests {
		n += len(r.rows)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rows > 0 && q.rows+n > maxQueued {
		return engine.Errorf(engine.KindUnavailable, "ledger_busy", "%d rows wait to be written: try again", q.rows)
	}
	q.waiting, q.rows = append(q.waiting, requests...), q.rows+n
	if len(q.waiting) > 0 && !q.writing {
		q.writing = true
		q.writers.Go(q.write)
	}
	return nil
}

// write commits group after group until nothing waits.
func (q *queue[T]) write() {
	for q.pending() {
		var group []*request[T]
		statuses, err := q.transact(func() []T {
			// Taken under the ledger's lock, as late as can be, so that it is as large as can be.
			group = q.take()
			return rowsOf(group)
		})
		if group == nil {
			group = q.take() // it did not come so far
		}
		q.answer(group, statuses, err)
	}
}

// pending reports whether something waits. Without, writing has ended.
func (q *queue[T]) pending() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = len(q.waiting) > 0
	return q.writing
}

// take takes what waits, up to the rows of one group. What was given up is left out.
func (q *queue[T]) take() []*request[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	group := []*request[T]{}
	rows, taken := 0, 0
	for _, r := range q.waiting {
		if rows+len(r.rows) > groupRows {
			break
		}
		taken++
		rows += len(r.rows)
		if r.err = r.ctx.Err(); r.err != nil {
			close(r.done)
			continue
		}
		group = append(group, r)
	}
	clear(q.waiting[:taken])
	q.waiting, q.rows = q.waiting[taken:], q.rows-rows
	return group
}

func rowsOf[T any](group []*request[T]) []T {
	var rows []T
	for _, r := range group {
		rows = append(rows, r.rows...)
	}
	return rows
}

// transact writes rows in one transaction. It asks for them when it has the ledger's lock.
func (q *queue[T]) transact(rows func() []T) (statuses []engine.RowStatus, err error) {
	ctx := context.Background() // of no single caller
	err = q.store.inTx(ctx, q.store.bulk, func(tx *sqlx.Tx) error {
		first, err := nextPositions(ctx, tx, groupRows) // how many rows there will be is not known before
		if err != nil {
			return err
		}
		statuses, err = q.insert(ctx, tx, rows(), first)
		return err
	})
	return statuses, err
}

// answer tells the callers of a group. Where it failed for something in the rows, each
// request is tried again by itself.
func (q *queue[T]) answer(group []*request[T], statuses []engine.RowStatus, err error) {
	apart := err != nil && len(group) > 1 && engine.KindOf(err) != engine.KindUnavailable
	for _, r := range group {
		switch {
		case apart:
			r.statuses, r.err = q.transact(func() []T { return r.rows })
		case err != nil:
			r.err = err
		default:
			r.statuses, statuses = statuses[:len(r.rows)], statuses[len(r.rows):]
		}
		close(r.done)
	}
}

// flush waits until nothing is under way.
func (q *queue[T]) flush() { q.writers.Wait() }
