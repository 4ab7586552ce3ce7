package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/perennial-engine/perennial/api"
)

// fuzzed is one system for all runs of a fuzz target.
func fuzzed(f *testing.F) func(t *testing.T, path string, body []byte) *httptest.ResponseRecorder {
	f.Helper()
	server := newDirect(f)
	server.call("PUT", "/v1/touchpoints/till", object{"channel": "store", "content": "own"})
	server.call("PUT", "/v1/metrics/ltv_30", object{"kind": "ltv", "events": []string{"order"}, "window": object{"from_day": 0, "to_day": 30}})
	server.call("POST", "/v1/experiments", object{
		"key": "fuzzed", "touchpoints": []string{"till"}, "objective": "retention", "metrics": object{"primary": "ltv_30"},
		"audience": "customer.country != 'FR' && customer.age > 17 && channel == 'store'", "plan": object{"method": "anytime"},
		"variants": []object{{"key": "control", "control": true, "weight": 1}, {"key": "warm", "weight": 1, "content": object{"till": "w"}}},
	})
	server.call("POST", "/v1/experiments/fuzzed/start", object{})
	var one sync.Mutex // the answers of one run belong together
	return func(t *testing.T, path string, body []byte) *httptest.ResponseRecorder {
		t.Helper()
		one.Lock()
		defer one.Unlock()
		w := httptest.NewRecorder()
		server.api.ServeHTTP(w, asked(t, "POST", path, string(body)))
		return w
	}
}

var questions = []string{
	`{"context":{"targetingKey":"c1","country":"FR","age":42}}`, `{"context":{"targetingKey":"c1","age":"many","list":[1,{"a":null}]}}`,
	` { "context" : { "targetingKey" : "kunde 42" } } `, `{"context":{"targetingKey":"a\u0000"}}`, `{"context":{"targetingKey":"\ud800"}}`,
	`{"context":{"targetingKey":"c1","targetingKey":"c2"}}`, `{"context":{"a":1,"a":1,"targetingKey":"c"}}`, `{"context":{"targetingKey":1}}`,
	`{"context":{"targetingKey":"c1","n":01}}`, `{"context":{"targetingKey":"c1","n":1e999}}`, `{"context":{"targetingKey":"c1","n":-}}`,
	`{"context":{"targetingKey":"c1",}}`, `{"context":{}}`, `{"context":null}`, `{"context":[]}`, `{}`, `[]`, `null`, ``, `{"context":{"targetingKey":"c1"}}x`,
	`{"context":{"targetingKey":"c1","x":tru}}`, `{"context":{"targetingKey":"c1"},"more":[]}`, "{\"context\":{\"targetingKey\":\"\xff\"}}",
	`{"context":{"targetingKey":"c1","":"","country":null}}`,
}

// FuzzOFREP: whatever an OFREP body is, it is answered, or refused as a client's mistake in
// the way that OpenFeature's providers understand.
func FuzzOFREP(f *testing.F) {
	for _, seed := range questions {
		f.Add([]byte(seed))
	}
	ask := fuzzed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var statuses [2]int
		for i, path := range []string{flags + "/till", flags} {
			w := ask(t, path, body)
			statuses[i] = w.Code
			var a struct {
				Value, Flags any
				ErrorCode    string // errorCode: encoding/json does not mind the case
			}
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatalf("%s %q answers what is no JSON: %v", path, body, err)
			}
			switch w.Code {
			case http.StatusOK:
				if (a.Value == nil) == (a.Flags == nil) || a.ErrorCode != "" {
					t.Errorf("%s %q answers %s", path, body, w.Body)
				}
			case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
				if a.ErrorCode == "" {
					t.Errorf("%s %q: no error code in %s", path, body, w.Body)
				}
			default:
				t.Errorf("%s %q answers %d", path, body, w.Code)
			}
		}
		if statuses[0] != statuses[1] {
			t.Errorf("%q: one flag answers %d, all flags %d", body, statuses[0], statuses[1])
		}
	})
}

// FuzzScan: what the scanner takes for plain, the decoder reads to the same question.
func FuzzScan(f *testing.F) {
	for _, seed := range questions {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		customer, context, plain := api.ScanForTest(body)
		if !plain {
			return
		}
		wantCustomer, wantContext, err := api.DecodeQuestionForTest(body)
		if err != nil {
			t.Fatalf("%q is plain and refused: %v", body, err)
		}
		if !bytes.Equal(customer, wantCustomer) || !bytes.Equal(bytes.TrimSpace(context), bytes.TrimSpace(wantContext)) {
			t.Errorf("%q: scanned %q %q, decoded %q %q", body, customer, context, wantCustomer, wantContext)
		}
	})
}

// FuzzAssignments: whatever the body of an assignment is, it is answered, or refused as a
// client's mistake.
func FuzzAssignments(f *testing.F) {
	for _, seed := range []string{
		`{"customer":"c1","touchpoint":"till","attributes":{"country":"FR"},"record":true}`, `{"customers":["c1","c2"],"touchpoint":"till"}`,
		`{"customers":[],"touchpoint":"till"}`, `{"customer":"c1","customers":["c1"],"touchpoint":"till"}`, `{"customer":"","touchpoint":"till"}`,
		`{"customer":"c1","touchpoint":"none"}`, `{"customer":"c1","touchpoint":"till","attributes":[]}`, `{"customer":"c1","touchpoint":"till","attributes":null}`,
		`{"customer":"c1","touchpoint":"till","attributes":{"age":{"a":[1e400]}}}`, `{"customers":["a",1],"touchpoint":"till"}`, `{}`, `null`, `[`, ``,
		`{"customer":"c1","touchpoint":"till","record":"no"}`, `{"customer":"c1","touchpoint":"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	ask := fuzzed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/v1/assignments", "/v1/assignments?format=csv"} {
			w := ask(t, path, body)
			switch w.Code {
			case http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			default:
				t.Errorf("%s %q answers %d: %s", path, body, w.Code, w.Body)
			}
		}
	})
}
