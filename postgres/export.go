package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

const (
	// exportsAtOnce is how many exports run at a time: each has a connection for itself.
	exportsAtOnce = 2
	// exportWait is how long one more waits for another to end.
	exportWait = 5 * time.Second
	// exportLimit is how long an export takes at most. Its picture of the database holds up the
	// clearing away of dead rows.
	exportLimit = 6 * time.Hour
)

// exporting runs fn with a connection for itself.
func (s *Store) exporting(ctx context.Context, fn func(ctx context.Context, conn *sqlx.Conn) error) error {
	waiting, stop := context.WithTimeout(ctx, exportWait)
	conn, err := s.exports.Connx(waiting)
	late := waiting.Err() != nil && ctx.Err() == nil
	stop()
	switch {
	case late && s.exports.Stats().InUse == exportsAtOnce:
		return &engine.Error{
			Kind: engine.KindUnavailable, Code: "too_many_exports", Err: err,
			Message: "other exports are under way, as many as this server runs at a time: try again when one has ended",
		}
	case err != nil:
		return translate(err)
	}
	defer conn.Close() //nolint:errcheck // it has been read to its end, or is broken
	ctx, cancel := context.WithTimeout(ctx, exportLimit)
	defer cancel()
	return translate(fn(ctx, conn))
}

// ExportEvents implements engine.Exports.
func (s *Store) ExportEvents(ctx context.Context, happened engine.Period, out engine.Output[engine.Event]) error {
	from, to := "-infinity", "infinity"
	if happened.From != nil {
		from = stamps(*happened.From)
	}
	if happened.To != nil {
		to = stamps(*happened.To)
	}
	return s.exporting(ctx, func(ctx context.Context, conn *sqlx.Conn) error {
		return s.inSnapshot(ctx, conn, func(tx *sqlx.Tx) error {
			gone, err := s.erasedFromNow(ctx, tx)
			if err != nil {
				return err
			}
			if err := declare(ctx, tx, `
				DECLARE exported NO SCROLL CURSOR FOR
				SELECT customer_id, id, type, occurred_at, value, currency, channel, touchpoint, properties
				FROM events WHERE occurred_at >= $1 AND occurred_at < $2`, from, to); err != nil {
				return err
			}
			return fetch(ctx, tx, gone, func(r *exportedEvent) error { return out.Row(r.event()) })
		})
	})
}

type exportedEvent struct {
	Person     string              `db:"customer_id"`
	ID         string              `db:"id"`
	Type       string              `db:"type"`
	OccurredAt time.Time           `db:"occurred_at"`
	Value      decimal.NullDecimal `db:"value"`
	Currency   sql.NullString      `db:"currency"`
	Channel    sql.NullString      `db:"channel"`
	Touchpoint sql.NullString      `db:"touchpoint"`
	Properties []byte              `db:"properties"`
}

func (r *exportedEvent) person() string { return r.Person }

func (r *exportedEvent) event() *engine.Event {
	e := &engine.Event{
		ID: r.ID, Customer: engine.CustomerID(r.Person), Type: r.Type, OccurredAt: r.OccurredAt,
		Currency: engine.Currency(r.Currency.String), Channel: engine.Channel(r.Channel.String),
		Touchpoint: engine.TouchpointKey(r.Touchpoint.String), Properties: r.Properties,
	}
	if r.Value.Valid {
		e.Value = &r.Value.Decimal
	}
	return e
}

