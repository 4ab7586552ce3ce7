package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine/audit"
)

// auditPages serves a log of n rows, two a page; change alters it first.
func auditPages(t *testing.T, n int, change func(rows []audit.Row) []audit.Row) map[string]string {
	t.Helper()
	rows := make([]audit.Row, n)
	var head audit.Head
	for i := range rows {
		rows[i] = audit.Row{
			At: time.Date(2026, 3, 1, 10, 0, i, 5000, time.UTC), Actor: "worker", Action: "experiment.start",
			Object: fmt.Sprintf("experiment/x%d", i), Detail: `{"status":"running"}`,
		}
		head = rows[i].Seal(head)
	}
	if change != nil {
		rows = change(rows)
	}
	environ, _ := recorder(t, func(w http.ResponseWriter, r *http.Request) {
		from := 0
		if cursor := r.URL.Query().Get("cursor"); cursor != "" {
			_, _ = fmt.Sscan(cursor, &from)
		}
		to := min(from+2, len(rows))
		data := []map[string]any{}
		for _, r := range rows[from:to] {
			data = append(data, map[string]any{
				"seq": r.Seq, "at": r.At, "actor": r.Actor, "action": r.Action, "object": r.Object,
				"detail": json.RawMessage(r.Detail), "hash": r.Hash, "previous": r.Previous,
			})
		}
		page := map[string]any{"data": data, "next_cursor": nil}
		if to < len(rows) {
			page["next_cursor"] = fmt.Sprint(to)
		}
		text, err := json.Marshal(page)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(text)
	})
	return environ
}

func TestVerifyAudit(t *testing.T) {
	head := filepath.Join(t.TempDir(), "head.json")
	got := perennial(t, auditPages(t, 5, nil), "", "verify-audit", "--write-head", head)
	if got.code != exitDone || !strings.HasPrefix(got.stdout, "5 rows follow from each other.\nWithout a head it cannot be known") {
		t.Errorf("without a head: %+v", got)
	}
	for _, tt := range []struct {
		name   string
		rows   int
		change func([]audit.Row) []audit.Row
		head   bool
		code   int
		want   string // in the output
	}{
		{"good, with a head", 5, nil, true, exitDone, "5 rows are as they were written; up to row 5"},
		{"grown since", 7, nil, true, exitDone, "7 rows are as they were written; up to row 5"},
		{"truncated", 3, nil, true, exitFailed, "The first bad row is 4 (truncated)"},
		{"truncated, no head", 3, nil, false, exitDone, "3 rows follow"},
		{"edited", 5, func(r []audit.Row) []audit.Row { r[2].Actor = "x"; return r }, false, exitFailed, "The first bad row is 3 (altered)"},
		{"deleted", 5, func(r []audit.Row) []audit.Row { return append(r[:1], r[2:]...) }, false, exitFailed, "The first bad row is 2 (missing)"},
		{"empty, with a head", 0, nil, true, exitFailed, "The first bad row is 1 (truncated)"},
		{"empty", 0, nil, false, exitDone, "0 rows follow"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"verify-audit"}
			if tt.head {
				args = append(args, "--head", head)
			}
			environ := auditPages(t, tt.rows, tt.change)
			got := perennial(t, environ, "", args...)
			if got.code != tt.code || !strings.HasPrefix(got.stdout, tt.want) {
				t.Errorf("%+v, want code %d and %q", got, tt.code, tt.want)
			}
			var result auditResult
			got = perennial(t, environ, "", append(args, "--json")...)
			if err := json.Unmarshal([]byte(got.stdout), &result); err != nil || got.code != tt.code {
				t.Fatalf("%v: %+v", err, got)
			}
			if result.OK != (tt.code == exitDone) || (result.Fault == nil) != result.OK || (result.Known != nil) != tt.head {
				t.Errorf("%+v", result)
			}
		})
	}
}

// A head is only written for a good log, and only a head is read as one.
func TestAuditHeadFile(t *testing.T) {
	dir := t.TempDir()
	head := filepath.Join(dir, "head.json")
	bad := auditPages(t, 5, func(r []audit.Row) []audit.Row { r[2].Actor = "x"; return r })
	if got := perennial(t, bad, "", "verify-audit", "--write-head", head); got.code != exitFailed {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(head); err == nil {
		t.Error("the head of a bad log was written")
	}
	other := filepath.Join(dir, "other.json")
	for _, text := range []string{"hello", "", "{}", `{"seq": 1}`, `{"hash": "` + strings.Repeat("ab", 32) + `"}`} {
		if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := perennial(t, auditPages(t, 1, nil), "", "verify-audit", "--head", other)
		if got.code != exitFailed || !strings.Contains(got.stderr, other+" is not a head") {
			t.Errorf("a head of %q: %+v", text, got)
		}
	}
	none := filepath.Join(dir, "none.json")
	if got := perennial(t, auditPages(t, 1, nil), "", "verify-audit", "--head", none); got.code != exitFailed || !strings.Contains(got.stderr, none) {
		t.Errorf("no file: %+v", got)
	}
}
