package audience

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func compiled(tb testing.TB, expression string) *Audience {
	tb.Helper()
	a, err := Compile(expression)
	if err != nil {
		tb.Fatalf("%s: %v", expression, err)
	}
	return a
}

// attributes reads a document as the engine does.
func attributes(tb testing.TB, document string) (all map[string]any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(document), &all); err != nil {
		tb.Fatalf("%s: %v", document, err)
	}
	return all
}

// The expectations of this table follow from the contract: a missing attribute makes the
// innermost comparison false, never an error.
func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		name       string
		expression string
		customer   string
		want       bool
	}{
		{"everyone", "", `{}`, true},
		{"a truth", "true", `{}`, true},
		{"a falsehood", "false", `{}`, false},
		{"equal", "customer.country == 'FR'", `{"country": "FR"}`, true},
		{"not equal", "customer.country == 'FR'", `{"country": "DE"}`, false},
		{"the example of the contract", "customer.country == 'FR' && customer.ltv_tier != 'low'", `{"country": "FR", "ltv_tier": "high"}`, true},
		{"by index", "customer['first-order'] == 1", `{"first-order": 1}`, true},
		{"by escaped name", "customer.`first-order` == 1", `{"first-order": 1}`, true},
		{"channel", "channel in ['email', 'sms']", `{}`, true},
		{"another channel", "channel == 'sms'", `{}`, false},

		{"missing, ==", "customer.country == 'FR'", `{}`, false},
		{"missing, !=", "customer.country != 'FR'", `{}`, false},
		{"missing, not ==", "!(customer.country == 'FR')", `{}`, true},
		{"missing, not !=", "!(customer.country != 'FR')", `{}`, true},
		{"missing, <", "customer.age < 18", `{}`, false},
		{"missing, or", "customer.age > 18 || customer.vip", `{"vip": true}`, true},
		{"missing, or false", "customer.age > 18 || customer.vip", `{"vip": false}`, false},
		{"missing, and", "customer.age > 18 && customer.vip", `{"vip": true}`, false},
		{"missing on both sides", "customer.a == customer.b", `{}`, false},
		{"missing inside, compared with a truth", "(customer.age > 18) == false", `{}`, true},
		{"missing, bare", "customer.vip", `{}`, false},
		{"missing, not bare", "!customer.vip", `{}`, true},
		{"missing, compared with a falsehood", "customer.vip == false", `{}`, false},
		{"missing, in a list", "customer.tier in ['a', 'b']", `{}`, false},
		{"missing, not in a list", "!(customer.tier in ['a', 'b'])", `{}`, true},
		{"in a missing list", "'a' in customer.tags", `{}`, false},
		{"not in a missing list", "!('a' in customer.tags)", `{}`, true},
		{"missing, has", "has(customer.country)", `{}`, false},
		{"missing, not has", "!has(customer.country)", `{}`, true},
		{"has", "has(customer.country)", `{"country": ""}`, true},
		{"missing, in customer", "'country' in customer", `{}`, false},
		{"missing, not in customer", "!('country' in customer)", `{}`, true},
		{"in customer", "'country' in customer", `{"country": ""}`, true},
		{"null, in customer", "'country' in customer", `{"country": null}`, false},
		{"missing, startsWith", "customer.name.startsWith('A')", `{}`, false},
		{"missing, not startsWith", "!customer.name.startsWith('A')", `{}`, true},
		{"missing, matches", "customer.name.matches('^A')", `{}`, false},
		{"missing, size", "size(customer.tags) == 0", `{}`, false},
		{"missing, arithmetic", "customer.a + customer.b > 1.0", `{"a": 3}`, false},
		{"missing condition of a ternary", "customer.age > 18 ? customer.a : customer.b", `{"a": false, "b": true}`, true},
		{"missing branch of a ternary", "customer.vip ? customer.a : true", `{"vip": true}`, false},
		{"missing branch that is not taken", "customer.vip ? true : customer.a", `{"vip": true}`, true},
		{"missing value of a ternary", "(customer.vip ? customer.a : customer.b) == 1", `{"vip": true, "b": 1}`, false},
		{"missing condition of a value", "(customer.vip ? customer.a : customer.b) == 1", `{"b": 1}`, true},

		{"null, ==", "customer.country == 'FR'", `{"country": null}`, false},
		{"null, !=", "customer.country != 'FR'", `{"country": null}`, false},
		{"null, has", "has(customer.country)", `{"country": null}`, false},
		{"null beside another", "customer.vip && !has(customer.country)", `{"country": null, "vip": true}`, true},
		{"null inside is a value", "customer.address.city == null", `{"address": {"city": null}}`, true},

		{"wrong type, >", "customer.age > 18", `{"age": "x"}`, false},
		{"wrong type, not >", "!(customer.age > 18)", `{"age": "x"}`, true},
		{"wrong type, or", "customer.age > 18 || customer.vip", `{"age": [], "vip": true}`, true},
		{"wrong type, ==", "customer.age == 18", `{"age": "18"}`, false},
		{"wrong type, != holds", "customer.age != 18", `{"age": "18"}`, true},
		{"wrong type, bare", "customer.vip", `{"vip": "true"}`, false},
		{"wrong type, not bare", "!customer.vip", `{"vip": 1}`, true},
		{"wrong type, startsWith", "!customer.name.startsWith('A')", `{"name": 7}`, true},
		{"wrong type, in", "'a' in customer.tags", `{"tags": 7}`, false},
		{"wrong type of a branch", "!(customer.vip ? 1 : customer.a)", `{"vip": true}`, true},
		{"wrong conversion", "int(customer.age) > 18", `{"age": "x"}`, false},

		{"whole and decimal, ==", "customer.age == 18", `{"age": 18}`, true},
		{"whole and decimal, >=", "customer.age >= 18", `{"age": 18}`, true},
		{"whole and decimal, <", "customer.age < 18", `{"age": 17.5}`, true},
		{"decimal and decimal", "customer.age >= 17.5", `{"age": 17.5}`, true},
		{"whole and decimal, in", "customer.age in [17, 18]", `{"age": 18}`, true},
		{"not in", "customer.age in [17, 18]", `{"age": 17.5}`, false},
		{"whole in a list of decimals", "18 in customer.ages", `{"ages": [17, 18]}`, true},
		{"arithmetic", "customer.spent * 2.0 > 10", `{"spent": 6}`, true},
		{"remainder", "int(customer.number) % 2 == 1", `{"number": 7}`, true},
		{"size", "size(customer.tags) >= 2", `{"tags": ["a", "b"]}`, true},

		{"nested", "customer.address.city == 'Lyon'", `{"address": {"city": "Lyon"}}`, true},
		{"nested, missing", "customer.address.city == 'Lyon'", `{"address": {}}`, false},
		{"nested, missing above", "!(customer.address.city == 'Lyon')", `{}`, true},
		{"nested, not a map", "customer.address.city == 'Lyon'", `{"address": "Lyon"}`, false},
		{"nested, has", "has(customer.address.city)", `{"address": {"city": "Lyon"}}`, true},
		{"nested, has, missing above", "!has(customer.address.city)", `{}`, true},
		{"element", "customer.tags[0] == 'a'", `{"tags": ["a"]}`, true},
		{"element out of range", "!(customer.tags[1] == 'a')", `{"tags": ["a"]}`, true},

		{"exists", "customer.tags.exists(t, t.startsWith('v'))", `{"tags": ["a", "vip"]}`, true},
		{"exists, none", "customer.tags.exists(t, t.startsWith('v'))", `{"tags": ["a"]}`, false},
		{"exists, missing", "!customer.tags.exists(t, t == 'a')", `{}`, true},
		{"exists, an element of another type", "customer.tags.exists(t, t.startsWith('v'))", `{"tags": [1, "vip"]}`, true},
		{"exists, bare elements", "customer.flags.exists(f, f)", `{"flags": ["x", null, true]}`, true},
		{"all", "customer.tags.all(t, t != 'x')", `{"tags": ["a", "b"]}`, true},
		{"all, of none", "customer.tags.all(t, t != 'x')", `{"tags": []}`, true},
		{"all, missing", "customer.tags.all(t, t != 'x')", `{}`, false},
		{"all, an element of another type", "customer.scores.all(s, s > 1)", `{"scores": [2, "x"]}`, false},
		{"exists_one", "customer.tags.exists_one(t, t == 'a')", `{"tags": ["a", "b", 3]}`, true},
		{"filter", "size(customer.orders.filter(o, o.total > 100)) >= 2", `{"orders": [{"total": 101}, {"total": 300}, {}]}`, true},
		{"filter, missing", "size(customer.orders.filter(o, o.total > 100)) >= 0", `{}`, false},
		{"map", "customer.orders.map(o, o.total).exists(x, x > 2)", `{"orders": [{"total": 3}]}`, true},
		{"map, an element without", "customer.orders.map(o, o.total).exists(x, x > 2)", `{"orders": [{"total": 3}, {}]}`, false},
		{"over the keys of a map", "customer.consents.exists(c, c == 'mail')", `{"consents": {"mail": 1}}`, true},

		{"matches", "customer.email.matches('@example[.]com$')", `{"email": "a@example.com"}`, true},
		{"contains", "customer.email.contains('@')", `{"email": "a@b"}`, true},
		{"time", "timestamp(customer.since) < timestamp('2026-01-01T00:00:00Z')", `{"since": "2025-12-31T23:59:59Z"}`, true},
		{"no time", "timestamp(customer.since) < timestamp('2026-01-01T00:00:00Z')", `{"since": "yesterday"}`, false},
		{"type", "type(customer.age) == double", `{"age": 3}`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := compiled(t, tt.expression).Matches(attributes(t, tt.customer), "email"); got != tt.want {
				t.Errorf("%s of %s is %t", tt.expression, tt.customer, got)
			}
		})
	}
}

