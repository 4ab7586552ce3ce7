// Package audience decides who may be in a test: an expression in CEL, the Common
// Expression Language, over what is known of a customer.
//
// An expression sees two variables: customer, a map from the names of attributes to their
// values, and channel, a text. Only named attributes may be used (customer.country,
// customer['first-order'], has(customer.country), 'country' in customer), never customer as a whole nor an
// attribute whose name is computed, so that Attributes can say what must be loaded.
//
// # What is missing
//
// An audience answers yes or no, whatever is known of a customer. A condition is a
// comparison, a call, a has() or a bare attribute whose outcome the logic reads. A condition
// that cannot be evaluated is false, the innermost one that contains the cause, and the logic
// around it (&&, ||, !, ?:) goes on with that. With customer.age missing, or a text:
//
//	customer.age > 18                    false
//	!(customer.age > 18)                 true
//	customer.age > 18 || customer.vip    what customer.vip says
//
// So a missing attribute satisfies != no more than it satisfies ==. An attribute that is null
// is missing; null inside a list or a map is a value. Values of different types can be asked
// for equality, as everywhere in CEL: 'FR' == 1 is false and 'FR' != 1 is true; numbers are
// equal by value, whole or not. A macro is a condition with conditions inside:
// customer.tags.all(t, t != 'x') is false without tags, while an element that cannot be
// compared makes only its own comparison false.
//
// # Bounds
//
// No expression and no customer can hold a server up. An expression has at most MaxBytes
// bytes and MaxDepth levels of nesting. Its cost for one customer, in CEL's unit (about one
// step, well under a microsecond), is bounded by MaxCost, twice: it is estimated when the
// expression is compiled, for attributes of 4,096 characters or elements and elements of 64,
// and it is counted in every run, where a customer who costs more is not in the audience.
// Patterns are RE2, written out, and counted by the size of their program. Times are in UTC.
package audience

import (
	"maps"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// The bounds of an audience.
const (
	MaxBytes = 4000
	MaxDepth = 50
	MaxCost  = 300_000
)

// An Audience is a compiled expression. It is immutable and safe for concurrent use. A nil
// Audience is everyone.
type Audience struct {
	program    cel.Program
	attributes []string
	channel    bool // the expression asks for it
}

// Compile reads and checks an expression; an empty one is everyone. Its errors are of type
// *Error.
func Compile(expression string) (*Audience, error) {
	if expression == "" {
		return nil, nil
	}
	if len(expression) > MaxBytes {
		return nil, whole("the expression has %d bytes, more than %d: shorten it", len(expression), MaxBytes)
	}
	env, err := environment()
	if err != nil {
		return nil, whole("%v", err)
	}
	checked, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, firstOf(issues)
	}
	r := &reading{ast: checked.NativeRep(), attributes: map[string]bool{}, conditions: map[int64]bool{}, patterns: patterns{}}
	r.root()
	if r.err != nil {
		return nil, r.err
	}
	lenient, err := r.lenient(env, checked)
	if err != nil {
		return nil, whole("%v", err)
	}
	if cost, err := env.EstimateCost(lenient, sizes{r.patterns}); err != nil || cost.Max > MaxCost {
		return nil, whole("the expression could take more than %d steps for one customer: ask lists less, and not one list within another", MaxCost)
	}
	program, err := env.Program(lenient, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(MaxCost), r.patterns.counted())
	if err != nil {
		return nil, whole("%v", err)
	}
	return &Audience{program: program, attributes: r.names(), channel: r.channel}, nil
}

// Matches reports whether a customer with these attributes, met on this channel, is in the
// audience. The values are what encoding/json makes of a document: nil, bool, float64,
// string, []any and map[string]any; anything else cannot be evaluated.
func (a *Audience) Matches(customer map[string]any, channel string) bool {
	if a == nil {
		return true
	}
	for _, name := range a.attributes {
		if value, ok := customer[name]; ok && value == nil {
			customer = maps.Clone(customer)
			maps.DeleteFunc(customer, func(_ string, value any) bool { return value == nil })
			break
		}
	}
	answer, _, err := a.program.Eval(&facts{customer: customer, channel: channel})
	return err == nil && answer == types.True
}

// MatchesAny reports whether a customer with these attributes is in the audience on any of the
// channels. One that does not ask for the channel is the same on all of them, and on none.
func (a *Audience) MatchesAny(customer map[string]any, channels []string) bool {
	if a == nil || !a.channel {
		return a.Matches(customer, "")
	}
	return slices.ContainsFunc(channels, func(channel string) bool { return a.Matches(customer, channel) })
}

// Attributes are the names of the customer's attributes that the expression uses, in order.
func (a *Audience) Attributes() []string {
	if a == nil {
		return nil
	}
	return slices.Clone(a.attributes)
}
