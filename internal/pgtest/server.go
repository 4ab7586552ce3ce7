package pgtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/internal/pglocal"
	"github.com/perennial-engine/perennial/migrations"
)

// limit is how long a step may take on a busy machine; the first one may have to download PostgreSQL.
const limit = 5 * time.Minute

// lazyServer is the server of this process, started by the first test that needs it.
type lazyServer struct {
	once   sync.Once
	server *server
	err    error
}

var shared lazyServer

func (l *lazyServer) open() (*server, error) {
	l.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		l.server, l.err = start(ctx, os.Getenv("PERENNIAL_TEST_DATABASE_URL")) //nolint:forbidigo // tests have no cmd to configure them
	})
	return l.server, l.err
}

func (l *lazyServer) close() error {
	l.once.Do(func() { l.err = errors.New("the tests have ended") })
	if l.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return l.server.close(ctx)
}

// server makes databases, whose names begin with prefix, on one PostgreSQL server.
type server struct {
	admin    *sql.DB
	dsn      func(database string) string
	stop     func(context.Context) error
	prefix   string
	made     atomic.Int64
	template func() (name string, err error)
}

// start uses the server at address, or where that is empty starts a private one.
func start(ctx context.Context, address string) (*server, error) {
	s := &server{
		dsn:  func(database string) string { return withDatabase(address, database) },
		stop: func(context.Context) error { return nil },
		// Other processes, also of other machines, may be using the same server.
		prefix: fmt.Sprintf("perennial_test_%d_%s_", os.Getpid(), strings.ToLower(rand.Text()[:8])),
	}
	s.template = sync.OnceValues(s.makeTemplate)
	adminDSN := address
	if address == "" {
		cluster, stop, err := startPrivate(ctx)
		if err != nil {
			return nil, err
		}
		s.dsn, s.stop, adminDSN = cluster.DSN, stop, cluster.DSN("postgres")
	}
	var err error
	if s.admin, err = sql.Open("postgres", adminDSN); err == nil {
		err = s.admin.PingContext(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop(ctx))
	}
	return s, nil
}

// startPrivate starts a cluster in a temporary folder; stop ends it and removes the folder.
func startPrivate(ctx context.Context) (_ *pglocal.Cluster, stop func(context.Context) error, err error) {
	parent := os.TempDir()
	if parent == "/tmp" { // where TMPDIR says nothing else
		parent = cmp.Or(memory(), parent)
	}
	sweep(parent)
	dir, err := os.MkdirTemp(parent, folderPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return nil, nil, err
	}
	cluster, err := pglocal.Start(ctx, pglocal.Options{Dir: dir, Notice: os.Stderr, Fast: true})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return cluster, func(ctx context.Context) error {
		return errors.Join(cluster.Stop(ctx), os.RemoveAll(dir))
	}, nil
}

// folderPrefix begins the names of our temporary folders; the number of the process that uses one follows.
const folderPrefix = "perennial-test-"

// sweep removes the folders of test processes that were killed, or that had no Run to remove theirs.
func sweep(parent string) {
	folders, _ := filepath.Glob(filepath.Join(parent, folderPrefix+"*"))
	for _, folder := range folders {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), folderPrefix), "-")
		if pid, err := strconv.Atoi(number); err == nil && ended(pid) {
			_ = os.RemoveAll(folder)
		}
	}
}

// close ends the server, or on one that is not ours drops what is left.
func (s *server) close(ctx context.Context) error {
	var err error
	if s.made.Load() > 0 {
		err = s.drop(ctx, s.prefix+"template")
	}
	return errors.Join(err, s.admin.Close(), s.stop(ctx))
}

// makeTemplate makes the database that the others are copied from. Nobody may connect to it then, not even the server's own
// housekeeping, because a database in use cannot be copied.
func (s *server) makeTemplate() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	name := s.prefix + "template"
	if err := s.exec(ctx, "CREATE DATABASE %s TEMPLATE template0", name); err != nil {
		return "", err
	}
	db, err := sql.Open("postgres", s.dsn(name))
	if err != nil {
		return "", err
	}
	_, err = migrations.Up(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return "", err
	}
	return name, s.exec(ctx, "ALTER DATABASE %s ALLOW_CONNECTIONS false", name)
}

// create makes a new database as a copy of the template.
func (s *server) create(ctx context.Context, template string) (string, error) {
	name := s.prefix + strconv.FormatInt(s.made.Add(1), 10)
	return name, s.exec(ctx, "CREATE DATABASE %s TEMPLATE %s", name, template)
}

// drop removes a database and ends the connections that a test left open.
func (s *server) drop(ctx context.Context, name string) error {
	return s.exec(ctx, "DROP DATABASE IF EXISTS %s WITH (FORCE)", name)
}

// exec runs a statement about databases; their names cannot be given to PostgreSQL as parameters.
func (s *server) exec(ctx context.Context, statement string, names ...string) error {
	var quoted []any
	for _, name := range names {
		quoted = append(quoted, pq.QuoteIdentifier(name))
	}
	statement = fmt.Sprintf(statement, quoted...)
	if _, err := s.admin.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// withDatabase changes the database in an address, which is a URL or a list of key=value.
func withDatabase(address, database string) string {
	if u, err := url.Parse(address); err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") {
		query := u.Query()
		query.Del("dbname")
		u.Path, u.RawPath, u.RawQuery = "/"+database, "", query.Encode()
		return u.String()
	}
	return address + " dbname='" + database + "'" // the last one counts
}
