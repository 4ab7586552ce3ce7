package postgres

import (
	"context"
	"sync"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

const (
	// groupRows bounds how long one transaction holds the ledger's lock, so that a large
	// import lets others in between. Groups of a hundred are about as fast as larger ones. It is
	// the size of a lane's block of positions too, also of those of other servers: it stays.
	groupRows = 1000
	// maxQueued bounds the rows that wait in memory.
	maxQueued = 100_000
	// laneRows are worth another transaction beside the one that is under way. Fewer wait for
	// its end and go in together.
	laneRows = 250
)

// A queue commits the rows of many requests together: what arrives while a transaction is
// under way goes into the next one, or, where it is much, into another beside it, in as many
// lanes as there are. A request is answered after its commit. The rows of one caller go in in
// the order they came.
type queue[T any] struct {
	store  *Store
	insert insertion[T]
	lanes  int // transactions at once, at most

	mu      sync.Mutex
	waiting []*request[T]
	ready   int // rows of those that wait
	rows    int // ready, and those that follow them
	writing int // lanes
	writers sync.WaitGroup
}

// A request is what one caller wants to have inserted: at most groupRows.
type request[T any] struct {
	ctx      context.Context // of the caller who waits: a request that was given up is not written
	rows     []T
	next     *request[T] // of the same caller: it waits until this one is answered
	statuses []engine.RowStatus
	err      error
	done     chan struct{} // closed when statuses or err stand
}

// put waits until the rows are committed, or ctx ends. What was not answered may be in all
// the same; sent again, it counts as duplicates.
func (q *queue[T]) put(ctx context.Context, rows []T) ([]engine.RowStatus, error) {
	if len(rows) == 0 {
		return []engine.RowStatus{}, nil
	}
	first := &request[T]{ctx: ctx, done: make(chan struct{})}
	for last := first; ; last = last.next {
		n := min(len(rows), groupRows)
		last.rows, rows = rows[:n], rows[n:]
		if len(rows) == 0 {
			break
		}
		last.next = &request[T]{ctx: ctx, done: make(chan struct{})}
	}
	if err := q.enqueue(first); err != nil {
		return nil, err
	}
	statuses := []engine.RowStatus{}
	for r := first; r != nil; r = r.next {
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

// enqueue lets a request wait, and those that follow it.
func (q *queue[T]) enqueue(first *request[T]) error {
	n := 0
	for r := first; r != nil; r = r.next {
		n += len(r.rows)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rows > 0 && q.rows+n > maxQueued {
		return engine.Errorf(engine.KindUnavailable, "ledger_busy", "%d rows wait to be written: try again", q.rows)
	}
	q.rows += n
	q.wait(first)
	return nil
}

// wait lets a request wait for a writer. q.mu is held.
func (q *queue[T]) wait(r *request[T]) {
	q.waiting, q.ready = append(q.waiting, r), q.ready+len(r.rows)
	if q.writing < q.wanted() {
		q.writing++
		q.writers.Go(q.write)
	}
}

// wanted is how many writers there is work for. q.mu is held.
func (q *queue[T]) wanted() int {
	switch {
	case len(q.waiting) == 0:
		return 0
	case q.ready < laneRows:
		return 1
	default:
		return q.lanes
	}
}

// write commits group after group until there is no work for it.
func (q *queue[T]) write() {
	for {
		beside, ok := q.pending()
		if !ok {
			return
		}
		var group []*request[T]
		statuses, err := q.transact(beside, func() []T {
			// Taken under the ledger's lock, as late as can be, so that it is as large as can be.
			if group == nil {
				group = q.take()
			}
			return rowsOf(group)
		})
		if group == nil {
			group = q.take() // it did not come so far
		}
		q.answer(group, statuses, err)
	}
}

// pending reports whether there is work for this writer, and whether it goes beside that of
// another. Without work, it has ended.
func (q *queue[T]) pending() (beside, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writing > q.wanted() {
		q.writing--
		return false, false
	}
	return q.wanted() > 1, true
}

// take takes what waits, up to the rows of one group. What was given up is left out.
func (q *queue[T]) take() []*request[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	group := []*request[T]{}
	rows := 0
	for len(q.waiting) > 0 && rows+len(q.waiting[0].rows) <= groupRows {
		r := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		rows += len(r.rows)
		q.ready -= len(r.rows)
		q.rows -= len(r.rows)
		if r.err = r.ctx.Err(); r.err != nil {
			q.done(r)
			continue
		}
		group = append(group, r)
	}
	return group
}

// done tells the caller of a request. What follows waits from now on. q.mu is held.
func (q *queue[T]) done(r *request[T]) {
	if r.next != nil {
		q.wait(r.next)
	}
	close(r.done)
}

func rowsOf[T any](group []*request[T]) []T {
	var rows []T
	for _, r := range group {
		rows = append(rows, r.rows...)
	}
	return rows
}

// transact writes rows in one transaction: in a lane beside others, or alone, which takes
// two statements less. It asks for the rows when it has the ledger's lock.
func (q *queue[T]) transact(beside bool, rows func() []T) (statuses []engine.RowStatus, err error) {
	ctx := context.Background() // of no single caller
	open, end := q.store.alone, published
	if beside {
		open, end = openLane, q.store.closeLane
	}
	if err := q.store.prepare(ctx); err != nil {
		return nil, err
	}
	for range maxAttempts {
		err = q.store.inTx(ctx, q.store.bulk, func(tx *sqlx.Tx) error {
			b, err := open(ctx, tx)
			if err != nil {
				return err
			}
			taken := rows()
			if len(taken) == 0 {
				return nil
			}
			if statuses, err = q.insert(ctx, tx, taken, b); err != nil {
				return err
			}
			return end(ctx, tx, b)
		})
		if !contended(err) {
			break
		}
	}
	return statuses, err
}

// maxAttempts is how often a transaction is tried that another lane gets in the way of. It
// takes two events of one id in two lanes, or a commit between two statements.
const maxAttempts = 5

// answer tells the callers of a group. Where it failed for something in the rows, each
// request is tried again by itself.
func (q *queue[T]) answer(group []*request[T], statuses []engine.RowStatus, err error) {
	apart := err != nil && len(group) > 1 && engine.KindOf(err) != engine.KindUnavailable
	for _, r := range group {
		switch {
		case apart:
			r.statuses, r.err = q.transact(false, func() []T { return r.rows })
		case err != nil:
			r.err = err
		default:
			r.statuses, statuses = statuses[:len(r.rows)], statuses[len(r.rows):]
		}
		q.mu.Lock()
		q.done(r)
		q.mu.Unlock()
	}
}

// flush waits until nothing is under way.
func (q *queue[T]) flush() { q.writers.Wait() }
