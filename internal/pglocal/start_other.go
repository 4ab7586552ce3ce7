//go:build !linux && !darwin

package pglocal

import (
	"context"
	"errors"
	"os"
)

// There are no such signals here, and no cluster to send them to.
const (
	fastShutdown      = noSignal("fast shutdown")
	immediateShutdown = noSignal("immediate shutdown")
)

type noSignal string

func (s noSignal) Signal()        {}
func (s noSignal) String() string { return string(s) }

var _ os.Signal = noSignal("")

type search struct{}

func start(context.Context, Options) (*Cluster, error) {
	return nil, errors.New("Perennial runs on Linux and macOS: on Windows run it inside WSL")
}
