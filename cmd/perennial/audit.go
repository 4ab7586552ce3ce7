package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/perennial-engine/perennial/engine/audit"
)

// An auditResult is what verify-audit found.
type auditResult struct {
	OK    bool         `json:"ok"`
	Rows  int64        `json:"rows"`  // that hold
	Head  audit.Head   `json:"head"`  // of those
	Known *audit.Head  `json:"known"` // the head that was given
	Fault *audit.Fault `json:"fault"` // the first bad row
	Note  string       `json:"note,omitempty"`
}

const withoutHead = "Without a head it cannot be known whether rows are missing at the end, or whether all was rebuilt: " +
	"keep one elsewhere (--write-head FILE) and give it next time (--head FILE)."

func newVerifyAudit(a *app) *cobra.Command {
	var headFile, writeFile string
	cmd := &cobra.Command{
		Use:   "verify-audit",
		Short: "Check that nobody has changed the audit log",
		Long: `Read the audit log of a running engine, compute its chain of hashes again, and
name the first bad row.

Who can write to the database can also cut rows off the end or build the whole
chain anew, and no chain shows that by itself. A head does: the number and hash
of the last row, kept where they cannot reach it.`,
		Example: `  perennial verify-audit --write-head audit-head.json
  perennial verify-audit --head audit-head.json --write-head audit-head.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var known *audit.Head
			if headFile != "" {
				var err error
				if known, err = readHead(headFile); err != nil {
					return err
				}
			}
			client, err := a.clientFor(cmd)
			if err != nil {
				return err
			}
			result, err := client.verifyAudit(cmd.Context(), known)
			if err != nil {
				return err
			}
			if err := a.answer(result, result.text); err != nil {
				return err
			}
			if result.Fault != nil {
				return errors.New("the audit log is not as it was written")
			}
			if writeFile != "" {
				return writeHead(writeFile, result.Head)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&headFile, "head", "", "check against the head in this `FILE`")
	cmd.Flags().StringVar(&writeFile, "write-head", "", "write the head to this `FILE` when the log is good")
	addSettings(cmd.Flags(), "url", "key")
	return cmd
}

// verifyAudit reads the log page by page and stops at the first bad row.
func (c *client) verifyAudit(ctx context.Context, known *audit.Head) (*auditResult, error) {
	v := audit.Verifier{Known: known}
	result := &auditResult{Known: known}
	for cursor, more := "", true; more && result.Fault == nil; more = cursor != "" {
		var page struct {
			Data []struct {
				Seq      int64           `json:"seq"`
				At       time.Time       `json:"at"`
				Actor    string          `json:"actor"`
				Action   string          `json:"action"`
				Object   string          `json:"object"`
				Detail   json.RawMessage `json:"detail"`
				Hash     audit.Hash      `json:"hash"`
				Previous audit.Hash      `json:"previous"`
			} `json:"data"`
			NextCursor string `json:"next_cursor"`
		}
		path := "/v1/audit?limit=1000"
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		if err := c.do(ctx, call{method: http.MethodGet, path: path}, &page); err != nil {
			return nil, err
		}
		for _, r := range page.Data {
			if result.Fault = v.Add(&audit.Row{
				Seq: r.Seq, At: r.At, Actor: r.Actor, Action: r.Action, Object: r.Object, Detail: string(r.Detail),
				Hash: r.Hash, Previous: r.Previous,
			}); result.Fault != nil {
				break
			}
		}
		cursor = page.NextCursor
	}
	if result.Fault == nil {
		result.Fault = v.End()
	}
	result.Head = v.Head()
	result.OK, result.Rows = result.Fault == nil, result.Head.Seq
	if known == nil {
		result.Note = withoutHead
	}
	return result, nil
}

func (r *auditResult) text() string {
	switch {
	case r.Fault != nil:
		return fmt.Sprintf("The first bad row is %d (%s): %s.\n", r.Fault.Seq, r.Fault.Code, r.Fault.Detail)
	case r.Known == nil:
		return fmt.Sprintf("%d rows follow from each other.\n%s\n", r.Rows, r.Note)
	}
	return fmt.Sprintf("%d rows are as they were written; up to row %d they are those of the head.\n", r.Rows, r.Known.Seq)
}

func readHead(path string) (*audit.Head, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the file that the user names
	if err != nil {
		return nil, err
	}
	head := &audit.Head{}
	err = json.Unmarshal(text, head)
	if err == nil && (head.Seq < 1 || head.Hash == audit.Hash{}) {
		err = errors.New("it names no row, or no hash") // and so would agree with every log
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a head that --write-head wrote: %w", path, err)
	}
	return head, nil
}

// writeHead puts the head in its place at once, so that a stop in between leaves the old one.
func writeHead(path string, head audit.Head) error {
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
