package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/perennial-engine/perennial/api"
)

// A target is a route that takes a body, and a body that it takes.
type target struct {
	method, path string
	good         object
	name         string   // of the list of a batch; else ""
	optional     bool     // the body may be left out
	free         []string // members whose values may be anything, or are maps of such
	headers      []option
}

// targets are all routes that take a body, but for those that are not built.
func targets() []target {
	return []target{
		{method: "PUT", path: "/v1/touchpoints/new", good: and(welcomeEmail, object{"key": "new"}), free: []string{"/content"}},
		{method: "PUT", path: "/v1/metrics/new", good: object{
			"key": "new", "name": "New", "kind": "ltv", "events": []any{"order"}, "denominator": []any{}, "window": object{"from_day": 0, "to_day": 30},
			"direction": "increase", "margin_rate": "0.4", "min_count": 0, "churn_event": "", "inactivity_days": 0, "cap_quantile": 0.99, "cap_value": "100",
		}},
		{method: "PUT", path: "/v1/layers/new", good: object{"key": "new"}, optional: true},
		{method: "PUT", path: "/v1/holdouts/new", good: object{"key": "new", "share": 0.05}},
		{method: "PUT", path: "/v1/experiments/draft/overrides/c", good: object{"variant": "warm"}},
		{method: "POST", path: "/v1/experiments", good: wholeExperiment, free: []string{"/variants/1/content"}},
		{method: "PATCH", path: "/v1/experiments/draft", good: and(wholeExperiment, object{"key": "draft"}), free: []string{"/variants/1/content"}, headers: []option{ifMatch(`"1"`)}},
		{method: "POST", path: "/v1/experiments/draft/start", good: object{"reason": "x"}, optional: true},
		{method: "POST", path: "/v1/experiments/running/pause", good: object{"reason": "x"}, optional: true},
		{method: "POST", path: "/v1/experiments/paused/resume", good: object{"reason": "x"}, optional: true},
		{method: "POST", path: "/v1/experiments/running/stop", good: object{"reason": "x"}, optional: true},
		{method: "POST", path: "/v1/experiments/running/promote", good: object{"variant": "warm", "reason": "x"}, optional: true},
		{method: "POST", path: "/v1/experiments/running/approve", good: object{"reason": "x"}, optional: true},
		{method: "POST", path: "/v1/experiments/promoted/rollback", good: object{"reason": "x"}, optional: true},
		{method: "POST", path: "/v1/assignments", good: object{"customer": "c", "touchpoint": "welcome-email", "attributes": object{"a": "b"}, "record": true}, free: []string{"/attributes"}},
		{method: "PUT", path: "/v1/customers/new", good: object{"attributes": object{"a": "b"}}, free: []string{"/attributes"}},
		{method: "PUT", path: "/v1/rates", good: object{"rates": []any{object{"date": "2026-03-01", "currency": "USD", "rate": "0.9"}}}},
		{method: "POST", path: "/v1/identities", good: object{"customer": "c", "identifiers": []any{"d"}}},
		{method: "POST", path: "/v1/experiments/running/reports", good: object{"as_of": "2026-03-01T00:00:00Z"}, optional: true},
		{method: "POST", path: "/v1/plans/size", good: object{"metric": "ltv_30", "audience": "", "variants": 2, "min_effect": 0.1, "method": "fixed"}},
		{method: "POST", path: "/v1/keys", good: object{"name": "k", "scopes": []any{"read"}}},
		{method: "POST", path: "/v1/webhooks", good: object{"url": "https://example.com", "events": []any{"experiment.started"}}},
		{method: "POST", path: "/v1/webhooks/none/deliveries/none/replay", good: object{}, optional: true},
		{method: "POST", path: "/v1/jobs/measure/run", good: object{}, optional: true},
		{method: "POST", path: "/v1/events", name: "events", good: order, free: []string{"/properties"}},
		{method: "POST", path: "/v1/exposures", name: "exposures", good: object{"id": "x", "customer": "c", "touchpoint": "welcome-email", "occurred_at": "2026-03-01T12:00:00Z"}},
		{method: "POST", path: "/v1/enrolments", name: "enrolments", good: object{"experiment": "mailing", "variant": "warm", "customer": "c", "enrolled_at": "2026-03-01T12:00:00Z"}},
		{method: "POST", path: "/v1/customers", name: "customers", good: object{"customer": "c", "attributes": object{"a": "b"}}, free: []string{"/attributes"}},
	}
}

