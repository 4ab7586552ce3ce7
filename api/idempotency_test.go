package api_test

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func idempotencyKey(key string) option { return header("Idempotency-Key", key) }

// TestIdempotentCreate: the same key and body answer the first answer again, byte for byte,
// for each create; another body is 422.
func TestIdempotentCreate(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"key": "running"}))
	for path, c := range map[string]struct {
		body, other any
		table       string
	}{
		"/v1/experiments":                            {welcomeTone, and(welcomeTone, object{"name": "x"}), "experiments"},
		"/v1/keys":                                   {object{"name": "k", "scopes": []string{"read"}}, object{"name": "k", "scopes": []string{"admin"}}, "api_keys"},
		"/v1/experiments/running/reports":            {nil, `{"as_of": "2026-03-01T12:00:00Z"}`, "reports"},
		"/v1/experiments/running/reports?format=csv": {`{}`, `{"as_of": null}`, "reports"},
	} {
		t.Run(path, func(t *testing.T) {
			s, key := s.in(t), idempotencyKey("once "[:4]+strings.ReplaceAll(path, "/", "."))
			before := s.count(`SELECT count(*) FROM ` + c.table)
			first := s.post(path, c.body, key).is(http.StatusCreated)
			s.pass(time.Hour)
			again := s.post(path, c.body, key).is(http.StatusCreated)
			if !bytes.Equal(first.body, again.body) || first.header.Get("ETag") != again.header.Get("ETag") ||
				first.header.Get("Content-Type") != again.header.Get("Content-Type") {
				t.Errorf("first %s\nagain %s", first.body, again.body)
			}
			if n := s.count(`SELECT count(*) FROM `+c.table) - before; n != 1 {
				t.Errorf("%d rows were made, want 1", n)
			}
			s.post(path, c.other, key).fails(http.StatusUnprocessableEntity, "idempotency_key_reused")
		})
	}
}

// TestIdempotentQuery: what a query asks for is part of the request. A report by channel is no
// answer to who asks for one by tier.
func TestIdempotentQuery(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(welcomeTone)
	path, key := "/v1/experiments/welcome-tone/reports", idempotencyKey("once")
	s.post(path+"?segment=channel", nil, key).is(http.StatusCreated).has(object{"/segment_by": "channel"})
	s.post(path+"?segment=channel", nil, key).is(http.StatusCreated).has(object{"/segment_by": "channel"})
	for _, other := range []string{"", "?segment=objective"} {
		s.post(path+other, nil, key).fails(http.StatusUnprocessableEntity, "idempotency_key_reused")
	}
}

// TestIdempotentSecret: the secret of a key comes again to who asked for it, and is nowhere
// to be read in the database.
func TestIdempotentSecret(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	body := object{"name": "k", "scopes": []string{"admin"}}
	secret, _ := s.post("/v1/keys", body, idempotencyKey("once")).is(http.StatusCreated).at("/key").(string)
	if again := s.post("/v1/keys", body, idempotencyKey("once")).at("/key"); again != secret {
		t.Errorf("the secret is %v at first and %v again", secret, again)
	}
	if n := s.count(`SELECT count(*) FROM idempotency_keys k WHERE position(CAST($1 AS bytea) IN k.body) > 0`, secret); n != 0 {
		t.Error("the secret is stored in the clear")
	}
	// The same Idempotency-Key of another caller is another one.
	if other := s.post("/v1/keys", body, idempotencyKey("once"), with(secret)).is(http.StatusCreated).at("/key"); other == secret {
		t.Error("another caller gets the secret")
	}
}

// TestIdempotencyOfFailures: what failed is not kept, so that it may be sent again mended
// or as it is.
func TestIdempotencyOfFailures(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.post("/v1/experiments", welcomeTone, idempotencyKey("once")).fails(http.StatusUnprocessableEntity, "unknown_metric")
	s.post("/v1/experiments", `{"key":`, idempotencyKey("once")).fails(http.StatusBadRequest, "malformed_json")
	s.catalogue()
	s.post("/v1/experiments", welcomeTone, idempotencyKey("once")).is(http.StatusCreated)
	s.post("/v1/experiments", welcomeTone, idempotencyKey("once")).is(http.StatusCreated)
	for _, bad := range []string{"a b", "ü", text(201)} {
		s.post("/v1/keys", object{"name": "k", "scopes": []string{"read"}}, idempotencyKey(bad)).fails(http.StatusBadRequest, "invalid_idempotency_key")
	}
}

// TestIdempotencyInFlight: while the first request is under way, the same again is 409;
// after a minute it has died and the next one takes over.
func TestIdempotencyInFlight(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	body := object{"name": "k", "scopes": []string{"read"}}
	s.post("/v1/keys", body, idempotencyKey("once")).is(http.StatusCreated)
	if _, err := s.db.ExecContext(t.Context(), `UPDATE idempotency_keys SET status = 0, body = NULL`); err != nil {
		t.Fatal(err)
	}
	s.keeps("in flight", func() {
		s.post("/v1/keys", body, idempotencyKey("once")).fails(http.StatusConflict, "in_flight")
	})
	s.pass(2 * time.Minute)
	s.post("/v1/keys", body, idempotencyKey("once")).is(http.StatusCreated)
}

// TestIdempotencyAtOnce: of many at the same moment, one makes it.
func TestIdempotencyAtOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var wait sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		wait.Go(func() {
			statuses[i] = s.post("/v1/keys", `{"name": "k", "scopes": ["read"]}`, idempotencyKey("once")).status
		})
	}
	wait.Wait()
	for _, status := range statuses {
		if status != http.StatusCreated && status != http.StatusConflict {
			t.Errorf("statuses %v, want 201 and 409", statuses)
		}
	}
	if n := s.count(`SELECT count(*) FROM api_keys WHERE name = 'k'`); n != 1 {
		t.Errorf("%d keys were made", n)
	}
}
