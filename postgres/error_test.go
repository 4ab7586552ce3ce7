package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

// The codes are those of the PostgreSQL manual, appendix A.
func TestTranslate(t *testing.T) {
	mine := engine.Errorf(engine.KindInvalid, "mine", "mine")
	for _, tt := range []struct {
		name string
		err  error
		want engine.Kind
	}{
		{"connection_failure", &pq.Error{Code: "08006"}, engine.KindUnavailable},
		{"too_many_connections", &pq.Error{Code: "53300"}, engine.KindUnavailable},
		{"disk_full", &pq.Error{Code: "53100"}, engine.KindUnavailable},
		{"admin_shutdown", &pq.Error{Code: "57P01"}, engine.KindUnavailable},
		{"cannot_connect_now", &pq.Error{Code: "57P03"}, engine.KindUnavailable},
		{"query_canceled", &pq.Error{Code: "57014"}, engine.KindUnavailable},
		{"io_error", &pq.Error{Code: "58030"}, engine.KindUnavailable},
		{"lock_not_available", &pq.Error{Code: "55P03"}, engine.KindUnavailable},
		{"deadlock_detected", &pq.Error{Code: "40P01"}, engine.KindUnavailable},
		{"serialization_failure", &pq.Error{Code: "40001"}, engine.KindUnavailable},
		{"idle_in_transaction_session_timeout", &pq.Error{Code: "25P03"}, engine.KindUnavailable},
		{"unique_violation", &pq.Error{Code: "23505"}, engine.KindConflict},
		{"wrapped unique_violation", fmt.Errorf("insert: %w", &pq.Error{Code: "23505"}), engine.KindConflict},
		{"check_violation", &pq.Error{Code: "23514"}, engine.KindInternal},
		{"undefined_table", &pq.Error{Code: "42P01"}, engine.KindUnavailable},
		{"character_not_in_repertoire", &pq.Error{Code: "22021"}, engine.KindInternal},
		{"in_failed_sql_transaction", &pq.Error{Code: "25P02"}, engine.KindInternal},
		{"a broken connection", driver.ErrBadConn, engine.KindUnavailable},
		{"end of the connection", io.EOF, engine.KindUnavailable},
		{"cut in a message", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), engine.KindUnavailable},
		{"silence", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, engine.KindUnavailable},
		{"no server", &net.OpError{Op: "dial", Err: errors.New("refused")}, engine.KindUnavailable},
		{"no such host", &net.DNSError{Name: "nowhere"}, engine.KindUnavailable},
		{"closed connection", sql.ErrConnDone, engine.KindUnavailable},
		{"deadline", context.DeadlineExceeded, engine.KindUnavailable},
		{"transaction ended with its context", sql.ErrTxDone, engine.KindUnavailable},
		{"the caller went away", context.Canceled, engine.KindInternal},
		{"a defect", errors.New("defect"), engine.KindInternal},
		{"the engine's own", fmt.Errorf("inside: %w", mine), engine.KindInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := translate(tt.err)
			if kind := engine.KindOf(got); kind != tt.want {
				t.Errorf("kind %d (%v), want %d", kind, got, tt.want)
			}
			if !errors.Is(got, tt.err) && tt.want != engine.KindInvalid {
				t.Error("the cause is lost")
			}
		})
	}
	if translate(nil) != nil {
		t.Error("no error became one")
	}
}

// Failures made by a real server come out as the table says.
func TestRealFailures(t *testing.T) {
	small := limits{connections: 4, statement: 100 * time.Millisecond, silence: 2 * time.Second}
	s := must(open(pgtest.Database(t), small, small))(t)
	t.Cleanup(func() { _ = s.Close() })

	t.Run("statement too long", func(t *testing.T) {
		_, err := s.hot.ExecContext(t.Context(), `SELECT pg_sleep(5)`)
		if pq.As(err, pqerror.QueryCanceled) == nil {
			t.Fatalf("error %v, want query_canceled", err)
		}
		kindOf(t, translate(err), engine.KindUnavailable, "database_unavailable")
	})
	t.Run("lock held by another", func(t *testing.T) {
		tx := must(s.bulk.Beginx())(t)
		defer tx.Rollback() //nolint:errcheck // the lock is all that it is for
		if err := touchConfiguration(t.Context(), tx); err != nil {
			t.Fatal(err)
		}
		_, err := s.PutLayer(t.Context(), &engine.Layer{Key: "l", Salt: "s"}, start)
		kindOf(t, err, engine.KindUnavailable, "database_unavailable")
	})
	t.Run("same key twice", func(t *testing.T) {
		k := &engine.Key{ID: "k1", Name: "n", Scopes: []engine.Scope{engine.ScopeRead}, CreatedAt: start}
		if err := s.CreateKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		kindOf(t, s.CreateKey(t.Context(), k), engine.KindConflict, "conflict")
	})
	t.Run("the deadline ends a transaction", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := s.inTx(ctx, s.hot, func(*sqlx.Tx) error {
			<-ctx.Done()
			return nil
		})
		kindOf(t, err, engine.KindUnavailable, "database_unavailable")
	})
	t.Run("no server", func(t *testing.T) {
		away := must(Open("host=/nowhere dbname=x sslmode=disable"))(t)
		defer away.Close() //nolint:errcheck // it has no connection
		kindOf(t, away.Ping(t.Context()), engine.KindUnavailable, "database_unavailable")
	})
	t.Run("no tables", func(t *testing.T) {
		empty := openStore(t, pgtest.Empty(t))
		if err := empty.Ping(t.Context()); err == nil {
			t.Error("a database without tables is ready")
		}
	})
}

// A panic in a transaction ends it at once: its locks go and its connection comes back.
func TestPanicEndsTheTransaction(t *testing.T) {
	s := newStore(t)
	func() {
		defer func() { _ = recover() }()
		_ = s.inTx(t.Context(), s.hot, func(tx *sqlx.Tx) error {
			if err := touchConfiguration(t.Context(), tx); err != nil {
				t.Error(err)
			}
			panic("defect")
		})
	}()
	if n := s.hot.Stats().InUse; n != 0 {
		t.Errorf("%d connections still in use", n)
	}
	must(s.PutLayer(t.Context(), &engine.Layer{Key: "l", Salt: "s"}, start))(t)
}
