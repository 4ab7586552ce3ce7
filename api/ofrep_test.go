package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const flags = "/ofrep/v1/evaluate/flags"

// evaluate asks for one flag as an OpenFeature client does.
func (s *system) evaluate(customer, touchpoint string) *answer {
	s.t.Helper()
	return s.post(flags+"/"+touchpoint, object{"context": object{"targetingKey": customer}})
}

// TestOFREPReasons: every reason of an assignment in OpenFeature's words, with the content
// as value and flat metadata, alone and among all flags.
func TestOFREPReasons(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	own := object{"from": "welcome-email"}
	expect := func(reason string, value any, variant any, metadata object) {
		t.Helper()
		one := s.evaluate("c1", "welcome-email").is(http.StatusOK)
		one.has(object{
			"/key": "welcome-email", "/reason": reason, "/value": value, "/variant": variant, "/metadata": metadata,
		})
		if one.header.Get("Content-Type") != "application/json" {
			t.Errorf("content type %q", one.header.Get("Content-Type"))
		}
		all := s.post(flags, object{"context": object{"targetingKey": "c1"}}).is(http.StatusOK)
		for i, key := range []string{"checkout", "till", "welcome-email", "welcome-web"} {
			all.has(object{fmt.Sprintf("/flags/%d/key", i): key})
		}
		all.has(object{"/flags/4": nil, "/flags/2": one.at("")})
	}
	expect("STATIC", own, nil, object{"not_enrolled_reason": "default"})

	s.running(and(welcomeTone, object{"key": "tiny", "traffic": 0.0001}))
	expect("STATIC", own, nil, object{"not_enrolled_reason": "not_in_traffic"})
	s.post("/v1/experiments/tiny/stop", nil).is(http.StatusOK)

	s.running(welcomeTone)
	version := func() any { return s.get("/v1/experiments/welcome-tone").at("/version") }
	s.post("/v1/experiments/welcome-tone/pause", nil).is(http.StatusOK)
	expect("DISABLED", own, nil, object{"experiment": "welcome-tone", "version": version(), "not_enrolled_reason": "paused"})
	s.post("/v1/experiments/welcome-tone/resume", nil).is(http.StatusOK)

	assigned := s.post("/v1/assignments", `{"customer": "c1", "touchpoint": "welcome-email", "record": false}`)
	expect("SPLIT", assigned.at("/content"), assigned.at("/variant"), object{"experiment": "welcome-tone", "version": version()})

	s.put("/v1/experiments/welcome-tone/overrides/c1", `{"variant": "warm"}`).is(http.StatusCreated)
	expect("TARGETING_MATCH", object{"subject": "Hello you"}, "warm",
		object{"experiment": "welcome-tone", "version": version(), "not_enrolled_reason": "forced"})
	s.delete("/v1/experiments/welcome-tone/overrides/c1").is(http.StatusNoContent)

	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
	expect("STATIC", object{"subject": "Hello you"}, "warm",
		object{"experiment": "welcome-tone", "not_enrolled_reason": "promoted"})
}

// TestOFREPRecords: one flag enrols, all flags do not, and an exposure does.
func TestOFREPRecords(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(welcomeTone)
	s.keeps("all flags", func() { s.post(flags, `{"context": {"targetingKey": "c1"}}`).is(http.StatusOK) })
	variant := s.evaluate("c1", "welcome-email").is(http.StatusOK).at("/variant")
	s.get("/v1/customers/c1").is(http.StatusOK).has(object{
		"/enrolments/0/experiment": "welcome-tone", "/enrolments/0/variant": variant, "/enrolments/0/channel": "email",
	})
	seen := `{"exposures": [{"id": "e1", "customer": "c2", "touchpoint": "welcome-web", "occurred_at": "2026-03-01T12:00:00Z"}]}`
	s.post("/v1/exposures", seen, with(s.key("assign"))).receipt(1, 0, 0)
	s.get("/v1/customers/c2").is(http.StatusOK).has(object{"/enrolments/0/experiment": "welcome-tone", "/enrolments/0/channel": "web"})
}

