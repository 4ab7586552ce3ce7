// Package pglocal runs a private PostgreSQL cluster: a real server, found or fetched by itself, that listens on nothing but a
// unix socket in a folder of its own and ends when the program that started it ends. `perennial up`, `perennial demo` and the
// tests use it; a server of one's own needs none of this, only its address.
//
// A data folder holds everything of one cluster and can be moved or backed up (while stopped) as a whole:
//
//	lock            held (flock) by the one process that may use the folder; names it
//	data            the cluster, as PostgreSQL knows it; made whole beside itself as data.new-… and renamed
//	socket          mode 0700; who may enter it is a superuser without a password
//	postgres.log    what the server said since it was last started; postgres.log.1 is the time before
//	state           not ours: what a server that answers assignments keeps, perhaps since before there was a cluster
//
// # The life of a cluster
//
//	Start: claim the folder ─▶ find programs ─▶ wait for a dying predecessor ─▶ initdb, the first time ─▶ postgres ─▶ ready
//	                                                                                                         │
//	Done is closed ◀── the server ended ◀── Stop, or our death (Linux), or its own accident ◀────────────────┘
//
// # Who runs it and who can reach it
//
// PostgreSQL refuses to run as root. Started by root, it runs as the owner of the data folder, or for a new one as `postgres`
// or else `nobody`. Such a user often cannot even reach the folder (/root, or a temporary folder, has mode 0700), so the
// folders are opened by root and handed down as open descriptors, which the server names /proc/self/fd/3 and so on: no
// folder is opened wider than it was. Authentication is `trust`: whoever can enter the socket folder is the superuser
// `perennial`. That is the user who started the cluster, root, and the server's own user, who could read the data files
// anyway. A check by user name (`peer`) would add nothing and fail in containers whose user has no name.
//
// # What is never done
//
// A folder that holds something else, or a cluster of another major version, is refused and left as it is. The server that
// answers is checked to be our own child, so that a second copy can never join the wrong one.
package pglocal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
)

const (
	// superuser is the database role that everything in the cluster belongs to.
	superuser = "perennial"
	// database is made by Start when it is missing.
	database = "perennial"
	// port is a part of the socket's file name, and nothing listens on it.
	port = "5432"
	// elsewhere is what to do about a folder that cannot be used.
	elsewhere = "give another folder (--data or PERENNIAL_DATA)"
)

// Options say where the cluster is kept and who hears about it.
type Options struct {
	// Dir is the data folder; it is made when absent.
	Dir string
	// Log receives the start and the end of the server; nil discards them.
	Log *slog.Logger
	// Notice is where a person is told what is being downloaded or installed, before it happens; nil discards it.
	Notice io.Writer
	// Fast gives up safety against a crash of the machine, for clusters that are thrown away.
	Fast bool

	search search // where programs are looked for; the zero value is this machine
}

// Cluster is a running PostgreSQL server.
type Cluster struct {
	socket  string        // the folder of its unix socket
	process *os.Process   // the postmaster
	done    chan struct{} // closed when the postmaster has ended and the folder is free again
}

// Start starts the cluster in o.Dir, which it makes the first time, and returns when it answers. It ends with an error, and
// no server running, when ctx ends first; afterwards ctx no longer matters.
//
// Programs are taken from PATH, /usr/lib/postgresql and Homebrew's folders. Where none are found, Linux gets a pinned build
// through npm, and Debian or Ubuntu (as root) its own package; everywhere else the error names the one command to run.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Notice == nil {
		o.Notice = io.Discard
	}
	return start(ctx, o)
}

// DSN is how lib/pq connects to the given database of the cluster.
func (c *Cluster) DSN(database string) string {
	return fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable", quote(c.socket), port, superuser, quote(database))
}

// quote writes a value of a connection string.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// Done is closed when the server has ended, whoever ended it.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Stop rolls back what is running, writes everything to disk and waits for the end of the server. When ctx ends first, the
// server is made to stop at once, which costs it a recovery at the next start, and Stop says so. It is safe to call twice.
func (c *Cluster) Stop(ctx context.Context) error {
	c.signal(fastShutdown)
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	c.abort()
	return fmt.Errorf("PostgreSQL was stopped at once, it had no time to stop in order: %w", ctx.Err())
}

// abort ends the server without any order; what was committed is safe.
func (c *Cluster) abort() {
	c.signal(immediateShutdown)
	select {
	case <-c.done:
	case <-time.After(5 * time.Second):
		c.signal(os.Kill)
		<-c.done
	}
}

// signal does nothing when the server has ended already.
func (c *Cluster) signal(s os.Signal) { _ = c.process.Signal(s) }