// ExportEnrolments implements engine.Exports.
func (s *Store) ExportEnrolments(ctx context.Context, of []engine.Experiment, out engine.Output[engine.ExportedEnrolment]) error {
	keys := keysOf(of)
	return s.exporting(ctx, func(ctx context.Context, conn *sqlx.Conn) error {
		return s.inSnapshot(ctx, conn, func(tx *sqlx.Tx) error {
			gone, err := s.erasedFromNow(ctx, tx)
			if err != nil {
				return err
			}
			if err := total(ctx, tx, out.Total,
				`SELECT count(*) FROM enrolments WHERE experiment = ANY ($1)`, keys); err != nil {
				return err
			}
			shown, err := analysed(ctx, tx, of)
			if err != nil {
				return err
			}
			if err := declare(ctx, tx, `
				DECLARE exported NO SCROLL CURSOR FOR
				SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, contaminated
				FROM enrolments WHERE experiment = ANY ($1)`, keys); err != nil {
				return err
			}
			return fetch(ctx, tx, gone, func(r *exportedEnrolment) error {
				return out.Row(shown.mark(&r.enrolmentRow))
			})
		})
	})
}

func keysOf(experiments []engine.Experiment) pq.StringArray {
	keys := pq.StringArray{}
	for i := range experiments {
		keys = append(keys, string(experiments[i].Key))
	}
	return keys
}

type exportedEnrolment struct{ enrolmentRow }

func (r *exportedEnrolment) person() string { return r.Customer }

// ExportReports implements engine.Exports.
func (s *Store) ExportReports(ctx context.Context, of engine.ExperimentKey, out engine.Output[engine.Report]) error {
	return s.exporting(ctx, func(ctx context.Context, conn *sqlx.Conn) error {
		return s.inSnapshot(ctx, conn, func(tx *sqlx.Tx) error {
			if err := total(ctx, tx, out.Total,
				`SELECT count(*) FROM reports WHERE $1 = '' OR experiment = $1`, of); err != nil {
				return err
			}
			if err := declare(ctx, tx, `
				DECLARE exported NO SCROLL CURSOR FOR
				SELECT document FROM reports WHERE $1 = '' OR experiment = $1 ORDER BY experiment, version`, of); err != nil {
				return err
			}
			return fetch(ctx, tx, nil, func(r *exportedReport) error {
				report := &engine.Report{}
				if err := json.Unmarshal(r.Document, report); err != nil {
					return err
				}
				return out.Row(report)
			})
		})
	})
}

type exportedReport struct {
	Document []byte `db:"document"`
}

func (*exportedReport) person() string { return "" }

// declare opens the cursor that fetch reads. All of it will be read: the plan is the one
// that ends first, not the one that begins first.
func declare(ctx context.Context, tx *sqlx.Tx, statement string, args ...any) error {
	if _, err := tx.ExecContext(ctx, `SET LOCAL cursor_tuple_fraction = 1`); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, statement, args...)
	return err
}

// total counts the rows and tells them.
func total(ctx context.Context, tx *sqlx.Tx, tell func(int64), statement string, args ...any) error {
	var rows int64
	if err := tx.GetContext(ctx, &rows, statement, args...); err != nil {
		return err
	}
	tell(rows)
	return nil
}

// fetch hands over the rows of the cursor, but for those of customers who were erased
// meanwhile. A statement reads so few that its time limit is none for the whole.
func fetch[R any, P interface {
	*R
	person() string
}](ctx context.Context, on sqlx.QueryerContext, gone *erasedSince, fn func(P) error) error {
	for {
		if err := gone.look(ctx); err != nil {
			return err
		}
		rows, err := on.QueryxContext(ctx, `FETCH 1000 FROM exported`)
		if err != nil {
			return err
		}
		read, err := eachFetched(rows, func(row *R) error {
			if gone.has(P(row).person()) {
				return nil
			}
			return fn(row)
		})
		if err != nil || read == 0 {
			return err
		}
	}
}

func eachFetched[R any](rows *sqlx.Rows, fn func(*R) error) (read int, err error) {
	defer rows.Close() //nolint:errcheck // rows.Err is asked below
	for ; rows.Next(); read++ {
		var row R
		if err := rows.StructScan(&row); err != nil {
			return read, err
		}
		if err := fn(&row); err != nil {
			return read, err
		}
	}
	return read, rows.Err()
}
