package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// An assigning answers assignments as the API does: by the last letter of the customer.
type assigning struct {
	*httptest.Server
	batches []int
	records []bool
	before  func(batch int, w http.ResponseWriter) (handled bool)
}

func newAssigning(t *testing.T) *assigning {
	t.Helper()
	a := &assigning{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			_, _ = io.WriteString(w, `{"status": "ok"}`)
			return
		}
		var body struct {
			Customers  []string
			Touchpoint string
			Record     bool
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.RequestURI() != "/v1/assignments?format=csv" || body.Touchpoint != "letter" {
			t.Errorf("%s %+v: %v", r.URL, body, err)
		}
		a.batches, a.records = append(a.batches, len(body.Customers)), append(a.records, body.Record)
		if a.before != nil && a.before(len(a.batches), w) {
			return
		}
		_, _ = fmt.Fprintln(w, "customer,touchpoint,content,variant,experiment,reason")
		for _, c := range body.Customers {
			if strings.HasSuffix(c, "1") {
				_, _ = fmt.Fprintf(w, `%s,letter,"{""subject"":""Hello, you""}",warm,tone,assigned`+"\n", c)
			} else {
				_, _ = fmt.Fprintf(w, "%s,letter,plain,,,not_in_traffic\n", c)
			}
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// assign runs the command with --json and answers its summary.
func (a *assigning) assign(t *testing.T, stdin string, args ...string) (assignSummary, result) {
	t.Helper()
	environ := map[string]string{"PERENNIAL_URL": a.URL, "PERENNIAL_KEY": "k1"}
	got := perennial(t, environ, stdin, append([]string{"assign", "--json", "--touchpoint", "letter"}, args...)...)
	var summary assignSummary
	if err := json.Unmarshal([]byte(got.stdout), &summary); err != nil {
		t.Fatalf("%v; standard output %q, standard error %q", err, got.stdout, got.stderr)
	}
	return summary, got
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAssignWritesASendList(t *testing.T) {
	engine := newAssigning(t)
	in := writeFile(t, "customers.csv", "name;customer\nAda;c1\nBob;  c2 \nNobody;\nToo many;c3;c4\nZoë;ä1\n")
	out := filepath.Join(t.TempDir(), "list.csv")
	got, r := engine.assign(t, "", "--in", in, "--out", out)
	rejects := out + ".rejected.csv"
	want := assignSummary{
		File: in, Out: out, Touchpoint: "letter", Rows: 5, Assigned: 3, Rejected: 2, RejectsFile: &rejects, Complete: true,
		ByReason: map[string]int{"assigned": 2, "not_in_traffic": 1}, ByVariant: map[string]int{"tone/warm": 2},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(assignSummary{}, "Seconds")); diff != "" || r.code != exitDone {
		t.Errorf("exit code %d, summary (-want +got):\n%s", r.code, diff)
	}
	const list = `customer,variant,experiment,reason,content
c1,warm,tone,assigned,"{""subject"":""Hello, you""}"
c2,,,not_in_traffic,plain
ä1,warm,tone,assigned,"{""subject"":""Hello, you""}"
`
	if diff := cmp.Diff(list, read(t, out)); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
	if text := read(t, rejects); !strings.Contains(text, "3,invalid_identifier,") || !strings.Contains(text, "4,unreadable_row,") {
		t.Errorf("rejected:\n%s", text)
	}
	if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestAssignInBatches(t *testing.T) {
	var text strings.Builder
	for i := range 25_001 {
		fmt.Fprintf(&text, "c%d,x\n", i)
	}
	engine := newAssigning(t)
	out := filepath.Join(t.TempDir(), "list.csv")
	got, r := engine.assign(t, text.String(), "--in", "-", "--no-header", "--columns", "id,x", "--column", "id", "--record=false", "--out", out)
	if r.code != exitDone || got.Rows != 25_001 || got.Assigned != 25_001 || got.Rejected != 0 {
		t.Errorf("exit code %d, %+v", r.code, got)
	}
	if !slices.Equal(engine.batches, []int{10_000, 10_000, 5_001}) || slices.Contains(engine.records, true) {
		t.Errorf("batches %v, recorded %v", engine.batches, engine.records)
	}
	if lines := strings.Count(read(t, out), "\n"); lines != 25_002 {
		t.Errorf("%d lines", lines)
	}
}

// What stood there before stays until the new list is whole.
func TestAssignIsWholeOrNotAtAll(t *testing.T) {
	out := writeFile(t, "list.csv", "the old list")
	in := writeFile(t, "customers.csv", "id\nc1\nc2\nc3\n")
	for name, before := range map[string]func(int, http.ResponseWriter) bool{
		"refused": func(batch int, w http.ResponseWriter) bool {
			if batch == 2 {
				w.WriteHeader(http.StatusForbidden)
			}
			return batch == 2
		},
		"too few answers": func(batch int, w http.ResponseWriter) bool {
			if batch == 2 {
				_, _ = fmt.Fprintln(w, "customer,touchpoint,content,variant,experiment,reason")
			}
			return batch == 2
		},
		"no table": func(batch int, w http.ResponseWriter) bool { _, _ = fmt.Fprint(w, "<html>"); return batch > 0 },
	} {
		t.Run(name, func(t *testing.T) {
			engine := newAssigning(t)
			engine.before = before
			got, r := engine.assign(t, "", "--in", in, "--out", out, "--batch", "1")
			if r.code != exitFailed || got.Complete || read(t, out) != "the old list" {
				t.Errorf("exit code %d, %+v, out: %s", r.code, got, read(t, out))
			}
			if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

func TestAssignUsage(t *testing.T) {
	in := writeFile(t, "customers.csv", "id\nc1\n")
	several, twice := writeFile(t, "several.csv", "region,id\neu,c1\n"), writeFile(t, "twice.csv", "customer,customer\nc1,c2\n")
	out := filepath.Join(t.TempDir(), "list.csv")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no touchpoint":  {[]string{"--in", in, "--out", out}, "--touchpoint, --in and --out are needed"},
		"onto itself":    {[]string{"--touchpoint", "t", "--in", in, "--out", in}, "must be three files"},
		"no such column": {[]string{"--touchpoint", "t", "--in", in, "--out", out, "--column", "card"}, `no column "card"; it has id`},
		"a batch of 0":   {[]string{"--touchpoint", "t", "--in", in, "--out", out, "--batch", "0"}, "--batch 0 is not between"},
		"no columns":     {[]string{"--touchpoint", "t", "--in", in, "--out", out, "--no-header"}, "belong together"},
		"several columns": {
			[]string{"--touchpoint", "t", "--in", several, "--out", out},
			"no column of " + several + " is named customer; it has region, id: name the one with the customer, --column NAME",
		},
		"several without a header": {
			[]string{"--touchpoint", "t", "--in", in, "--out", out, "--no-header", "--columns", "a,b"}, "is named customer; it has a, b",
		},
		"two of the name":    {[]string{"--touchpoint", "t", "--in", twice, "--out", out}, `more than one column "customer"`},
		"to standard output": {[]string{"--touchpoint", "t", "--in", in, "--out", "-"}, "--out - is standard output"},
		"to a folder":        {[]string{"--touchpoint", "t", "--in", in, "--out", filepath.Dir(in)}, "is a folder"},
		"to a device":        {[]string{"--touchpoint", "t", "--in", in, "--out", os.DevNull}, "not an ordinary file"},
	} {
		t.Run(name, func(t *testing.T) {
			got := perennial(t, nil, "", append([]string{"assign"}, c.args...)...)
			if got.code != exitUsage || !strings.Contains(got.stderr, c.want) {
				t.Errorf("exit code %d, standard error %q, want %q in it", got.code, got.stderr, c.want)
			}
		})
	}
}

// A file with one column may have no heading: what was taken for it is said.
func TestAssignSaysWhereCustomersComeFrom(t *testing.T) {
	in := writeFile(t, "f.csv", "m1\nm2\n")
	for name, c := range map[string]struct {
		args []string
		want string // on standard error
		rows int
	}{
		"a heading or not": {[]string{"--in", in}, `customers come from the column "m1", the first line of ` + in + "\n", 1},
		"standard input":   {[]string{"--in", "-"}, `customers come from the column "m7", the first line of standard input` + "\n", 1},
		"named":            {[]string{"--in", in, "--column", "m1"}, "", 1},
		"no heading":       {[]string{"--in", in, "--no-header", "--columns", "m"}, "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "list.csv")
			got, r := newAssigning(t).assign(t, "m7\nm8\n", append(c.args, "--out", out)...)
			if r.code != exitDone || r.stderr != c.want || got.Rows != c.rows {
				t.Errorf("%+v, %d rows", r, got.Rows)
			}
		})
	}
}

// Without an engine the command ends soon, and has nothing begun.
func TestAssignWithoutAnEngine(t *testing.T) {
	away := newAssigning(t)
	away.Close()
	out := filepath.Join(t.TempDir(), "list.csv")
	got, r := away.assign(t, "customer\nc1\n", "--in", "-", "--out", out)
	if r.code != exitFailed || got.Rows > 0 || strings.Contains(r.stderr, "trying again") || !strings.Contains(r.stderr, "no engine answers at "+away.URL) {
		t.Errorf("%+v", r)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestAssignAsksARealEngine: the list says what the engine says, and who is in the test is enrolled.
func TestAssignAsksARealEngine(t *testing.T) {
	r := startUp(t, t.TempDir())
	r.call(http.MethodPut, "/v1/touchpoints/letter", `{"channel": "direct_mail", "content": {"a": "=1+1"}}`, http.StatusCreated, nil)
	r.call(http.MethodPut, "/v1/metrics/ltv_30", `{"kind": "ltv", "events": ["order"], "window": {"from_day": 0, "to_day": 30}}`, http.StatusCreated, nil)
	r.call(http.MethodPost, "/v1/experiments", `{"key": "tone", "touchpoints": ["letter"], "objective": "retention", "metrics": {"primary": "ltv_30"},
		"variants": [{"key": "control", "control": true, "weight": 1}, {"key": "warm", "weight": 1, "content": {"letter": "warm"}}],
		"plan": {"method": "anytime"}}`, http.StatusCreated, nil)
	r.call(http.MethodPost, "/v1/experiments/tone/start", `{}`, http.StatusOK, nil)
	var customers strings.Builder
	for i := range 10_500 {
		fmt.Fprintf(&customers, "c%d\n", i)
	}
	in, out := writeFile(t, "customers.txt", "customer\n"+customers.String()), filepath.Join(t.TempDir(), "list.csv")
	r.perennial("assign", "--touchpoint", "letter", "--in", in, "--out", out)
	lines := strings.Split(strings.TrimSpace(read(t, out)), "\n")
	var one struct{ Variant string }
	r.call(http.MethodPost, "/v1/assignments", `{"customer": "c10499", "touchpoint": "letter"}`, http.StatusOK, &one)
	want := map[string]string{"control": `c10499,control,tone,assigned,"{""a"":""=1+1""}"`, "warm": "c10499,warm,tone,assigned,warm"}[one.Variant]
	if len(lines) != 10_501 || lines[10_500] != want {
		t.Errorf("%d lines, the last %q, want %q", len(lines), lines[len(lines)-1], want)
	}
	if code := r.stop(); code != exitDone { // and what waited for the database is in it
		t.Errorf("exit code %d", code)
	}
}
