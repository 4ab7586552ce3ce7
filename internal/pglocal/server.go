//go:build linux || darwin

package pglocal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/perennial-engine/perennial/internal/filelock"
)

// maxSocketPath is how long a unix socket's path can be: 107 bytes on Linux, 103 on macOS.
const maxSocketPath = 103

// settings are given on the command line, so that a new release of ours can change them in old clusters; everything else is
// for the person who looks after the folder to set in data/postgresql.conf.
func settings(fast bool) []string {
	s := []string{
		"listen_addresses=", // the socket is the only way in
		"port=" + port,
		"unix_socket_permissions=0700",
		"max_connections=100",
		"shared_buffers=128MB", // a laptop's share; the file cache of the system does the rest
		"timezone=UTC",
		"log_timezone=UTC",
		"jit=off",             // compiling costs more than it saves in queries as short as ours
		"log_checkpoints=off", // the log is read when something is wrong
		"log_line_prefix=%m [%p] %d ",
		"cluster_name=perennial", // shown in the list of processes
	}
	if fast {
		// No WAL for replicas, no waiting for the disk: all of it is gone after a crash.
		return append(s, "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"wal_level=minimal", "max_wal_senders=0", "max_wal_size=256MB")
	}
	return append(s, "fsync=on", "synchronous_commit=on", "full_page_writes=on") // a receipt that we gave holds
}

// launch starts the server. From then on the goroutine that started it watches it, and lets go of the folder at its end.
func launch(ctx context.Context, f folder, who *account, p programs, o Options, lock *filelock.Lock) (*Cluster, error) {
	socket, removeSocket, err := makeSocket(f, who)
	if err != nil {
		return nil, err
	}
	cmd, err := serverCommand(ctx, f, who, p, socket, o.Fast)
	if err != nil {
		removeSocket()
		return nil, err
	}
	c := &Cluster{socket: socket, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the server ends with this thread
		err := cmd.Start()
		takeBack(cmd)
		c.process = cmd.Process
		started <- err
		if err != nil {
			return
		}
		if err := cmd.Wait(); err != nil {
			o.Log.ErrorContext(ctx, "postgresql ended", slog.String("folder", string(f)), slog.Any("error", err))
		} else {
			o.Log.InfoContext(ctx, "postgresql stopped", slog.String("folder", string(f)))
		}
		removeSocket()
		_ = lock.Release()
		close(c.done)
	}()
	if err := <-started; err != nil {
		removeSocket()
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

// serverCommand is the server, and holds the open files that takeBack closes.
func serverCommand(ctx context.Context, f folder, who *account, p programs, socket string, fast bool) (_ *exec.Cmd, err error) {
	cmd := who.command(context.WithoutCancel(ctx), filepath.Join(p.bin, "postgres"))
	defer func() {
		if err != nil {
			takeBack(cmd)
		}
	}()
	data, err := who.lend(cmd, f.data())
	if err != nil {
		return nil, err
	}
	lentSocket, err := who.lend(cmd, socket)
	if err != nil {
		return nil, err
	}
	cmd.Args = append(cmd.Args, "-D", data)
	for _, s := range append(settings(fast), "unix_socket_directories="+quoteListItem(lentSocket)) {
		cmd.Args = append(cmd.Args, "-c", s)
	}
	_ = os.Rename(f.path("postgres.log"), f.path("postgres.log.1"))
	log, err := os.OpenFile(f.path("postgres.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, nil
}

// makeSocket makes the folder of the socket: inside the data folder, or where that has too long a name, in a temporary
// folder that remove removes. (A cleaner of /tmp lets it be: PostgreSQL touches its socket now and then.)
func makeSocket(f folder, who *account) (socket string, remove func(), err error) {
	parent := string(f)
	remove = func() {}
	// A comma would make it two hosts in a connection string.
	if len(socketFile(parent)) > maxSocketPath || strings.Contains(parent, ",") {
		// Not os.TempDir: it may be long too.
		if parent, err = os.MkdirTemp("/tmp", "perennial-"); err != nil {
			return "", nil, err
		}
		remove = func() { _ = os.RemoveAll(parent) }
	}
	socket = filepath.Dir(socketFile(parent))
	if err := errors.Join(os.RemoveAll(socket), who.mkdir(socket)); err != nil {
		remove()
		return "", nil, err
	}
	return socket, remove, nil
}

// socketFile is the name of the socket in a folder of ours.
func socketFile(parent string) string { return filepath.Join(parent, "socket", ".s.PGSQL."+port) }

// quoteListItem writes one item of a setting that is a list of names.
func quoteListItem(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// ready waits until the server answers, makes sure that it is ours, and makes the database.
func (c *Cluster) ready(ctx context.Context, f folder) error {
	db, err := c.open("postgres")
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // nothing was left in it
	if err := c.answers(ctx, db, f); err != nil {
		return err
	}
	var pid int
	if err := db.QueryRowContext(ctx, `SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)`).Scan(&pid); err != nil {
		return err
	}
	if pid != c.process.Pid {
		return fmt.Errorf("the PostgreSQL server that answers for %s is process %d and not the one just started (%d)", f, pid, c.process.Pid)
	}
	var exists bool
	if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = db.ExecContext(ctx, `CREATE DATABASE `+database)
	return err
}

// open connects to a database, and refuses where the environment would lead the connection to another server.
func (c *Cluster) open(database string) (*sql.DB, error) {
	config, err := pq.NewConfig(c.DSN(database))
	if err != nil {
		return nil, err
	}
	if config.Host != c.socket || config.Hostaddr.IsValid() {
		return nil, errors.New("PGHOSTADDR or PGSERVICE in the environment names another server than the private one: unset it")
	}
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// answers waits until the server takes connections. A server that recovers from a crash says so, and may take as long as
// ctx allows; one that says nothing at all may not.
func (c *Cluster) answers(ctx context.Context, db *sql.DB, f folder) error {
	silence := time.NewTimer(patience)
	defer silence.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		if pq.As(err, pqerror.CannotConnectNow) != nil {
			silence.Reset(patience)
		}
		select {
		case <-c.done:
			said, _ := os.ReadFile(f.path("postgres.log"))
			return fmt.Errorf("PostgreSQL did not start in %s, it said:\n%s", f, tail(said))
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL has not started yet: %w", ctx.Err())
		case <-silence.C:
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