// wholeExperiment says everything that an experiment can say.
var wholeExperiment = object{
	"key": "new", "name": "New", "hypothesis": "Why", "objective": "retention", "touchpoints": []any{"welcome-email", "welcome-web"},
	"audience": "", "layer": "default", "traffic": 0.01, "assignment": "engine",
	"variants": []any{
		object{"key": "control", "control": true, "weight": 1},
		object{"key": "warm", "control": false, "weight": 1, "content": object{"welcome-email": object{"subject": "Hello"}}},
	},
	"metrics": object{
		"primary": "ltv_30", "secondary": []any{"orders_30"}, "diagnostics": []any{"clicks_30"},
		"guardrails": []any{object{"metric": "unsubscribed_30", "margin": 0.1}},
	},
	"plan": object{
		"method": "anytime", "alpha": 0.05, "power": 0.8, "min_effect": 0.03, "promote_above": 0, "covariate": false, "planned_customers": 100,
	},
	"policy": object{
		"mode": "auto", "min_days": 7, "max_days": 60, "min_customers": 100, "ramp": []any{1}, "ramp_hours": 24, "holdback": 0,
		"holdback_days": 90, "on_timeout": "keep_control",
	},
}

// body writes a document or, of a batch, an element into the body of the target.
func (r target) body(document string) string {
	if r.name == "" {
		return document
	}
	return `{"` + r.name + `":[` + document + `]}`
}

// A mutation makes a bad body of a good one. codes are those that it may be refused with,
// as a whole.
type mutation struct {
	name   string
	status int
	codes  []string
	spoil  func(good string) string
}

func malformed(name, code string, spoil func(good string) string) mutation {
	return mutation{name, http.StatusBadRequest, []string{code}, spoil}
}

func always(body string) func(string) string { return func(string) string { return body } }

