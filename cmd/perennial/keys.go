package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// A keyInfo is what the API tells of a key; Key only once, as it is made.
type keyInfo struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes"`
	Key       string     `json:"key,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

func newKeys(a *app) *cobra.Command {
	keys := newGroup("keys", "Make, list and revoke API keys",
		newKeysCreate(a), newKeysList(a), newKeysRevoke(a))
	addSettings(keys.PersistentFlags(), "url", "key")
	return keys
}

func newKeysCreate(a *app) *cobra.Command {
	var name string
	var scopes []string
	cmd := &cobra.Command{
		Use:   "create --name NAME --scope SCOPE [--scope SCOPE …]",
		Short: "Make a key and print it, once",
		Long: `Make an API key and print it. It is printed this once: the engine keeps
only its hash.

Scopes: assign (assignments and exposures; may stand in a page), ingest (events,
enrolments, customers), author (experiments, touchpoints, metrics), read
(reports), decide (approve and promote), admin (everything, keys too).`,
		Example: `  perennial keys create --name website --scope assign
  export PERENNIAL_KEY=$(perennial keys create --name loader --scope ingest)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" || len(scopes) == 0 {
				return usagef("a key needs a name and at least one scope: --name website --scope assign")
			}
			client, err := a.clientFor(cmd)
			if err != nil {
				return err
			}
			var key keyInfo
			err = client.do(cmd.Context(), call{
				method:      http.MethodPost,
				path:        "/v1/keys",
				body:        map[string]any{"name": name, "scopes": scopes},
				idempotency: rand.Text(),
			}, &key)
			if err != nil {
				return err
			}
			return a.answer(key, func() string { return key.Key + "\n" })
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what the key is for")
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "what the key may do; repeatable")
	return cmd
}

func newKeysList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys, never what they are",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := a.clientFor(cmd)
			if err != nil {
				return err
			}
			keys := []keyInfo{}
			for cursor, more := "", true; more; more = cursor != "" {
				var page struct {
					Data       []keyInfo `json:"data"`
					NextCursor string    `json:"next_cursor"`
				}
				path := "/v1/keys"
				if cursor != "" {
					path += "?cursor=" + url.QueryEscape(cursor)
				}
				if err := client.do(cmd.Context(), call{method: http.MethodGet, path: path}, &page); err != nil {
					return err
				}
				keys = append(keys, page.Data...)
				cursor = page.NextCursor
			}
			return a.answer(map[string]any{"data": keys}, func() string { return keysText(keys) })
		},
	}
}

func newKeysRevoke(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "Revoke a key: it stops working at once",
		Example: `  perennial keys revoke 01970f3e-5a1c-7b7e-9d4e-2f6a51c0d9aa`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.clientFor(cmd)
			if err != nil {
				return err
			}
			path := "/v1/keys/" + url.PathEscape(args[0])
			if err := client.do(cmd.Context(), call{method: http.MethodDelete, path: path}, nil); err != nil {
				return err
			}
			return a.answer(map[string]string{"revoked": args[0]}, func() string {
				return fmt.Sprintf("Revoked %s.\n", args[0])
			})
		},
	}
}

func keysText(keys []keyInfo) string {
	if len(keys) == 0 {
		return "No keys.\n"
	}
	rows := [][]string{{"ID", "NAME", "SCOPES", "CREATED", "REVOKED"}}
	for _, key := range keys {
		revoked := ""
		if key.RevokedAt != nil {
			revoked = key.RevokedAt.UTC().Format(time.DateOnly)
		}
		rows = append(rows, []string{
			key.ID, key.Name, strings.Join(key.Scopes, " "), key.CreatedAt.UTC().Format(time.DateOnly), orDash(revoked),
		})
	}
	return align(rows, len(rows[0]), "")
}
