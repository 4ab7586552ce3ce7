package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/api"
	"github.com/perennial-engine/perennial/engine"
)

// FuzzDecode: whatever a body is, it is read or refused as malformed, and what is read is
// one JSON document in UTF-8 without NUL.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(line(order)))
	f.Add([]byte(nested(100)))
	for _, m := range envelopes {
		if seed := m.spoil(line(order)); len(seed) < 1_000 {
			f.Add([]byte(seed))
		}
	}
	for _, m := range mutations {
		if seed := m.spoil(line(order)); len(seed) < 1_000 {
			f.Add([]byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := api.DecodeForTest(body)
		if err != nil {
			if status := api.StatusForTest(err); status != http.StatusBadRequest || engine.KindOf(err) != engine.KindMalformed {
				t.Errorf("refused with %d: %v", status, err)
			}
			return
		}
		if !json.Valid(body) || !utf8.Valid(body) || bytes.ContainsRune(body, 0) {
			t.Errorf("read what is no JSON document in UTF-8: %q", body)
		}
	})
}

// FuzzReadBatch: whatever a batch is, it is taken apart or refused as malformed or too large.
func FuzzReadBatch(f *testing.F) {
	for _, seed := range []string{
		batchOf("events", order, order), batchOf("events"), batchOf("event", order), `{"events":{}}`, `{"events":[],"events":[]}`,
		`{"events":[1,]}`, `{"events":[1 2]}`, `{"events":[1]}x`, `{"events":[1}]`, line(order) + "\n" + line(order), "\n\r\n{", "{}\n[]\nnull\n",
		"{\"events\":[\"\xff\"]}", `{"events":[{"id":"\ud800"}]}`, `{"events":[{"id":1,"id":2}]}`,
	} {
		f.Add([]byte(seed), false, false)
		f.Add([]byte(seed), true, false)
		f.Add([]byte(seed), false, true)
	}
	gin.SetMode(gin.TestMode)
	f.Fuzz(func(t *testing.T, body []byte, lines, packed bool) {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/events", bytes.NewReader(body))
		if lines {
			c.Request.Header.Set("Content-Type", ndjson)
		}
		if packed {
			c.Request.Header.Set("Content-Encoding", "gzip")
		}
		n, err := api.ReadBatchForTest(c)
		switch status := api.StatusForTest(err); {
		case err == nil && (n < 0 || n > engine.MaxBatch):
			t.Errorf("%d elements", n)
		case err != nil && status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge:
			t.Errorf("refused with %d: %v", status, err)
		}
	})
}
