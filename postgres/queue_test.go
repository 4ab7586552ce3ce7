package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

// held is the ledger's lock, held by somebody else: what is queued waits.
func held(t *testing.T, s *Store) *sqlx.Tx {
	t.Helper()
	tx := must(s.bulk.Beginx())(t)
	t.Cleanup(func() { _ = tx.Rollback() })
	if _, err := nextPosition(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	return tx
}

func rowsOfEvents(events []engine.Event) (rows []eventRow) {
	for i := range events {
		rows = append(rows, rowOf(&events[i]))
	}
	return rows
}

func queued(ctx context.Context, t *testing.T, s *Store, events ...engine.Event) *request[eventRow] {
	t.Helper()
	r := &request[eventRow]{ctx: ctx, rows: rowsOfEvents(events), done: make(chan struct{})}
	if err := s.events.enqueue(r); err != nil {
		t.Fatal(err)
	}
	return r
}

// release lets go of the lock and waits for what was queued.
func release(t *testing.T, s *Store, tx *sqlx.Tx) {
	t.Helper()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	s.events.flush()
}

func TestWhatWaitsIsCommittedTogether(t *testing.T) {
	s := newStore(t)
	lock := held(t, s)
	queued(t.Context(), t, s, order("first", "o", "1", start))
	requests := map[string]*request[eventRow]{}
	for _, name := range []string{"a", "b", "c"} {
		requests[name] = queued(t.Context(), t, s, order(name, "o", "1", start), order(name, "o", "2", start))
	}
	gone, giveUp := context.WithCancel(t.Context())
	given := queued(gone, t, s, order("given up", "o", "1", start))
	giveUp()
	bad := queued(t.Context(), t, s, order("bad", "o\x00", "1", start)) // NUL is no text for PostgreSQL
	release(t, s, lock)
	for name, r := range requests {
		if r.err != nil || len(r.statuses) != 2 || r.statuses[0] != accepted || r.statuses[1] != conflict {
			t.Errorf("%s: statuses %v (%v), want accepted and conflict", name, r.statuses, r.err)
		}
	}
	if bad.err == nil || !errors.Is(given.err, context.Canceled) {
		t.Errorf("errors %v of what cannot be stored and %v of what was given up", bad.err, given.err)
	}
	if n := count(t, s, `SELECT count(*) FROM events`); n != 4 {
		t.Errorf("%d events, want first, a, b and c", n)
	}
	queued(t.Context(), t, s, order("late", "o", "1", start))
	s.events.flush()
	if n := count(t, s, `SELECT count(*) FROM events`); n != 5 {
		t.Errorf("%d events: the writer did not start again", n)
	}
}

// Single events of many callers share transactions.
func TestSingleEventsShareTransactions(t *testing.T) {
	s := newStore(t)
	lock := held(t, s)
	for i := range 500 {
		queued(t.Context(), t, s, order(fmt.Sprint("c", i), "o", "1", start))
	}
	release(t, s, lock)
	if n := count(t, s, `SELECT count(*) FROM events`); n != 500 {
		t.Errorf("%d events, want 500", n)
	}
	if n := count(t, s, `SELECT value FROM ingest_position`); n > 3*groupRows {
		t.Errorf("%d transactions for 500 events that waited together", n)
	}
}

func TestAFullQueueIsBusy(t *testing.T) {
	s := newStore(t)
	lock := held(t, s)
	batch := func(name string, n int) (events []engine.Event) {
		for i := range n {
			events = append(events, order(fmt.Sprint(name, i), "o", "1", start))
		}
		return events
	}
	full := make([]engine.Event, maxQueued+groupRows) // some are under way
	for i := range full {
		full[i] = order("x", "o", "1", start)
	}
	for len(full) > 0 {
		queued(t.Context(), t, s, full[:groupRows]...)
		full = full[groupRows:]
		s.events.mu.Lock()
		rows := s.events.rows
		s.events.mu.Unlock()
		if rows > maxQueued-groupRows {
			break
		}
	}
	_, err := s.InsertEvents(t.Context(), batch("more", 2*groupRows))
	kindOf(t, err, engine.KindUnavailable, "ledger_busy")
	release(t, s, lock)
	if got := must(s.InsertEvents(t.Context(), batch("more", 2*groupRows)))(t); len(got) != 2*groupRows {
		t.Errorf("%d statuses, want %d", len(got), 2*groupRows)
	}
	if n := count(t, s, `SELECT count(*) FROM events`); n != 1+2*groupRows {
		t.Errorf("%d events: what was refused is there, or what was not is missing", n)
	}
}

// Close writes what waits.
func TestCloseFlushes(t *testing.T) {
	s := newStore(t)
	lock := held(t, s)
	var last *request[eventRow]
	for i := range 50 {
		last = queued(t.Context(), t, s, order(fmt.Sprint("c", i), "o", "1", start))
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	<-last.done
	if last.err != nil {
		t.Errorf("the last event was not written: %v", last.err)
	}
}

// Whoever writes holds one connection and never waits for another: those who have the others may
// wait for the ledger's lock, which the writer has.
func TestAWriterNeedsOneConnection(t *testing.T) {
	s := must(open(pgtest.Database(t), hotLimits, limits{connections: 1, statement: time.Minute, silence: time.Minute}))(t)
	t.Cleanup(func() { _ = s.Close() })
	ctx, giveUp := context.WithTimeout(t.Context(), 10*time.Second)
	defer giveUp()
	events := make([]engine.Event, 2*groupRows)
	for i := range events {
		events[i] = order("c", fmt.Sprint("o", i), "1", start)
	}
	if _, err := s.InsertEvents(ctx, events); err != nil {
		t.Error(err)
	}
	if _, err := s.InsertExposures(ctx, []engine.Exposure{{ID: "x", Customer: "c", Touchpoint: "mail", OccurredAt: start}}); err != nil {
		t.Error(err)
	}
}
