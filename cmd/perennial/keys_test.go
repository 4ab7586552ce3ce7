package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A recorded request, as "METHOD path body".
func recorder(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) (environ map[string]string, requests *[]string) {
	t.Helper()
	requests = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*requests = append(*requests, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)))
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return map[string]string{"PERENNIAL_URL": server.URL, "PERENNIAL_KEY": "k1"}, requests
}

func TestKeysCreate(t *testing.T) {
	environ, requests := recorder(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Idempotency-Key") == "" {
			t.Error("no Idempotency-Key: sent twice, it would make two keys")
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"id":"1","name":"site","scopes":["assign","ingest"],"key":"pk_x","created_at":"2026-03-01T10:00:00Z"}`)
	})
	args := []string{"keys", "create", "--name", "site", "--scope", "assign", "--scope", "ingest"}
	if got := perennial(t, environ, "", args...); got != (result{exitDone, "pk_x\n", ""}) {
		t.Errorf("%+v", got)
	}
	got := perennial(t, environ, "", append(args, "--json")...)
	var key keyInfo
	if err := json.Unmarshal([]byte(got.stdout), &key); err != nil || key.Key != "pk_x" || key.ID != "1" {
		t.Errorf("%v: %+v", err, got)
	}
	want := `POST /v1/keys {"name":"site","scopes":["assign","ingest"]}`
	if diff := cmp.Diff([]string{want, want}, *requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if got := perennial(t, environ, "", "keys", "create", "--name", "site"); got.code != exitUsage {
		t.Errorf("without a scope: %+v", got)
	}
}

func TestKeysList(t *testing.T) {
	environ, requests := recorder(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" {
			_, _ = io.WriteString(w, `{"data":[{"id":"1","name":"site","scopes":["assign"],"created_at":"2026-03-01T10:00:00Z","revoked_at":null}],"next_cursor":"a&b"}`)
			return
		}
		_, _ = io.WriteString(w, `{"data":[{"id":"22","name":"loader","scopes":["ingest","read"],"created_at":"2026-03-02T10:00:00Z","revoked_at":"2026-03-03T10:00:00Z"}],"next_cursor":null}`)
	})
	got := perennial(t, environ, "", "keys", "list")
	want := `ID  NAME    SCOPES       CREATED     REVOKED
1   site    assign       2026-03-01  –
22  loader  ingest read  2026-03-02  2026-03-03
`
	if diff := cmp.Diff(result{exitDone, want, ""}, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"GET /v1/keys", "GET /v1/keys?cursor=a%26b"}, *requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestKeysRevoke(t *testing.T) {
	environ, requests := recorder(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/gone") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"title":"Not found","detail":"no key gone","code":"not_found"}`)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if got := perennial(t, environ, "", "keys", "revoke", "a/b"); got != (result{exitDone, "Revoked a/b.\n", ""}) {
		t.Errorf("%+v", got)
	}
	want := result{exitFailed, "", "perennial: 404 Not found: no key gone (code not_found)\n"}
	if got := perennial(t, environ, "", "keys", "revoke", "gone"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if diff := cmp.Diff([]string{"DELETE /v1/keys/a%2Fb", "DELETE /v1/keys/gone"}, *requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
