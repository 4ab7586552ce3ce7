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
	store, err := postgres.Open(pgtest.Database(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	kept, err := journal.Open(b.TempDir(), journal.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = kept.Close() })
	c := api.Config{Log: slog.New(slog.DiscardHandler), Now: time.Now, Random: rand.NewChaCha8([32]byte{1}), Version: "test"}
	c.Engine = engine.New(engine.Config{Store: store, Journal: kept, Now: time.Now, Random: c.Random, Log: c.Log, Reporting: "EUR"})
	if err := c.Engine.Refresh(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := c.Engine.EnsureAdminKey(b.Context(), adminKey); err != nil {
		b.Fatal(err)
	}
	server, err := api.New(c)
	if err != nil {
		b.Fatal(err)
	}
	call := func(method, path string, body object) {
		text, _ := json.Marshal(body)
		w := httptest.NewRecorder()
		server.ServeHTTP(w, asked(b, method, path, string(text)))
		if w.Code >= 300 {
			b.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
	call("PUT", "/v1/metrics/ltv_30", object{"kind": "ltv", "events": []string{"order"}, "window": object{"from_day": 0, "to_day": 30}})
	for i := range 20 {
		touchpoint, test := fmt.Sprintf("touchpoint-%d", i), fmt.Sprintf("test-%d", i)
		call("PUT", "/v1/touchpoints/"+touchpoint, object{"channel": "web", "content": object{"hero": "plain"}})
		call("POST", "/v1/experiments", object{
			"key": test, "touchpoints": []string{touchpoint}, "objective": "retention", "metrics": object{"primary": "ltv_30"},
			"variants": []object{
				{"key": "control", "control": true, "weight": 1},
				{"key": "warm", "weight": 1, "content": object{touchpoint: object{"subject": "Hello you", "hero": "warm"}}},
			},
			"plan": object{"method": "anytime"},
		})
		call("POST", "/v1/experiments/"+test+"/start", object{})
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
		{"one flag", server, flags + "/touchpoint-0", body},
		{"one flag, not plain", server, flags + "/touchpoint-0", `{"context":{"targetingKey":"c-12345","country":["FR"],"age":42}}`},
		{"20 flags", server, flags, body},
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
