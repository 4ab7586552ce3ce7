// Package filelock keeps two processes from using one folder at a time.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// HeldError is the error for a lock that someone else holds.
type HeldError struct {
	Process string // the number of the process that took the lock, as it wrote it down
}

// Error implements error.
func (e *HeldError) Error() string { return "the lock is held by process " + e.Process }

// Await is Claim that waits while someone else holds the lock, until ctx ends.
func Await(ctx context.Context, name string) (*Lock, error) {
	for {
		lock, err := Claim(name)
		if _, held := errors.AsType[*HeldError](err); !held {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock %s: %w", name, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
