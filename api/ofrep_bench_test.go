package api_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/api"
	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/journal"
	"github.com/perennial-engine/perennial/internal/pgtest"
	"github.com/perennial-engine/perennial/postgres"
)

// BenchmarkOFREP is the work of a request between the HTTP server's reading and writing,
// beside that of the floor: a bare gin handler that reads the same body with encoding/json
// and answers a fixed one. The whole way is measured by `make bench-assign`.
func BenchmarkOFREP(b *testing.B) {
	server := newDirect(b)
	server.call("PUT", "/v1/metrics/ltv_30", object{"kind": "ltv", "events": []string{"order"}, "window": object{"from_day": 0, "to_day": 30}})
	for i := range 20 {
		touchpoint, test := fmt.Sprintf("touchpoint-%d", i), fmt.Sprintf("test-%d", i)
		server.call("PUT", "/v1/touchpoints/"+touchpoint, object{"channel": "web", "content": object{"hero": "plain"}})
		server.call("POST", "/v1/experiments", object{
			"key": test, "touchpoints": []string{touchpoint}, "objective": "retention", "metrics": object{"primary": "ltv_30"},
			"variants": []object{
				{"key": "control", "control": true, "weight": 1},
				{"key": "warm", "weight": 1, "content": object{touchpoint: object{"subject": "Hello you", "hero": "warm"}}},
			},
			"plan": object{"method": "anytime"},
		})
		server.call("POST", "/v1/experiments/"+test+"/start", object{})
	}

	gin.SetMode(gin.ReleaseMode)
	floor := gin.New()
	fixed := []byte(`{"key":"touchpoint-0","reason":"SPLIT","variant":"warm","value":{"subject":"Hello you","hero":"warm"},"metadata":{}}`)
	floor.POST(flags+"/:key", func(c *gin.Context) {
		var body struct {
			Context map[string]any `json:"context"`
		}
		if err := json.NewDecoder(c.Request.Body).Decode(&body); err != nil || body.Context["targetingKey"] == "" {
			c.Status(http.StatusBadRequest)
			return
		}
		c.Data(http.StatusOK, "application/json", fixed)
	})

	const body = `{"context":{"targetingKey":"c-12345","country":"FR","age":42}}`
	for _, bm := range []struct {
		name    string
		handler http.Handler
		path    string
		body    string
	}{
		{"floor", floor, flags + "/touchpoint-0", body},
		{"one flag", server.api, flags + "/touchpoint-0", body},
		{"one flag, not plain", server.api, flags + "/touchpoint-0", `{"context":{"targetingKey":"c-12345","country":["FR"],"age":42}}`},
		{"20 flags", server.api, flags, body},
	} {
		b.Run(bm.name, func(b *testing.B) {
			request := asked(b, "POST", bm.path, bm.body)
			content := strings.NewReader(bm.body)
			request.Body = readCloser{content}
			w := &discarded{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				content.Reset(bm.body)
				clear(w.header)
				w.status = 0
				bm.handler.ServeHTTP(w, request)
				if w.status != http.StatusOK {
					b.Fatalf("status %d", w.status)
				}
			}
		})
	}
}

// A direct is the API on a database of its own, asked without a wire: for what asks very often.
type direct struct {
	tb  testing.TB
	api *api.Server
}

func newDirect(tb testing.TB) direct {
	tb.Helper()
	store, err := postgres.Open(pgtest.Database(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	kept, err := journal.Open(tb.TempDir(), journal.Options{Now: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = kept.Close() })
	random := &lockedReader{source: rand.NewChaCha8([32]byte{1})}
	c := api.Config{Log: slog.New(slog.DiscardHandler), Now: time.Now, Random: random, Version: "test"}
	c.Engine = engine.New(engine.Config{Store: store, Journal: kept, Now: time.Now, Random: random, Log: c.Log, Reporting: "EUR"})
	if err := c.Engine.Refresh(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if _, err := c.Engine.EnsureAdminKey(tb.Context(), adminKey); err != nil {
		tb.Fatal(err)
	}
	server, err := api.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return direct{tb, server}
}

// call sends a request that must succeed.
func (d direct) call(method, path string, body object) {
	d.tb.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		d.tb.Fatal(err)
	}
	w := httptest.NewRecorder()
	d.api.ServeHTTP(w, asked(d.tb, method, path, string(text)))
	if w.Code >= http.StatusMultipleChoices {
		d.tb.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

func asked(tb testing.TB, method, path, body string) *http.Request {
	tb.Helper()
	request := httptest.NewRequestWithContext(tb.Context(), method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+adminKey)
	request.Header.Set("Content-Type", "application/json")
	return request
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// discarded is an answer that nobody reads.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) WriteHeader(status int)      { d.status = status }
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }
