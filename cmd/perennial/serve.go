package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/perennial-engine/perennial/postgres"
	"github.com/perennial-engine/perennial/worker"
)

var errNoDatabase = usageError{errors.New("needs a database: set --database-url or PERENNIAL_DATABASE_URL (\"perennial up\" brings its own)")}

// ownDatabase reads the settings of a command that runs on the user's database.
func (a *app) ownDatabase(cmd *cobra.Command) (Config, error) {
	config, err := a.config(cmd)
	if err == nil && config.DatabaseURL == "" {
		err = errNoDatabase
	}
	return config, err
}

// onOwnDatabase runs an engine on the user's database for as long as do takes.
func (a *app) onOwnDatabase(cmd *cobra.Command, p purpose, do func(ctx context.Context, n *node) error) (err error) {
	config, err := a.ownDatabase(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	n, err := a.newNode(ctx, config, p, time.Now)
	if err != nil {
		return interrupted(ctx, "the start", err)
	}
	defer func() { err = errors.Join(err, n.close(context.WithoutCancel(ctx))) }()
	return do(ctx, n)
}

func newServe(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the API on your PostgreSQL",
		Long: `Runs the API alone. "perennial migrate" prepares the database, "perennial worker" runs the jobs.
Without the database it goes on answering assignments, from a start too: each server keeps in its own --state
folder what it last served and the enrolments that the database does not have yet.`,
		Example: `  perennial serve --database-url 'postgres://perennial@db/perennial?sslmode=require'
  PERENNIAL_BOOTSTRAP_KEY=a-long-secret perennial serve --addr 0.0.0.0:8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onOwnDatabase(cmd, purpose{assigns: true}, func(ctx context.Context, n *node) error {
				if n.config.BootstrapKey != "" {
					if _, err := n.adminKey(ctx); err != nil {
						return err
					}
				}
				listener, err := n.listen(ctx)
				if err != nil {
					return err
				}
				return n.serve(ctx, listener, false)
			})
		},
	}
	addSettings(cmd.Flags(), "addr", "database-url", "state", "bootstrap-key", "reporting-currency", "cors-origins",
		"webhook-allow-cidrs", "shutdown-timeout")
	return cmd
}

func newWorker(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run the scheduled jobs on your PostgreSQL",
		Long: `Measures every minute, analyses every five, decides every minute and sends webhooks. Several workers may run: each
job runs in one at a time.`,
		Example: `  perennial worker --database-url 'postgres://perennial@db/perennial?sslmode=require'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onOwnDatabase(cmd, purpose{}, func(ctx context.Context, n *node) error {
				go n.engine.KeepFresh(ctx, refreshEvery)
				n.log.InfoContext(ctx, "working")
				return worker.Run(ctx, n.engine, n.log, n.config.ShutdownTimeout)
			})
		},
	}
	addSettings(cmd.Flags(), "database-url", "reporting-currency", "webhook-allow-cidrs", "shutdown-timeout")
	return cmd
}

func newMigrate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "migrate",
		Short:   "Bring the schema of your PostgreSQL up to date",
		Example: `  perennial migrate --database-url 'postgres://perennial@db/perennial?sslmode=require'`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			config, err := a.ownDatabase(cmd)
			if err != nil {
				return err
			}
			store, err := postgres.Open(string(config.DatabaseURL))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			applied, err := store.Migrate(cmd.Context())
			if err != nil {
				return err
			}
			result := struct {
				Applied int `json:"applied"`
			}{applied}
			return a.answer(result, func() string {
				if applied == 0 {
					return "The schema is up to date.\n"
				}
				return fmt.Sprintf("The schema is up to date now; migrations applied: %d.\n", applied)
			})
		},
	}
	addSettings(cmd.Flags(), "database-url")
	return cmd
}
