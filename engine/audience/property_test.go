package audience

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"cel.dev/cel-go/common/types"
	"pgregory.net/rapid"
)

// conditions draws a condition over the attributes a, b and c, or a truth.
func conditions() *rapid.Generator[string] {
	attribute := rapid.SampledFrom([]string{"customer.a", "customer['b']", "customer.c", "customer.a.b", "customer.c[0]", "customer.a.b.c"})
	return rapid.Custom(func(t *rapid.T) string {
		x, y := attribute.Draw(t, "x"), attribute.Draw(t, "y")
		return rapid.SampledFrom([]string{
			"true", "false", x, "has(customer.a)", "has(customer.a.b)", "channel == " + x,
			x + " == 'x'", x + " != 'x'", x + " == 1", x + " > 1", x + " <= 1.5", x + " == " + y, x + " < " + y, x + " == null",
			x + " in " + y, x + " in [1, 'x']", "'x' in " + x, "size(" + x + ") > 0", "int(" + x + ") == 1", x + " + " + y + " == 'xx'",
			x + ".startsWith('x')", x + ".matches('^x*$')", x + ".exists(e, e == 'x')", x + ".all(e, e > 0)", x + ".exists_one(e, e)",
			x + ".filter(e, e == 1) == [1]", x + ".map(e, e + 'x') == " + y, x + ".exists(e, " + y + ".exists(f, true))", "{true: " + x + "}[" + y + " == 1]",
		}).Draw(t, "condition")
	})
}

// values draws what a JSON document can hold.
func values(depth int) *rapid.Generator[any] {
	plain := []*rapid.Generator[any]{
		rapid.Just(any(nil)), rapid.Bool().AsAny(), rapid.Float64().AsAny(), rapid.SampledFrom([]any{0.0, 1.0, 1.5, "x", "xx", ""}), rapid.String().AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(plain...)
	}
	lists := rapid.SliceOfN(values(depth-1), 0, 3).AsAny()
	return rapid.OneOf(append(plain, lists, objects(depth-1).AsAny())...)
}

func objects(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), values(depth), 0, 3)
}

// TestLogicHasTwoValues: whatever is known of a customer, a condition is true or false and
// the logic around it follows from that alone. No run ends in an error.
func TestLogicHasTwoValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		customer, channel := objects(3).Draw(t, "customer"), rapid.SampledFrom([]string{"", "email", "x"}).Draw(t, "channel")
		holds := func(expression string) bool {
			a, err := Compile(expression)
			if err != nil {
				t.Skip(err) // two lists within one another
			}
			answer, _, err := a.program.Eval(&facts{customer: customer, channel: channel})
			if _, ok := answer.(types.Bool); err != nil || !ok {
				t.Fatalf("%s answers %v, %v", expression, answer, err)
			}
			return a.Matches(customer, channel)
		}
		x, y, z := conditions().Draw(t, "x"), conditions().Draw(t, "y"), conditions().Draw(t, "z")
		p, q, r := holds(x), holds(y), holds(z)
		choice := r
		if p {
			choice = q
		}
		for expression, want := range map[string]bool{
			"!(" + x + ")":                            !p,
			"(" + x + ") && (" + y + ")":              p && q,
			"(" + x + ") || (" + y + ")":              p || q,
			"!(" + x + " && !(" + y + ")) || " + z:    !p || q || r,
			"(" + x + ") ? (" + y + ") : (" + z + ")": choice,
			"(" + x + ") == true":                     p,
		} {
			if want != holds(expression) {
				t.Errorf("%s is %t where %s is %t, %s is %t, %s is %t", expression, !want, x, p, y, q, z, r)
			}
		}
	})
}

// FuzzAudience: whatever an expression is, it compiles or is refused with a position;
// whatever is known of a customer, it answers, the same each time, and its negation answers
// the opposite.
func FuzzAudience(f *testing.F) {
	f.Add("customer.country == 'FR' && customer.ltv_tier != 'low'", `{"country": "FR"}`, "email")
	f.Add("customer.tags.filter(t, t.startsWith('v')).exists(t, t == channel)", `{"tags": ["vip", 1, null]}`, "vip")
	f.Fuzz(func(t *testing.T, expression, document, channel string) {
		a, err := Compile(expression)
		if err != nil {
			bad, ok := errors.AsType[*Error](err)
			if !ok || a != nil || bad.Line < 1 || bad.Column < 1 || bad.Message == "" {
				t.Fatalf("%q: audience %v, error %#v", expression, a, err)
			}
			return
		}
		if names := a.Attributes(); !slices.IsSorted(names) {
			t.Errorf("%q: attributes %q", expression, names)
		}
		var customer map[string]any
		if len(document) > 4096 || json.Unmarshal([]byte(document), &customer) != nil || a == nil {
			return
		}
		got := a.Matches(customer, channel)
		if got != a.Matches(customer, channel) {
			t.Errorf("%q of %s: %t, then not", expression, document, got)
		}
		_, _, failed := a.program.Eval(&facts{customer: customer, channel: channel})
		if not, err := Compile("!(" + expression + "\n)"); err == nil && failed == nil && not.Matches(customer, channel) == got {
			t.Errorf("%q of %s: %t, and so is its negation", expression, document, got)
		}
	})
}