// envelopes are bodies that cannot be read as a whole, of a document and of a batch alike.
var envelopes = []mutation{
	malformed("spaces only", "empty_body", always(" \n\t ")),
	malformed("a letter", "malformed_json", always("x")),
	malformed("one brace", "malformed_json", always("{")),
	malformed("one bracket", "wrong_type or wrong_envelope or malformed_json", always("[")),
	malformed("one quote", "malformed_json", always(`"`)),
	malformed("cut off", "malformed_json", func(good string) string { return good[:len(good)-1] }),
	malformed("half of it", "malformed_json", func(good string) string { return good[:(len(good)+1)/2] }),
	malformed("only the rest", "wrong_type or wrong_envelope or malformed_json", func(good string) string { return good[1:] }),
	malformed("something behind", "trailing_data or malformed_json", func(good string) string { return good + "x" }),
	malformed("twice", "trailing_data or malformed_json", func(good string) string { return good + "\n" + good }),
	malformed("a bracket behind", "trailing_data or malformed_json", func(good string) string { return good + "]" }),
	malformed("a NUL behind", "trailing_data or malformed_json", func(good string) string { return good + "\x00" }),
	malformed("a comment before", "malformed_json", func(good string) string { return "/* */" + good }),
	malformed("a byte order mark", "malformed_json", func(good string) string { return "\ufeff" + good }),
	malformed("UTF-16", "malformed_json", func(good string) string { return "\xff\xfe" + strings.ReplaceAll(good, "", "\x00") }),
	malformed("single quotes", "malformed_json", always(`{'key': 'x'}`)),
	malformed("a name without quotes", "malformed_json", always(`{key: "x"}`)),
	malformed("a name that is a number", "malformed_json", always(`{1: "x"}`)),
	malformed("NaN", "malformed_json", always(`NaN`)),
	malformed("null", "wrong_type or wrong_envelope", always(`null`)),
	malformed("true", "wrong_type or wrong_envelope", always(`true`)),
	malformed("a number", "wrong_type or wrong_envelope", always(`7`)),
	malformed("a text", "wrong_type or wrong_envelope", always(`"x"`)),
	malformed("an empty list", "wrong_type or wrong_envelope", always(`[]`)),
	malformed("a list of it", "wrong_type or wrong_envelope", func(good string) string { return "[" + good + "]" }),
	malformed("endless lists", "wrong_type or wrong_envelope or malformed_json or too_deep", always(nested(100_000))),
	malformed("endless objects", "unknown_field or malformed_json", always(strings.Repeat(`{"a":`, 100_000))),
	malformed("XML", "malformed_json", always(`<?xml version="1.0"?><key>x</key>`)),
	malformed("a form", "malformed_json", always(`key=x&name=y`)),
	malformed("YAML", "malformed_json", always("key: x\nname: y\n")),
	malformed("an unknown field", "unknown_field", func(good string) string { return `{"surprise":1,` + good[1:] }),
	malformed("an empty name", "unknown_field", func(good string) string { return `{"":1,` + good[1:] }),
	malformed("__proto__", "unknown_field", func(good string) string { return `{"__proto__":{},` + good[1:] }),
	malformed("a NUL in a name", "unknown_field or nul_character", func(good string) string { return `{"\u0000":1,` + good[1:] }),
	malformed("bytes that are no UTF-8", "malformed_json or unknown_field", func(good string) string { return "{\"\xff\":1," + good[1:] }),
	malformed("half a character", "malformed_json or unknown_field", func(good string) string { return `{"\ud800":1,` + good[1:] }),
}

// mutations are bad documents: of a batch, bad elements, which are rejections.
var mutations = []mutation{
	malformed("a field twice", "duplicate_key", func(good string) string { return "{" + firstMember(good) + "," + good[1:] }),
	malformed("another letter case", "unknown_field", func(good string) string {
		return firstName.ReplaceAllStringFunc(good, strings.ToUpper)
	}),
	malformed("a space in a name", "unknown_field", func(good string) string { return strings.Replace(good, `":`, ` ":`, 1) }),
	malformed("a comma too much", "malformed_json", func(good string) string { return good[:len(good)-1] + ",}" }),
	malformed("a NUL", "nul_character or wrong_type", func(good string) string { return firstText(good, `"a\u0000b"`) }),
	malformed("a NUL byte", "malformed_json", func(good string) string { return firstText(good, "\"a\x00b\"") }),
	malformed("a line break", "malformed_json", func(good string) string { return firstText(good, "\"a\nb\"") }),
	malformed("no UTF-8", "malformed_json", func(good string) string { return firstText(good, "\"\xc3\x28\"") }),
	malformed("an overlong slash", "malformed_json", func(good string) string { return firstText(good, "\"\xc0\xaf\"") }),
	malformed("half of a pair", "malformed_json", func(good string) string { return firstText(good, `"\ud800"`) }),
	malformed("an unknown escape", "malformed_json", func(good string) string { return firstText(good, `"\x41"`) }),
	malformed("a number that is none", "wrong_type or malformed_json", func(good string) string { return firstText(good, `01`) }),
	malformed("an infinite number", "malformed_json", func(good string) string { return firstText(good, `Infinity`) }),
	malformed("endless nesting", "wrong_type or too_deep or malformed_json", func(good string) string {
		return firstText(good, ""+nested(5_000))
	}),
}

var firstName = regexp.MustCompile(`^\{"[^"]*"`)