func TestNothingIsKnown(t *testing.T) {
	if !compiled(t, "!has(customer.country)").Matches(nil, "") {
		t.Error("a customer without attributes has a country")
	}
	if a := compiled(t, ""); a != nil || !a.Matches(nil, "") || a.Attributes() != nil {
		t.Error("an empty audience is not everyone")
	}
}

// TestMatchesAny: on one of the channels is enough; whoever does not ask for it needs none.
func TestMatchesAny(t *testing.T) {
	for _, tt := range []struct {
		expression string
		channels   []string
		want       bool
	}{
		{"channel == 'email'", []string{"web", "email"}, true},
		{"channel == 'email'", []string{"web", "sms"}, false},
		{"channel != 'email'", []string{"email"}, false},
		{"channel != ''", nil, false},
		{"[1].exists(n, channel == 'sms' && n == 1)", []string{"web", "sms"}, true},
		{"customer.vip && .channel == 'sms'", []string{"web", "sms"}, true},
		{"customer.vip", nil, true},
		{"", nil, true},
	} {
		if got := compiled(t, tt.expression).MatchesAny(map[string]any{"vip": true}, tt.channels); got != tt.want {
			t.Errorf("%q on %v is %t", tt.expression, tt.channels, got)
		}
	}
}

func TestMatchesLeavesTheAttributesAlone(t *testing.T) {
	const document = `{"country": null, "vip": true}`
	customer := attributes(t, document)
	compiled(t, "customer.country == 'FR' || customer.vip").Matches(customer, "web")
	if diff := cmp.Diff(attributes(t, document), customer); diff != "" {
		t.Error(diff)
	}
}

