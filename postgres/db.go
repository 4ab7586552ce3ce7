// Package postgres keeps everything in PostgreSQL: it implements engine.Store. All SQL of
// the project is here, inline beside the code that reads its rows, one file per noun.
//
// Writes happen in explicit transactions only ([Store.inTx]): outside of one the driver
// may send a statement again after a lost reply.
package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/migrations"
)

// Store is the database behind an engine. Its methods are safe for concurrent use.
type Store struct {
	hot     *sqlx.DB // short statements that requests wait for
	bulk    *sqlx.DB // batches, measuring and reports
	exports *sqlx.DB // one connection for each export, for as long as its reader takes
	locks   *sqlx.DB // one connection for each job that runs: it holds the job's lock
	dsn     string   // for the listener, which has a connection of its own
	// frozen is how long after the deadline of a job its process is given up.
	frozen time.Duration

	preparing  sync.Mutex
	statements map[string]*sqlx.Stmt // of the bulk pool, by their text

	events     queue[eventRow]
	exposures  queue[engine.Exposure]
	enrolments queue[engine.Enrolment]
}

var _ engine.Store = (*Store)(nil)

// The limits of a pool. A context's deadline does not bound a connection that has gone
// silent, so every read and write has one of its own.
type limits struct {
	connections int
	statement   time.Duration
	silence     time.Duration
}

var (
	hotLimits  = limits{connections: 16, statement: 2 * time.Second, silence: 3 * time.Second}
	bulkLimits = limits{connections: 8, statement: 5 * time.Minute, silence: 5*time.Minute + 5*time.Second}
)

// Open opens the database of a lib/pq connection string or URL. It does not connect yet.
func Open(dsn string) (*Store, error) { return open(dsn, hotLimits, bulkLimits) }

func open(dsn string, hotLimits, bulkLimits limits) (*Store, error) {
	hot, err := openPool(dsn, hotLimits)
	if err != nil {
		return nil, err
	}
	bulk, err := openPool(dsn, bulkLimits)
	if err != nil {
		return nil, err
	}
	exports, err := openPool(dsn, limits{exportsAtOnce, bulkLimits.statement, bulkLimits.silence})
	if err != nil {
		return nil, err
	}
	locks, err := openPool(dsn, hotLimits)
	if err != nil {
		return nil, err
	}
	s := &Store{hot: hot, bulk: bulk, exports: exports, locks: locks, dsn: dsn, frozen: time.Minute, statements: map[string]*sqlx.Stmt{}}
	s.events = queue[eventRow]{store: s, insert: exceptErased(s.insertEvents, traceOfEvent), lanes: 2}
	s.exposures = queue[engine.Exposure]{store: s, insert: exceptErased(insertExposures, traceOfExposure), lanes: 1}
	s.enrolments = queue[engine.Enrolment]{store: s, insert: insertKnown, lanes: 1}
	return s, nil
}

func openPool(dsn string, l limits) (*sqlx.DB, error) {
	config, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("postgres: the database URL is not valid: %w", err)
	}
	config.SSLMode = cmp.Or(config.SSLMode, pq.SSLModeRequire)
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, 5*time.Second)
	config.FallbackApplicationName = "perennial"
	if config.Runtime == nil {
		config.Runtime = map[string]string{}
	}
	maps.Copy(config.Runtime, map[string]string{
		"timezone":                            "UTC",
		"statement_timeout":                   milliseconds(l.statement),
		"lock_timeout":                        milliseconds(l.statement),
		"idle_in_transaction_session_timeout": milliseconds(l.silence),
		"synchronous_commit":                  "on",
	})
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, fmt.Errorf("postgres: the database URL is not valid: %w", err)
	}
	connector.Dialer(dialer{silence: l.silence})
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(l.connections)
	db.SetMaxIdleConns(l.connections)
	db.SetConnMaxLifetime(30 * time.Minute)
	return sqlx.NewDb(db, "postgres"), nil
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// dialer makes connections whose every read and write has a deadline.
type dialer struct{ silence time.Duration }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, 0)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx := context.Background()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return d.DialContext(ctx, network, address)
}

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &boundedConn{Conn: conn, silence: d.silence}, nil
}