// firstText writes something else in the place of the first text of a document.
func firstText(good, other string) string {
	at := regexp.MustCompile(`:"[^"]*"`).FindStringIndex(good)
	if at == nil {
		return good
	}
	return good[:at[0]+1] + other + good[at[1]:]
}

// firstMember is the first member of a document.
func firstMember(good string) string {
	d := json.NewDecoder(strings.NewReader(good))
	var name json.Token
	var value json.RawMessage
	for range 2 {
		name, _ = d.Token()
	}
	if err := d.Decode(&value); err != nil {
		return ""
	}
	return fmt.Sprintf("%q:%s", name, value)
}

func (m mutation) allows(code string) bool {
	return slices.Contains(strings.Split(strings.Join(m.codes, " or "), " or "), code)
}

// hostileSystem has an experiment in every state.
func hostileSystem(t *testing.T) *system {
	t.Helper()
	s := newSystem(t).catalogue()
	for _, key := range []string{"draft", "running", "paused", "promoted"} {
		s.post("/v1/experiments", and(welcomeTone, object{"key": key, "traffic": 0.01})).is(http.StatusCreated)
	}
	for _, action := range []string{"running/start", "paused/start", "paused/pause", "promoted/start"} {
		s.post("/v1/experiments/"+action, nil).is(http.StatusOK)
	}
	s.post("/v1/experiments/promoted/promote", `{"variant": "warm"}`).is(http.StatusOK)
	s.running(and(mailing, object{"key": "mailing"}))
	return s
}

// TestEveryBodyRouteIsATarget: no route that takes a body is forgotten below.
func TestEveryBodyRouteIsATarget(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	parameter := regexp.MustCompile(`:[a-z]+`)
	for _, r := range s.api.RoutesForTest() {
		if strings.HasPrefix(r.Path, "/ofrep/") {
			continue // other people's clients write these bodies: they are read leniently, see TestOFREPFailures and FuzzOFREP
		}
		pattern := regexp.MustCompile("^" + parameter.ReplaceAllString(r.Path, "[^/]+") + "$")
		known := slices.ContainsFunc(targets(), func(x target) bool { return x.method == r.Method && pattern.MatchString(x.path) })
		takes := r.Method == http.MethodPut || r.Method == http.MethodPost || r.Method == http.MethodPatch
		if takes && !known && s.do(r.Method, parameter.ReplaceAllString(r.Path, "x"), nil).status != http.StatusNotImplemented {
			t.Errorf("%s %s has no hostile input", r.Method, r.Path)
		}
	}
}

// TestHostileBodies sends each route bodies that it must refuse, and sees to it that they
// are refused with the contract's status, a problem that says where, and nothing stored.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	s := hostileSystem(t)
	sent := 0
	for _, r := range targets() {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			s, n := s.in(t), 0
			before := s.stored()
			refuse := func(name string, m mutation, body any, o ...option) *answer {
				t.Helper()
				n++
				a := s.do(r.method, r.path, body, append(slices.Clone(r.headers), o...)...)
				if a.status != m.status {
					t.Errorf("%s: answers %d, want %d\n%s\n%s", name, a.status, m.status, short(fmt.Sprintf("%s", body)), short(string(a.body)))
					return a
				}
				var p problem
				if a.into(&p); !m.allows(p.Code) {
					t.Errorf("%s: code %s, want %s\n%s", name, p.Code, strings.Join(m.codes, " or "), short(string(a.body)))
				}
				return a
			}
			good := line(r.good)
			for _, m := range envelopes {
				if (m.name == "an empty name" || strings.Contains(m.name, "field") || strings.Contains(m.name, "__")) && good == "{}" {
					continue // {"":1,} is not JSON
				}
				refuse(m.name, m, m.spoil(r.body(good)))
			}
			if !r.optional {
				refuse("no body", malformed("", "empty_body", nil), nil)
				refuse("an empty body", malformed("", "empty_body", nil), "")
			}
			r.packed(t, good, func(name string, m mutation, body any, o ...option) { refuse(name, m, body, o...) })
			if good != "{}" {
				for _, m := range mutations {
					n++
					r.refuseDocument(s, m.name, m, r.body(m.spoil(good)))
				}
			}
			n += r.wrongTypes(s)
			if after := s.stored(); after != before {
				t.Errorf("something was stored\nbefore:\n%s\nafter:\n%s", before, after)
			}
			if n < 20 {
				t.Errorf("only %d bad bodies were sent", n)
			}
			sent += n
		})
	}
	t.Logf("%d bad bodies", sent)
}

