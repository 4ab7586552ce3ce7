//go:build unix

package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine"
)

const (
	killBatch     = 200 // events of a batch
	killClients   = 6
	killCustomers = 100
)

var posting = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: killClients}}

// A feeder posts batches of orders of 0.10 EUR, each batch until it is answered for good.
type feeder struct {
	t   *testing.T
	url string

	mu           sync.Mutex
	next         int
	waiting      []int // batches that were sent and not answered
	acknowledged map[int]bool
	accepted     int // events, by all receipts
}

// killedOrders is a batch as a request's body.
func killedOrders(batch int) []byte {
	body := []byte(`{"events":[`)
	for i := range killBatch {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"id":"%d-%d","customer":"c-%d","type":"order","occurred_at":"2026-01-02T00:00:00Z","value":"0.10","currency":"EUR"}`,
			batch, i, i%killCustomers)
	}
	return append(body, "]}"...)
}

// post sends a batch and reports whether it was answered.
func (f *feeder) post(ctx context.Context, batch int) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+"/v1/events", bytes.NewReader(killedOrders(batch)))
	if err != nil {
		f.t.Error(err)
		return false
	}
	request.Header.Set("Authorization", "Bearer test-admin")
	response, err := posting.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close() //nolint:errcheck // it was read to the end
	var receipt struct{ Accepted, Duplicates, Rejected int }
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil || response.StatusCode == http.StatusServiceUnavailable:
		return false
	case response.StatusCode != http.StatusOK:
		f.t.Errorf("%s: %s", response.Status, text)
		return false
	}
	if err := json.Unmarshal(text, &receipt); err != nil || receipt.Accepted+receipt.Duplicates != killBatch {
		f.t.Errorf("a receipt of %s (%v), want %d events", text, err, killBatch)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acknowledged[batch] = true
	f.accepted += receipt.Accepted
	return true
}

// batch is the next to send: one that was not answered, or a new one.
func (f *feeder) batch() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) > 0 {
		batch := f.waiting[0]
		f.waiting = f.waiting[1:]
		return batch
	}
	f.next++
	return f.next
}

// feed posts until so many more batches are acknowledged, then kills, and answers when no
// request is under way any more.
func (f *feeder) feed(batches int, kill func()) {
	ctx, stop := context.WithCancel(f.t.Context())
	defer stop()
	goal := len(f.acknowledged) + batches
	var once sync.Once
	var clients sync.WaitGroup
	for range killClients {
		clients.Go(func() {
			for ctx.Err() == nil {
				batch := f.batch()
				answered := f.post(f.t.Context(), batch)
				f.mu.Lock()
				if !answered {
					f.waiting = append(f.waiting, batch)
				}
				reached := len(f.acknowledged) >= goal
				f.mu.Unlock()
				if reached {
					once.Do(func() {
						kill() // the other clients are in the middle of it
						stop()
					})
				}
			}
		})
	}
	clients.Wait()
}

// stored is how many events of each batch a private cluster has.
func stored(t *testing.T, dir string) map[int]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "postmaster.pid"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Split(string(text), "\n") // 1: process, 4: port, 5: the socket's folder, as the process sees it
	socket := strings.Replace(line[4], "/proc/self/", "/proc/"+line[0]+"/", 1)
	db, err := sql.Open("postgres", fmt.Sprintf("host=%s port=%s user=perennial dbname=perennial sslmode=disable", socket, line[3]))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // nothing was written
	rows, err := db.QueryContext(t.Context(), `SELECT CAST(split_part(id, '-', 1) AS integer), count(*) FROM events GROUP BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	counts := map[int]int{}
	for rows.Next() {
		var batch, n int
		if err := rows.Scan(&batch, &n); err != nil {
			t.Fatal(err)
		}
		counts[batch] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return counts
}

// killDatabase ends a private cluster at once: nothing of it runs on or says goodbye.
func killDatabase(t *testing.T, dir string) {
	t.Helper()
	pid := postmaster(t, dir)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Error(err)
		return
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	for child := range strings.FieldsSeq(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
}

// TestKillsAtFullIngest: `kill -9` of the server and of PostgreSQL, in turn, while events come
// in as fast as they are taken, loses nothing that was acknowledged and counts nothing twice.
// PERENNIAL_TEST_KILLS=20 makes 20 rounds of at least 10,000 acknowledged events each, rather
// than two small ones.
func TestKillsAtFullIngest(t *testing.T) {
	t.Parallel()
	kills, batches := 2, 10
	if text := os.Getenv("PERENNIAL_TEST_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("PERENNIAL_TEST_KILLS=%s is no number of rounds", text)
		}
		kills, batches = n, 10_000/killBatch
	}
	dir, addr := t.TempDir(), unusedAddr(t)
	child := startChild(t, addr, "--data", dir)
	up := &running{t: t, url: "http://" + addr, key: "test-admin"}
	externalTest(up)
	enrol(up)
	f := &feeder{t: t, url: up.url, acknowledged: map[int]bool{}}
	lost := 0
	for round := range kills {
		if round%2 == 0 {
			f.feed(batches, func() { _ = child.Process.Kill() })
			_ = child.Wait()
			child = startChild(t, addr, "--data", dir)
		} else {
			before := postmaster(t, dir)
			f.feed(batches, func() { killDatabase(t, dir) })
			awaitDatabase(t, up, dir, before)
		}
		there := stored(t, dir)
		for batch := range f.acknowledged {
			lost += killBatch - there[batch]
		}
	}
	acknowledged := len(f.acknowledged) * killBatch
	if lost != 0 {
		t.Errorf("%d of %d acknowledged events were lost", lost, acknowledged)
	}
	// What was not answered is sent again, by everybody who sent it.
	for _, batch := range f.waiting {
		if !f.post(t.Context(), batch) {
			t.Errorf("batch %d is not taken after the kills", batch)
		}
	}
	total := len(f.acknowledged) * killBatch
	rows := 0
	for _, n := range stored(t, dir) {
		rows += n
	}
	if rows != total || f.accepted > total {
		t.Errorf("%d events are stored and %d were accepted, of %d", rows, f.accepted, total)
	}
	var r engine.Report
	up.call("POST", "/v1/experiments/x/reports", "", 201, &r)
	for metric, want := range map[engine.MetricKey]string{"ltv_7": fmt.Sprintf("%d.%d0", total/10, total%10), "orders_7": fmt.Sprint(total)} {
		if arms, _ := lines(t, &r, metric); arms["a"].Total != want || arms["a"].Mature != killCustomers {
			t.Errorf("%s = %+v, want a total of %s", metric, arms["a"], want)
		}
	}
	t.Logf("%d kills: %d of %d acknowledged events were lost; with what was sent again %d are stored, of %d",
		kills, lost, acknowledged, rows, total)
	if err := child.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		t.Errorf("perennial up, asked to stop: %v", err)
	}
}

// enrol takes the customers of the feed into arm a.
func enrol(up *running) {
	up.t.Helper()
	body := []byte(`{"enrolments":[`)
	for i := range killCustomers {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"experiment":"x","variant":"a","customer":"c-%d","enrolled_at":"2026-01-01T00:00:00Z"}`, i)
	}
	up.call("POST", "/v1/enrolments", string(append(body, "]}"...)), 200, nil)
}

// awaitDatabase waits until `up` has started another PostgreSQL.
func awaitDatabase(t *testing.T, up *running, dir string, before int) {
	t.Helper()
	for range 600 {
		response, err := http.Get(up.url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK && postmaster(t, dir) != before {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the database did not come back")
}
