package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

func begin(t *testing.T, s *Store) *sqlx.Tx {
	t.Helper()
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx := must(s.bulk.Beginx())(t)
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// untilOneWaits returns when a transaction of this database waits for a lock.
func untilOneWaits(t *testing.T, s *Store) {
	t.Helper()
	for count(t, s, `SELECT count(*) FROM pg_locks WHERE NOT granted AND
		(database = (SELECT oid FROM pg_database WHERE datname = current_database()) OR locktype = 'transactionid')`) == 0 {
	}
}

// A lane that is done first waits for the one that began first, however that one ends, and
// everybody else waits for both.
func TestLanesEndInTheirOrder(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*Store, *sqlx.Tx, block) error
	}{
		{"the first commits", func(s *Store, tx *sqlx.Tx, b block) error {
			return errors.Join(s.closeLane(context.Background(), tx, b), tx.Commit())
		}},
		{"the first is given up", func(_ *Store, tx *sqlx.Tx, _ block) error { return tx.Rollback() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			one, two := begin(t, s), begin(t, s)
			low, high := must(openLane(t.Context(), one))(t), must(openLane(t.Context(), two))(t)
			if low.first != 1 || high.first != low.first+groupRows {
				t.Fatalf("the lanes begin at %d and %d", low.first, high.first)
			}
			after := make(chan int64, 1)
			ended := make(chan error, 2)
			go func() {
				ended <- errors.Join(s.closeLane(context.Background(), two, high), two.Commit())
			}()
			untilOneWaits(t, s)
			if n := count(t, s, `SELECT value FROM ingest_position`); n != 0 {
				t.Errorf("position %d was published before the first lane ended", n)
			}
			go func() { // such as a link
				ended <- s.inTx(context.Background(), s.bulk, func(tx *sqlx.Tx) error {
					position, err := nextPosition(context.Background(), tx)
					after <- position
					return err
				})
			}()
			if err := tt.end(s, one, low); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(<-ended, <-ended); err != nil {
				t.Fatal(err)
			}
			if position := <-after; position != 2*groupRows+1 {
				t.Errorf("position %d after the lanes, want %d", position, 2*groupRows+1)
			}
		})
	}
}

// Whoever reads everything up to the newest position never finds another row there later,
// with two servers writing in all their lanes.
func TestLanesPublishWhatIsThere(t *testing.T) {
	dsn := pgtest.Database(t)
	servers := []*Store{openStore(t, dsn), openStore(t, dsn)}
	s := servers[0]
	var writers, watcher sync.WaitGroup
	for w := range 6 {
		writers.Go(func() {
			for i := range 8 {
				var events []engine.Event
				for n := range laneRows {
					events = append(events, order(fmt.Sprint(w, n), strconv.Itoa(i), "1", start))
				}
				if _, err := servers[w%2].InsertEvents(context.Background(), events); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	watcher.Go(func() {
		upTo, known := 0, 0
		for {
			if n := count(t, s, `SELECT count(*) FROM events WHERE position <= $1`, upTo); n != known {
				t.Errorf("%d rows up to position %d, %d before", n, upTo, known)
				return
			}
			upTo = count(t, s, `SELECT value FROM ingest_position`)
			known = count(t, s, `SELECT count(*) FROM events WHERE position <= $1`, upTo)
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	writers.Wait()
	close(stop)
	watcher.Wait()
	if n := count(t, s, `SELECT count(DISTINCT position) FROM events WHERE position <= (SELECT value FROM ingest_position)`); n != 6*8*laneRows {
		t.Errorf("%d positions, want %d", n, 6*8*laneRows)
	}
}

// Two lanes that wait for each other, one for an event and one for its turn, are told apart
// by the database, and both events count once.
func TestLanesThatWaitForEachOther(t *testing.T) {
	s := newStore(t)
	one := begin(t, s)
	first := must(openLane(t.Context(), one))(t)
	e := order("a", "o", "1", start)
	two := make(chan error, 1)
	go func() {
		statuses, err := s.InsertEvents(context.Background(), []engine.Event{e})
		if err == nil && statuses[0] != accepted && statuses[0] != duplicate {
			err = fmt.Errorf("status %d", statuses[0])
		}
		two <- err
	}()
	untilOneWaits(t, s)
	_, err := s.insertEvents(t.Context(), one, []eventRow{rowOf(&e)}, first)
	if err == nil {
		err = errors.Join(s.closeLane(t.Context(), one, first), one.Commit())
	} else if err = translate(err); contended(err) {
		err = one.Rollback()
	}
	if err := errors.Join(err, <-two); err != nil {
		t.Error(err)
	}
	if n := count(t, s, `SELECT count(*) FROM events`); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// A caller's rows go in in their order, however many groups they make.
func TestTheFirstOfACallCounts(t *testing.T) {
	s := newStore(t)
	for range 5 {
		events := make([]engine.Event, 2*groupRows+1)
		for i := range events {
			events[i] = order("a", strconv.Itoa(i%groupRows), strconv.Itoa(i), start)
		}
		statuses := must(s.InsertEvents(t.Context(), events))(t)
		for i, status := range statuses {
			if (status == accepted) != (i < groupRows) {
				t.Fatalf("row %d has the status %d", i, status)
			}
		}
		exec(t, s, `TRUNCATE events`)
	}
}

// The numbers in openLane's text are what their names say.
func TestLocksOfLanes(t *testing.T) {
	s := newStore(t)
	tx := begin(t, s)
	b := must(openLane(t.Context(), tx))(t)
	if n := count(t, s, `
		SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND (CAST(classid AS bigint), CAST(objid AS bigint), mode) IN
				(($1, 0, 'ShareLock'), ($2, $3, 'ExclusiveLock'))`, ledgerLock, blockLock, b.first+groupRows-1); n != 2 {
		t.Errorf("%d locks are as they are called, want 2", n)
	}
}
