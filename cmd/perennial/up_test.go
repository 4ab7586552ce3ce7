package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// dataFile finds real data that is not part of the project. In CI it must be there.
func dataFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the real data must be there in CI: %v", err)
		}
		t.Skipf("SKIPPED: no real data: %v", err)
	}
	return path
}

// A running is an engine started by `perennial up`, as a user would.
type running struct {
	t        *testing.T
	url, key string
	stop     func() int // asks it to stop and answers the exit code
}

// startUp runs `perennial up` on a private cluster in dir, or as more arguments say.
func startUp(t *testing.T, dir string, more ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, stderr := newTap(), newTap()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"perennial", "up", "--data", dir, "--addr", "127.0.0.1:0", "--json"}, more...),
			map[string]string{"PERENNIAL_BOOTSTRAP_KEY": "test-admin"}, strings.NewReader(""), stdout, stderr)
	}()
	var info upInfo
	select {
	case text := <-stdout.first:
		if err := json.Unmarshal([]byte(text), &info); err != nil {
			t.Fatalf("up printed %q: %v", text, err)
		}
	case c := <-code:
		t.Fatalf("up ended with %d:\n%s", c, stderr)
	case <-time.After(2 * time.Minute):
		t.Fatalf("up does not come up:\n%s", stderr)
	}
	var once sync.Once
	ended := 0
	stop := func() int {
		once.Do(func() { cancel(); ended = <-code })
		return ended
	}
	t.Cleanup(func() {
		if c := stop(); c != exitDone {
			t.Errorf("up ended with %d:\n%s", c, stderr)
		}
	})
	return &running{t: t, url: info.URL, key: "test-admin", stop: stop}
}

// TestUpInterrupted: Ctrl-C before it serves is told as what it is.
func TestUpInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var stderr strings.Builder
	code := run(ctx, []string{"perennial", "up", "--data", t.TempDir(), "--addr", "127.0.0.1:0"}, nil, strings.NewReader(""), io.Discard, &stderr)
	if code != exitFailed || stderr.String() != "perennial: the start was interrupted before its end\n" {
		t.Errorf("exit code %d, standard error %q", code, stderr.String())
	}
}

// A tap is a writer that hands out its first write and keeps all of them.
type tap struct {
	mu    sync.Mutex
	all   bytes.Buffer
	once  sync.Once
	first chan string
}

func newTap() *tap { return &tap{first: make(chan string, 1)} }

func (w *tap) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.once.Do(func() { w.first <- string(p) })
	return w.all.Write(p)
}

func (w *tap) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// call makes a request, checks its status and decodes the answer.
func (r *running) call(method, path, body string, status int, answer any) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	data, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		r.t.Fatal(err)
	}
	if response.StatusCode != status {
		r.t.Fatalf("%s %s: %d, want %d\n%s", method, path, response.StatusCode, status, data)
	}
	if answer != nil {
		if err := json.Unmarshal(data, answer); err != nil {
			r.t.Fatalf("%s %s: %v\n%s", method, path, err, data)
		}
	}
}

// perennial runs a client command and answers its standard output.
func (r *running) perennial(args ...string) string {
	r.t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(r.t.Context(), append([]string{"perennial"}, args...), map[string]string{"PERENNIAL_URL": r.url, "PERENNIAL_KEY": r.key},
		strings.NewReader(""), &stdout, &stderr)
	if code != exitDone {
		r.t.Fatalf("perennial %s: exit code %d\n%s%s", strings.Join(args, " "), code, &stdout, &stderr)
	}
	return stdout.String()
}

// imported is what `perennial import --json` prints, as far as the tests need it.
type imported struct {
	Rows, Sent, Accepted, Duplicates, Rejected int
}

func (r *running) importFile(args ...string) imported {
	r.t.Helper()
	var summary imported
	text := r.perennial(append([]string{"import", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &summary); err != nil {
		r.t.Fatalf("import printed %q: %v", text, err)
	}
	return summary
}