// TestOFREPUnchanged: a client that has the answers gets 304, until something changes that
// they hang on.
func TestOFREPUnchanged(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"audience": "customer.country == 'FR'"}))
	ask := func(context object, etag string) *answer {
		t.Helper()
		return s.post(flags, object{"context": context}, header("If-None-Match", etag))
	}
	french := object{"targetingKey": "c1", "country": "FR"}
	first := ask(french, "").is(http.StatusOK)
	etag := first.header.Get("ETag")
	for _, header := range []string{etag, "W/" + etag, `"other", ` + etag} {
		if a := ask(french, header).is(http.StatusNotModified); a.header.Get("ETag") != etag || len(a.body) > 0 {
			t.Errorf("304 with ETag %q and %d bytes", a.header.Get("ETag"), len(a.body))
		}
	}
	tags := map[string]string{etag: "the first"}
	changed := func(what string, context object) string {
		t.Helper()
		got := ask(context, etag).is(http.StatusOK).header.Get("ETag")
		if tags[got] != "" {
			t.Errorf("after %s the ETag is that of %s", what, tags[got])
		}
		tags[got] = what
		return got
	}
	changed("another customer", object{"targetingKey": "c2", "country": "FR"})
	changed("another context", object{"targetingKey": "c1", "country": "BE"})
	s.post(flags+"/welcome-email", object{"context": french}).is(http.StatusOK)
	etag = changed("an enrolment", french)
	ask(french, etag).is(http.StatusNotModified)
	s.put("/v1/touchpoints/till", object{"channel": "store", "content": "new"}).is(http.StatusOK)
	etag = changed("another content", french)
	s.put("/v1/customers/c1", `{"attributes": {"country": "BE"}}`).is(http.StatusCreated)
	if err := s.engine.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	changed("another stored attribute", french)
}

// TestOFREPFailures: what is wrong is a problem and, beside it, what OpenFeature's clients
// understand; nothing of it enrols anybody.
func TestOFREPFailures(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(welcomeTone)
	assign, author := s.key("assign"), s.key("author")
	for name, c := range map[string]struct {
		touchpoint, key string
		body            string
		status          int
		code            string
		errorCode       string
	}{
		"no context":             {"", "", `{}`, 400, "targeting_key_missing", "TARGETING_KEY_MISSING"},
		"null context":           {"", "", `{"context": null}`, 400, "targeting_key_missing", "TARGETING_KEY_MISSING"},
		"empty context":          {"", "", `{"context": {}}`, 400, "targeting_key_missing", "TARGETING_KEY_MISSING"},
		"null key":               {"", "", `{"context": {"targetingKey": null}}`, 400, "targeting_key_missing", "TARGETING_KEY_MISSING"},
		"empty key":              {"", "", `{"context": {"targetingKey": ""}}`, 400, "targeting_key_missing", "TARGETING_KEY_MISSING"},
		"another case":           {"", "", `{"context": {"TargetingKey": "c1"}}`, 400, "targeting_key_missing", "TARGETING_KEY_MISSING"},
		"a number as key":        {"", "", `{"context": {"targetingKey": 1}}`, 400, "invalid_context", "INVALID_CONTEXT"},
		"a list as context":      {"", "", `{"context": ["targetingKey"]}`, 400, "invalid_context", "INVALID_CONTEXT"},
		"a text as context":      {"", "", `{"context": "c1"}`, 400, "invalid_context", "INVALID_CONTEXT"},
		"control character":      {"", "", `{"context": {"targetingKey": "a\u0007"}}`, 400, "invalid_identifier", "INVALID_CONTEXT"},
		"NUL":                    {"", "", `{"context": {"targetingKey": "a\u0000"}}`, 400, "nul_character", "PARSE_ERROR"},
		"too long":               {"", "", `{"context": {"targetingKey": "` + text(257) + `"}}`, 400, "invalid_identifier", "INVALID_CONTEXT"},
		"no body":                {"", "", ``, 400, "empty_body", "PARSE_ERROR"},
		"no object":              {"", "", `[]`, 400, "wrong_type", "PARSE_ERROR"},
		"null":                   {"", "", `null`, 400, "wrong_type", "PARSE_ERROR"},
		"cut off":                {"", "", `{"context": {"targetingKey": "c1"}`, 400, "malformed_json", "PARSE_ERROR"},
		"two documents":          {"", "", `{"context": {"targetingKey": "c1"}} {}`, 400, "malformed_json", "PARSE_ERROR"},
		"a key twice":            {"", "", `{"context": {"targetingKey": "c1", "targetingKey": "c2"}}`, 400, "duplicate_key", "PARSE_ERROR"},
		"an attribute twice":     {"", "", `{"context": {"targetingKey": "c1", "a": {"b": 1, "b": 2}}}`, 400, "duplicate_key", "PARSE_ERROR"},
		"no UTF-8":               {"", "", "{\"context\": {\"targetingKey\": \"\xff\"}}", 400, "malformed_json", "PARSE_ERROR"},
		"no number":              {"", "", `{"context": {"targetingKey": "c1", "n": 01}}`, 400, "malformed_json", "PARSE_ERROR"},
		"too deep":               {"", "", `{"context": {"targetingKey": "c1", "a": ` + nested(100) + `}}`, 400, "too_deep", "PARSE_ERROR"},
		"too large":              {"", "", `{"context": {"targetingKey": "c1", "a": "` + text(1<<20) + `"}}`, 413, "too_large", "GENERAL"},
		"no such touchpoint":     {"none", "", `{"context": {"targetingKey": "c1"}}`, 404, "not_found", "FLAG_NOT_FOUND"},
		"a touchpoint as no key": {"%00%ff", "", `{"context": {"targetingKey": "c1"}}`, 404, "not_found", "FLAG_NOT_FOUND"},
		"no key":                 {"", "none", `{"context": {"targetingKey": "c1"}}`, 401, "unauthenticated", "GENERAL"},
		"another scope":          {"", author, `{"context": {"targetingKey": "c1"}}`, 403, "scope_missing", "GENERAL"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			if c.key == "" {
				c.key = assign
			}
			s.keeps(name, func() {
				paths := []string{flags + "/" + c.touchpoint}
				if c.touchpoint == "" {
					paths = []string{flags + "/welcome-email", flags}
				}
				for _, path := range paths {
					a := s.post(path, c.body, with(c.key))
					a.fails(c.status, c.code)
					a.has(object{"/errorCode": c.errorCode, "/errorDetails": a.at("/detail")})
					switch key, _ := a.at("/key").(string); {
					case path == flags && key != "":
						t.Errorf("all flags have the key %q", key)
					case path != flags && c.touchpoint == "" && key != "welcome-email":
						t.Errorf("the key is %q", key)
					}
				}
			})
		})
	}
}

