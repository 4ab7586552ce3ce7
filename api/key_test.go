package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestKeys: a key is made with its secret in the answer, listed without it, and ends for ever.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	made := s.post("/v1/keys", object{"name": "Web shop", "scopes": []string{"assign", "ingest"}}).is(http.StatusCreated)
	made.has(object{"/name": "Web shop", "/scopes": []any{"assign", "ingest"}, "/revoked_at": nil})
	secret, _ := made.at("/key").(string)
	id, _ := made.at("/id").(string)
	if len(secret) < 32 {
		t.Fatalf("the secret %q is short", secret)
	}

	s.post("/v1/assignments", object{"customer": "c1", "touchpoint": "none"}, with(secret)).fails(404, "not_found")
	list := s.get("/v1/keys").is(http.StatusOK)
	if strings.Contains(string(list.body), secret) {
		t.Error("the list tells the secret")
	}
	if n := s.count(`SELECT count(*) FROM api_keys k WHERE CAST(k AS text) LIKE '%' || $1 || '%'`, secret); n != 0 {
		t.Error("the secret is stored")
	}

	s.delete("/v1/keys/" + id).is(http.StatusNoContent)
	s.post("/v1/assignments", object{"customer": "c1", "touchpoint": "none"}, with(secret)).fails(401, "unauthenticated")
	s.delete("/v1/keys/" + id).is(http.StatusNoContent) // again changes nothing
	s.delete("/v1/keys/key_none").fails(http.StatusNotFound, "not_found")
	if n := s.count(`SELECT count(*) FROM api_keys WHERE id = $1 AND revoked_at IS NOT NULL`, id); n != 1 {
		t.Error("the revoked key is not kept as revoked")
	}
}
