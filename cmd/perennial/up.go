package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// upInfo is what `up` tells once it serves.
type upInfo struct {
	URL  string `json:"url"`
	Docs string `json:"docs"`
	Key  string `json:"key,omitempty"` // the first admin key, once
	Data string `json:"data,omitempty"`
}

func newUp(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything in one process: PostgreSQL, API and worker",
		Long: `Runs the engine with a private PostgreSQL in a folder of its own, or with your database
(--database-url). The first start makes an admin key and prints it once.`,
		Example: `  perennial up
  perennial up --data ./data --addr 127.0.0.1:9090
  PERENNIAL_BOOTSTRAP_KEY=secret perennial up`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := a.config(cmd)
			if err != nil {
				return err
			}
			return a.up(cmd.Context(), config)
		},
	}
	addSettings(cmd.Flags(), "data", "state", "addr", "database-url", "bootstrap-key", "reporting-currency", "cors-origins",
		"webhook-allow-cidrs", "shutdown-timeout")
	return cmd
}

func (a *app) up(ctx context.Context, config Config) (err error) {
	dir := ""
	if config.DatabaseURL == "" {
		if dir = config.Data; dir == "" {
			return usagef("no home folder is known: say where to keep the data with --data DIR")
		}
	}
	n, err := a.newNode(ctx, config, purpose{dir: dir, migrate: true, assigns: true}, time.Now)
	if err != nil {
		return interrupted(ctx, "the start", err)
	}
	defer func() { err = errors.Join(err, n.close(context.WithoutCancel(ctx))) }()
	listener, err := n.listen(ctx)
	if err != nil {
		return err
	}
	key, err := n.adminKey(ctx)
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	info := upInfo{URL: url, Docs: url + "/docs", Key: key, Data: dir}
	if err := a.answer(info, func() string { return upText(info) }); err != nil {
		return err
	}
	return n.serve(ctx, listener, true)
}

func upText(info upInfo) string {
	text := fmt.Sprintf("Perennial serves at %s  (API documents: %s)\n", info.URL, info.Docs)
	if info.Key != "" {
		text += fmt.Sprintf("Admin key, shown only this once: %s\n", info.Key)
		text += fmt.Sprintf("\n  export PERENNIAL_URL=%s PERENNIAL_KEY=%s\n\n", info.URL, info.Key)
	}
	return text + "Press Ctrl-C to stop.\n"
}
