//go:build linux || darwin

package filelock

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Lock is an advisory lock on a file (flock). It ends with Release, or with our process.
type Lock struct{ file *os.File }

// Claim makes the file if need be, locks it and writes our process into it; while someone else
// holds it, the error is a *HeldError. It follows no link: root may be locking in a folder of
// someone else.
func Claim(name string) (*Lock, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600) //nolint:gosec // the caller's
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(name) //nolint:gosec // likewise
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &HeldError{Process: strings.TrimSpace(string(holder))}
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	// Only HeldError reads it.
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return &Lock{file}, nil
}

// Release ends the lock. To close the file alone would not be enough: a child that another
// goroutine is just starting shares it, and with it the lock, until it becomes its own program.
func (l *Lock) Release() error {
	return errors.Join(unix.Flock(int(l.file.Fd()), unix.LOCK_UN), l.file.Close())
}