func TestErrors(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("(", n) + "true" + strings.Repeat(")", n) }
	for _, tt := range []struct {
		name         string
		expression   string
		line, column int
		says         string
	}{
		{"one =", "customer.country = 'FR'", 1, 18, "equality is written =="},
		{"cut off", "customer.country == ", 1, 21, "ends too soon"},
		{"a space", " ", 1, 2, "ends too soon"},
		{"an open parenthesis", "(customer.vip", 1, 14, "')' is missing here"},
		{"an open quote", "customer.country == 'FR", 1, 21, "is not expected here"},
		{"words", "customers from France", 1, 11, `"from" is not expected here`},
		{"many errors", strings.Repeat("'a' ", 900), 1, 5, `"'a'" is not expected here`},
		{"AND", "customer.a == 1 AND customer.b == 2", 1, 17, `"AND" is not expected here`},
		{"on the second line", "customer.a == 1 &&\n  customer.b == ?", 2, 17, `"?" is not expected here`},
		{"after letters of several bytes", "'größe' == größe", 1, 14, "is not expected here"},
		{"not UTF-8", "\xff", 1, 1, "is not expected here"},
		{"an unknown variable", "country == 'FR'", 1, 1, `"country" is unknown: an audience knows customer.<attribute>, channel`},
		{"an unknown variable further on", "customer.age > 1 && user.country == 'FR'", 1, 21, `"user" is unknown`},
		{"an unknown function", "lower(customer.country) == 'fr'", 1, 6, `"lower" is unknown`},
		{"an optional", "customer.?country == 'FR'", 1, 9, "unsupported syntax '.?'"},
		{"a text and a number", "1 + 'a' == 2", 1, 3, `"+" does not apply to (int, string)`},
		{"a text and a truth", "channel && true", 1, 1, "expected type 'bool' but found 'string'"},
		{"a text", "'FR'", 1, 1, "the result is of type string"},
		{"a number", "size(customer.tags)", 1, 5, "the result is of type int"},
		{"a list", "customer.tags.filter(t, t == 'a')", 1, 21, "the result is of type list"},
		{"the channel", "channel", 1, 1, "the result is of type string"},
		{"a sum", "customer.a + customer.b", 1, 12, "neither true nor false"},
		{"a sum in the logic", "customer.vip && customer.a + customer.b", 1, 28, "neither true nor false"},
		{"a decimal and a whole number", "customer.age + 1 > 18", 1, 14, "write 1.0 rather than 1"},
		{"a whole and a decimal number", "2 * customer.spent > 10", 1, 3, "write 1.0 rather than 1"},
		{"a remainder", "customer.number % 2 == 0", 1, 17, "int(customer.age) % 2"},
		{"customer as a whole", "customer == {}", 1, 1, "the name of an attribute"},
		{"a computed name in customer", "channel in customer", 1, 12, "the name of an attribute"},
		{"customer in a function", "size(customer) > 1", 1, 6, "the name of an attribute"},
		{"customer in a macro", "customer.exists(name, name == 'x')", 1, 1, "the name of an attribute"},
		{"a computed name", "customer[channel] == 1", 1, 10, "cannot be computed"},
		{"a variable called customer", "[1].exists(customer, true)", 1, 11, "another name"},
		{"a message", "google.protobuf.Value{} == 1", 1, 22, "messages cannot be made"},
		{"a bad pattern", "customer.name.matches('(')", 1, 23, "patterns are RE2"},
		{"a computed pattern", "customer.name.matches(customer.other)", 1, 31, "a pattern cannot be computed"},
		{"a bad time", "timestamp('2026') == timestamp(customer.since)", 1, 11, "2026-01-31T00:00:00Z"},
		{"a bad duration", "duration('1 day') > duration('1s')", 1, 10, "duration('36h')"},
		{"a time zone", "timestamp(customer.since).getHours('Europe/Paris') > 1", 1, 35, "times are in UTC"},
		{"lists within lists", "customer.a.exists(x, customer.b.exists(y, x == y))", 1, 1, "300000 steps"},
		{"loops within loops", strings.Repeat("[1, 2, 3, 4].exists(x, ", 8) + "x == 5" + strings.Repeat(")", 8), 1, 1, "300000 steps"},
		{"a large pattern", "customer.name.matches('(a?){900}')", 1, 1, "300000 steps"},
		{"too deep", deep(60), 1, 1, "more than 50 levels deep"},
		{"a sum too deep", strings.Repeat("1.0 + ", 60) + "customer.x > 1.0", 1, 1, "more than 50 levels deep"},
		{"too long", "true" + strings.Repeat(" ", MaxBytes), 1, 1, "4004 bytes, more than 4000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := Compile(tt.expression)
			bad, ok := errors.AsType[*Error](err)
			if !ok || a != nil {
				t.Fatalf("audience %v, error %v", a, err)
			}
			if bad.Line != tt.line || bad.Column != tt.column || !strings.Contains(bad.Message, tt.says) {
				t.Errorf("%v, want line %d, column %d: …%s…", err, tt.line, tt.column, tt.says)
			}
			if want := fmt.Sprintf("line %d, column %d: %s", bad.Line, bad.Column, bad.Message); err.Error() != want {
				t.Errorf("text %q, want %q", err, want)
			}
		})
	}
}

