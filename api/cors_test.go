package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/perennial-engine/perennial/api"
)

const shop = "https://shop.example"

// TestBrowsers: pages of the origins of the settings, and of no others, may use the routes
// of a page, and no others; a browser asks beforehand, without a key.
func TestBrowsers(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	options := func(path string) *answer {
		return s.request(http.MethodOptions, path, nil, with(""), header("Origin", shop),
			header("Access-Control-Request-Method", "POST"), header("Access-Control-Request-Headers", "authorization,content-type,if-none-match"))
	}
	if a := options("/v1/assignments"); a.status != http.StatusMethodNotAllowed || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without the setting a preflight answers %d, %v", a.status, a.header)
	}

	s.serve(func(c *api.Config) { c.Origins = []string{"http://localhost:3000", shop} })
	for _, path := range []string{"/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/welcome-email", "/v1/assignments", "/v1/exposures"} {
		a := options(path).is(http.StatusNoContent)
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": shop, "Access-Control-Allow-Methods": "POST", "Vary": "Origin",
			"Access-Control-Allow-Headers": "Authorization, X-API-Key, If-None-Match, Content-Type",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("preflight of %s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
	for _, path := range []string{"/v1/customers/c1", "/v1/experiments", "/ofrepository", "/v1/assignments/"} {
		if a := options(path); a.status == http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight of %s answers %d, %v", path, a.status, a.header)
		}
	}

	ask := func(origin string) *answer {
		return s.post("/v1/assignments", `{"customer": "c1", "touchpoint": "till"}`, header("Origin", origin)).is(http.StatusOK)
	}
	if h := ask(shop).header; h.Get("Access-Control-Allow-Origin") != shop || h.Get("Access-Control-Expose-Headers") != "ETag" {
		t.Errorf("a page of the shop gets %v", h)
	}
	for _, other := range []string{"https://shop.example.evil.example", "https://shop.example:444", "http://shop.example", "null"} {
		if h := ask(other).header; h.Get("Access-Control-Allow-Origin") != "" || h.Get("Vary") != "Origin" {
			t.Errorf("a page of %s gets %v", other, h)
		}
	}
	// A page must be able to read why it was refused.
	a := s.post("/v1/assignments", `{}`, header("Origin", shop), with("wrong")).is(http.StatusUnauthorized)
	if a.header.Get("Access-Control-Allow-Origin") != shop {
		t.Errorf("an error hides from the page: %v", a.header)
	}

	s.serve(func(c *api.Config) { c.Origins = []string{"*"} })
	if h := ask("https://anywhere.example").header; h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("with * any page gets %v", h)
	}
	for name := range options("/ofrep/v1/evaluate/flags").header {
		if strings.HasPrefix(name, "Access-Control-Allow-Credentials") {
			t.Errorf("keys are no cookies: %s", name)
		}
	}
}