// packed sends what cannot be unpacked, and what is too large packed or not.
func (r target) packed(t *testing.T, good string, refuse func(string, mutation, any, ...option)) {
	t.Helper()
	limit, gzip := api.MaxBodyForTest, header("Content-Encoding", "gzip")
	if r.name != "" || r.path == "/v1/assignments" {
		limit = api.MaxBatchForTest
	}
	whole := zipped(t, r.body(good))
	tooLarge := mutation{status: http.StatusRequestEntityTooLarge, codes: []string{"too_large"}}
	refuse("a large body, packed", tooLarge, slices.Concat(whole, zippedSpaces()), gzip)
	if limit == api.MaxBodyForTest {
		refuse("a large body", tooLarge, r.body(good)+strings.Repeat(" ", limit))
		refuse("a large text", tooLarge, `{"surprise":"`+text(limit)+`"}`)
	}
	refuse("not gzip", malformed("", "malformed_gzip", nil), r.body(good), gzip)
	refuse("gzip, cut off", malformed("", "unreadable_body", nil), whole[:len(whole)-6], gzip)
	refuse("gzip, with a wrong sum", malformed("", "unreadable_body", nil), append(slices.Clone(whole[:len(whole)-5]), 1, 2, 3, 4, 5), gzip)
	refuse("an unknown packing", malformed("", "unknown_encoding", nil), r.body(good), header("Content-Encoding", "br"))
	refuse("packed twice", malformed("", "unknown_encoding", nil), r.body(good), header("Content-Encoding", "gzip, gzip"))
}

// refuseDocument sends a bad document, or a batch whose only element is bad.
func (r target) refuseDocument(s *system, name string, m mutation, body string) {
	s.t.Helper()
	a := s.do(r.method, r.path, body, r.headers...)
	if r.name == "" {
		var p problem
		a.into(&p)
		if a.status != m.status || !m.allows(p.Code) {
			s.t.Errorf("%s: answers %d %s, want %d %s\n%s", name, a.status, p.Code, m.status, m.codes, short(body))
		}
		return
	}
	// What breaks the JSON of the whole batch is no fault of one element.
	if a.status == http.StatusBadRequest && m.allows("malformed_json") {
		return
	}
	if r := a.receipt(0, 0, 1); !m.allows(r.Rejections[0].Code) {
		s.t.Errorf("%s: rejected with %s, want %s\n%s", name, r.Rejections[0].Code, m.codes, short(body))
	}
}

// wrongTypes replaces every value of the document, one at a time, by values of other types.
// Each is 400 with a pointer at the value, above or below it; or, where the type is right
// and the value is not, 422.
func (r target) wrongTypes(s *system) (sent int) {
	s.t.Helper()
	var plain any
	if err := json.Unmarshal([]byte(line(r.good)), &plain); err != nil {
		s.t.Fatal(err)
	}
	for _, pointer := range values(plain, "") {
		if slices.ContainsFunc(r.free, func(free string) bool { return strings.HasPrefix(pointer, free+"/") }) {
			continue
		}
		old, _ := lookup(plain, pointer)
		for _, other := range others(old, slices.Contains(r.free, pointer)) {
			name := pointer + " = " + short(line(other))
			document := line(replaced(plain, pointer, other))
			sent++
			a := s.do(r.method, r.path, r.body(document), r.headers...)
			if r.name != "" {
				a.receipt(0, 0, 1)
				continue
			}
			var p problem
			a.into(&p)
			if a.status == http.StatusNotFound && r.path == "/v1/assignments" {
				continue // the touchpoint: there is none of such a name
			}
			if a.status != http.StatusBadRequest && a.status != http.StatusUnprocessableEntity {
				s.t.Errorf("%s: answers %d, want 400 or 422\n%s", name, a.status, short(string(a.body)))
				continue
			}
			if !slices.ContainsFunc(p.Errors, func(e struct{ Pointer, Detail string }) bool {
				return strings.HasPrefix(e.Pointer, pointer) || strings.HasPrefix(pointer, e.Pointer+"/")
			}) {
				s.t.Errorf("%s: no pointer at it\n%s", name, short(string(a.body)))
			}
		}
	}
	return sent
}

