//go:build unix

package pgtest

import (
	"errors"
	"syscall"
)

// ended says whether there is no process pid any more.
func ended(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
