package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// testClient talks to a server without long pauses.
func testClient(base string) *client {
	c := newClient(Config{URL: SecretURL(base), Key: "k1"}, slog.New(slog.DiscardHandler))
	c.pause = time.Millisecond
	return c
}

func TestProblemError(t *testing.T) {
	tests := []struct {
		name, contentType, body, want string
		status                        int
	}{
		{
			"field errors", "application/problem+json",
			`{"type":"about:blank","title":"Invalid request","status":422,"detail":"2 fields are wrong","code":"invalid","request_id":"r1",
			  "errors":[{"pointer":"/name","detail":"is empty"},{"pointer":"/scopes/0","detail":"unknown scope"}]}`,
			"422 Invalid request: 2 fields are wrong (code invalid, request r1)\n  /name: is empty\n  /scopes/0: unknown scope", 422,
		},
		{"only a title", "application/problem+json", `{"title":"Not found"}`, "404 Not found", 404},
		{"a proxy's HTML", "text/html", "<h1>Bad gateway</h1>", "502 Bad Gateway", 502},
		{"a broken body", "application/problem+json", `{"title":`, "500 Internal Server Error", 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			err := testClient(server.URL).do(t.Context(), call{method: http.MethodGet, path: "/"}, nil)
			if err == nil || err.Error() != test.want {
				t.Errorf("error %q, want %q", err, test.want)
			}
		})
	}
}

func TestClientTriesAgain(t *testing.T) {
	tests := []struct {
		name     string
		failures int32
		fail     func(w http.ResponseWriter)
		attempts int32
		ok       bool
	}{
		{"503 once", 1, func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, 2, true},
		{"503 for ever", 100, func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, 3, false},
		{"connection closed", 2, func(w http.ResponseWriter) { hangUp(w) }, 3, true},
		{"500 is final", 100, func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, 1, false},
		{"404 is final", 100, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }, 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var attempts atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if got := string(body); got != `{"a":1}` {
					t.Errorf("attempt %d has the body %q", attempts.Load()+1, got)
				}
				if got := r.Header.Get("Authorization"); got != "Bearer k1" {
					t.Errorf("Authorization: %q", got)
				}
				if attempts.Add(1) <= test.failures {
					test.fail(w)
					return
				}
				_, _ = io.WriteString(w, `{"answer":42}`)
			}))
			defer server.Close()
			var answer struct{ Answer int }
			err := testClient(server.URL).do(t.Context(), call{method: http.MethodPost, path: "/", body: map[string]int{"a": 1}}, &answer)
			if (err == nil) != test.ok || (test.ok && answer.Answer != 42) {
				t.Errorf("error %v, answer %d", err, answer.Answer)
			}
			if attempts.Load() != test.attempts {
				t.Errorf("%d attempts, want %d", attempts.Load(), test.attempts)
			}
		})
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		if tcp, ok := connection.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not an end
		}
		_ = connection.Close()
	}
}

func TestClientWaitsAsAsked(t *testing.T) {
	var asked time.Time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.IsZero() {
			asked = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	if err := testClient(server.URL).do(t.Context(), call{method: http.MethodGet, path: "/"}, nil); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(asked); waited < time.Second {
		t.Errorf("waited %s, want the second that Retry-After asks for", waited)
	}
}

func TestClientStopsWaiting(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := testClient(server.URL).do(ctx, call{method: http.MethodGet, path: "/"}, nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestClientSaysWhatToDo(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	err := testClient(gone.URL).do(t.Context(), call{method: http.MethodGet, path: "/"}, nil)
	if err == nil || !strings.Contains(err.Error(), "perennial up") {
		t.Errorf("no engine: %v", err)
	}
	for status, want := range map[int]string{401: "PERENNIAL_KEY", 403: "perennial keys create"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		err := testClient(server.URL).do(t.Context(), call{method: http.MethodGet, path: "/"}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: error %v, want %q in it", status, err, want)
		}
		server.Close()
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
	defer server.Close()
	err = testClient(server.URL).do(t.Context(), call{method: http.MethodGet, path: "/"}, new(struct{}))
	if err == nil || !strings.Contains(err.Error(), "not the API of Perennial") {
		t.Errorf("another server: %v", err)
	}
}