// values lists the pointers of all values of a document, but for the whole.
func values(v any, pointer string) (all []string) {
	switch v := v.(type) {
	case object:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(append(all, pointer+"/"+escape(name)), values(v[name], pointer+"/"+escape(name))...)
		}
	case []any:
		for i := range v {
			at := fmt.Sprintf("%s/%d", pointer, i)
			all = append(append(all, at), values(v[i], at)...)
		}
	}
	return all
}

// others are values that cannot stand where old stands.
func others(old any, free bool) []any {
	switch old.(type) {
	case string:
		return []any{true, object{}, []any{true}, object{"a": 1}, text(5_000) + "\u0001", raw("1e9999")}
	case float64:
		return []any{"x", true, object{}, []any{}, raw("1e999"), raw("-1e30"), raw("0.1234567890123456789012345678901234567890e40"), "NaN", "Infinity"}
	case bool:
		return []any{"true", 1, object{}, []any{}}
	case []any:
		return []any{7, true, object{}, []any{object{"surprise": 1}}, []any{[]any{}}, []any{7}}
	case object:
		if free { // any object is right
			return []any{[]any{}, []any{1}}
		}
		return []any{7, true, "x", []any{}, []any{1}, object{"surprise": 1}}
	}
	return nil
}

// replaced is a copy of a document with another value at a pointer.
func replaced(v any, pointer string, value any) any {
	if pointer == "" {
		return value
	}
	head, rest, _ := strings.Cut(pointer[1:], "/")
	if rest != "" {
		rest = "/" + rest
	}
	switch v := v.(type) {
	case object:
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(head)
		changed := maps.Clone(v)
		changed[name] = replaced(v[name], rest, value)
		return changed
	case []any:
		changed := slices.Clone(v)
		for i := range changed {
			if fmt.Sprint(i) == head {
				changed[i] = replaced(v[i], rest, value)
			}
		}
		return changed
	}
	return v
}

// MarshalJSON writes raw text as it is.
func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// TestHostilePaths: whatever stands in a path is no 5xx; what is no key names nothing.
func TestHostilePaths(t *testing.T) {
	t.Parallel()
	s := hostileSystem(t)
	parameter := regexp.MustCompile(`:[a-z]+`)
	names := []string{
		"%00", "%ff", "a%00b", "%C0%AF", "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%2F", "a%2Fb", "%20", "%0d%0aSet-Cookie:%20a=b", "%F0%9F%98%80",
		"'%20OR%201=1--", "%27;DROP%20TABLE%20experiments;--", "%25s%25n", "$(id)", "%7B%7B7*7%7D%7D", "*", "~", "a;b", "a,b", "null", "-1", "1e999",
		text(300), text(301), text(20_000), strings.Repeat("%ff", 500), "%ED%A0%80", "%E2%80%AE",
	}
	// Whatever is an identifier can be erased, known or not.
	for _, name := range names {
		if a := s.do(http.MethodDelete, "/v1/customers/"+name, nil); a.status >= 500 {
			t.Errorf("erasing %s: answers %d\n%s", short(name), a.status, short(string(a.body)))
		}
	}
	before := s.stored()
	for _, r := range s.api.RoutesForTest() {
		erases := r.Method == http.MethodDelete && r.Path == "/v1/customers/:identifier"
		if !strings.Contains(r.Path, ":") || r.Method == http.MethodPut || erases {
			continue // TestBadTouchpoints and TestCustomers put such keys
		}
		t.Run(r.Method+" "+r.Path, func(t *testing.T) {
			s := s.in(t)
			for _, name := range names {
				a := s.do(r.Method, parameter.ReplaceAllLiteralString(r.Path, name), nil, ifMatch(`"1"`))
				if (a.status < 400 || a.status >= 500) && a.status != http.StatusNotImplemented {
					t.Errorf("%s: answers %d\n%s", short(name), a.status, short(string(a.body)))
				}
			}
		})
	}
	if after := s.stored(); after != before {
		t.Errorf("something was stored\nbefore:\n%s\nafter:\n%s", before, after)
	}
}

