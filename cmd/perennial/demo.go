package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/perennial-engine/perennial/worker"
)

// demoOptions are the flags of a demo.
type demoOptions struct {
	once bool
	file string
	seed uint64

	anyPort bool // nobody chose the address: another port will do
}

func newDemo(a *app) *cobra.Command {
	var options demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch one test from its plan to the promoted winner, in half a minute",
		Long: `Runs the whole engine on a private PostgreSQL in a temporary folder and plays a test on it:
simulated customers, whose true behaviour is known and said, meet three channels over ten weeks
of virtual time. Everything goes through the HTTP API, as an app of yours would do it. At the
end the engine stays up for you to look around, until Ctrl-C; then the folder is removed.

With --data the test is a real one instead: Hillstrom's e-mail test of 2008 (hillstrom.csv,
64,000 customers), imported as it is and held against its published results.`,
		Example: `  perennial demo
  perennial demo --once --seed 7
  perennial demo --data hillstrom.csv.gz
  perennial demo --once --json | jq .true_effect,.report.verdict`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := a.config(cmd)
			if err != nil {
				return err
			}
			for _, s := range settings() {
				_, origin := lookup(s, a.environ, cmd.Flags())
				switch {
				case origin != "default":
				case s.field == "LogLevel":
					config.LogLevel = "warn" // the story is what one wants to read
				case s.field == "Addr":
					options.anyPort = true
				}
			}
			return a.demo(cmd.Context(), config, options)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&options.once, "once", false, "stop when the test is decided, instead of serving on")
	flags.StringVar(&options.file, "data", "", "play Hillstrom's e-mail test from this `FILE`, plain or gzip")
	flags.Uint64Var(&options.seed, "seed", 1, "`NUMBER` that the simulated customers are made from: the same one, the same story")
	addSettings(flags, "addr", "shutdown-timeout")
	return cmd
}

// demo runs a demo in a temporary folder, which it removes.
func (a *app) demo(ctx context.Context, config Config, options demoOptions) error {
	config.ReportingCurrency = "EUR"
	if options.file != "" {
		if err := checkHillstrom(options.file); err != nil {
			return err
		}
		config.ReportingCurrency = "USD"
	}
	// A terminal that is closed and a reader that goes away end a demo like Ctrl-C. The signal of
	// the latter does not say which file it is about, and a client of the demo's server may go away
	// too: the failed write says it.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE)
	a.stdout, a.stderr = readable{a.stdout, stop}, readable{a.stderr, stop}
	dir, err := os.MkdirTemp(a.environ["TMPDIR"], "perennial-")
	if err != nil {
		return err
	}
	config.State = filepath.Join(dir, "state")
	return errors.Join(a.demoIn(ctx, dir, config, options), os.RemoveAll(dir))
}

// readable is a writer that calls gone when nobody reads it any more.
type readable struct {
	io.Writer
	gone func()
}

func (h readable) Write(p []byte) (int, error) {
	n, err := h.Writer.Write(p)
	if err != nil {
		h.gone()
	}
	return n, err
}

func (a *app) demoIn(ctx context.Context, dir string, config Config, options demoOptions) (err error) {
	started := time.Now()
	stage := newStage(started, options.seed)
	n, err := a.newNode(ctx, config, purpose{dir: dir, migrate: true, assigns: true}, stage.Now)
	if err != nil {
		return interrupted(ctx, "the demo", err)
	}
	defer func() { err = errors.Join(err, n.close(context.WithoutCancel(ctx))) }()
	key, err := n.adminKey(ctx)
	if err != nil {
		return interrupted(ctx, "the demo", err)
	}
	// From here on salts come from the stage too, so that a seed repeats who gets which
	// variant. The key above, and all that are made after the play, are really random.
	n.newEngine(stage)
	if err := n.load(ctx); err != nil {
		return interrupted(ctx, "the demo", err)
	}
	listener, err := n.listen(ctx)
	moved := options.anyPort && errors.Is(err, syscall.EADDRINUSE)
	if moved {
		n.config.Addr = "127.0.0.1:0"
		listener, err = n.listen(ctx)
	}
	if err != nil {
		return err
	}
	d := &demo{
		app: a, options: options, stage: stage, started: started, dir: dir, moved: moved,
		url: "http://" + listener.Addr().String(), key: cmp.Or(key, string(config.BootstrapKey)),
		story: newStory(a), logLevel: config.LogLevel,
	}
	d.client = newClient(Config{URL: SecretURL(d.url), Key: Secret(d.key)}, n.log)
	return d.run(ctx, n, listener)
}

// run serves the API while the play is on, and afterwards, unless it is only for once, goes
// on serving and runs the jobs until ctx ends.
func (d *demo) run(ctx context.Context, n *node, listener net.Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	serving, stopServing := context.WithCancel(ctx)
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error {
		defer stopWorking() // first the requests, then the jobs
		return n.serve(serving, listener, false)
	})
	group.Go(func() error {
		defer stopServing()
		if err := interrupted(ctx, "the demo", d.play(ctx)); err != nil || d.options.once {
			return err
		}
		return worker.Run(working, n.engine, n.log, n.config.ShutdownTimeout)
	})
	return group.Wait()
}
