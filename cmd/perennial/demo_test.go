package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine"
)

// A stageplay is a demo under way.
type stageplay struct {
	t              *testing.T
	stdout, stderr *watched
	temp           string // TMPDIR
	stop           context.CancelFunc
	ended          chan int // the exit code
}

// startDemo runs `perennial demo` with a temporary folder of its own.
func startDemo(t *testing.T, args ...string) *stageplay {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &stageplay{t: t, stdout: newWatched(), stderr: newWatched(), temp: t.TempDir(), stop: cancel, ended: make(chan int, 1)}
	go func() {
		s.ended <- run(ctx, append([]string{"bin/perennial", "demo"}, args...), map[string]string{"TMPDIR": s.temp}, strings.NewReader(""), s.stdout, s.stderr)
	}()
	t.Cleanup(cancel)
	return s
}

// end waits for the end, checks the exit code and that nothing is left behind.
func (s *stageplay) end(want int) {
	s.t.Helper()
	select {
	case code := <-s.ended:
		if code != want {
			s.t.Errorf("exit code %d, want %d\n%s\n%s", code, want, s.stdout, s.stderr)
		}
	case <-time.After(8 * time.Minute): // beside all other tests, on a busy machine
		s.t.Fatalf("the demo does not end\n%s\n%s", s.stdout, s.stderr)
	}
	left, err := os.ReadDir(s.temp)
	if err != nil || len(left) > 0 {
		s.t.Errorf("left in the temporary folder: %v, %v", left, err)
	}
}

// until waits for a text on standard output.
func (s *stageplay) until(text string) {
	s.t.Helper()
	select {
	case <-s.stdout.wait(text):
	case code := <-s.ended:
		s.t.Fatalf("the demo ended with %d before it said %q\n%s\n%s", code, text, s.stdout, s.stderr)
	case <-time.After(2 * time.Minute):
		s.t.Fatalf("the demo does not say %q\n%s\n%s", text, s.stdout, s.stderr)
	}
}

// result reads the one JSON document on standard output.
func (s *stageplay) result() demoResult {
	s.t.Helper()
	var result demoResult
	if err := json.Unmarshal([]byte(s.stdout.String()), &result); err != nil {
		s.t.Fatalf("standard output is not one JSON document: %v\n%s", err, s.stdout)
	}
	if s.stderr.String() != "" {
		s.t.Errorf("standard error is not empty:\n%s", s.stderr)
	}
	return result
}

// watched is a writer that can be waited on for a text.
type watched struct {
	tap
	waits chan struct{} // one token a write, as far as somebody waits
}

func newWatched() *watched {
	return &watched{tap: tap{first: make(chan string, 1)}, waits: make(chan struct{}, 1)}
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.tap.Write(p)
	select {
	case w.waits <- struct{}{}:
	default:
	}
	return n, err
}

// wait answers a channel that is closed once the text was written. One may wait at a time.
func (w *watched) wait(text string) <-chan struct{} {
	found := make(chan struct{})
	go func() {
		for !strings.Contains(w.String(), text) {
			<-w.waits
		}
		close(found)
	}()
	return found
}

// TestDemo plays the whole demo: clicks point to control, value decides for the treatment,
// which is promoted and served, and the estimate agrees with the known truth.
func TestDemo(t *testing.T) {
	t.Parallel()
	s := startDemo(t, "--once", "--json", "--addr", "127.0.0.1:0")
	s.end(exitDone)
	got := s.result()

	_, clicks, err := metricOf(got.Report, "clicked_7", advice)
	if err != nil {
		t.Fatal(err)
	}
	if !surelyBelow(clicks) {
		t.Errorf("clicks = %v in %v, want surely fewer with the treatment", show(clicks.Difference), clicks.Interval)
	}
	_, value, err := metricOf(got.Report, "value_28", advice)
	if err != nil {
		t.Fatal(err)
	}
	if low := value.Interval[0]; low == nil || *low <= 0 || !value.Decisive {
		t.Errorf("value in %v (decisive %t), want surely more with the treatment", value.Interval, value.Decisive)
	}
	if truth := got.TrueEffect.Difference(); !strings.HasPrefix(covers(value.Interval, truth), "The interval holds") {
		t.Errorf("the interval %v misses the truth, %v, with the default seed", value.Interval, truth)
	}
	for _, role := range got.Report.Metrics {
		for _, c := range role.Comparisons {
			if c.NonInferior != nil && !*c.NonInferior {
				t.Errorf("guardrail %s is not proved, and yet %s was promoted", role.Metric, c.Variant)
			}
		}
	}
	if e := got.TrueEffect; e.ValueLift < 0.2 || e.ValueLift > 0.21 || e.ClickLift > -0.27 || e.ClickLift < -0.28 {
		t.Errorf("the true effect is %+v, want +20.4 %% and −27.8 %%", e)
	}
	if d := got.Decision; d == nil || d.Action != string(engine.ActionPromote) || d.Variant != advice ||
		d.DecidedBy != "engine" || d.AppliedAt == nil || d.ReportVersion != got.Report.Version || len(d.Reasons) == 0 {
		t.Errorf("decision = %+v, want the treatment promoted on the final report", d)
	}
	if a := got.Assignment; a == nil || a.Variant != advice || a.Reason != "promoted" || a.show() != "How to brew what you bought" {
		t.Errorf("a new customer gets %+v, want the winner", a)
	}
	if got.URL != "" || got.Key != "" || *got.Seed != 1 || got.Seconds <= 0 {
		t.Errorf("url %q, key %q, seed %d, %v s: want no engine left after --once", got.URL, got.Key, *got.Seed, got.Seconds)
	}
}

