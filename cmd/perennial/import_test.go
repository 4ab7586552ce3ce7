package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A fakeEngine takes batches as the API does: what it has already is a
// duplicate, the same id with another body is rejected.
type fakeEngine struct {
	*httptest.Server

	mu       sync.Mutex
	stored   map[string]map[string]any // by path and id
	requests int
	before   func(request int, w http.ResponseWriter) (handled bool)
}

func newFakeEngine(t *testing.T) *fakeEngine {
	t.Helper()
	engine := &fakeEngine{stored: make(map[string]map[string]any)}
	engine.Server = httptest.NewServer(engine)
	t.Cleanup(engine.Close)
	return engine
}

func (f *fakeEngine) environ() map[string]string {
	return map[string]string{"PERENNIAL_URL": f.URL, "PERENNIAL_KEY": "k1"}
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests++
	if f.before != nil && f.before(f.requests, w) {
		return
	}
	var envelope map[string][]map[string]any
	if err := json.NewDecoder(r.Body).Decode(&envelope); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	type rejection struct {
		Index  int    `json:"index"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	var accepted, duplicates int
	rejections := []rejection{}
	for i, element := range envelope[strings.TrimPrefix(r.URL.Path, "/v1/")] {
		id, ok := element["id"]
		if !ok {
			id = element["customer"]
		}
		key := fmt.Sprint(r.URL.Path, " ", id)
		known, found := f.stored[key]
		switch {
		case element["value"] == "NaN":
			rejections = append(rejections, rejection{i, "bad_value", "NaN is no money"})
		case found && !reflect.DeepEqual(known, element):
			rejections = append(rejections, rejection{i, "id_reused", "another event has this id"})
		case found:
			duplicates++
		default:
			f.stored[key] = element
			accepted++
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"accepted": accepted, "duplicates": duplicates, "rejected": len(rejections), "rejections": rejections, "errors": map[string]any{},
	})
}

// writeFile makes a file in a folder of the test's own.
func writeFile(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// importJSON runs an import with --json and answers its summary.
func importJSON(t *testing.T, environ map[string]string, args ...string) (importSummary, result) {
	t.Helper()
	got := perennial(t, environ, "", append([]string{"import", "--json"}, args...)...)
	var summary importSummary
	if err := json.Unmarshal([]byte(got.stdout), &summary); err != nil {
		t.Fatalf("%v; standard output %q, standard error %q", err, got.stdout, got.stderr)
	}
	return summary, got
}

func checkSummary(t *testing.T, want, got importSummary) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(importSummary{}, "Seconds"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

// orders is a file of n good rows.
func orders(n int) string {
	var text strings.Builder
	text.WriteString("customer,date,total\n")
	for i := range n {
		fmt.Fprintf(&text, "c%d,2026-03-01,%d.50\n", i%1000, i)
	}
	return text.String()
}

var ordersFlags = []string{
	"--map", "customer=customer", "--map", "occurred_at=date", "--date-format", "YYYY-MM-DD", "--set", "type=order",
	"--map", "value=total", "--set", "currency=EUR",
}

func TestImportTwiceChangesNothing(t *testing.T) {
	engine := newFakeEngine(t)
	path := writeFile(t, "orders.csv", orders(9_001))
	args := append([]string{"events", path}, ordersFlags...)

	want := importSummary{File: path, RowIDs: true, Rows: 9_001, Sent: 9_001, Accepted: 9_001, Complete: true}
	got, _ := importJSON(t, engine.environ(), args...)
	checkSummary(t, want, got)
	stored := map[string]any{
		"id": "orders.csv:9001", "customer": "c0", "type": "order", "occurred_at": "2026-03-01T00:00:00Z", "value": "9000.50", "currency": "EUR",
	}
	if diff := cmp.Diff(stored, engine.stored["/v1/events orders.csv:9001"]); diff != "" {
		t.Errorf("the last event (-want +got):\n%s", diff)
	}

	want.Accepted, want.Duplicates = 0, 9_001
	got, _ = importJSON(t, engine.environ(), args...)
	checkSummary(t, want, got)
	if _, err := os.Stat(path + ".rejected.csv"); err == nil {
		t.Error("nothing was rejected and there is a file of rejected rows")
	}
}

func TestImportRejectedRows(t *testing.T) {
	engine := newFakeEngine(t)
	path := writeFile(t, "orders.csv", `customer,date,total,note
c1,2026-03-01,1.50,
c2,tomorrow,2.50,"quoted, kept"
c3,2026-03-01
c4,2026-03-01,NaN,
c5,2026-03-01,5.50,
`)
	args := append([]string{"events", path}, ordersFlags...)
	rejects := path + ".rejected.csv"
	got, run := importJSON(t, engine.environ(), args...)
	checkSummary(t, importSummary{
		File: path, RowIDs: true, Rows: 5, Sent: 3, Accepted: 2, Rejected: 3, RejectsFile: &rejects, Complete: true,
		RejectedByCode: map[string]int{"unreadable_value": 1, "unreadable_row": 1, "bad_value": 1},
	}, got)
	if run.code != exitDone || run.stderr != "" {
		t.Errorf("exit code %d, standard error %q", run.code, run.stderr)
	}
	text, err := os.ReadFile(rejects)
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "import_rejected.golden.csv", string(text))

	// Corrected and imported again, only what is new is accepted.
	if err := os.WriteFile(path, []byte(`customer,date,total,note
c1,2026-03-01,1.50,
c2,2026-03-02,2.50,"quoted, kept"
c3,2026-03-01,3.50,
c4,2026-03-01,4.50,
c5,2026-03-01,5.50,
`), 0o600); err != nil {
		t.Fatal(err)
	}
	got, _ = importJSON(t, engine.environ(), args...)
	checkSummary(t, importSummary{File: path, RowIDs: true, Rows: 5, Sent: 5, Accepted: 3, Duplicates: 2, Complete: true}, got)
}

func TestImportEveryRowRejected(t *testing.T) {
	engine := newFakeEngine(t)
	path := writeFile(t, "orders.csv", "customer,date,total\nc1,01.03.2026,1\n")
	_, got := importJSON(t, engine.environ(), append([]string{"events", path}, ordersFlags...)...)
	if got.code != exitFailed || !strings.Contains(got.stderr, "every row was rejected") {
		t.Errorf("%+v", got)
	}
}

func TestImportAgainAfterInterruption(t *testing.T) {
	engine := newFakeEngine(t)
	path := writeFile(t, "orders.csv", orders(20_000))
	args := append([]string{"events", path}, ordersFlags...)

	ctx, interrupt := context.WithCancel(t.Context())
	engine.before = func(request int, _ http.ResponseWriter) bool {
		if request == 4 {
			interrupt()
		}
		return false
	}
	var stdout, stderr strings.Builder
	code := run(ctx, append([]string{"perennial", "import"}, args...), engine.environ(), strings.NewReader(""), &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stderr.String(), "Run the same command again") {
		t.Fatalf("exit code %d, standard error %q", code, stderr.String())
	}
	engine.mu.Lock()
	engine.before = nil
	before := len(engine.stored)
	engine.mu.Unlock()
	if before == 0 || before == 20_000 {
		t.Fatalf("%d events at the interruption: nothing was interrupted", before)
	}

	got, _ := importJSON(t, engine.environ(), args...)
	if got.Accepted+got.Duplicates != 20_000 || got.Duplicates < before || len(engine.stored) != 20_000 {
		t.Errorf("%d stored before, %d after, %+v", before, len(engine.stored), got)
	}
}

func TestImportFailures(t *testing.T) {
	problem := func(status int) func(int, http.ResponseWriter) bool {
		return func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"title":"No","status":%d}`, status)
			return true
		}
	}
	answers := func(body string) func(int, http.ResponseWriter) bool {
		return func(_ int, w http.ResponseWriter) bool {
			_, _ = fmt.Fprint(w, body)
			return true
		}
	}
	tests := []struct {
		name, file string
		before     func(int, http.ResponseWriter) bool
		want       string
	}{
		{"wrong key", orders(5_000), problem(http.StatusUnauthorized), "PERENNIAL_KEY"},
		{"server error", orders(5_000), problem(http.StatusInternalServerError), "500 No"},
		{"rows unaccounted for", orders(10), answers(`{"accepted":9,"duplicates":0,"rejected":0}`), "9 accepted, 0 duplicates and 0 rejected (0 of them named) out of 10"},
		{"rejections without rows", orders(10), answers(`{"accepted":9,"rejected":1}`), "(0 of them named)"},
		{"a row that is not there", orders(10), answers(`{"accepted":9,"rejected":1,"rejections":[{"index":10}]}`), "rejects element 10 of 10"},
		{"the file ends in a quote", orders(10) + "c1,\"2026\nc2,2026-03-01,2\n", nil, "after row 10: the quote opened in line 12"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			engine := newFakeEngine(t)
			engine.before = test.before
			summary, got := importJSON(t, engine.environ(), append([]string{"events", writeFile(t, "orders.csv", test.file)}, ordersFlags...)...)
			if got.code != exitFailed || summary.Complete || !strings.Contains(got.stderr, test.want) {
				t.Errorf("exit code %d, %+v, standard error %q, want %q in it", got.code, summary, got.stderr, test.want)
			}
		})
	}
}

