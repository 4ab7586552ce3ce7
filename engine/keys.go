package engine

import (
	"context"
	"time"
)

// Authenticate finds the key of a secret, in memory. The key must not be changed.
func (e *Engine) Authenticate(secret string) (*Key, error) {
	live := e.live.Load()
	if live == nil {
		return nil, Errorf(KindUnavailable, "not_ready", "the configuration has not been loaded yet")
	}
	k, ok := live.keys[HashSecret(secret)]
	if !ok {
		return nil, Errorf(KindUnauthenticated, "unauthenticated",
			"send a valid key as Authorization: Bearer KEY or X-API-Key: KEY")
	}
	return k, nil
}

// CreateKey makes a key and answers its secret, which is not kept.
func (e *Engine) CreateKey(ctx context.Context, name string, scopes []Scope) (key *Key, secret string, err error) {
	random, err := e.token(24)
	if err != nil {
		return nil, "", err
	}
	secret = "pk_" + random
	key, err = e.putKey(ctx, name, scopes, secret)
	return key, secret, err
}

func (e *Engine) putKey(ctx context.Context, name string, scopes []Scope, secret string) (*Key, error) {
	id, err := e.token(8)
	if err != nil {
		return nil, err
	}
	k := &Key{ID: "key_" + id, Name: name, Scopes: scopes, Hash: HashSecret(secret), CreatedAt: e.now()}
	if err := k.validate(); err != nil {
		return nil, err
	}
	if err := e.store.CreateKey(ctx, k); err != nil {
		return nil, err
	}
	e.changed(ctx)
	return k, nil
}

// EnsureAdminKey makes secret an admin key, or, when secret is empty and there is no key
// at all, makes one and answers its secret. Otherwise it answers "". A secret that is already
// that of a revoked key, or of one that may do less, stays what it is, with a warning.
func (e *Engine) EnsureAdminKey(ctx context.Context, secret string) (made string, err error) {
	if secret != "" {
		return "", e.ensureBootstrapKey(ctx, secret)
	}
	keys, err := e.store.Keys(ctx, Page{Limit: 1})
	if err != nil || len(keys) > 0 {
		return "", err
	}
	_, made, err = e.CreateKey(ctx, "admin", []Scope{ScopeAdmin})
	return made, err
}

func (e *Engine) ensureBootstrapKey(ctx context.Context, secret string) error {
	key, err := e.Authenticate(secret)
	if err != nil {
		_, err = e.putKey(ctx, "bootstrap", []Scope{ScopeAdmin}, secret)
		if KindOf(err) == KindConflict {
			// Another process was first: here the key is known once it is read.
			err = e.Refresh(ctx)
		}
		if err != nil {
			return err
		}
		key, err = e.Authenticate(secret)
	}
	if err != nil || !key.Allows(ScopeAdmin) {
		e.log.WarnContext(ctx, "the bootstrap key was revoked or is not an admin key: set another one, or none")
	}
	return nil
}

// ListKeys lists keys, without secrets.
func (e *Engine) ListKeys(ctx context.Context, p Page) ([]Key, error) { return e.store.Keys(ctx, p) }

// RevokeKey ends a key for ever.
func (e *Engine) RevokeKey(ctx context.Context, id string) error {
	err := e.store.RevokeKey(ctx, id, e.now())
	if err == nil {
		e.changed(ctx)
	}
	return err
}

// Idempotent answers the stored answer of a create request, or claims its key.
func (e *Engine) Idempotent(ctx context.Context, c IdempotencyClaim) (*IdempotentAnswer, error) {
	return e.store.ClaimIdempotency(ctx, c, e.now())
}

// Answered stores the answer of a create request, or frees its key when answer is nil.
func (e *Engine) Answered(ctx context.Context, c IdempotencyClaim, answer *IdempotentAnswer) error {
	return e.store.SaveIdempotency(ctx, c, answer)
}

// IdempotencyInFlight is how long a claim without an answer holds: a request that took
// longer has died.
const IdempotencyInFlight = time.Minute
