//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWorkersPromoteOnce: many workers, killed while they carry decisions out, promote each
// winner exactly once, with one row in the audit log and one message. With
// PERENNIAL_TEST_WORKERS=100 it has a thousand winners, and all workers are paused for a
// minute on the way.
func TestWorkersPromoteOnce(t *testing.T) {
	t.Parallel()
	tests := 10 * scale(t, "PERENNIAL_TEST_WORKERS")
	f := newFleet(t, 1)
	f.must("POST", "/v1/webhooks", `{"url": "https://example.com/hook"}`)
	f.promotable(tests)
	f.must("POST", "/v1/jobs/measure/run", "")
	f.must("POST", "/v1/jobs/analyze/run", "")
	if n := f.count(`SELECT count(*) FROM decisions WHERE action = 'promote' AND applied_at IS NULL`); n != tests {
		t.Fatalf("%d promotions wait, want %d", n, tests)
	}

	random := rand.New(rand.NewPCG(8, 8))
	workers := make([]*process, 8)
	for i := range workers {
		workers[i] = f.run("worker")
	}
	pauses, kills := tests/1000, 0
	deadline := time.Now().Add(10 * time.Minute)
	for f.count(`SELECT count(*) FROM experiments WHERE outcome = 'promoted'`) < tests {
		if time.Now().After(deadline) {
			t.Fatal("not all were promoted within ten minutes")
		}
		time.Sleep(time.Duration(100+random.IntN(400)) * time.Millisecond)
		busy := f.count(`SELECT count(*) FROM job_runs WHERE job = 'decide' AND finished_at IS NULL`) > 0
		if !busy {
			continue
		}
		if pauses > 0 && random.IntN(4) == 0 {
			pauses--
			for _, w := range workers { // whoever carries decisions out is among them
				_ = w.Process.Signal(syscall.SIGSTOP)
			}
			time.Sleep(time.Minute)
			for _, w := range workers {
				_ = w.Process.Signal(syscall.SIGCONT)
			}
			continue
		}
		i := random.IntN(len(workers))
		_ = workers[i].Process.Kill()
		_ = workers[i].Wait()
		workers[i] = f.run("worker")
		kills++
	}
	for _, w := range workers {
		_ = w.Process.Kill()
		_ = w.Wait()
	}
	for what, query := range map[string]string{
		"experiments":      `SELECT count(*) FROM experiments WHERE outcome = 'promoted' AND winner = 'b' AND version = 3`,
		"promotions":       `SELECT count(*) FROM promotions`,
		"applied":          `SELECT count(*) FROM decisions WHERE action = 'promote' AND applied_at IS NOT NULL`,
		"decisions":        `SELECT count(*) FROM decisions`,
		"audit rows":       `SELECT count(*) FROM audit WHERE action = 'experiment.promote'`,
		"audited":          `SELECT count(DISTINCT object) FROM audit WHERE action = 'experiment.promote'`,
		"webhook messages": `SELECT count(*) FROM messages WHERE event = 'experiment.promoted'`,
	} {
		if n := f.count(query); n != tests {
			t.Errorf("%s: %d, want %d", what, n, tests)
		}
	}
	t.Logf("%d tests, %d kills", tests, kills)
}

func (f *fleet) count(query string) (n int) {
	f.t.Helper()
	if err := f.db.QueryRowContext(f.t.Context(), query).Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// promotable makes external tests whose second arm has won, all with the same customers.
func (f *fleet) promotable(tests int) {
	f.t.Helper()
	const customers = 400
	enrolled := time.Now().Add(-40 * 24 * time.Hour).UTC().Format(time.RFC3339)
	ordered := time.Now().Add(-39 * 24 * time.Hour).UTC().Format(time.RFC3339)
	f.must("PUT", "/v1/metrics/ltv_7", `{"kind": "ltv", "events": ["order"], "window": {"to_day": 7}}`)
	var events []string
	for i := range customers {
		events = append(events, fmt.Sprintf(`{"id": "o", "customer": "c-%d", "type": "order", "occurred_at": %q, "value": %d, "currency": "EUR"}`,
			i, ordered, 10+i%7+20*(i%2)))
	}
	f.must("POST", "/v1/events", `{"events": [`+strings.Join(events, ",")+`]}`)
	for x := range tests {
		key := fmt.Sprintf("x-%04d", x)
		f.must("POST", "/v1/experiments", fmt.Sprintf(`{"key": %q, "assignment": "external",
			"variants": [{"key": "a", "control": true, "weight": 1}, {"key": "b", "weight": 1}],
			"metrics": {"primary": "ltv_7"}, "plan": {"method": "anytime"}}`, key))
		f.must("POST", "/v1/experiments/"+key+"/start", "")
		rows := make([]map[string]string, customers)
		for i := range rows {
			rows[i] = map[string]string{
				"experiment": key, "variant": string("ab"[i%2]), "customer": fmt.Sprintf("c-%d", i), "enrolled_at": enrolled,
			}
		}
		body, err := json.Marshal(map[string]any{"enrolments": rows})
		if err != nil {
			f.t.Fatal(err)
		}
		f.must("POST", "/v1/enrolments", string(body))
	}
}