// TestDemoHillstrom plays the real test and finds every known result to its last digit.
func TestDemoHillstrom(t *testing.T) {
	t.Parallel()
	s := startDemo(t, "--once", "--json", "--addr", "127.0.0.1:0", "--data", dataFile(t, "hillstrom.csv.gz"))
	s.end(exitDone)
	got := s.result()
	if len(got.Reference) < 10 {
		t.Errorf("%d figures are compared", len(got.Reference))
	}
	for _, f := range got.Reference {
		if !f.Agrees || f.Engine != f.Reference {
			t.Errorf("%s = %s, known is %s", f.Figure, f.Engine, f.Reference)
		}
	}
	if d := got.Decision; d == nil || d.Action != string(engine.ActionPromote) || d.Variant != mens {
		t.Errorf("decision = %+v, want the mens arm promoted", d)
	}
	if a := got.Assignment; a == nil || a.Variant != mens || a.Reason != "promoted" || a.show() != "Men's merchandise" {
		t.Errorf("a new customer gets %+v, want the winner", a)
	}
	if got.TrueEffect != nil || got.Seed != nil {
		t.Error("real customers have no known truth and no seed")
	}
}

// hillstromLike writes a small file that looks like Hillstrom's: of each arm every customer
// with a number divisible by one of the arm's has ordered.
func hillstromLike(t *testing.T, segments ...string) string {
	t.Helper()
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	write := func(fields ...string) {
		if err := w.Write(fields); err != nil {
			t.Fatal(err)
		}
	}
	write("segment", "visit", "conversion", "spend")
	for i := range 6000 {
		arm := i % 3
		if i/3%(9-3*arm) == 0 {
			write(segments[arm], "1", "1", strconv.Itoa(20+i%17))
		} else {
			write(segments[arm], "0", "0", "0")
		}
	}
	w.Flush()
	path := filepath.Join(t.TempDir(), "mailing.csv")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDemoServesOn: without --once the engine stays up, on the real clock and with its jobs,
// until Ctrl-C. The usual port is taken here, so it serves on another one.
func TestDemoServesOn(t *testing.T) {
	t.Parallel()
	wants := []string{"promote Womens E-Mail", "(promoted)", "Verdict: promote", "differs", "  $ bin/perennial ", "  bin/perennial report mens-or-womens\n"}
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:8080")
	if err == nil { // else somebody else on this machine holds it, for a while at least
		defer func() { _ = taken.Close() }()
		wants = append(wants, "(the usual port is taken)")
	}
	s := startDemo(t, "--data", hillstromLike(t, "No E-Mail", "Mens E-Mail", "Womens E-Mail"))
	s.until("Press Ctrl-C")
	told := s.stdout.String()
	for _, want := range wants {
		if !strings.Contains(told, want) {
			t.Errorf("the story lacks %q:\n%s", want, told)
		}
	}
	where := regexp.MustCompile(`PERENNIAL_URL=(\S+)\s+export PERENNIAL_KEY=(\S+)`).FindStringSubmatch(told)
	if where == nil {
		t.Fatalf("no address and key in the story:\n%s", told)
	}
	up := &running{t: t, url: where[1], key: where[2]}
	if text := up.perennial("report", "mens-or-womens"); !strings.Contains(text, "Verdict: promote") {
		t.Errorf("report prints:\n%s", text)
	}
	var got demoAssignment
	up.call("POST", "/v1/assignments", `{"customer": "you", "touchpoint": "mailing"}`, http.StatusOK, &got)
	if got.Reason != "promoted" {
		t.Errorf("assignment = %+v", got)
	}
	var made struct {
		CreatedAt time.Time `json:"created_at"`
	}
	up.call("PUT", "/v1/touchpoints/later", `{"name": "Later", "channel": "web", "content": {}}`, http.StatusCreated, &made)
	if age := time.Since(made.CreatedAt); age < 0 || age > time.Minute {
		t.Errorf("something made now is dated %v: the clock is not the real one", made.CreatedAt)
	}
	s.stop()
	s.end(exitDone)
}

// TestDemoInterrupted: Ctrl-C ends a demo cleanly, whenever it comes.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(*stageplay){
		"at once":                   func(*stageplay) {},
		"while PostgreSQL is made":  func(*stageplay) { time.Sleep(200 * time.Millisecond) },
		"while PostgreSQL starts":   func(*stageplay) { time.Sleep(700 * time.Millisecond) },
		"before the first customer": func(s *stageplay) { s.until("The test") },
		"between the weeks":         func(s *stageplay) { s.until("too early") },
	} {
		t.Run(name, func(t *testing.T) {
			s := startDemo(t, "--once", "--addr", "127.0.0.1:0")
			wait(s)
			s.stop()
			s.end(exitFailed)
			if text := s.stderr.String(); !strings.Contains(text, "perennial: the demo was interrupted before its end\n") {
				t.Errorf("standard error:\n%s", text)
			}
		})
	}
}