func TestImportWrongUsageSendsNothing(t *testing.T) {
	path := writeFile(t, "orders.csv", orders(3))
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no file", []string{"events"}, "accepts 1 arg"},
		{"unknown column", append([]string{"events", path, "--map", "channel=shop"}, ordersFlags...), "The columns of " + path + ": customer, date, total"},
		{"missing field", []string{"enrolments", path, "--map", "customer=customer"}, "experiment is missing"},
		{"format", append([]string{"events", path, "--format", "xls"}, ordersFlags...), "csv, tsv, space"},
		{"no header", append([]string{"events", path, "--no-header"}, ordersFlags...), "--columns"},
		{"columns", append([]string{"events", path, "--columns", "a,b"}, ordersFlags...), "--no-header"},
		{"standard input without ids", append([]string{"events", "-"}, ordersFlags...), "id is missing"},
		{"rejects over the file", append([]string{"events", path, "--rejects", path}, ordersFlags...), "--rejects"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			engine := newFakeEngine(t)
			got := perennial(t, engine.environ(), orders(3), append([]string{"import"}, test.args...)...)
			if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, test.want) {
				t.Errorf("%+v, want exit code 2 and %q", got, test.want)
			}
			if engine.requests > 0 {
				t.Errorf("%d requests were sent", engine.requests)
			}
		})
	}
}

