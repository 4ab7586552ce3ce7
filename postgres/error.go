package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/perennial-engine/perennial/engine"
)

// translate turns a failure of the database into one the engine knows. It goes by
// SQLSTATE, never by text or by the name of a constraint.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*engine.Error](err); ok {
		return known
	}
	if away(err) {
		return &engine.Error{
			Kind: engine.KindUnavailable, Code: "database_unavailable",
			Message: "the database is away or overloaded; try again", Err: err,
		}
	}
	if pq.As(err, pqerror.UndefinedTable) != nil {
		return &engine.Error{
			Kind: engine.KindUnavailable, Code: "no_schema",
			Message: "the database has no schema, or an old one: run \"perennial migrate\"", Err: err,
		}
	}
	if pq.As(err, pqerror.UniqueViolation) != nil {
		return &engine.Error{
			Kind: engine.KindConflict, Code: "conflict",
			Message: "another request has just done the same; read and try again", Err: err,
		}
	}
	return err
}

// away reports whether the failure is one that passes: no connection, a server going down
// or full, a lock or statement that took too long.
func away(err error) bool {
	if e := pq.As(err); e != nil {
		switch class := string(e.Code)[:2]; class {
		case "08", "53", "57", "58":
			return true
		}
		switch e.Code {
		case pqerror.LockNotAvailable, pqerror.TRDeadlockDetected, pqerror.TRSerializationFailure,
			pqerror.IdleInTransactionSessionTimeout:
			return true
		}
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, sql.ErrTxDone) // our transactions end early only with their context
}

// overtaken reports whether another process has changed what a transaction on one picture of
// the database was about to write.
func overtaken(err error) bool { return pq.As(err, pqerror.TRSerializationFailure) != nil }

// found turns the absence of a row into the engine's words.
func found(err error, noun, key string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return engine.NotFoundf(noun, key)
	}
	return translate(err)
}
