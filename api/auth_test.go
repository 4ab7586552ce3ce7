package api_test

import (
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/perennial-engine/perennial/engine"
)

// TestScopes: for every route of the table, 401 without a valid key, 403 without one of its
// scopes, and neither with any of them or with admin.
func TestScopes(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	keys := map[engine.Scope]string{}
	for _, scope := range engine.Scopes {
		keys[scope] = s.key(string(scope))
	}
	parameter := regexp.MustCompile(`:[a-z]+`)
	for _, r := range s.api.RoutesForTest() {
		t.Run(r.Method+" "+r.Path, func(t *testing.T) {
			s := s.in(t)
			path := parameter.ReplaceAllString(r.Path, "nothing")
			if len(r.Scopes) == 0 {
				s.do(r.Method, path, nil, with("")).is(http.StatusOK)
				return
			}
			s.do(r.Method, path, nil, with("")).fails(http.StatusUnauthorized, "unauthenticated")
			s.do(r.Method, path, nil, with("pk_wrong")).fails(http.StatusUnauthorized, "unauthenticated")
			for _, scope := range engine.Scopes {
				a := s.do(r.Method, path, nil, with(keys[scope]))
				switch allowed := scope == engine.ScopeAdmin || slices.Contains(r.Scopes, scope); {
				case allowed && (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden):
					t.Errorf("with %s: answers %d\n%s", scope, a.status, a.body)
				case !allowed:
					a.fails(http.StatusForbidden, "scope_missing")
				}
			}
		})
	}
}

// TestKeyHeaders: a key comes as a bearer token, in any letter case of the word, or as X-API-Key.
func TestKeyHeaders(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for name, o := range map[string]option{
		"bearer":            header("Authorization", "Bearer "+adminKey),
		"bearer, lower":     header("Authorization", "bearer "+adminKey),
		"bearer, more room": header("Authorization", "Bearer   "+adminKey),
		"X-API-Key":         header("X-API-Key", adminKey),
		"X-API-Key beside another way": func(r *http.Request) {
			r.Header.Set("Authorization", "Basic dXNlcjpwYXNz")
			r.Header.Set("X-Api-Key", adminKey)
		},
	} {
		t.Run(name, func(t *testing.T) { s.in(t).get("/v1/keys", with(""), o).is(http.StatusOK) })
	}
	for name, o := range map[string]option{
		"empty bearer":     header("Authorization", "Bearer "),
		"no scheme":        header("Authorization", adminKey),
		"basic":            header("Authorization", "Basic "+adminKey),
		"empty X-API-Key":  header("X-API-Key", ""),
		"another case":     header("X-API-Key", "PK_TEST_ADMIN"),
		"a key and a half": header("Authorization", "Bearer "+adminKey+" "+adminKey),
	} {
		t.Run(name, func(t *testing.T) {
			s.in(t).get("/v1/keys", with(""), o).fails(http.StatusUnauthorized, "unauthenticated")
		})
	}
}
