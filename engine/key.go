package engine

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"time"
)

// A Scope is something a key allows.
type Scope string

// The scopes of a key. Admin includes all others.
const (
	ScopeAssign Scope = "assign"
	ScopeIngest Scope = "ingest"
	ScopeAuthor Scope = "author"
	ScopeRead   Scope = "read"
	ScopeDecide Scope = "decide"
	ScopeAdmin  Scope = "admin"
)

// Scopes are all scopes.
var Scopes = []Scope{ScopeAssign, ScopeIngest, ScopeAuthor, ScopeRead, ScopeDecide, ScopeAdmin}

// A Key lets a program in. Only the hash of its secret is kept.
type Key struct {
	ID        string
	Name      string
	Scopes    []Scope
	Hash      [sha256.Size]byte
	CreatedAt time.Time
	RevokedAt *time.Time
}

// Allows reports whether the key has the scope.
func (k *Key) Allows(scope Scope) bool {
	return slices.Contains(k.Scopes, scope) || slices.Contains(k.Scopes, ScopeAdmin)
}

// HashSecret is how a key's secret is kept. Secrets are random and long, so one round of
// SHA-256 is enough.
func HashSecret(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

func (k *Key) validate() error {
	var v violations
	if !validText(k.Name, maxName) {
		v.add("/name", textRule, maxName)
	}
	if len(k.Scopes) == 0 {
		v.add("/scopes", "must name at least one scope; each %s", oneOf(Scopes))
	}
	if len(k.Scopes) > len(Scopes) {
		v.add("/scopes", "must name each scope at most once")
		return v.err("key")
	}
	for i, scope := range k.Scopes {
		switch {
		case !slices.Contains(Scopes, scope):
			v.add("/scopes/"+strconv.Itoa(i), "%s", oneOf(Scopes))
		case slices.Contains(k.Scopes[:i], scope):
			v.add("/scopes/"+strconv.Itoa(i), "%q stands twice", scope)
		}
	}
	return v.err("key")
}
