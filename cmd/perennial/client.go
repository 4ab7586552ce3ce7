package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// maxAnswer bounds what the client reads of an answer.
const maxAnswer = 64 << 20

// patient is a number of attempts: half a minute, enough for a restart of the engine.
const patient = 8

// A client talks to the HTTP API of a running engine. A request that did not
// come through is sent again: every request of the API may be.
type client struct {
	base     string // without a slash at the end
	key      Secret
	http     *http.Client
	log      *slog.Logger
	attempts int           // how often a request is sent at most
	pause    time.Duration // before the second attempt; doubles with each
}

// newClient makes the client of a client command.
func newClient(config Config, log *slog.Logger) *client {
	return &client{
		base: strings.TrimSuffix(string(config.URL), "/"),
		key:  config.Key,
		// A report over all customers takes its time.
		http:     &http.Client{Timeout: 2 * time.Minute},
		log:      log,
		attempts: 3,
		pause:    250 * time.Millisecond,
	}
}

// clientFor reads the configuration of a client command and makes its client.
func (a *app) clientFor(cmd *cobra.Command) (*client, error) {
	config, err := a.config(cmd)
	if err != nil {
		return nil, err
	}
	return newClient(config, a.logger(config)), nil
}

// A call is one request to the API.
type call struct {
	method, path string // path is escaped and begins with a slash
	body         any    // sent as JSON, unless nil
	idempotency  string // Idempotency-Key of what would be made twice without
}

// do sends a call and decodes the answer into answer, unless that is nil. A *[]byte gets it as
// it is.
func (c *client) do(ctx context.Context, call call, answer any) error {
	var body []byte
	if call.body != nil {
		var err error
		if body, err = json.Marshal(call.body); err != nil {
			return err
		}
	}
	return c.patiently(ctx, func() (time.Duration, error) { return c.attempt(ctx, call, body, answer) })
}

// find tells soon whether an engine is there at all. From then on the client is patient: an
// engine may restart without ending what takes long.
func (c *client) find(ctx context.Context) error {
	err := c.do(ctx, call{method: http.MethodGet, path: "/healthz"}, nil)
	if _, answered := errors.AsType[*problem](err); err != nil && !answered {
		return err
	}
	c.attempts = patient
	return nil
}

// open sends a call and answers what is to be read, for as long as that takes.
func (c *client) open(ctx context.Context, call call) (response *http.Response, err error) {
	err = c.patiently(ctx, func() (wait time.Duration, err error) {
		response, wait, err = c.send(ctx, call, nil) //nolint:bodyclose // the caller does
		return wait, err
	})
	return response, err
}

// patiently tries, and again where the engine may answer a moment later. try answers the wait
// that the server asks for.
func (c *client) patiently(ctx context.Context, try func() (time.Duration, error)) error {
	pause := c.pause
	for attempt := 1; ; attempt++ {
		wait, err := try()
		if err == nil || attempt >= c.attempts || !retriable(err) {
			return c.explain(ctx, err)
		}
		wait = max(wait, pause)
		if wait >= time.Second { // shorter than that, nobody wonders
			c.log.WarnContext(ctx, "engine is away, trying again", "url", c.base, "wait", wait, "error", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		pause *= 2
	}
}

// attempt sends a call once. With an error it answers the wait the server asks for.
func (c *client) attempt(ctx context.Context, call call, body []byte, answer any) (time.Duration, error) {
	response, wait, err := c.send(ctx, call, body)
	if err != nil {
		return wait, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, err
	}
	if answer == nil {
		return 0, nil
	}
	if raw, ok := answer.(*[]byte); ok {
		*raw = text
		return 0, nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return 0, fmt.Errorf("%s %s answers what is not the API of Perennial: %w", call.method, c.base+call.path, err)
	}
	return 0, nil
}

// send sends a call once and answers a response that is none of an error. With an error it
// answers the wait the server asks for.
func (c *client) send(ctx context.Context, call call, body []byte) (*http.Response, time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, call.method, c.base+call.path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+string(c.key))
	}
	if call.idempotency != "" {
		request.Header.Set("Idempotency-Key", call.idempotency)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, 0, err
	}
	if response.StatusCode < 300 {
		return response, 0, nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, 0, err
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	wait := min(time.Duration(seconds)*time.Second, time.Minute)
	return nil, wait, readProblem(response, text)
}

// retriable tells whether the engine may answer a moment later.
func retriable(err error) bool {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.Status == http.StatusServiceUnavailable
	}
	for _, away := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, away) {
			return true
		}
	}
	return false
}

// explain says what to do about an error, where that is known.
func (c *client) explain(ctx context.Context, err error) error {
	p, isProblem := errors.AsType[*problem](err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isProblem && p.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w\nGive a key of this engine in PERENNIAL_KEY", err)
	case isProblem && p.Status == http.StatusForbidden:
		return fmt.Errorf("%w\nUse a key that has the scope, or make one: perennial keys create", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no engine answers at %s: start one (perennial up) or give its address (--url or PERENNIAL_URL)", c.base)
	}
	return err
}

// A problem is an error answer of the API, RFC 9457.
type problem struct {
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		Pointer string `json:"pointer"`
		Detail  string `json:"detail"`
	} `json:"errors"`
}

// readProblem makes an error of an answer, whoever wrote it: a proxy in between
// answers HTML.
func readProblem(response *http.Response, text []byte) *problem {
	var p problem
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if mediaType == "application/problem+json" || mediaType == "application/json" {
		if err := json.Unmarshal(text, &p); err != nil {
			p = problem{}
		}
	}
	p.Status = response.StatusCode
	p.Title = cmp.Or(p.Title, http.StatusText(p.Status), "Unexpected answer")
	return &p
}

// Error is "404 Not found: no experiment welcome (code not_found, request 01J…)"
// and a line for each wrong field.
func (p *problem) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d %s", p.Status, p.Title)
	if p.Detail != "" && p.Detail != p.Title {
		text.WriteString(": " + p.Detail)
	}
	var marks []string
	if p.Code != "" {
		marks = append(marks, "code "+p.Code)
	}
	if p.RequestID != "" {
		marks = append(marks, "request "+p.RequestID)
	}
	if len(marks) > 0 {
		fmt.Fprintf(&text, " (%s)", strings.Join(marks, ", "))
	}
	for _, e := range p.Errors {
		fmt.Fprintf(&text, "\n  %s: %s", cmp.Or(e.Pointer, "/"), e.Detail)
	}
	return text.String()
}