// TestHostileHeaders: odd headers are no 5xx.
func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	s := hostileSystem(t)
	for name, o := range map[string]option{
		"Accept of nothing known": header("Accept", "application/x-unknown;;;q=2"),
		"Accept of many":          header("Accept", strings.Repeat("text/plain,", 5_000)),
		"Content-Type of garbage": header("Content-Type", ";;;=;\xff"),
		"Content-Type of text":    header("Content-Type", "text/plain"),
		"a forged address":        header("X-Forwarded-For", "127.0.0.1, \"'"),
		"another method":          header("X-HTTP-Method-Override", "DELETE"),
		"another host":            func(r *http.Request) { r.Host = "evil.example" },
		"expectations":            header("Expect", "100-continue"),
		"a range":                 header("Range", "bytes=0-1"),
		"a range behind":          header("If-None-Match", `"1"`),
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.get("/v1/experiments/running", o).is(http.StatusOK).has(object{"/key": "running"})
			s.post("/v1/assignments", `{"customer": "c", "touchpoint": "till"}`, o).is(http.StatusOK)
		})
	}
	s.get("/v1/keys", header("Authorization", "Bearer "+text(100_000))).fails(http.StatusUnauthorized, "unauthenticated")
	s.get("/v1/keys", header("Authorization", "Bearer \xff\xfe")).fails(http.StatusUnauthorized, "unauthenticated")
	s.patch("/v1/experiments/draft", "{}", ifMatch("\"\xff\"")).fails(http.StatusPreconditionFailed, "stale")
}

// TestHostileLists: lists of hundreds of thousands of entries are refused at once and in
// few words.
func TestHostileLists(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	list := func(entry string) raw {
		return raw("[" + strings.Repeat(entry+",", 1_000_000/(len(entry)+1)-100) + entry + "]")
	}
	for name, c := range map[string]struct{ method, path, body string }{
		"touchpoints": {"POST", "/v1/experiments", line(and(welcomeTone, object{"touchpoints": list(`"a"`)}))},
		"variants":    {"POST", "/v1/experiments", line(and(welcomeTone, object{"variants": list(`{}`)}))},
		"primaries":   {"POST", "/v1/experiments", line(and(welcomeTone, object{"metrics": object{"primary": list(`""`)}}))},
		"guardrails":  {"POST", "/v1/experiments", line(and(welcomeTone, object{"metrics": object{"primary": "ltv_30", "guardrails": list(`{}`)}}))},
		"ramp":        {"POST", "/v1/experiments", line(and(welcomeTone, object{"policy": object{"ramp": list(`0`)}}))},
		"events":      {"PUT", "/v1/metrics/m", `{"kind": "ltv", "window": {"to_day": 1}, "events": ` + string(list(`""`)) + `}`},
		"scopes":      {"POST", "/v1/keys", `{"name": "k", "scopes": ` + string(list(`""`)) + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() {
				a := s.do(c.method, c.path, c.body).is(http.StatusUnprocessableEntity)
				if len(a.body) > 20_000 {
					t.Errorf("the answer has %d bytes", len(a.body))
				}
			})
		})
	}
}
