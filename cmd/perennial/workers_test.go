//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWorkersPromoteOnce: of eight workers one is frozen while it carries decisions out and
// loses its lock, others are killed at random, and those that remain do the rest. Each winner is
// promoted exactly once, with one row in the audit log and one message, and the frozen worker,
// which goes on with what it meant to do, changes nothing. With PERENNIAL_TEST_WORKERS=20 it has
// a thousand winners, and the worker is frozen for a minute.
func TestWorkersPromoteOnce(t *testing.T) {
	t.Parallel()
	size := scale(t, "PERENNIAL_TEST_WORKERS")
	tests, frozen := 50*size, 5*time.Second
	if size > 1 {
		frozen = time.Minute
	}
	f := newFleet(t, 1)
	f.must("POST", "/v1/webhooks", `{"url": "https://example.com/hook"}`)
	f.promotable(tests)
	f.must("POST", "/v1/jobs/measure/run", "")
	f.must("POST", "/v1/jobs/analyze/run", "")
	if n := f.count(`SELECT count(*) FROM decisions WHERE action = 'promote' AND applied_at IS NULL`); n != tests {
		t.Fatalf("%d promotions wait, want %d", n, tests)
	}

	workers := make([]*process, 8)
	for i := range workers {
		workers[i] = f.worker(i)
	}
	stale := f.freeze(workers, tests)
	left := tests - f.promoted()
	thaw := time.After(frozen)
	kills := 0
	random := rand.New(rand.NewPCG(8, 8))
	begun := time.Now()
	for f.promoted() < tests {
		if time.Since(begun) > 30*time.Minute {
			t.Fatalf("after half an hour and %d kills %d of %d are promoted", kills, f.promoted(), tests)
		}
		time.Sleep(time.Duration(200+random.IntN(1500*min(size, 2))) * time.Millisecond)
		i := random.IntN(len(workers))
		if holder := f.holder(); holder >= 0 && random.IntN(2) == 0 {
			i = holder
		}
		if i == stale {
			continue
		}
		_ = workers[i].Process.Kill()
		_ = workers[i].Wait()
		workers[i] = f.worker(i)
		kills++
	}
	done := f.count(`SELECT count(*) FROM audit`)
	<-thaw
	// It goes on with what it had begun, and then stops.
	_ = workers[stale].Process.Signal(syscall.SIGCONT)
	_ = workers[stale].Process.Signal(os.Interrupt)
	if err := workers[stale].Wait(); err != nil {
		t.Errorf("the frozen worker ended with %v:\n%s", err, &workers[stale].output)
	}
	if n := f.count(`SELECT count(*) FROM audit`); n != done {
		t.Errorf("%d rows in the audit log after the frozen worker went on, %d before", n, done)
	}
	for i, w := range workers {
		if i != stale {
			_ = w.Process.Kill()
			_ = w.Wait()
		}
	}
	for what, query := range map[string]string{
		"experiments":      `SELECT count(*) FROM experiments WHERE outcome = 'promoted' AND winner = 'b' AND version = 3`,
		"promotions":       `SELECT count(*) FROM promotions`,
		"applied":          `SELECT count(*) FROM decisions WHERE action = 'promote' AND applied_at IS NOT NULL`,
		"decisions":        `SELECT count(*) FROM decisions`,
		"audit rows":       `SELECT count(*) FROM audit WHERE action = 'experiment.promote'`,
		"audited":          `SELECT count(DISTINCT object) FROM audit WHERE action = 'experiment.promote'`,
		"webhook messages": `SELECT count(DISTINCT id) FROM messages WHERE event = 'experiment.promoted'`,
		"messages":         `SELECT count(*) FROM messages WHERE event = 'experiment.promoted'`,
	} {
		if n := f.count(query); n != tests {
			t.Errorf("%s: %d, want %d", what, n, tests)
		}
	}
	t.Logf("%d tests, %d of them left when worker %d was frozen, %d kills in %v",
		tests, left, stale, kills, time.Since(begun).Round(time.Second))
}

// worker starts a worker whose connections bear its number.
func (f *fleet) worker(i int) *process {
	f.t.Helper()
	f.databaseURL = fmt.Sprintf("%s&application_name=worker-%d", f.url(), i)
	defer func() { f.databaseURL = "" }()
	return f.run("worker")
}

func (f *fleet) promoted() int {
	f.t.Helper()
	return f.count(`SELECT count(*) FROM experiments WHERE outcome = 'promoted'`)
}

// holdsDecide is the connection that holds the lock of the job decide (postgres/job.go).
const holdsDecide = `
	FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
	WHERE l.locktype = 'advisory' AND l.granted AND l.classid = CAST(x'70657265' AS integer)
		AND l.objid = CAST(CAST(hashtext('decide') AS bigint) & 4294967295 AS oid)`

// holder is the number of the worker that carries decisions out, -1 for none.
func (f *fleet) holder() int {
	f.t.Helper()
	return f.count(`SELECT coalesce(max(CAST(substr(a.application_name, 8) AS integer)), -1)` + holdsDecide)
}

// freeze stops the worker that carries decisions out somewhere in the middle, and takes the
// lock from it, as the server does after the job's deadline. It answers the worker's number.
func (f *fleet) freeze(workers []*process, tests int) int {
	f.t.Helper()
	for f.promoted() < tests {
		stale := f.holder()
		if stale < 0 || f.promoted() < tests/10 {
			continue
		}
		_ = workers[stale].Process.Signal(syscall.SIGSTOP)
		if f.count(`SELECT count(pg_terminate_backend(a.pid))`+holdsDecide) == 1 {
			return stale
		}
		_ = workers[stale].Process.Signal(syscall.SIGCONT)
	}
	f.t.Fatal("all were promoted before a worker could be frozen")
	return -1
}

func (f *fleet) count(query string) (n int) {
	f.t.Helper()
	if err := f.db.QueryRowContext(f.t.Context(), query).Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// promotable makes external tests whose second arm has won, all with the same customers. None is
// closed for a long time after its promotion, because one of its metrics matures late: the frozen
// worker may be in the middle of the job analyze too, whose lock it keeps, and may rightly close
// when it goes on what was promoted before.
func (f *fleet) promotable(tests int) {
	f.t.Helper()
	const customers = 240
	enrolled := time.Now().Add(-40 * 24 * time.Hour).UTC().Format(time.RFC3339)
	ordered := time.Now().Add(-39 * 24 * time.Hour).UTC().Format(time.RFC3339)
	f.must("PUT", "/v1/metrics/ltv_7", `{"kind": "ltv", "events": ["order"], "window": {"to_day": 7}}`)
	f.must("PUT", "/v1/metrics/ltv_90", `{"kind": "ltv", "events": ["order"], "window": {"to_day": 90}}`)
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
			"metrics": {"primary": "ltv_7", "secondary": ["ltv_90"]}, "plan": {"method": "anytime"}}`, key))
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
