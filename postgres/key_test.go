package postgres

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
)

func TestKeys(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	e, other := newEngine(t, s, c, 1), newEngine(t, s, c, 2)
	key, secret, err := e.CreateKey(t.Context(), "shop", []engine.Scope{engine.ScopeAssign, engine.ScopeIngest})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, `SELECT count(*) FROM api_keys WHERE CAST(api_keys AS text) LIKE '%' || $1 || '%'`, secret); n != 0 {
		t.Error("the secret is stored")
	}
	_, err = other.Authenticate(secret)
	kindOf(t, err, engine.KindUnauthenticated, "unauthenticated")
	if err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, process := range []*engine.Engine{e, other} {
		got := must(process.Authenticate(secret))(t)
		if diff := cmp.Diff(key, got); diff != "" {
			t.Errorf("process %d (-made +found):\n%s", i, diff)
		}
		if !got.Allows(engine.ScopeIngest) || got.Allows(engine.ScopeRead) {
			t.Errorf("scopes %v", got.Scopes)
		}
	}
	for range 2 { // the second time changes nothing
		if err := e.RevokeKey(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		c.Set(c.Now().Add(time.Hour))
	}
	_, err = e.Authenticate(secret)
	kindOf(t, err, engine.KindUnauthenticated, "unauthenticated")
	listed := must(e.ListKeys(t.Context(), engine.Page{Limit: 10}))(t)
	if len(listed) != 1 || listed[0].RevokedAt == nil || !listed[0].RevokedAt.Equal(start) {
		t.Errorf("listed %+v, want the key as revoked at %v", listed, start)
	}
	kindOf(t, e.RevokeKey(t.Context(), "none"), engine.KindNotFound, "not_found")
}

// Many processes that start at once with one bootstrap key make it once.
func TestBootstrapKey(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	var started []*engine.Engine
	for i := range 4 {
		started = append(started, newEngine(t, s, c, byte(i)))
	}
	var wait sync.WaitGroup
	for _, e := range started {
		wait.Go(func() {
			if made, err := e.EnsureAdminKey(context.Background(), "bootstrap-secret"); err != nil || made != "" {
				t.Errorf("made %q, error %v", made, err)
			}
			if _, err := e.Authenticate("bootstrap-secret"); err != nil {
				t.Errorf("the process that has started does not know its key: %v", err)
			}
		})
	}
	wait.Wait()
	e := newEngine(t, s, c, 9)
	if k := must(e.Authenticate("bootstrap-secret"))(t); !k.Allows(engine.ScopeDecide) {
		t.Errorf("scopes %v", k.Scopes)
	}
	if n := count(t, s, `SELECT count(*) FROM api_keys`); n != 1 {
		t.Errorf("%d keys", n)
	}
	if made := must(e.EnsureAdminKey(t.Context(), ""))(t); made != "" {
		t.Error("a second admin key was made")
	}
	fresh := newEngine(t, newStore(t), c, 1)
	if made := must(fresh.EnsureAdminKey(t.Context(), ""))(t); made == "" {
		t.Error("an empty database got no key")
	} else if _, err := fresh.Authenticate(made); err != nil {
		t.Error(err)
	}
}

// A bootstrap key that was revoked stays revoked, and one that may do less does not grow: both
// are told, and neither keeps a process from starting.
func TestBootstrapKeyIsNoAdminKey(t *testing.T) {
	for _, tt := range []struct {
		name   string
		scopes []engine.Scope
		revoke bool
		warns  bool
	}{
		{"an admin key", []engine.Scope{engine.ScopeAdmin}, false, false},
		{"a revoked one", []engine.Scope{engine.ScopeAdmin}, true, true},
		{"one that may do less", []engine.Scope{engine.ScopeRead}, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			e := engine.New(engine.Config{
				Store: newStore(t), Now: (&clock{at: start}).Now, Random: newRandomness(1),
				Log: slog.New(slog.NewTextHandler(&log, nil)), Reporting: "EUR",
			})
			if err := e.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			key, secret, err := e.CreateKey(t.Context(), "k", tt.scopes)
			if err != nil {
				t.Fatal(err)
			}
			if tt.revoke {
				if err := e.RevokeKey(t.Context(), key.ID); err != nil {
					t.Fatal(err)
				}
			}
			if made, err := e.EnsureAdminKey(t.Context(), secret); made != "" || err != nil {
				t.Errorf("made %q, error %v", made, err)
			}
			if got := strings.Contains(log.String(), "bootstrap key"); got != tt.warns {
				t.Errorf("warned %v, want %v: %s", got, tt.warns, &log)
			}
			if got, err := e.Authenticate(secret); tt.warns && err == nil && got.Allows(engine.ScopeAdmin) {
				t.Error("it became an admin key")
			}
		})
	}
}

