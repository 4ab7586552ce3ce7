package audience

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// A reading goes through an expression that CEL has checked: it refuses what an audience may
// not say, and finds the attributes and the conditions.
type reading struct {
	ast        *ast.AST
	attributes map[string]bool
	channel    bool           // it is asked for
	conditions map[int64]bool // by the ids of expressions
	patterns   patterns
	err        *Error // the first
}

func (r *reading) root() {
	e := r.ast.Expr()
	if t := r.ast.GetType(e.ID()); t.Kind() != types.BoolKind && t.Kind() != types.DynKind {
		r.refuse(e, fmt.Sprintf("the result is of type %s, neither true nor false: compare it with something, as in customer.country == 'FR'", t))
		return
	}
	r.condition(e)
}

func (r *reading) names() []string { return slices.Sorted(maps.Keys(r.attributes)) }

func (r *reading) refuse(e ast.Expr, message string) {
	if r.err == nil {
		r.err = at(r.ast.SourceInfo(), e.ID(), message)
	}
}

// condition reads an expression whose outcome the logic reads.
func (r *reading) condition(e ast.Expr) {
	if e.Kind() == ast.CallKind {
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
			for _, arg := range call.Args() {
				r.condition(arg)
			}
			return
		case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate:
			r.refuse(e, "a number or a text is neither true nor false: compare it with something, as in customer.age + 1.0 > 18")
			return
		}
	}
	truth := e.Kind() == ast.LiteralKind && r.kind(e) == types.BoolKind
	internal := e.Kind() == ast.IdentKind && strings.HasPrefix(e.AsIdent(), "@") // a macro's own
	if !truth && !internal {
		r.conditions[e.ID()] = true
	}
	r.inside(e)
}

// value reads an expression that the logic does not read.
func (r *reading) value(e ast.Expr) {
	if r.kind(e) == types.BoolKind {
		r.condition(e)
		return
	}
	r.inside(e)
}

func (r *reading) values(all ...ast.Expr) {
	for _, e := range all {
		r.value(e)
	}
}

// inside reads the parts of an expression.
func (r *reading) inside(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		if isCustomer(e) {
			r.refuse(e, "customer can only be used with the name of an attribute, as in customer.country")
		}
		r.channel = r.channel || isNamed(e, variableChannel)
	case ast.SelectKind:
		s := e.AsSelect()
		if isCustomer(s.Operand()) {
			r.attributes[s.FieldName()] = true
			return
		}
		r.value(s.Operand())
	case ast.CallKind:
		r.call(e, e.AsCall())
	case ast.ListKind:
		r.values(e.AsList().Elements()...)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.values(entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
	case ast.ComprehensionKind:
		r.comprehension(e, e.AsComprehension())
	case ast.StructKind:
		r.refuse(e, "messages cannot be made in an audience: use lists, maps and plain values")
	case ast.LiteralKind, ast.UnspecifiedExprKind:
	}
}

func (r *reading) call(e ast.Expr, call ast.CallExpr) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.Index:
		if isCustomer(args[0]) {
			name, ok := text(args[1])
			if !ok {
				r.refuse(args[1], "the name of an attribute cannot be computed: write it out, as in customer['country']")
				return
			}
			r.attributes[name] = true
			return
		}
	case operators.In:
		if name, ok := text(args[0]); ok && isCustomer(args[1]) {
			r.attributes[name] = true
			return
		}
	case operators.Conditional:
		r.condition(args[0])
		r.values(args[1:]...)
		return
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide:
		if a, b := r.kind(args[0]), r.kind(args[1]); (a == types.DynKind && isWhole(b)) || (b == types.DynKind && isWhole(a)) {
			r.refuse(e, "attributes are decimal numbers and CEL does not mix them with whole ones here: write 1.0 rather than 1, or int(customer.age)")
		}
	case overloads.Matches:
		r.pattern(args[len(args)-1])
	case operators.Modulo:
		if r.kind(args[0]) == types.DynKind || r.kind(args[1]) == types.DynKind {
			r.refuse(e, "attributes are decimal numbers, which have no remainder: write int(customer.age) % 2")
		}
	}
	if call.IsMemberFunction() {
		if strings.HasPrefix(call.FunctionName(), "get") && len(args) > 0 {
			r.refuse(e, "times are in UTC: leave the time zone out")
		}
		r.value(call.Target())
	}
	r.values(args...)
}

func (r *reading) pattern(e ast.Expr) {
	if e.Kind() != ast.LiteralKind {
		r.refuse(e, "a pattern cannot be computed: write it out, as in customer.email.matches('@example[.]com$')")
		return
	}
	if pattern, ok := text(e); ok {
		if err := r.patterns.add(pattern); err != nil {
			r.refuse(e, err.Error()+": patterns are RE2, as in '@example[.]com$'")
		}
	}
}

// text is a text that is written out.
func text(e ast.Expr) (s string, ok bool) {
	if e.Kind() == ast.LiteralKind {
		s, ok = e.AsLiteral().Value().(string)
	}
	return s, ok
}

// comprehension reads what a macro (exists, all, filter, …) became.
func (r *reading) comprehension(e ast.Expr, c ast.ComprehensionExpr) {
	if c.IterVar() == variableCustomer {
		r.refuse(e, "the variable of a macro cannot be called customer: give it another name")
		return
	}
	r.value(c.IterRange())
	r.value(c.LoopStep())
}

func (r *reading) kind(e ast.Expr) types.Kind { return r.ast.GetType(e.ID()).Kind() }

func isWhole(k types.Kind) bool { return k == types.IntKind || k == types.UintKind }

func isCustomer(e ast.Expr) bool { return isNamed(e, variableCustomer) }

func isNamed(e ast.Expr, variable string) bool {
	return e.Kind() == ast.IdentKind && strings.TrimPrefix(e.AsIdent(), ".") == variable
}

// lenient is the expression with holds around each condition.
func (r *reading) lenient(env *cel.Env, checked *cel.Ast) (*cel.Ast, error) {
	optimizer, err := cel.NewStaticOptimizer(r)
	if err != nil {
		return nil, err
	}
	lenient, issues := optimizer.Optimize(env, checked)
	return lenient, issues.Err()
}

// Optimize puts holds around each condition. CEL calls it with a copy of the expression, and
// checks the types again afterwards.
func (r *reading) Optimize(ctx *cel.OptimizerContext, a *ast.AST) *ast.AST {
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if r.conditions[e.ID()] {
			inner := ctx.NewIdent(holds) // a fresh id; what it is comes next
			inner.SetKindCase(e)
			ctx.UpdateExpr(e, ctx.NewCall(holds, inner))
		}
	}))
	return a
}