// TestOFREPContexts: contexts of any shape that JSON allows, packed or in pieces too, are
// read for the same customer.
func TestOFREPContexts(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(welcomeTone)
	variant := s.evaluate("kunde 42", "welcome-email").is(http.StatusOK).at("/variant")
	for name, body := range map[string]any{
		"plain":          `{"context":{"targetingKey":"kunde 42"}}`,
		"spaces":         " {\n\"context\" :\t{ \"targetingKey\" : \"kunde 42\" } } \r\n",
		"attributes":     `{"context": {"a": 1, "b": -0.5, "c": true, "d": null, "targetingKey": "kunde 42", "e": false, "f": "x"}}`,
		"escapes":        `{"context": {"targetingKey": "kunde\u002042", "name": "Zo\u00eb"}}`,
		"other letters":  `{"context": {"targetingKey": "kunde 42", "name": "Zoë"}}`,
		"exponent":       `{"context": {"targetingKey": "kunde 42", "n": 1e99}}`,
		"nested":         `{"context": {"targetingKey": "kunde 42", "list": [1, {"a": "b"}]}}`,
		"more attribute": `{"context": {"targetingKey": "kunde 42"` + strings.Join(numbered(40), "") + `}}`,
		"more members":   `{"version": 3, "context": {"targetingKey": "kunde 42"}, "flags": ["a"]}`,
		"packed":         zipped(t, `{"context": {"targetingKey": "kunde 42"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			options := []option{}
			if _, packed := body.([]byte); packed {
				options = append(options, header("Content-Encoding", "gzip"))
			}
			s.post(flags+"/welcome-email", body, options...).is(http.StatusOK).has(object{"/variant": variant})
			inPieces := func(r *http.Request) { r.ContentLength = -1 }
			s.post(flags+"/welcome-email", body, append(options, inPieces)...).is(http.StatusOK).has(object{"/variant": variant})
		})
	}
}

// numbered are n attributes.
func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`, "a%d": %d`, i, i)
	}
	return all
}