func TestDemoRefuses(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "orders.csv")
	if err := os.WriteFile(other, []byte("customer,total\nc1,5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for name, test := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"another file":   {[]string{"--data", other}, exitUsage, `has no column "segment"` + "\nIts columns: customer, total"},
		"no file":        {[]string{"--data", other + ".gone"}, exitFailed, "no such file"},
		"unknown arms":   {[]string{"--data", hillstromLike(t, "a", "b", "c")}, exitFailed, "of 6000 rows 6000 are rejected (unknown_variant): it is not"},
		"a chosen port":  {[]string{"--addr", taken.Addr().String()}, exitFailed, "cannot listen on " + taken.Addr().String()},
		"a wrong seed":   {[]string{"--seed", "x"}, exitUsage, "seed"},
		"a wrong option": {[]string{"--twice"}, exitUsage, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startDemo(t, append(test.args, "--once")...)
			s.end(test.code)
			if text := s.stderr.String(); !strings.Contains(text, test.stderr) {
				t.Errorf("standard error lacks %q:\n%s", test.stderr, text)
			}
		})
	}
}

func TestProgressChart(t *testing.T) {
	t.Parallel()
	number := func(x float64) *float64 { return &x }
	p := plot{low: -4, high: 12, columns: 17} // a column each
	for name, test := range map[string]struct {
		c    engine.Comparison
		want string
	}{
		"nothing known": {engine.Comparison{}, "    │   ┊        "},
		"inside": {
			engine.Comparison{Difference: number(6), Interval: [2]*float64{number(2), number(10)}},
			"    │ ├─┊─●───┤  ",
		},
		"beyond one side": {
			engine.Comparison{Difference: number(1), Interval: [2]*float64{number(-7), number(9)}},
			"◄───┼●──┊────┤   ",
		},
		"beyond both sides": {
			engine.Comparison{Difference: number(3), Interval: [2]*float64{number(-20), number(26)}},
			"◄──────●┊───────►",
		},
		"altogether beyond": {
			engine.Comparison{Difference: number(20), Interval: [2]*float64{number(11), number(29)}},
			"    │   ┊      ├►",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := p.against(test.c, 4); got != test.want {
				t.Errorf("drawn\n%q, want\n%q", got, test.want)
			}
		})
	}
}

func TestCommandText(t *testing.T) {
	t.Parallel()
	got := commandText("/my tools/perennial", []string{"import", "events", "it's.csv", "--map", "id=row-{#}", "--set", "type=order"}, 60)
	want := "  $ '/my tools/perennial' import events 'it'\\''s.csv' \\\n      --map 'id=row-{#}' --set type=order"
	if got != want {
		t.Errorf("commandText:\n%s\nwant:\n%s", got, want)
	}
}
