package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/api"
	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/journal"
	"github.com/perennial-engine/perennial/internal/pgtest"
	"github.com/perennial-engine/perennial/postgres"
	"github.com/perennial-engine/perennial/worker/webhook"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// start is the time at which the clock of a test begins.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// adminKey is the secret of the key that a test's requests are sent with by default.
const adminKey = "pk_test_admin"

// A system is the API on a database of its own, as a program on the other side of the wire
// meets it. Every answer is held against the OpenAPI document.
type system struct {
	t      *testing.T
	db     *sql.DB // beside the API, to look at what is stored
	engine *engine.Engine
	random io.Reader
	api    *api.Server
	url    string
	clock  *clock
	away   bool // the database does not answer: what waits for it goes on waiting
}

// in is the same system in a subtest.
func (s *system) in(t *testing.T) *system {
	t.Helper()
	inner := *s
	inner.t = t
	return &inner
}

// A clock stands still until it is told to pass.
type clock struct {
	sync.Mutex
	now time.Time
}

func newSystem(t *testing.T) *system {
	t.Helper()
	return newSystemOn(t, pgtest.Database(t))
}

// newSystemOn runs the API on the database at dsn.
func newSystemOn(t *testing.T, dsn string) *system {
	t.Helper()
	s := &system{t: t, clock: &clock{now: start}}
	store, err := postgres.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if s.db, err = sql.Open("postgres", dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	random := &lockedReader{source: rand.NewChaCha8([32]byte{1})}
	kept, err := journal.Open(t.TempDir(), journal.Options{Now: s.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	s.engine = engine.New(engine.Config{
		Store: store, Journal: kept, Now: s.now, Random: random, Log: slog.New(slog.DiscardHandler), Reporting: "EUR",
		Sender: webhook.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "test"),
	})
	if err := s.engine.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.engine.EnsureAdminKey(t.Context(), adminKey); err != nil {
		t.Fatal(err)
	}
	s.random = random
	return s.serve(func(*api.Config) {})
}

// serve puts the API on an address of its own, with another configuration.
func (s *system) serve(configure func(*api.Config)) *system {
	s.t.Helper()
	c := api.Config{Engine: s.engine, Log: slog.New(slog.DiscardHandler), Now: s.now, Random: s.random, Version: "test"}
	configure(&c)
	var err error
	if s.api, err = api.New(c); err != nil {
		s.t.Fatal(err)
	}
	server := httptest.NewServer(s.api)
	s.t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *system) now() time.Time {
	s.clock.Lock()
	defer s.clock.Unlock()
	return s.clock.now
}

// pass lets time pass.
func (s *system) pass(d time.Duration) {
	s.clock.Lock()
	defer s.clock.Unlock()
	s.clock.now = s.clock.now.Add(d)
}

const day = 24 * time.Hour

// lockedReader makes a source of bytes safe for concurrent use.
type lockedReader struct {
	sync.Mutex
	source io.Reader
}

func (r *lockedReader) Read(b []byte) (int, error) {
	r.Lock()
	defer r.Unlock()
	return r.source.Read(b)
}

// An option changes a request before it is sent.
type option func(*http.Request)

func header(name, value string) option {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func ifMatch(etag string) option { return header("If-Match", etag) }

// with sends the request with another key; the empty string sends none.
func with(secret string) option {
	return func(r *http.Request) {
		r.Header.Del("Authorization")
		if secret != "" {
			r.Header.Set("Authorization", "Bearer "+secret)
		}
	}
}

const ndjson = "application/x-ndjson"

// An answer is what the API said.
type answer struct {
	t       *testing.T
	request *http.Request
	what    string // the request, in short
	status  int
	header  http.Header
	body    []byte
}

// do sends a request and holds the answer against the document. A string or bytes are sent
// as they are, nil sends no body, and anything else is sent as JSON.
func (s *system) do(method, path string, body any, options ...option) *answer {
	s.t.Helper()
	a := s.request(method, path, body, options...)
	document(s.t).check(s.t, body, a)
	return a
}

// request is do without the document.
func (s *system) request(method, path string, body any, options ...option) *answer {
	s.t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	case []byte:
		content = bytes.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, content)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, o := range options {
		o(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, short(path), err)
	}
	defer func() { _ = response.Body.Close() }()
	a := &answer{
		t: s.t, request: request, what: method + " " + short(path), status: response.StatusCode, header: response.Header,
	}
	if a.body, err = io.ReadAll(response.Body); err != nil {
		s.t.Fatalf("%s: %v", a.what, err)
	}
	if waiting, _ := s.engine.Waiting(); waiting > 0 && !s.away {
		// What an assignment answered is in the journal; the test looks into the database.
		if err := s.engine.Flush(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
	return a
}

func (s *system) get(path string, options ...option) *answer {
	s.t.Helper()
	return s.do(http.MethodGet, path, nil, options...)
}

func (s *system) post(path string, body any, options ...option) *answer {
	s.t.Helper()
	return s.do(http.MethodPost, path, body, options...)
}

func (s *system) put(path string, body any, options ...option) *answer {
	s.t.Helper()
	return s.do(http.MethodPut, path, body, options...)
}

func (s *system) patch(path string, body any, options ...option) *answer {
	s.t.Helper()
	return s.do(http.MethodPatch, path, body, options...)
}

func (s *system) delete(path string, options ...option) *answer {
	s.t.Helper()
	return s.do(http.MethodDelete, path, nil, options...)
}

func short(text string) string {
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}

// is fails the test unless the answer has this status.
func (a *answer) is(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s answers %d, want %d\n%s", a.what, a.status, status, short(string(a.body)))
	}
	return a
}

// fails fails the test unless the answer is a problem with this status and code and, where
// pointers are given, these fields.
func (a *answer) fails(status int, code string, pointers ...string) *answer {
	a.t.Helper()
	a.is(status)
	var p problem
	a.into(&p)
	if p.Code != code {
		a.t.Fatalf("%s: code %q, want %q\n%s", a.what, p.Code, code, short(string(a.body)))
	}
	got := []string{}
	for _, e := range p.Errors {
		got = append(got, e.Pointer)
	}
	if len(pointers) > 0 && strings.Join(got, " ") != strings.Join(pointers, " ") {
		a.t.Fatalf("%s: fields %q, want %q\n%s", a.what, got, pointers, short(string(a.body)))
	}
	return a
}

type problem struct {
	Type, Title, Detail, Code string
	Status                    int
	RequestID                 string `json:"request_id"`
	Errors                    []struct{ Pointer, Detail string }
}

// into decodes the answer.
func (a *answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%s: %v\n%s", a.what, err, short(string(a.body)))
	}
}

// at answers the value under a JSON pointer such as /data/0/key; nil where there is none.
func (a *answer) at(pointer string) any {
	a.t.Helper()
	var v any
	a.into(&v)
	value, _ := lookup(v, pointer)
	return value
}

// has fails the test unless the value under each pointer is the given one; numbers are
// float64.
func (a *answer) has(want map[string]any) *answer {
	a.t.Helper()
	for pointer, value := range want {
		if got := a.at(pointer); fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", value) {
			a.t.Errorf("%s: %s is %#v, want %#v", a.what, pointer, got, value)
		}
	}
	return a
}

// A receipt is what a batch answers.
type receipt struct {
	Accepted, Duplicates, Rejected int
	Rejections                     []rejection
	Errors                         map[string]struct {
		Code, Detail string
		Retriable    bool
	}
}

type rejection struct {
	Index        int
	ID           *string
	Code, Detail string
	Retriable    bool
}

// receipt decodes the receipt of a batch and compares its counts.
func (a *answer) receipt(accepted, duplicates, rejected int) receipt {
	a.t.Helper()
	a.is(http.StatusOK)
	var r receipt
	a.into(&r)
	if r.Accepted != accepted || r.Duplicates != duplicates || r.Rejected != rejected || len(r.Rejections) != rejected {
		a.t.Fatalf("%s: accepted %d, duplicates %d, rejected %d; want %d, %d, %d\n%s", a.what,
			r.Accepted, r.Duplicates, r.Rejected, accepted, duplicates, rejected, short(string(a.body)))
	}
	return r
}

// stored is all that the database holds: the number of rows and a digest of each table. The
// ingest position is left out, since it may grow for a batch of which nothing is kept.
func (s *system) stored() string {
	s.t.Helper()
	var everything string
	if err := s.db.QueryRowContext(s.t.Context(), `
		SELECT string_agg(table_name || ' ' || CAST(xpath('/row/digest/text()', query_to_xml(format(
				'SELECT count(*) || '' '' || coalesce(md5(string_agg(t::text, '','' ORDER BY t::text)), '''') AS digest FROM %I t',
				table_name), false, true, '')) AS text), E'\n' ORDER BY table_name)
		FROM information_schema.tables
		WHERE table_schema = 'public' AND table_name <> 'ingest_position'`).Scan(&everything); err != nil {
		s.t.Fatal(err)
	}
	return everything
}

// keeps fails the test when do alters anything that is stored.
func (s *system) keeps(what string, do func()) {
	s.t.Helper()
	before := s.stored()
	do()
	if after := s.stored(); after != before {
		s.t.Errorf("%s: something was stored\nbefore:\n%s\nafter:\n%s", what, before, after)
	}
}

// count answers a number of the database.
func (s *system) count(query string, args ...any) (n int) {
	s.t.Helper()
	if err := s.db.QueryRowContext(context.WithoutCancel(s.t.Context()), query, args...).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// key makes a key with these scopes and answers its secret.
func (s *system) key(scopes ...string) string {
	s.t.Helper()
	secret, ok := s.post("/v1/keys", object{"name": strings.Join(scopes, " "), "scopes": scopes}).is(201).at("/key").(string)
	if !ok {
		s.t.Fatal("the answer has no key")
	}
	return secret
}

// object is a JSON object.
type object = map[string]any

// and answers a copy of an object with other members; a nil value takes the member away.
func and(o, changes object) object {
	changed := maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(changed, name)
		} else {
			changed[name] = value
		}
	}
	return changed
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	packed, err := pack(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func pack(text io.Reader) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.Copy(w, text); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

// zippedSpaces are spaces that make any body too large, packed: they may stand behind
// another packed text.
var zippedSpaces = sync.OnceValue(func() []byte {
	packed, err := pack(strings.NewReader(strings.Repeat(" ", api.MaxBatchForTest)))
	if err != nil {
		panic(err)
	}
	return packed
})

// text is n letters.
func text(n int) string { return strings.Repeat("a", n) }

func contains(s, part string) bool { return strings.Contains(s, part) }

// line writes one element of a batch.
func line(element any) string {
	if text, ok := element.(raw); ok {
		return string(text)
	}
	encoded, err := json.Marshal(element)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}
