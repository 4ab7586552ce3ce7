package postgres

import (
	"context"
	"time"

	"github.com/lib/pq"
)

// configurationChannel is where a change of the configuration is told of.
const configurationChannel = "perennial_configuration"

// Pauses of the listener: between attempts to connect, and between signs of life.
const (
	listenAgainFirst = 100 * time.Millisecond
	listenAgainLast  = 10 * time.Second
	listenPing       = 20 * time.Second
)

// Listen implements engine.Experiments. Its connection is given up when it stays silent for
// longer than a ping takes.
func (s *Store) Listen(ctx context.Context, changed func()) {
	listener := pq.NewDialListener(dialer{silence: listenPing + hotLimits.silence}, s.dsn, listenAgainFirst, listenAgainLast, nil)
	defer listener.Close() //nolint:errcheck // nothing was written
	// Answers once there is a connection; until then polling does the work.
	go func() { _ = listener.Listen(configurationChannel) }()
	ping := time.NewTicker(listenPing)
	defer ping.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-listener.Notify: // nil after a reconnection, when something may have been missed
			changed()
		case <-ping.C:
			go func() { _ = listener.Ping() }() // a dead connection is made anew by the listener
		}
	}
}
