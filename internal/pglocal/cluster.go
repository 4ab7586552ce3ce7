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
)

// What PostgreSQL does with these signals.
const (
	fastShutdown      = syscall.SIGINT
	immediateShutdown = syscall.SIGQUIT
)

// maxSocketPath is how long a unix socket's path can be: 107 bytes on Linux, 103 on macOS.
const maxSocketPath = 103

// patience is how long a predecessor may take to write everything to disk.
const patience = 20 * time.Second

func start(ctx context.Context, o Options) (_ *Cluster, err error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	f := folder(dir)
	lock, err := f.claim()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	major, err := f.version()
	if err != nil {
		return nil, err
	}
	who, err := serverAccount(f.data())
	if err != nil {
		return nil, err
	}
	programs, err := o.search.find(ctx, f, major, who, o.Notice)
	if err != nil {
		return nil, err
	}
	if err := f.awaitPredecessor(ctx, patience); err != nil {
		return nil, err
	}
	if major == 0 {
		if who, err = initialise(ctx, f, programs, o.Fast); err != nil {
			return nil, err
		}
	}
	c, err := launch(ctx, f, who, programs, o, lock)
	if err != nil {
		return nil, err
	}
	if err := c.ready(ctx, f); err != nil {
		stopped, cancel := context.WithCancel(context.WithoutCancel(ctx))
		cancel()
		_ = c.Stop(stopped) // it does not serve, so there is nothing to wait for
		return nil, err
	}
	o.Log.InfoContext(ctx, "postgresql started", slog.String("folder", dir), slog.Int("version", programs.major), slog.String("programs", programs.bin))
	return c, nil
}

// initialise makes a new cluster and says whose it is. It comes into being at once, by the rename: an initdb that was
// interrupted leaves nothing but rubbish with another name, which the next one sweeps away.
func initialise(ctx context.Context, f folder, p programs, fast bool) (*account, error) {
	// The programs may have been installed a moment ago, and the user postgres with them.
	who, err := serverAccount(f.data())
	if err != nil {
		return nil, err
	}
	rubbish, _ := filepath.Glob(f.path("data.new-*"))
	for _, old := range rubbish {
		_ = os.RemoveAll(old) // a dying initdb may still be writing there; the next time will do
	}
	unfinished, err := os.MkdirTemp(string(f), "data.new-")
	if err != nil {
		return nil, err
	}
	if err := who.own(unfinished); err != nil {
		return nil, err
	}
	cmd := who.command(ctx, filepath.Join(p.bin, "initdb"), "--username="+superuser, "--auth=trust",
		// The order of bytes is the same on every machine and for every build; that of a language is not.
		"--locale=C", "--encoding=UTF8")
	if fast {
		cmd.Args = append(cmd.Args, "--no-sync")
	}
	defer takeBack(cmd)
	lent, err := who.lend(cmd, unfinished)
	if err != nil {
		return nil, err
	}
	cmd.Args = append(cmd.Args, "--pgdata="+lent)
	if out, err := runHere(cmd); err != nil {
		_ = os.RemoveAll(unfinished)
		return nil, fmt.Errorf("%s: %w\n%s", cmd.Path, err, tail(out))
	}
	if err := os.Rename(unfinished, f.data()); err != nil {
		return nil, err
	}
	return who, syncFolder(string(f))
}

// runHere runs cmd to its end. The thread stays ours until then, because the child would end with it.
func runHere(cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.CombinedOutput()
}

// syncFolder makes a rename inside it survive a crash of the machine.
func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

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
		return append(s, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")
	}
	return append(s, "fsync=on", "synchronous_commit=on", "full_page_writes=on") // a receipt that we gave holds
}

// launch starts the server. From then on the goroutine that started it watches it, and lets go of the folder at its end.
func launch(ctx context.Context, f folder, who *account, p programs, o Options, lock *os.File) (*Cluster, error) {
	socket, temporary, err := makeSocket(f, who)
	if err != nil {
		return nil, err
	}
	_ = os.Rename(f.path("postgres.log"), f.path("postgres.log.1"))
	log, err := os.OpenFile(f.path("postgres.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the server has its own
	cmd := who.command(context.WithoutCancel(ctx), filepath.Join(p.bin, "postgres"))
	defer takeBack(cmd)
	data, err := who.lend(cmd, f.data())
	if err != nil {
		return nil, err
	}
	lentSocket, err := who.lend(cmd, socket)
	if err != nil {
		return nil, err
	}
	cmd.Args = append(cmd.Args, "-D", data)
	for _, s := range append(settings(o.Fast), "unix_socket_directories="+quoteListItem(lentSocket)) {
		cmd.Args = append(cmd.Args, "-c", s)
	}
	cmd.Stdout, cmd.Stderr = log, log

	c := &Cluster{socket: socket, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the server ends with this thread
		err := cmd.Start()
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
		if temporary != "" {
			_ = os.RemoveAll(temporary)
		}
		_ = lock.Close()
		close(c.done)
	}()
	if err := <-started; err != nil {
		if temporary != "" {
			_ = os.RemoveAll(temporary)
		}
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

// makeSocket makes the folder of the socket: inside the data folder, or where that has too long a name, in a temporary
// folder that is removed with the server.
func makeSocket(f folder, who *account) (socket, temporary string, err error) {
	socket = f.path("socket")
	if len(filepath.Join(socket, ".s.PGSQL."+port)) > maxSocketPath {
		// Not os.TempDir: it may be long too.
		if temporary, err = os.MkdirTemp("/tmp", "perennial-"); err != nil {
			return "", "", err
		}
		socket = filepath.Join(temporary, "socket")
	}
	if err := os.RemoveAll(socket); err != nil {
		return "", "", err
	}
	return socket, temporary, who.mkdir(socket)
}

// quoteListItem writes one item of a setting that is a list of names.
func quoteListItem(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// ready waits until the server answers, makes sure that it is ours, and makes the database.
func (c *Cluster) ready(ctx context.Context, f folder) error {
	connector, err := pq.NewConnector(c.DSN("postgres"))
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close() //nolint:errcheck // nothing was left in it
	for db.PingContext(ctx) != nil {
		select {
		case <-c.done:
			said, _ := os.ReadFile(f.path("postgres.log"))
			return fmt.Errorf("PostgreSQL did not start in %s, it said:\n%s", f, tail(said))
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL has not started yet: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if pid := f.serverPID(); pid != c.process.Pid {
		return fmt.Errorf("the PostgreSQL server of %s is process %d and not the one just started (%d)", f, pid, c.process.Pid)
	}
	var exists bool
	if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = db.ExecContext(ctx, `CREATE DATABASE `+database)
	if pq.As(err, pqerror.DuplicateDatabase) != nil {
		return nil
	}
	return err
}

// tail is the end of what a program said, as much as a person reads.
func tail(said []byte) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
