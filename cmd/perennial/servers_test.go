//go:build unix

package main

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/internal/pglocal"
)

// scale is how much larger than in `make test` a test is to be, by an environment variable.
func scale(t *testing.T, name string) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// A fleet is a PostgreSQL of its own and several `perennial serve` processes on it.
type fleet struct {
	t       *testing.T
	dir     string
	cluster *pglocal.Cluster
	db      *sql.DB
	addrs   []string
	servers []*exec.Cmd
	// databaseURL is what servers are told; empty: the cluster's own.
	databaseURL string
}

func newFleet(t *testing.T, servers int) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), servers: make([]*exec.Cmd, servers)}
	f.startDatabase()
	t.Cleanup(func() {
		if f.cluster != nil {
			_ = f.cluster.Stop(t.Context())
		}
	})
	f.run("migrate").wait(t)
	var err error
	if f.db, err = sql.Open("postgres", f.cluster.DSN("perennial")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.db.Close() })
	for i := range servers {
		f.addrs = append(f.addrs, unusedAddr(t))
		f.startServer(i)
	}
	return f
}

func (f *fleet) startDatabase() {
	f.t.Helper()
	var err error
	if f.cluster, err = pglocal.Start(f.t.Context(), pglocal.Options{Dir: filepath.Join(f.dir, "data")}); err != nil {
		f.t.Fatal(err)
	}
}

// crashDatabase is `pg_ctl stop -m immediate`.
func (f *fleet) crashDatabase() {
	f.t.Helper()
	pid := postmaster(f.t, filepath.Join(f.dir, "data"))
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		f.t.Fatal(err)
	}
	<-f.cluster.Done()
	_ = f.cluster.Stop(f.t.Context())
}

// url is the DSN of the cluster, which is in the form of libpq, as a URL.
func (f *fleet) url() string {
	query := url.Values{}
	for setting := range strings.FieldsSeq(f.cluster.DSN("perennial")) {
		name, value, _ := strings.Cut(setting, "=")
		query.Set(name, strings.Trim(value, "'"))
	}
	database := query.Get("dbname")
	query.Del("dbname")
	return "postgres:///" + database + "?" + query.Encode()
}

// A process is `perennial` with a command.
type process struct {
	*exec.Cmd
	output bytes.Buffer
}

func (f *fleet) run(args ...string) *process {
	f.t.Helper()
	p := &process{Cmd: exec.CommandContext(f.t.Context(), os.Args[0], args...)}
	p.Env = append(os.Environ(), "PERENNIAL_TEST_MAIN=1", "PERENNIAL_BOOTSTRAP_KEY=test-admin",
		"PERENNIAL_DATABASE_URL="+cmp.Or(f.databaseURL, f.url()))
	p.Stdout, p.Stderr = &p.output, &p.output
	if err := p.Start(); err != nil {
		f.t.Fatal(err)
	}
	return p
}

func (p *process) wait(t *testing.T) {
	t.Helper()
	if err := p.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s", p.Args, err, &p.output)
	}
}

