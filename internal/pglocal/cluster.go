//go:build linux || darwin

package pglocal

import (
	"context"
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
)

// What PostgreSQL does with these signals.
const (
	fastShutdown      = syscall.SIGINT
	immediateShutdown = syscall.SIGQUIT
)

// patience is how long a predecessor may take to write everything to disk, and a new server to say anything at all.
const patience = 30 * time.Second

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
			_ = lock.Release()
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
		c.abort()
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
		if ctx.Err() != nil {
			return nil, fmt.Errorf("the cluster was not made: %w", ctx.Err())
		}
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
	f, err := os.Open(name) //nolint:gosec // the data folder
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// tail is the end of what a program said, as much as a person reads.
func tail(said []byte) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