func TestIdempotencyClaims(t *testing.T) {
	s := newStore(t)
	claim := func(key, digest string, at time.Time) *engine.IdempotentAnswer {
		t.Helper()
		return must(s.ClaimIdempotency(t.Context(), engine.IdempotencyClaim{Owner: "k", Key: key, Digest: []byte(digest)}, at))(t)
	}
	inFlight := &engine.IdempotentAnswer{Digest: []byte("body")}
	answered := &engine.IdempotentAnswer{Digest: []byte("body"), Status: 201, Body: []byte("sealed")}
	for _, tt := range []struct {
		name, digest string
		before       func()
		at           time.Time
		want         *engine.IdempotentAnswer
	}{
		{"the first", "body", nil, start, nil},
		{"in flight", "body", nil, start.Add(time.Second), inFlight},
		{"in flight for a minute", "other", nil, start.Add(time.Minute), inFlight},
		{"in flight for longer: it has died", "body", nil, start.Add(time.Minute + time.Microsecond), nil},
		{"the new one is in flight", "body", nil, start.Add(2 * time.Minute), inFlight},
		{"answered", "body", func() {
			if err := s.SaveIdempotency(t.Context(), engine.IdempotencyClaim{Owner: "k", Key: "i", Digest: []byte("body")}, answered); err != nil {
				t.Error(err)
			}
		}, start.Add(2 * time.Minute), answered},
		{"answered for ever, whatever is sent", "other", nil, start.Add(1000 * day), answered},
		{"an answer is not freed", "body", func() {
			if err := s.SaveIdempotency(t.Context(), engine.IdempotencyClaim{Owner: "k", Key: "i", Digest: []byte("body")}, nil); err != nil {
				t.Error(err)
			}
		}, start.Add(3 * time.Minute), answered},
	} {
		if tt.before != nil {
			tt.before()
		}
		if diff := cmp.Diff(tt.want, claim("i", tt.digest, tt.at)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if got := claim("j", "body", start); got != nil {
		t.Errorf("another key: %+v", got)
	}
	if err := s.SaveIdempotency(t.Context(), engine.IdempotencyClaim{Owner: "k", Key: "j", Digest: []byte("body")}, nil); err != nil {
		t.Fatal(err)
	}
	if got := claim("j", "body", start); got != nil {
		t.Errorf("a freed claim: %+v", got)
	}
}

// A request that took so long that its claim went to another body gets nothing kept, and takes
// nothing away; of two that ended with one body the first answer stays.
func TestAClaimThatWasTakenOver(t *testing.T) {
	s := newStore(t)
	claim := func(digest string) engine.IdempotencyClaim {
		return engine.IdempotencyClaim{Owner: "k", Key: "i", Digest: []byte(digest)}
	}
	answer := func(body string) *engine.IdempotentAnswer {
		return &engine.IdempotentAnswer{Status: 201, Body: []byte(body)}
	}
	if got := must(s.ClaimIdempotency(t.Context(), claim("slow"), start))(t); got != nil {
		t.Fatalf("the first: %+v", got)
	}
	late := start.Add(2 * time.Minute)
	if got := must(s.ClaimIdempotency(t.Context(), claim("other"), late))(t); got != nil {
		t.Fatalf("the one that took over: %+v", got)
	}
	for _, tt := range []struct {
		name   string
		of     string
		answer *engine.IdempotentAnswer
		want   *engine.IdempotentAnswer // of the one that took over
	}{
		{"the slow one fails", "slow", nil, &engine.IdempotentAnswer{Digest: []byte("other")}},
		{"the slow one answers", "slow", answer("slow"), &engine.IdempotentAnswer{Digest: []byte("other")}},
		{"the other answers", "other", answer("first"), &engine.IdempotentAnswer{Digest: []byte("other"), Status: 201, Body: []byte("first")}},
		{"and once more", "other", answer("second"), &engine.IdempotentAnswer{Digest: []byte("other"), Status: 201, Body: []byte("first")}},
	} {
		if err := s.SaveIdempotency(t.Context(), claim(tt.of), tt.answer); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, must(s.ClaimIdempotency(t.Context(), claim("other"), late))(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestOneOfManyClaims(t *testing.T) {
	s := newStore(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	first := 0
	for range 12 {
		wait.Go(func() {
			answer, err := s.ClaimIdempotency(context.Background(), engine.IdempotencyClaim{Owner: "k", Key: "i", Digest: []byte("d")}, start)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if answer == nil {
				first++
			}
		})
	}
	wait.Wait()
	if first != 1 {
		t.Errorf("%d requests think they are the first", first)
	}
	if n := count(t, s, `SELECT count(*) FROM idempotency_keys`); n != 1 {
		t.Error(fmt.Sprint(n, " claims stored"))
	}
}
