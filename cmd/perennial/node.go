package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/perennial-engine/perennial/api"
	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pglocal"
	"github.com/perennial-engine/perennial/postgres"
	"github.com/perennial-engine/perennial/worker"
	"github.com/perennial-engine/perennial/worker/webhook"
)

// refreshEvery is how often a process looks for changes that others made: a change shows
// everywhere within two seconds.
const refreshEvery = 500 * time.Millisecond

// A node is an engine on its database, with what is needed to run it. close undoes all.
type node struct {
	config  Config
	log     *slog.Logger
	now     func() time.Time
	cluster *pglocal.Cluster // nil with a database of one's own
	// clusterOptions are those that cluster was started with.
	clusterOptions pglocal.Options
	store          *postgres.Store
	state          *state // nil in a process that answers no assignments
	tuned          bool   // the heap is ours to tune: GOGC does not say
	engine         *engine.Engine
}

// What a node is for.
type purpose struct {
	dir     string // of a private cluster; empty: the user's database
	migrate bool
	assigns bool // answers assignments, and so keeps a state
}

// newNode opens the database, starting the private cluster if there is to be one, and the
// engine on it.
func (a *app) newNode(ctx context.Context, config Config, p purpose, now func() time.Time) (n *node, err error) {
	n = &node{config: config, log: a.logger(config), now: now, tuned: a.environ["GOGC"] == ""}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close(context.WithoutCancel(ctx)))
		}
	}()
	dsn := string(config.DatabaseURL)
	if p.dir != "" {
		n.clusterOptions = pglocal.Options{Dir: p.dir, Log: n.log, Notice: a.stderr}
		n.cluster, err = pglocal.Start(ctx, n.clusterOptions)
		if err != nil {
			return n, err
		}
		dsn = n.cluster.DSN("perennial")
	}
	if n.store, err = postgres.Open(dsn); err != nil {
		return n, err
	}
	if p.migrate {
		if _, err := n.store.Migrate(ctx); err != nil {
			return n, err
		}
	}
	if p.assigns {
		if n.state, err = openState(config.State, now, n.log); err != nil {
			return n, fmt.Errorf("cannot use the folder of this server's state (choose another --state): %w", err)
		}
	}
	n.newEngine(rand.Reader)
	err = n.load(ctx)
	return n, err
}

// newEngine makes the node's engine.
func (n *node) newEngine(random io.Reader) {
	n.engine = engine.New(n.state.config(engine.Config{
		Store: n.store, Now: n.now, Random: random, Log: n.log, Reporting: engine.Currency(n.config.ReportingCurrency),
		Sender: webhook.New(n.config.webhookNetworks(), buildVersion().Version),
	}))
}

// load reads what the engine works with: the last picture on this machine and, from there
// on, the database. Where that is away, the picture alone has to do.
func (n *node) load(ctx context.Context) error {
	noPicture := errors.New("this process keeps no picture")
	if n.state != nil {
		noPicture = n.engine.LoadPicture()
		if noPicture != nil && !errors.Is(noPicture, errNoPicture) {
			n.log.WarnContext(ctx, "the stored pictures are refused; everybody is read from the database", "error", noPicture)
		}
	}
	err := n.store.FixReportingCurrency(ctx, n.engine.Reporting())
	if err != nil && engine.KindOf(err) != engine.KindUnavailable {
		return fmt.Errorf("cannot use the database: %w", err)
	}
	if err == nil {
		if err = n.engine.Refresh(ctx); err == nil && n.state != nil {
			err = n.engine.Follow(ctx)
		}
	}
	switch {
	case err == nil || n.state == nil || engine.KindOf(err) != engine.KindUnavailable:
		return err
	case noPicture != nil:
		return fmt.Errorf("the database is away (%w), and there is nothing else to serve: %w", err, noPicture)
	}
	n.log.WarnContext(ctx, "the database is away: serving the last picture of this machine", "error", err)
	return nil
}