func TestImportStandardInput(t *testing.T) {
	engine := newFakeEngine(t)
	got := perennial(t, engine.environ(), packed(t, "id land\n1 FR\n2 DE\n"), "import", "customers", "-", "--map", "customer=id", "--map", "attributes.country=land")
	checkGolden(t, "import_summary.golden", got.stdout)
	if got.code != exitDone || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	want := map[string]any{"customer": "2", "attributes": map[string]any{"country": "DE"}}
	if diff := cmp.Diff(want, engine.stored["/v1/customers 2"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Rows per second of the client's side alone.
func BenchmarkImport(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var envelope struct{ Events []json.RawMessage }
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(r.Body).Decode(&envelope); err != nil {
				b.Error(err)
			}
		}
		_, _ = fmt.Fprintf(w, `{"accepted":%d}`, len(envelope.Events))
	}))
	defer server.Close()
	const rows = 64_000
	args := append([]string{"perennial", "import", "events", writeFile(b, "orders.csv", orders(rows))}, ordersFlags...)
	for b.Loop() {
		var stdout, stderr strings.Builder
		if code := run(b.Context(), args, map[string]string{"PERENNIAL_URL": server.URL}, nil, &stdout, &stderr); code != exitDone {
			b.Fatal(stderr.String())
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}
