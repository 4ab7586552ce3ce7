//go:build linux || darwin

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perennial-engine/perennial/internal/filelock"
)

// folder is a data folder; its parts are listed in the package comment.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), name) }
func (f folder) data() string            { return f.path("data") }

// claim makes the folder if need be and locks it.
func (f folder) claim() (*filelock.Lock, error) {
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return nil, err
	}
	if err := f.mustBeOurs(); err != nil {
		return nil, err
	}
	lock, err := filelock.Claim(f.path("lock"))
	if held, ok := errors.AsType[*filelock.HeldError](err); ok {
		return nil, fmt.Errorf("the folder %s is in use by another copy (process %s): stop it, or %s", f, held.Process, elsewhere)
	}
	return lock, err
}

// mustBeOurs refuses a folder that holds what we did not put there.
func (f folder) mustBeOurs() error {
	if _, err := os.Stat(f.path("lock")); err == nil {
		return nil
	}
	entries, err := os.ReadDir(string(f))
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.Name() {
		case "lost+found": // a file system of its own
		case "lock": // another copy was faster by a moment
		case "state": // a server on another database was here first
		case "PG_VERSION":
			return fmt.Errorf("the folder %s is a PostgreSQL cluster that Perennial did not make: it is left as it is; %s", f, elsewhere)
		default:
			return fmt.Errorf("the folder %s is not empty and not a data folder of Perennial (it holds %s): %s", f, e.Name(), elsewhere)
		}
	}
	return nil
}

// version is the major version of the cluster in the folder, 0 when there is none yet.
func (f folder) version() (int, error) {
	text, err := os.ReadFile(filepath.Join(f.data(), "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(f.data()); err == nil {
			return 0, fmt.Errorf("the folder %s holds no PostgreSQL cluster (it has no PG_VERSION): it is left as it is; %s", f.data(), elsewhere)
		}
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	// Before version 10 the major version was two numbers; the first is enough to refuse it.
	major, _, _ := strings.Cut(strings.TrimSpace(string(text)), ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return 0, fmt.Errorf("the folder %s names no version of PostgreSQL: %q", f.data(), text)
	}
	return n, nil
}

// awaitPredecessor waits for a server whose starter was killed: we hold the lock, so nobody needs it any more.
func (f folder) awaitPredecessor(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for asked := false; ; asked = true {
		pid := serverIn(f.data())
		if pid == 0 {
			return f.disown()
		}
		if !diesWithUs && !asked {
			_ = syscall.Kill(pid, fastShutdown)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the PostgreSQL server that was last used in %s is still running (process %d): wait until it has ended, or end it", f, pid)
		}
	}
}

// disown keeps PostgreSQL from mistaking a process that has nothing to do with it for its predecessor: after a crash of the
// machine the number in postmaster.pid may be anyone's. The number of its own parent is one that PostgreSQL knows to be
// stale. The rest of the file stays, because PostgreSQL finds processes left over by their shared memory, named there.
func (f folder) disown() error {
	data, err := os.OpenRoot(f.data()) // it belongs to another user when we are root: follow no link of theirs out of it
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer data.Close() //nolint:errcheck // it was only a way in
	text, err := data.ReadFile("postmaster.pid")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it stopped in order
	}
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	return data.WriteFile("postmaster.pid", []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o600)
}