// close ends what newNode began, in reverse.
func (n *node) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.config.ShutdownTimeout)
	defer cancel()
	failures := []error{n.state.close()}
	if n.store != nil {
		// What was committed is committed: connections that the database has ended, or that end
		// badly, are no failure.
		if err := n.store.Close(); err != nil {
			n.log.DebugContext(ctx, "connections did not close in order", "error", err)
		}
	}
	if n.cluster != nil {
		failures = append(failures, n.cluster.Stop(ctx))
	}
	return errors.Join(failures...)
}

// adminKey makes the admin key of the settings, or the first one of all, which it answers.
func (n *node) adminKey(ctx context.Context) (made string, err error) {
	return n.engine.EnsureAdminKey(ctx, string(n.config.BootstrapKey))
}

// listen opens the address of the API.
func (n *node) listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", n.config.Addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (choose another --addr): %w", n.config.Addr, err)
	}
	return listener, nil
}

// keepCluster starts the private cluster again whenever it ends, until ctx ends: without it
// assignments are answered, and nothing else is. It gives up, by stop, where the cluster's
// address has changed.
func (n *node) keepCluster(ctx context.Context, stop context.CancelCauseFunc) {
	const database = "perennial"
	for {
		select {
		case <-n.cluster.Done():
		case <-ctx.Done():
			return
		}
		n.log.ErrorContext(ctx, "PostgreSQL ended; starting it again (its log is in the data folder)")
		again, err := pglocal.Start(ctx, n.clusterOptions)
		for err != nil {
			n.log.ErrorContext(ctx, "PostgreSQL does not start", "error", err)
			select {
			case <-time.After(restartPause):
			case <-ctx.Done():
				return
			}
			again, err = pglocal.Start(ctx, n.clusterOptions)
		}
		moved := again.DSN(database) != n.cluster.DSN(database)
		n.cluster = again
		if moved {
			stop(errors.New("PostgreSQL ended; its log is in the data folder"))
			return
		}
	}
}

// restartPause is the time between two attempts to start the private cluster again.
const restartPause = time.Second

// serve answers the API on listener and, with jobs, runs the worker, until ctx ends. A
// private cluster that ends is started again. It stops in order: first the listener and the
// requests in flight, then the jobs.
func (n *node) serve(ctx context.Context, listener net.Listener, jobs bool) error {
	var pools []prometheus.Collector
	for name, db := range n.store.Pools() {
		pools = append(pools, collectors.NewDBStatsCollector(db, name))
	}
	server, err := api.New(api.Config{
		Engine: n.engine, Log: n.log, Now: n.now, Random: rand.Reader, Version: buildVersion().Version, Collectors: pools,
		Origins: n.config.origins(),
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	defer func() { stop(nil); keeping.Wait() }()
	if n.cluster != nil {
		keeping.Go(func() { n.keepCluster(ctx, stop) })
	}
	if n.state != nil && n.tuned {
		keeping.Go(func() { tuneHeap(ctx) })
	}
	go n.engine.KeepFresh(ctx, refreshEvery)

	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	worked := make(chan error, 1)
	if jobs {
		go func() { worked <- worker.Run(working, n.engine, n.log, n.config.ShutdownTimeout) }()
	} else {
		worked <- nil
	}

	h := server.HTTP()
	served := make(chan error, 1)
	go func() { served <- h.Serve(listener) }()
	n.log.InfoContext(ctx, "serving", "url", "http://"+listener.Addr().String())
	var failure error
	select {
	case failure = <-served:
	case <-ctx.Done():
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			failure = cause
		}
		n.log.InfoContext(ctx, "stopping")
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.config.ShutdownTimeout)
		defer cancel()
		if err := h.Shutdown(deadline); err != nil {
			failure = errors.Join(failure, fmt.Errorf("requests in flight were cut off: %w", err), h.Close())
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			failure = errors.Join(failure, err)
		}
	}
	stopWork()
	flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.config.ShutdownTimeout)
	defer cancel()
	if err := n.engine.Flush(flushing); err != nil {
		n.log.WarnContext(ctx, "enrolments wait in this server's journal for its next start", "error", err)
	}
	if err := n.engine.SavePicture(); err != nil {
		failure = errors.Join(failure, err)
	}
	return errors.Join(failure, <-worked)
}
