package api_test

import (
	"bytes"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// TestDocumentIsServed: the document is open to all, as written and as JSON.
func TestDocumentIsServed(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	written, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if served := s.get("/openapi.yaml", with("")).is(http.StatusOK); !bytes.Equal(served.body, written) {
		t.Error("/openapi.yaml is not the file openapi.yaml")
	}
	asJSON, err := yaml.YAMLToJSON(written)
	if err != nil {
		t.Fatal(err)
	}
	if served := s.get("/openapi.json", with("")).is(http.StatusOK); !bytes.Equal(served.body, asJSON) {
		t.Error("/openapi.json says something else than /openapi.yaml")
	}
}

var (
	loaded   = regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	absolute = regexp.MustCompile(`(?:https?:)?//[a-z0-9-]+\.[a-z]`)
)

// TestDocsWorkOffline: the page loads nothing from another host, and the browser is told
// to let it load nothing from there.
func TestDocsWorkOffline(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for _, path := range []string{"/docs", "/docs/"} {
		page := s.request(http.MethodGet, path, nil, with("")).is(http.StatusOK)
		html := string(page.body)
		if at := absolute.FindString(html); at != "" {
			t.Errorf("%s names another host: %s", path, at)
		}
		if !strings.Contains(html, "/openapi.json") || !strings.Contains(html, "Perennial") {
			t.Errorf("%s does not show the document", path)
		}
		files := loaded.FindAllStringSubmatch(html, -1)
		if len(files) < 4 {
			t.Fatalf("%s loads %d files, want style, icons and scripts", path, len(files))
		}
		for _, file := range files {
			if !strings.HasPrefix(file[1], "/docs/") {
				t.Errorf("%s loads %s, which is not beside it", path, file[1])
				continue
			}
			if a := s.request(http.MethodGet, file[1], nil, with("")).is(http.StatusOK); len(a.body) < 100 {
				t.Errorf("%s is empty", file[1])
			}
		}
		policy := strings.Split(page.header.Get("Content-Security-Policy"), "; ")
		for _, rule := range []string{"default-src 'none'", "connect-src 'self'", "script-src 'self' 'unsafe-inline'"} {
			if !slices.Contains(policy, rule) {
				t.Errorf("%s: its Content-Security-Policy %q lacks %q", path, policy, rule)
			}
		}
		if strings.Contains(strings.Join(policy, " "), "http") || strings.Contains(strings.Join(policy, " "), "*") {
			t.Errorf("%s: its Content-Security-Policy %q lets other hosts in", path, policy)
		}
	}
	s.request(http.MethodGet, "/docs/no-such-file.js", nil, with("")).is(http.StatusNotFound)
}