// startServer starts a server and waits until it answers; without the database it is alive
// and not ready.
func (f *fleet) startServer(i int) {
	f.t.Helper()
	p := f.run("serve", "--addr", f.addrs[i], "--state", filepath.Join(f.dir, fmt.Sprintf("state-%d", i)))
	f.servers[i] = p.Cmd
	for range 300 {
		response, err := http.Get("http://" + f.addrs[i] + "/healthz")
		if err == nil {
			_ = response.Body.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.t.Fatalf("server %d does not get up:\n%s", i, &p.output)
}

// kill is `kill -9`.
func (f *fleet) kill(i int) {
	f.t.Helper()
	if err := f.servers[i].Process.Kill(); err != nil {
		f.t.Fatal(err)
	}
	_ = f.servers[i].Wait()
}

// post sends a request to a server and decodes the answer.
func (f *fleet) post(server int, method, path, body string, answer any) error {
	request, err := http.NewRequestWithContext(f.t.Context(), method, "http://"+f.addrs[server]+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer test-admin")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %d %s", method, path, response.StatusCode, data)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}

func (f *fleet) must(method, path, body string) {
	f.t.Helper()
	if err := f.post(0, method, path, body, nil); err != nil {
		f.t.Fatal(err)
	}
}

var sevenChannels = []string{"email", "web", "app", "store", "call_center", "social", "sms"}

// tests starts n tests, each on two of seven touchpoints per test on different channels.
func (f *fleet) tests(n int) {
	f.t.Helper()
	f.must("PUT", "/v1/metrics/ltv_7", `{"kind": "ltv", "events": ["order"], "window": {"to_day": 7}}`)
	for x := range n {
		var places []string
		for c, channel := range sevenChannels {
			place := fmt.Sprintf("place-%d-%d", x, c)
			places = append(places, fmt.Sprintf("%q", place))
			f.must("PUT", "/v1/touchpoints/"+place, fmt.Sprintf(`{"channel": %q, "content": "own"}`, channel))
		}
		f.must("POST", "/v1/experiments", fmt.Sprintf(`{"key": "x-%d", "touchpoints": [%s], "traffic": %s,
			"variants": [{"key": "a", "control": true, "weight": 1}, {"key": "b", "weight": 1}, {"key": "c", "weight": 3}],
			"metrics": {"primary": "ltv_7"}, "plan": {"method": "anytime"}}`,
			x, strings.Join(places, ","), []string{"1", "0.5"}[x%2]))
		f.must("POST", fmt.Sprintf("/v1/experiments/x-%d/start", x), "")
	}
}

// A meeting is of a person with a test.
type meeting struct{ person, test int }

// A witness writes down who was given what, and objects to another answer.
type witness struct {
	mu            sync.Mutex
	seen          map[meeting]string
	disagreements int
	asked         int
}

func (w *witness) see(p meeting, variant string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if before, known := w.seen[p]; known && before != variant {
		w.disagreements++
	}
	w.seen[p] = variant
}

// agree fails the test when somebody got another variant than before.
func (w *witness) agree(t *testing.T, when string) {
	t.Helper()
	if w.disagreements != 0 {
		t.Fatalf("%s: %d disagreements among %d answers", when, w.disagreements, w.asked)
	}
}

// meet lets every person meet every test once, in random order, on random channels and
// servers, by an identifier that name chooses.
func (f *fleet) meet(w *witness, random *rand.Rand, people, tests int, name func(person int) string) {
	f.t.Helper()
	type visit struct {
		server, test, channel int
		people                []int
	}
	var visits []visit
	for test := range tests {
		order := random.Perm(people)
		for len(order) > 0 {
			n := min(len(order), 1+random.IntN(200))
			visits = append(visits, visit{random.IntN(len(f.addrs)), test, random.IntN(len(sevenChannels)), order[:n]})
			order = order[n:]
		}
	}
	random.Shuffle(len(visits), func(i, j int) { visits[i], visits[j] = visits[j], visits[i] })
	work := make(chan visit)
	var workers sync.WaitGroup
	for range 6 {
		workers.Go(func() {
			for v := range work {
				names := make([]string, len(v.people))
				for i, person := range v.people {
					names[i] = name(person)
				}
				body, _ := json.Marshal(map[string]any{"customers": names, "touchpoint": fmt.Sprintf("place-%d-%d", v.test, v.channel)})
				var answer struct {
					Assignments []struct{ Variant, Reason string }
				}
				if err := f.post(v.server, "POST", "/v1/assignments", string(body), &answer); err != nil {
					f.t.Error(err)
					continue
				}
				for i, a := range answer.Assignments {
					if a.Reason == "assigned" {
						w.see(meeting{v.people[i], v.test}, a.Variant)
					}
				}
			}
		})
	}
	for _, v := range visits {
		work <- v
	}
	close(work)
	workers.Wait()
}

// settled is how long after a change all servers know of it.
const settled = 2 * time.Second

// TestServersAgree: one customer, one variant, on every channel, server and restart, before
// and after the login, with the database or without it. PERENNIAL_TEST_PAIRS=100 makes it a
// million pairs.
func TestServersAgree(t *testing.T) {
	t.Parallel()
	const tests = 10
	people := 1000 * scale(t, "PERENNIAL_TEST_PAIRS")
	f := newFleet(t, 3)
	f.tests(tests)
	time.Sleep(settled)
	random := rand.New(rand.NewPCG(4, 2))
	w := &witness{seen: map[meeting]string{}}
	cookie := func(person int) string { return fmt.Sprintf("cookie:%d", person) }
	login := func(person int) string { return fmt.Sprintf("account-%d", person) }
	either := func(person int) string {
		if person%3 == 0 { // never logs in
			return cookie(person)
		}
		return []string{cookie(person), login(person), fmt.Sprintf("card:%d", person)}[(person/3)%3]
	}
	f.meet(w, random, people, tests/2, cookie)
	w.agree(t, "before the login")

	for _, person := range random.Perm(people) {
		if person%3 != 0 {
			body := fmt.Sprintf(`{"customer": %q, "identifiers": [%q, "card:%d"]}`, login(person), cookie(person), person)
			if err := f.post(random.IntN(3), "POST", "/v1/identities", body, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(settled)
	f.meet(w, random, people, tests, either)
	w.agree(t, "after the login")

	for i := range f.servers {
		f.kill(i)
		f.startServer(i)
	}
	f.meet(w, random, people, tests, either)
	w.agree(t, "after a restart")
	time.Sleep(settled)

	f.crashDatabase()
	f.meet(w, random, people, tests, either)
	w.agree(t, "without the database")
	for i := range f.servers {
		f.kill(i)
		f.startServer(i) // from its picture and its journal
	}
	f.meet(w, random, people, tests, either)
	w.agree(t, "started without the database")
	f.startDatabase()
	f.enrolled(w.seen)
	t.Logf("%d answers to %d pairs", w.asked, len(w.seen))
}

// enrolled waits until PostgreSQL has every meeting exactly once, with the variant answered,
// and nothing else.
func (f *fleet) enrolled(want map[meeting]string) {
	f.t.Helper()
	missing := -1
	for range 600 {
		stored, err := f.stored()
		if err == nil {
			missing = 0
			for m, variant := range want {
				got, known := stored[m]
				if !known {
					missing++
				} else if got != variant {
					f.t.Fatalf("%v is stored in %s, answered was %s", m, got, variant)
				}
			}
			if missing == 0 && len(stored) == len(want) {
				return
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.t.Fatalf("%d enrolments that were answered are missing (-1: no database)", missing)
}

// stored are the enrolments in PostgreSQL.
func (f *fleet) stored() (map[meeting]string, error) {
	f.t.Helper()
	rows, err := f.db.QueryContext(f.t.Context(), `SELECT experiment, variant, assignment_key FROM enrolments`)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err is asked below
	stored := map[meeting]string{}
	for rows.Next() {
		var experiment, variant, key string
		if err := rows.Scan(&experiment, &variant, &key); err != nil {
			return nil, err
		}
		person, err := strconv.Atoi(key[strings.LastIndexAny(key, ":-")+1:])
		if err != nil {
			f.t.Fatal(err)
		}
		test, err := strconv.Atoi(strings.TrimPrefix(experiment, "x-"))
		if err != nil {
			f.t.Fatal(err)
		}
		m := meeting{person, test}
		if _, twice := stored[m]; twice {
			f.t.Fatalf("%v is enrolled twice", m)
		}
		stored[m] = variant
	}
	return stored, rows.Err()
}

// TestKilledServerLosesNoEnrolment: what a server answered before `kill -9` is in PostgreSQL
// exactly once after its restart. PERENNIAL_TEST_KILLS=7 makes it more than 20 kills.
func TestKilledServerLosesNoEnrolment(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.tests(1)
	answered := &witness{seen: map[meeting]string{}}
	random := rand.New(rand.NewPCG(1, 1))
	next := 0
	for range 3 * scale(t, "PERENNIAL_TEST_KILLS") {
		stop := make(chan struct{})
		var clients sync.WaitGroup
		var mu sync.Mutex
		for range 8 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					mu.Lock()
					person := next
					next++
					mu.Unlock()
					var a struct{ Variant, Reason string }
					body := fmt.Sprintf(`{"customer": "c-%d", "touchpoint": "place-0-1"}`, person)
					if f.post(0, "POST", "/v1/assignments", body, &a) == nil && a.Reason == "assigned" {
						answered.see(meeting{person, 0}, a.Variant)
					}
				}
			})
		}
		time.Sleep(300*time.Millisecond + time.Duration(random.IntN(400))*time.Millisecond)
		f.kill(0)
		close(stop)
		clients.Wait()
		f.startServer(0)
	}
	// A record may have reached the disk without its answer having gone out.
	f.present(answered.seen)
	t.Logf("%d answers", len(answered.seen))
}

// present waits until PostgreSQL has every pair, with the variant answered.
func (f *fleet) present(want map[meeting]string) {
	f.t.Helper()
	missing := 0
	for range 300 {
		missing = 0
		for p, variant := range want {
			var stored string
			err := f.db.QueryRowContext(f.t.Context(),
				`SELECT variant FROM enrolments WHERE customer_id = $1 AND experiment = $2`,
				fmt.Sprintf("c-%d", p.person), fmt.Sprintf("x-%d", p.test)).Scan(&stored)
			if err != nil {
				missing++
			} else if stored != variant {
				f.t.Fatalf("%v is stored in %s, answered was %s", p, stored, variant)
			}
		}
		if missing == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.t.Fatalf("%d enrolments that were answered are missing", missing)
}

// TestUpOutlivesItsDatabase: when the private PostgreSQL crashes, `up` goes on answering
// assignments and starts it again.
func TestUpOutlivesItsDatabase(t *testing.T) {
	t.Parallel()
	dir, addr := t.TempDir(), unusedAddr(t)
	child := startChild(t, addr, "--data", dir)
	up := &running{t: t, url: "http://" + addr, key: "test-admin"}
	up.call("PUT", "/v1/touchpoints/mail", `{"channel": "email", "content": "hello"}`, 201, nil)
	ask := func() { up.call("POST", "/v1/assignments", `{"customer": "c", "touchpoint": "mail"}`, 200, nil) }
	ask()
	pid := postmaster(t, dir)
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil { // pg_ctl stop -m immediate
		t.Fatal(err)
	}
	back := false
	for range 600 {
		ask()
		response, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if back = response.StatusCode == http.StatusOK && postmaster(t, dir) != pid; back {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !back {
		t.Fatal("the database did not come back")
	}
	up.call("PUT", "/v1/touchpoints/web", `{"channel": "web", "content": "hello"}`, 201, nil)
	if err := child.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		t.Errorf("perennial up, asked to stop: %v", err)
	}
}

// postmaster is the process of the PostgreSQL in a data folder, 0 while there is none.
func postmaster(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		return 0
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.SplitN(string(text), "\n", 2)[0])
	if err != nil {
		return 0
	}
	return pid
}