// TestFitsTheBounds: what people write is far from the bounds.
func TestFitsTheBounds(t *testing.T) {
	for name, expression := range map[string]string{
		"a hundred conditions": strings.Repeat("customer.country == 'FR' || ", 99) + "customer.country == 'DE'",
		"a long list":          "customer.zip in ['" + strings.Repeat("75001', '", 400) + "']",
		"macros in a row":      strings.Repeat("customer.tags.exists(t, t == 'a') && ", 9) + "true",
		"a pattern":            `customer.email.matches('^[a-z0-9._+-]{1,64}@[a-z0-9.-]+[.][a-z]{2,10}$')`,
		"patterns in a list":   "customer.tags.exists(t, t.matches('^vip-[0-9]'))",
		"the depth":            strings.Repeat("(", 15) + "customer.vip" + strings.Repeat(")", 15),
	} {
		t.Run(name, func(t *testing.T) { compiled(t, expression) })
	}
}

// TestDocumented: what docs/audiences.md recommends compiles.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/audiences.md")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("``[^`].*?``|`[^`]+`")
	checked := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "    ") {
			continue
		}
		expressions := code.FindAllString(line, -1)
		if strings.HasPrefix(line, "    ") {
			expressions = []string{strings.TrimSpace(line)}
		}
		for _, text := range expressions {
			text = strings.ReplaceAll(text, `\|`, "|")
			if strings.HasPrefix(text, "``") {
				text = text[2 : len(text)-2]
			} else {
				text = strings.Trim(text, "`")
			}
			if strings.Contains(text, "…") || strings.Contains(text, "? A : B") {
				continue // the reader fills these in
			}
			checked++
			compiled(t, text)
		}
	}
	if checked < 20 {
		t.Errorf("checked %d expressions", checked)
	}
}

