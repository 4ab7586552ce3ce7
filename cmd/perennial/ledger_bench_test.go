package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pglocal"
	"github.com/perennial-engine/perennial/postgres"
)

// TestMain lets the test binary be `perennial` itself, so that a test can kill it, or the
// plain server that a benchmark compares it with.
func TestMain(m *testing.M) {
	if os.Getenv("PERENNIAL_TEST_MAIN") != "" {
		main()
	}
	if addr := os.Getenv("PERENNIAL_TEST_FLOOR"); addr != "" {
		if err := servePlainly(addr, os.Getenv("PERENNIAL_TEST_DSN")); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// A pair is a way of ours and its floor, both in rows per second. They run in turn, so that
// what else the machine does meets both.
type pair struct{ ours, floor func(n int) float64 }

// BenchmarkIngest compares writing events through the API, by a process of its own, with
// plain ways of writing the same rows to the same cluster, whose commits reach the disk:
// batches of a thousand on two connections with lib/pq's COPY, which dies on a duplicate,
// single events on 64 connections with a row per commit, and the same behind the plainest
// HTTP server. An iteration is one of each.
func BenchmarkIngest(b *testing.B) {
	cluster, err := pglocal.Start(b.Context(), pglocal.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cluster.Stop(context.WithoutCancel(b.Context())) })
	dsn, addr := cluster.DSN("perennial"), unusedAddr(b)
	startChild(b, addr, "--database-url", databaseURL(b, cluster), "--state", b.TempDir())
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxIdleConns(64)
	if _, err := db.ExecContext(b.Context(), `CREATE TABLE floor (LIKE events INCLUDING ALL)`); err != nil {
		b.Fatal(err)
	}
	store, err := postgres.Open(dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	f := &feed{b: b, dsn: dsn, url: "http://" + addr, store: store, db: db}
	for _, c := range []struct {
		name    string
		rows    int
		goal    float64
		prepare func(*testing.B)
		pair
	}{
		{"batches over HTTP", 60_000, 0.5, nil, pair{f.postBatches, f.copyBatches}},
		{"batches", 60_000, 0.65, nil, pair{f.insertBatches, f.copyBatches}},
		{"singles over HTTP", 6_000, 4, f.startFloor, pair{f.postSingles, f.postPlainly}},
		{"singles", 24_000, 4, nil, pair{f.insertSingles, f.commitSingles}},
	} {
		b.Run(c.name, func(b *testing.B) {
			if c.prepare != nil {
				c.prepare(b)
			}
			var ours, floors, ratios []float64
			for b.Loop() {
				ours, floors = append(ours, c.ours(c.rows)), append(floors, c.floor(c.rows))
				ratios = append(ratios, ours[len(ours)-1]/floors[len(floors)-1])
			}
			b.ReportMetric(median(ours), "rows/s")
			b.ReportMetric(median(floors), "floor-rows/s")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(c.goal, "goal-ratio")
		})
	}
}

// BenchmarkServerMemory is the most memory that a server had resident while it took in events
// over HTTP, and then, beside a ledger of PERENNIAL_BENCH_EVENTS events of a tenth as many
// customers, every fifth of them enrolled, while it measured a test for the first time,
// reported, and took in more. PostgreSQL's memory is its own.
func BenchmarkServerMemory(b *testing.B) {
	n := 200_000
	if text := os.Getenv("PERENNIAL_BENCH_EVENTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	cluster, err := pglocal.Start(b.Context(), pglocal.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cluster.Stop(context.WithoutCancel(b.Context())) })
	db, err := sql.Open("postgres", cluster.DSN("perennial"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	addr := unusedAddr(b)
	child := startChild(b, addr, "--database-url", databaseURL(b, cluster), "--state", b.TempDir())
	f := &feed{b: b, url: "http://" + addr}
	send := func(method, path, body string) {
		request, err := http.NewRequestWithContext(b.Context(), method, f.url+path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer test-admin")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		defer response.Body.Close() //nolint:errcheck // it was read to the end
		if answer, err := io.ReadAll(response.Body); err != nil || response.StatusCode >= 300 {
			b.Fatalf("%s %s: %s: %s (%v)", method, path, response.Status, answer, err)
		}
	}
	for b.Loop() {
		f.postBatches(100_000)
		ingesting := residentPeak(b, child.Process.Pid)
		send("PUT", "/v1/metrics/ltv_90", `{"kind": "ltv", "events": ["order"], "window": {"from_day": 0, "to_day": 90}}`)
		send("POST", "/v1/experiments", `{"key": "x", "assignment": "external",
			"variants": [{"key": "control", "control": true, "weight": 1}, {"key": "warm", "weight": 1}],
			"metrics": {"primary": "ltv_90"}, "plan": {"method": "anytime"}}`)
		send("POST", "/v1/experiments/x/start", "")
		for _, statement := range []string{
			`
			INSERT INTO enrolments (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position)
			SELECT 'm' || n * 5, 'x', CASE n % 2 WHEN 0 THEN 'control' ELSE 'warm' END, 'm' || n * 5,
				timestamptz '2025-03-01Z' + n * interval '1 second', 'email', 'mail', (SELECT value FROM ingest_position) + n
			FROM generate_series(1, CAST($1 AS integer) / 50) AS n`,
			`
			INSERT INTO events (customer_id, id, type, occurred_at, value, currency, channel, digest, position)
			SELECT 'm' || 1 + CAST(n AS bigint) * 7919 % ($1 / 10), 'm' || n, 'order', timestamptz '2025-03-01Z' + n * interval '1.5 seconds',
				n * 37 % 10000 / 100.0, 'EUR', 'web', decode(md5(CAST(n AS text)), 'hex'), (SELECT value FROM ingest_position) + n
			FROM generate_series(1, CAST($1 AS integer)) AS n`,
			`UPDATE ingest_position SET value = value + $1`,
		} {
			if _, err := db.ExecContext(b.Context(), statement, n); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := db.ExecContext(b.Context(), `VACUUM ANALYZE`); err != nil {
			b.Fatal(err)
		}
		send("POST", "/v1/experiments/x/reports", "")
		f = &feed{b: b, url: f.url} // the server has closed connections that were idle for so long
		f.next.Store(100_000)
		f.postBatches(100_000)
		peak := residentPeak(b, child.Process.Pid)
		b.ReportMetric(ingesting, "ingesting-MB")
		b.ReportMetric(peak, "MB")
		b.ReportMetric(500, "goal-MB")
	}
}

// residentPeak is the most memory that a process ever had resident, in megabytes.
func residentPeak(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skipf("what a process has resident is not known here: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kB * 1024 / 1e6
		}
	}
	b.Fatal("no VmHWM")
	return 0
}

// databaseURL is the address of a cluster's database as `perennial up` takes it.
func databaseURL(b *testing.B, cluster *pglocal.Cluster) string {
	b.Helper()
	config, err := pq.NewConfig(cluster.DSN("perennial"))
	if err != nil {
		b.Fatal(err)
	}
	socket := url.Values{"host": {config.Host}, "user": {config.User}, "sslmode": {"disable"}}
	return "postgres:///" + config.Database + "?" + socket.Encode()
}

func median(all []float64) float64 {
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// A feed writes orders, each once.
type feed struct {
	b     *testing.B
	url   string
	store *postgres.Store
	db    *sql.DB
	next  atomic.Int64

	dsn, floorURL string
	wires         sync.Map // by address: channels of idle *wire
}

const (
	copyRows    = 1000
	copyWriters = 2
	singles     = 64
)

// each runs do on so many goroutines until n rows are written, step at a time, and answers
// rows per second.
func (f *feed) each(n, writers, step int, do func(first int) error) float64 {
	var left atomic.Int64
	left.Store(int64(n))
	began := time.Now()
	var wait sync.WaitGroup
	for range writers {
		wait.Go(func() {
			for left.Add(-int64(step)) >= 0 {
				if err := do(int(f.next.Add(int64(step))) - step); err != nil {
					f.b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	return float64(n) / time.Since(began).Seconds()
}

// event is the nth order as JSON; its customer comes back every 7919 orders.
func event(n int) string {
	return fmt.Sprintf(`{"id":"o-%09d","customer":"c-%06d","type":"order","occurred_at":"2026-03-01T%02d:%02d:%02dZ","value":"%d.99","currency":"EUR","channel":"web"}`,
		n, n*7919%1_000_003, n/3600%24, n/60%60, n%60, n%200)
}

func (f *feed) post(first, n int) error { return f.postTo(f.url, first, n) }

func (f *feed) postTo(url string, first, n int) error {
	var body strings.Builder
	body.WriteString(`{"events":[`)
	for i := range n {
		if i > 0 {
			body.WriteByte(',')
		}
		body.WriteString(event(first + i))
	}
	body.WriteString(`]}`)
	w, err := f.wireTo(url)
	if err != nil {
		return err
	}
	status, answer, err := w.post(body.String())
	if err != nil {
		return err
	}
	f.idle(url) <- w
	if !bytes.Contains(answer, fmt.Appendf(nil, `"accepted":%d,`, n)) {
		err = fmt.Errorf("%s: %s", status, answer)
	}
	return err
}

// A wire is a connection that posts events and costs little: the client shares the cores with
// the server and the database, and is not what is measured.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

// idle are the connections to a server that nobody uses.
func (f *feed) idle(url string) chan *wire {
	idle, _ := f.wires.LoadOrStore(url, make(chan *wire, singles))
	return idle.(chan *wire) //nolint:errcheck // nothing else is in there
}

func (f *feed) wireTo(url string) (*wire, error) {
	select {
	case w := <-f.idle(url):
		return w, nil
	default:
	}
	conn, err := (&net.Dialer{}).DialContext(f.b.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	f.b.Cleanup(func() { _ = conn.Close() })
	return &wire{conn, bufio.NewReader(conn)}, nil
}

func (w *wire) post(body string) (status string, answer []byte, err error) {
	if _, err := fmt.Fprintf(w.conn, "POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer test-admin\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		return "", nil, err
	}
	response, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read to the end
	answer, err = io.ReadAll(response.Body)
	return response.Status, answer, err
}

func (f *feed) postBatches(n int) float64 {
	return f.each(n, copyWriters, copyRows, func(first int) error { return f.post(first, copyRows) })
}

func (f *feed) postSingles(n int) float64 {
	return f.each(n, singles, 1, func(first int) error { return f.post(first, 1) })
}

// insert is post without HTTP.
func (f *feed) insert(first, n int) error {
	events := make([]engine.Event, n)
	for i := range events {
		k := first + i
		value := decimal.New(int64(k%200*100+99), -2)
		events[i] = engine.Event{
			ID: fmt.Sprintf("o-%09d", k), Customer: engine.CustomerID(fmt.Sprintf("c-%06d", k*7919%1_000_003)), Type: "order",
			OccurredAt: time.Date(2026, 3, 1, k/3600%24, k/60%60, k%60, 0, time.UTC), Value: &value, Currency: "EUR", Channel: "web",
		}
	}
	statuses, err := f.store.InsertEvents(f.b.Context(), events)
	if err == nil && slices.Max(statuses) != engine.RowAccepted {
		err = fmt.Errorf("not all of %d were accepted", n)
	}
	return err
}

func (f *feed) insertBatches(n int) float64 {
	return f.each(n, copyWriters, copyRows, func(first int) error { return f.insert(first, copyRows) })
}

func (f *feed) insertSingles(n int) float64 {
	return f.each(n, singles, 1, func(first int) error { return f.insert(first, 1) })
}

// postPlainly posts single events to the floor's server.
func (f *feed) postPlainly(n int) float64 {
	return f.each(n, singles, 1, func(first int) error { return f.postTo(f.floorURL, first, 1) })
}

const insertPlainly = `
	INSERT INTO floor (customer_id, id, type, occurred_at, value, currency, channel, digest, position)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`

// servePlainly takes events over HTTP and commits each by itself.
func servePlainly(addr, dsn string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(singles)
	db.SetMaxIdleConns(singles)
	server := &http.Server{Addr: addr, ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Events []struct {
				ID, Customer, Type, Value, Currency, Channel string
				OccurredAt                                   time.Time `json:"occurred_at"`
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, e := range body.Events {
			if _, err := db.ExecContext(r.Context(), insertPlainly, e.Customer, e.ID, e.Type, e.OccurredAt, e.Value, e.Currency,
				e.Channel, []byte(e.ID), 1); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		_, _ = fmt.Fprintf(w, `{"accepted":%d,"duplicates":0}`, len(body.Events))
	})}
	return server.ListenAndServe()
}

// startFloor runs the plain server as a process of its own until b ends: its connections
// are as many as the cluster has for one.
func (f *feed) startFloor(b *testing.B) {
	b.Helper()
	addr := unusedAddr(b)
	f.floorURL = "http://" + addr
	child := exec.CommandContext(b.Context(), os.Args[0])
	child.Env = append(os.Environ(), "PERENNIAL_TEST_FLOOR="+addr, "PERENNIAL_TEST_DSN="+f.dsn)
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	for range 100 {
		conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.Fatal("the floor's server does not get ready")
}

// floorRow is the nth order as the ledger keeps it.
func floorRow(n int) []any {
	return []any{
		fmt.Sprintf("c-%06d", n*7919%1_000_003), fmt.Sprintf("o-%09d", n), "order",
		time.Date(2026, 3, 1, n/3600%24, n/60%60, n%60, 0, time.UTC), fmt.Sprintf("%d.99", n%200), "EUR", "web",
		bytes.Repeat([]byte{byte(n)}, 16), n,
	}
}

func (f *feed) copyBatches(n int) float64 {
	ctx := f.b.Context()
	return f.each(n, copyWriters, copyRows, func(first int) error {
		tx, err := f.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() //nolint:errcheck // after Commit it does nothing
		statement, err := tx.PrepareContext(ctx, `
			copy floor (customer_id, id, type, occurred_at, value, currency, channel, digest, position) from stdin`)
		if err != nil {
			return err
		}
		defer statement.Close() //nolint:errcheck // the last Exec tells
		for i := range copyRows {
			if _, err := statement.ExecContext(ctx, floorRow(first+i)...); err != nil {
				return err
			}
		}
		if _, err := statement.ExecContext(ctx); err != nil {
			return err
		}
		return tx.Commit()
	})
}

func (f *feed) commitSingles(n int) float64 {
	return f.each(n, singles, 1, func(first int) error {
		_, err := f.db.ExecContext(f.b.Context(), insertPlainly, floorRow(first)...)
		return err
	})
}
