//go:build !linux && !darwin

package filelock

import (
	"errors"
	"fmt"
)

// A Lock is an advisory lock on a file.
type Lock struct{}

// Claim refuses: what is locked here cannot be kept on this system. A file cannot be replaced
// while it is open, nor a folder synced.
func Claim(name string) (*Lock, error) {
	return nil, fmt.Errorf("lock %s: %w: it needs Linux or macOS", name, errors.ErrUnsupported)
}

// Release ends the lock.
func (*Lock) Release() error { return nil }