func TestAttributes(t *testing.T) {
	for _, tt := range []struct {
		expression string
		want       []string
	}{
		{"", nil},
		{"true", nil},
		{"channel == 'email'", nil},
		{"customer.b == 1 && customer.a == 2 && customer.b != 3", []string{"a", "b"}},
		{"customer['last order'] > 3", []string{"last order"}},
		{"has(customer.x)", []string{"x"}},
		{"customer.address.city == 'Lyon'", []string{"address"}},
		{"customer.tags.exists(t, t == customer.favourite)", []string{"favourite", "tags"}},
		{".customer.x == 1", []string{"x"}},
		{"customer.customer == 1", []string{"customer"}},
		{"{'a': [customer.x, customer.y]} == customer.z", []string{"x", "y", "z"}},
		{"customer.a ? customer.b : customer.c.startsWith(customer.d)", []string{"a", "b", "c", "d"}},
	} {
		t.Run(tt.expression, func(t *testing.T) {
			a := compiled(t, tt.expression)
			if diff := cmp.Diff(tt.want, a.Attributes()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, name := range a.Attributes() {
				a.Attributes()[0] = "changed" + name
			}
			if diff := cmp.Diff(tt.want, a.Attributes()); diff != "" {
				t.Errorf("after a change of the answer (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTooCostlyACustomer: an attribute far over what the estimate reckons with ends the run,
// and the customer is not in the audience; the next one is asked afresh.
func TestTooCostlyACustomer(t *testing.T) {
	a := compiled(t, "customer.tags.all(t, t != 'x')")
	huge := map[string]any{"tags": make([]any, 1_000_000)}
	if a.Matches(huge, "") {
		t.Error("a customer with a million tags is in the audience")
	}
	if !a.Matches(map[string]any{"tags": make([]any, 4096)}, "") {
		t.Error("a customer with 4,096 tags is not in the audience")
	}
}

// TestValuesNotOfJSON: what is no JSON value makes a condition false.
func TestValuesNotOfJSON(t *testing.T) {
	for name, value := range map[string]any{
		"a channel": make(chan int), "a function": func() any { return "FR" }, "a pointer": new(int), "a struct": struct{}{},
		"nil of a type": (*string)(nil),
	} {
		t.Run(name, func(t *testing.T) {
			customer := map[string]any{"country": value}
			if compiled(t, "customer.country == 'FR'").Matches(customer, "") || !compiled(t, "!(customer.country > 3)").Matches(customer, "") {
				t.Error("it was understood")
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	a := compiled(t, "customer.country == 'FR' && customer.tags.exists(t, t == 'vip')")
	customers := []map[string]any{
		attributes(t, `{"country": "FR", "tags": ["vip"]}`), attributes(t, `{"country": "FR"}`), attributes(t, `{"country": null, "tags": ["vip"]}`),
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 3_000 {
				if got, want := a.Matches(customers[i%3], "email"), i%3 == 0; got != want {
					t.Errorf("customer %d: %t", i%3, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

// The goal is a microsecond: assignment asks this on its way.
func BenchmarkMatches(b *testing.B) {
	for name, expression := range map[string]string{
		"one condition":  "customer.country == 'FR'",
		"two conditions": "customer.country == 'FR' && customer.ltv_tier != 'low'",
		"missing":        "customer.age >= 18",
	} {
		b.Run(name, func(b *testing.B) {
			a := compiled(b, expression)
			customer := map[string]any{"country": "FR", "ltv_tier": "high"}
			b.ReportAllocs()
			for b.Loop() {
				a.Matches(customer, "email")
			}
		})
	}
}
