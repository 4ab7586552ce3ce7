package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine"
)

// startChild runs `perennial up` as a process of its own and waits until it is ready.
func startChild(tb testing.TB, addr string, flags ...string) *exec.Cmd {
	tb.Helper()
	child := exec.CommandContext(tb.Context(), os.Args[0], append([]string{"up", "--addr", addr, "--json"}, flags...)...)
	child.Env = append(os.Environ(), "PERENNIAL_TEST_MAIN=1", "PERENNIAL_BOOTSTRAP_KEY=test-admin")
	var stderr bytes.Buffer
	child.Stderr = &stderr
	if err := child.Start(); err != nil {
		tb.Fatal(err)
	}
	for range 600 {
		response, err := http.Get("http://" + addr + "/readyz")
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return child
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	tb.Fatalf("perennial up does not get ready:\n%s", &stderr)
	return nil
}

func unusedAddr(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		tb.Fatal(err)
	}
	return addr
}

// ordersFile writes an order of 0.10 EUR for each of n customers.
func ordersFile(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders.csv.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("customer,total\n")
	for i := range n {
		text = fmt.Appendf(text, "c-%d,0.10\n", i)
	}
	z := gzip.NewWriter(f)
	_, err = z.Write(text)
	if err := errors.Join(err, z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestKillDuringImport: `kill -9` of the server in the middle of an import loses nothing
// that was acknowledged and counts nothing twice. After a restart the same command brings
// in exactly what is missing.
func TestKillDuringImport(t *testing.T) {
	t.Parallel()
	const customers = 100_000
	file, dir, addr := ordersFile(t, customers), t.TempDir(), unusedAddr(t)
	child := startChild(t, addr, "--data", dir)
	up := &running{t: t, url: "http://" + addr, key: "test-admin"}
	externalTest(up)
	if s := up.importFile("enrolments", file, "--map", "customer=customer", "--set", "experiment=x", "--set", "variant=a",
		"--set", "enrolled_at=2026-01-01T00:00:00Z"); s.Accepted != customers {
		t.Fatalf("enrolments: %+v", s)
	}

	events := []string{
		"events", file, "--map", "customer=customer", "--map", "id=order-{#}", "--map", "value=total",
		"--set", "currency=EUR", "--set", "type=order", "--set", "occurred_at=2026-01-02T00:00:00Z",
	}
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"perennial", "import", "--json"}, events...),
			map[string]string{"PERENNIAL_URL": up.url, "PERENNIAL_KEY": up.key},
			strings.NewReader(""), io.Discard, io.Discard)
	}()
	// Somebody's order is in: kill. first_seen is the time of the first event.
	for !hasOrder(t, up, "c-0") {
		time.Sleep(time.Millisecond)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	giveUp()
	if code := <-ended; code != exitFailed {
		t.Errorf("the interrupted import ended with %d, want %d", code, exitFailed)
	}

	child = startChild(t, addr, "--data", dir)
	if hasOrder(t, up, fmt.Sprintf("c-%d", customers-1)) {
		t.Fatal("the kill came after the import: the test proves nothing")
	}
	first := up.importFile(events...)
	if first.Accepted == 0 || first.Duplicates == 0 || first.Accepted+first.Duplicates != customers || first.Rejected != 0 {
		t.Errorf("import again: %+v, want some accepted, some duplicates, %d together", first, customers)
	}
	if again := up.importFile(events...); again.Accepted != 0 || again.Duplicates != customers {
		t.Errorf("a third time: %+v, want %d duplicates", again, customers)
	}
	var r engine.Report
	up.call("POST", "/v1/experiments/x/reports", "", 201, &r)
	for metric, want := range map[engine.MetricKey]string{"ltv_7": "10000.00", "orders_7": "100000"} {
		if arms, _ := lines(t, &r, metric); arms["a"].Total != want || arms["a"].Mature != customers {
			t.Errorf("%s = %+v, want a total of %s", metric, arms["a"], want)
		}
	}
	if err := child.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		t.Errorf("perennial up, asked to stop: %v", err)
	}
}

// externalTest starts the external experiment x, whose arms are a and b.
func externalTest(up *running) {
	up.t.Helper()
	up.call("PUT", "/v1/metrics/ltv_7", `{"kind": "ltv", "events": ["order"], "window": {"from_day": 0, "to_day": 7}}`, 201, nil)
	up.call("PUT", "/v1/metrics/orders_7", `{"kind": "count", "events": ["order"], "window": {"from_day": 0, "to_day": 7}}`, 201, nil)
	up.call("POST", "/v1/experiments", `{"key": "x", "assignment": "external",
		"variants": [{"key": "a", "control": true, "weight": 1}, {"key": "b", "weight": 1}],
		"metrics": {"primary": "ltv_7", "secondary": ["orders_7"]}, "plan": {"method": "anytime"}}`, 201, nil)
	up.call("POST", "/v1/experiments/x/start", "", 200, nil)
}

func hasOrder(t *testing.T, up *running, customer string) bool {
	t.Helper()
	var seen struct {
		FirstSeen *json.RawMessage `json:"first_seen"`
	}
	up.call("GET", "/v1/customers/"+customer, "", 200, &seen)
	return seen.FirstSeen != nil && string(*seen.FirstSeen) != "null"
}