type boundedConn struct {
	net.Conn
	silence time.Duration
}

func (c *boundedConn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *boundedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// now is for the deadlines of connections, which are in the machine's own time. Times
// that are stored come from the engine.
func now() time.Time {
	return time.Now() //nolint:forbidigo // network deadlines are not domain time
}

// Close writes what waits and closes all connections.
func (s *Store) Close() error {
	s.events.flush()
	s.exposures.flush()
	s.enrolments.flush()
	return cmp.Or(s.hot.Close(), s.bulk.Close(), s.exports.Close(), s.locks.Close())
}

// Pools are the pools of connections by name, for those who watch them.
func (s *Store) Pools() map[string]*sql.DB {
	return map[string]*sql.DB{"hot": s.hot.DB, "bulk": s.bulk.DB, "exports": s.exports.DB, "locks": s.locks.DB}
}

// Migrate applies the migrations that are missing and answers how many.
func (s *Store) Migrate(ctx context.Context) (int, error) {
	return migrations.Up(ctx, s.bulk.DB)
}

// Ping answers nil when the database takes queries and has its tables.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.ConfigurationVersion(ctx)
	return err
}

// FixReportingCurrency writes down the reporting currency on first use, and answers an
// error when the database was begun with another: sums of two currencies mean nothing.
func (s *Store) FixReportingCurrency(ctx context.Context, c engine.Currency) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx,
			`UPDATE configuration SET reporting_currency = $1 WHERE reporting_currency IS NULL`, c); err != nil {
			return err
		}
		var fixed engine.Currency
		if err := tx.GetContext(ctx, &fixed, `SELECT reporting_currency FROM configuration`); err != nil {
			return err
		}
		if fixed != c {
			return fmt.Errorf("this database reports in %s, not in %s: set PERENNIAL_REPORTING_CURRENCY=%s", fixed, c, fixed)
		}
		return nil
	})
}

// inTx runs fn in one transaction and commits it when fn answers nil. Every error comes
// out as the engine knows it.
func (s *Store) inTx(ctx context.Context, pool *sqlx.DB, fn func(tx *sqlx.Tx) error) (err error) {
	return transact(ctx, pool, nil, fn)
}

// inSnapshot runs fn on one consistent picture of the database, for reading only.
func (s *Store) inSnapshot(ctx context.Context, on beginner, fn func(tx *sqlx.Tx) error) error {
	return transact(ctx, on, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, fn)
}

// A beginner is a pool, or one connection of it.
type beginner interface {
	BeginTxx(ctx context.Context, o *sql.TxOptions) (*sqlx.Tx, error)
}

func transact(ctx context.Context, on beginner, o *sql.TxOptions, fn func(tx *sqlx.Tx) error) (err error) {
	tx, err := on.BeginTxx(ctx, o)
	if err != nil {
		return translate(err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it does nothing; before, also in a panic, it ends the transaction
	if err := fn(tx); err != nil {
		return translate(err)
	}
	return translate(tx.Commit())
}

// touchConfiguration takes the configuration's lock, gives it a new version, and tells
// who listens once the transaction has committed.
func touchConfiguration(ctx context.Context, tx *sqlx.Tx) error {
	if _, err := tx.ExecContext(ctx, `UPDATE configuration SET version = version + 1`); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `SELECT pg_notify($1, '')`, configurationChannel)
	return err
}

// nextPosition takes the ledger's lock and answers the ingest position of this
// transaction. The lock is held until it commits, so positions are in commit order.
func nextPosition(ctx context.Context, tx *sqlx.Tx) (position int64, err error) {
	err = tx.GetContext(ctx, &position, `
		WITH ledger AS MATERIALIZED (SELECT pg_advisory_xact_lock($1, 0))
		UPDATE ingest_position SET value = value + 1 FROM ledger RETURNING value`, ledgerLock)
	return position, err
}
