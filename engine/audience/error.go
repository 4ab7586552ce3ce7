package audience

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// An Error says what is wrong with an expression, where, and what to do. Line and Column
// count from 1, Column in characters.
type Error struct {
	Line    int
	Column  int
	Message string
}

// Error begins with the position.
func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// whole is an error of the expression as a whole.
func whole(format string, args ...any) *Error {
	return &Error{Line: 1, Column: 1, Message: fmt.Sprintf(format, args...)}
}

// at is an error of a part of the expression.
func at(info *ast.SourceInfo, id int64, message string) *Error {
	where := info.GetStartLocation(id)
	return &Error{Line: max(where.Line(), 1), Column: max(where.Column()+1, 1), Message: message}
}

// firstOf is the first of the errors that CEL found, if it can be one with a position.
func firstOf(issues *cel.Issues) *Error {
	all := issues.Errors()
	first := all[max(0, slices.IndexFunc(all, func(e *cel.Error) bool { return e.Location.Line() > 0 }))]
	where := first.Location
	return &Error{Line: max(where.Line(), 1), Column: max(where.Column()+1, 1), Message: explain(first.Message)}
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	mistyped   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '([^']*)'`)
	missing    = regexp.MustCompile(`^Syntax error: missing ('.*') at `)
	unreadable = regexp.MustCompile(`(?s)^Syntax error: .*(?: at:| input) '(.*)'$`)
)

// explain says what CEL says, for people.
func explain(message string) string {
	message, _, _ = strings.Cut(message, " expecting ") // a list of all tokens of the grammar
	if name := undeclared.FindStringSubmatch(message); name != nil {
		return fmt.Sprintf("%q is unknown: an audience knows customer.<attribute>, channel and the functions of CEL", name[1])
	}
	if types := mistyped.FindStringSubmatch(message); types != nil {
		name := types[1]
		if operator, ok := operators.FindReverse(name); ok && operator != "" {
			name = operator
		}
		return fmt.Sprintf("%q does not apply to %s: give it values of the types it takes", name, types[2])
	}
	if token := missing.FindStringSubmatch(message); token != nil {
		return token[1] + " is missing here: close what is open"
	}
	if token := unreadable.FindStringSubmatch(message); token != nil {
		switch text := strings.TrimSpace(token[1]); text {
		case "<EOF>":
			return "the expression ends too soon: finish it, as in customer.country == 'FR'"
		case "=":
			return "'=' is not expected here: equality is written =="
		default:
			return fmt.Sprintf("%q is not expected here: an audience reads as in customer.country == 'FR' && customer.age >= 18", text)
		}
	}
	switch {
	case strings.Contains(message, "recursion"):
		return fmt.Sprintf("the expression is more than %d levels deep: nest less", MaxDepth)
	case message == "invalid timestamp argument":
		return "this is no time: write it as in timestamp('2026-01-31T00:00:00Z')"
	case message == "invalid duration argument":
		return "this is no duration: write it as in duration('36h')"
	}
	return message
}
