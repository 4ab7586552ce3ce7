package api_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// ledger has n events of n/100 customers, each a few hundred bytes: more of them than all
// buffers on the way to a reader.
func (s *system) ledger(n int) *system {
	s.t.Helper()
	for _, statement := range []string{
		`INSERT INTO events (customer_id, id, type, occurred_at, value, currency, channel, properties, digest, position)
		SELECT 'c' || i / 100, 'e' || i, 'order', timestamptz '2026-01-01Z' + i * interval '1 second', i + 0.25, 'EUR', 'web',
			json_build_object('note', repeat('x', 300)), '\x00', 1
		FROM generate_series(0, $1 - 1) AS i ORDER BY i`,
		`UPDATE ingest_position SET value = value + $1`,
	} {
		if _, err := s.db.ExecContext(s.t.Context(), statement, n); err != nil {
			s.t.Fatal(err)
		}
	}
	return s
}

// A reading is an answer that is still coming.
type reading struct {
	t    *testing.T
	body io.ReadCloser
	r    *bufio.Reader
}

// begin asks for an export and reads nothing of it yet.
func (s *system) begin(what string) *reading {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/v1/export/"+what, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s", what, response.Status)
	}
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return &reading{s.t, response.Body, bufio.NewReaderSize(response.Body, 4096)}
}

// next reads a line; io.EOF is an end as it should be.
func (r *reading) next() (string, error) { return r.r.ReadString('\n') }

// rest reads to the end.
func (r *reading) rest(each func(line string)) (lines int, err error) {
	for ; ; lines++ {
		line, err := r.next()
		if errors.Is(err, io.EOF) && line == "" {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		each(line)
	}
}

// wait fails the test unless the database answers true within a while.
func (s *system) wait(what, query string) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); s.count(query) == 0; {
		if time.Now().After(end) {
			s.t.Fatal(what)
		}
	}
}

const bulk = 120_000

// TestExportIsOnePicture: what comes in, is linked or erased while an export is read does not
// change it, but for the erased, of whom nothing follows.
func TestExportIsOnePicture(t *testing.T) {
	t.Parallel()
	s := newSystem(t).ledger(bulk)
	r := s.begin("events")
	if _, err := r.next(); err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprintf("c%d", bulk/100-1)
	s.post("/v1/events", events(and(order, object{"customer": last, "id": "new"}), and(order, object{"customer": "new", "id": "new"}))).receipt(2, 0, 0)
	s.post("/v1/identities", object{"customer": fmt.Sprintf("c%d", bulk/100-2), "identifiers": []string{"a"}}).is(http.StatusOK)
	gone := fmt.Sprintf("c%d", bulk/100-3)
	s.delete("/v1/customers/" + gone).is(http.StatusNoContent)
	of := map[string]int{}
	lines, err := r.rest(func(line string) {
		var e struct{ Customer string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		of[e.Customer]++
	})
	if err != nil || lines != bulk-1-100 {
		t.Errorf("%d lines, %v; want all but those of the erased customer", lines, err)
	}
	if of[last] != 100 || of["new"] != 0 || of["a"] != 0 || of[fmt.Sprintf("c%d", bulk/100-2)] != 100 || of[gone] != 0 {
		t.Errorf("%d, %d, %d, %d, %d events", of[last], of["new"], of["a"], of[fmt.Sprintf("c%d", bulk/100-2)], of[gone])
	}
}

// TestExportIsCutOff: whatever ends an export early, its reader does not take what came for
// the whole.
func TestExportIsCutOff(t *testing.T) {
	t.Parallel()
	s := newSystem(t).ledger(bulk)
	for _, what := range []string{"events", "events?format=csv"} {
		r := s.begin(what)
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
		if n := s.count(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'FETCH%'`); n != 1 {
			t.Fatalf("%d exports were ended", n)
		}
		if lines, err := r.rest(func(string) {}); !errors.Is(err, io.ErrUnexpectedEOF) || lines >= bulk {
			t.Errorf("%s: %d lines and then %v", what, lines, err)
		}
	}
	if lines, err := s.begin("events").rest(func(string) {}); err != nil || lines != bulk {
		t.Errorf("the next export has %d lines, %v", lines, err)
	}
}

// TestExportToNobody: who takes nothing is cut off, and nothing is held for them.
func TestExportToNobody(t *testing.T) {
	t.Parallel()
	s := newSystem(t).ledger(bulk)
	s.api.SetPaceForTest(200 * time.Millisecond)
	r := s.begin("events")
	s.wait("the transaction is still there", `
		SELECT count(*) FROM (SELECT) AS one WHERE NOT EXISTS (
			SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'FETCH%' AND state <> 'idle')`)
	if lines, err := r.rest(func(string) {}); err == nil || lines >= bulk {
		t.Errorf("%d lines and then %v", lines, err)
	}
}

// TestExportsAtOnce: a server runs two; one more waits for a while and is then told to come
// again, and those who export measures hold no transaction.
func TestExportsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(mailing)
	if _, err := s.db.ExecContext(t.Context(), `
		INSERT INTO enrolments SELECT 'c' || i, 'mailing', 'plain', 'c' || i, timestamptz '2026-01-01Z', '', '', 1 FROM generate_series(1, $1) AS i`, bulk); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.ExecContext(t.Context(), `UPDATE ingest_position SET value = value + 1`); err != nil {
		t.Fatal(err)
	}
	s.api.SetPaceForTest(10 * time.Minute)
	first, second := s.begin("measures"), s.begin("enrolments")
	s.wait("an export of measures holds a transaction", `
		SELECT count(*) FROM (SELECT) AS one WHERE 1 = (
			SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL AND query LIKE 'FETCH%')`)
	third := s.get("/v1/export/enrolments").fails(http.StatusServiceUnavailable, "too_many_exports")
	if third.header.Get("Retry-After") == "" {
		t.Error("it is not said when to come again")
	}
	s.post("/v1/experiments/mailing/reports", nil).is(http.StatusCreated) // measuring waits for no reader
	for r, want := range map[*reading]int{first: 3 * bulk, second: bulk} {
		if lines, err := r.rest(func(string) {}); err != nil || lines != want {
			t.Errorf("%d lines, %v; want %d", lines, err, want)
		}
	}
	s.get("/v1/export/reports").is(http.StatusOK)
}

// TestExportMemory: the memory of the server does not grow with what is exported. It runs by
// itself, as the heap is that of the whole process.
func TestExportMemory(t *testing.T) {
	s := newSystem(t).ledger(bulk)
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, format := range []string{"ndjson", "csv"} {
		r, most, bytes := s.begin("events?format="+format), uint64(0), 0
		for lines := 0; ; lines++ {
			line, err := r.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || !strings.HasSuffix(line, "\n") {
				t.Fatalf("%v after %d lines", err, lines)
			}
			if bytes += len(line); lines%30_000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
			}
		}
		t.Logf("%s: %d MB answered, the heap grew by at most %d kB", format, bytes/1_000_000, most/1000)
		if most > 8<<20 || bytes < 40_000_000 {
			t.Errorf("%s: the heap grew by %d bytes for an answer of %d", format, most, bytes)
		}
	}
}
