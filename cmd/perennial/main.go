// Command perennial is the experimentation engine in one binary: the server,
// its worker, and the commands that talk to a running one.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks to stop; a second one is not held back.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args, env.ToMap(os.Environ()), os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program, apart from the process around it: end-to-end tests
// call it too. The first of args is how it was called. It answers the exit code. An error is
// printed here and nowhere else.
func run(ctx context.Context, args []string, environ map[string]string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{program: args[0], environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := newRoot(a)
	root.SetArgs(args[1:])
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintln(stderr, "perennial:", err)
	// What goes wrong before a command starts is a wrong name, flag or argument.
	if a.started && !errors.As(err, new(usageError)) {
		return exitFailed
	}
	_, _ = fmt.Fprintf(stderr, "See '%s --help'.\n", cmd.CommandPath())
	return exitUsage
}

// newRoot lists every subcommand.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "perennial",
		Short: "Experiments for marketing, decided by lifetime value and retention",
		Long: `Perennial assigns customers to the variants of a test, takes in what they do,
measures lifetime value and retention, decides on a schedule and serves the winner.

Every setting is a flag and an environment variable: --addr is PERENNIAL_ADDR.
"perennial config print" shows them all and where each value comes from.`,
		Example: `  perennial up                      # PostgreSQL, API and worker, all in one
  perennial import events orders.csv --map customer=card --map type=kind \
      --map occurred_at=date --map value=total --set currency=EUR
  perennial report welcome-tone`,
		Version:       buildVersion().Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			// These two come after this hook otherwise.
			if err := cmd.ValidateRequiredFlags(); err != nil {
				return err
			}
			if err := cmd.ValidateFlagGroups(); err != nil {
				return err
			}
			a.started = true
			return nil
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON document on standard output and nothing else")
	addSettings(root.PersistentFlags(), "log-level", "log-format")

	const running, talking, about = "running", "talking", "about"
	root.AddGroup(
		&cobra.Group{ID: running, Title: "Run the engine:"},
		&cobra.Group{ID: talking, Title: "Talk to a running engine (--url, --key):"},
		&cobra.Group{ID: about, Title: "Everything else:"},
	)
	root.SetHelpCommandGroupID(about)
	root.SetCompletionCommandGroupID(about)
	add := func(group string, commands ...*cobra.Command) {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	add(running, newUp(a), newServe(a), newWorker(a), newMigrate(a), newDemo(a))
	add(talking, newImport(a), newAssign(a), newExport(a), newReport(a), newPlan(a), newKeys(a), newVerifyAudit(a))
	add(about, newSimulate(a), newConfig(a), newVersion(a))
	checkGenerated(root)
	return root
}

// checkGenerated lets the commands that cobra brings, help and completion, tell wrong arguments
// from right ones.
func checkGenerated(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, command := range root.Commands() {
		switch command.Name() {
		case "help":
			command.Args = func(_ *cobra.Command, args []string) error {
				_, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 {
					err = fmt.Errorf("unknown command %q", strings.Join(args, " "))
				}
				return err
			}
		case "completion":
			command.RunE = needsOneOf(command.Commands())
			for _, shell := range command.Commands() {
				shell.Example = "  " + shell.CommandPath() + " --no-descriptions"
			}
		}
	}
}

// An app is what all commands share: the outside world as it was handed to run.
type app struct {
	program        string // as it was called
	environ        map[string]string
	stdin          io.Reader
	stdout, stderr io.Writer

	json    bool // --json
	started bool // the command line was understood and a command runs
}

// config reads and checks the settings; cmd's flags override the environment.
func (a *app) config(cmd *cobra.Command) (Config, error) {
	return loadConfig(a.environ, cmd.Flags())
}

// logger writes to standard error, so that standard output stays a result.
func (a *app) logger(config Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: config.level()}
	if config.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.stderr, options))
}

// answer prints a command's result: value as JSON under --json, else as text has it.
func (a *app) answer(value any, text func() string) error {
	if !a.json {
		_, err := io.WriteString(a.stdout, text())
		return err
	}
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// A usageError is a mistake in how a command was called: exit code 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// interrupted answers err, or that what was done was interrupted, where that is why.
func interrupted(ctx context.Context, what string, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%s was interrupted before its end", what)
	}
	return err
}

// newGroup makes a command that only holds others and is wrong on its own.
func newGroup(use, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: needsOneOf(commands)}
	group.AddCommand(commands...)
	return group
}

func needsOneOf(commands []*cobra.Command) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		var names []string
		for _, command := range commands {
			names = append(names, command.Name())
		}
		return usagef("%q needs a subcommand: %s", cmd.CommandPath(), strings.Join(names, ", "))
	}
}
