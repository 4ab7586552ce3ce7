package audience

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// The variables of an expression.
const (
	variableCustomer = "customer"
	variableChannel  = "channel"
)

// holds is the function around every condition: true where the condition is true, false where
// it is anything else, an error too. No expression can call it: @ is not in CEL's grammar.
const holds = "@holds"

// environment is CEL, with its standard library and macros, with the variables and the bounds of an audience.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable(variableCustomer, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(variableChannel, cel.StringType),
		cel.CrossTypeNumericComparisons(true),
		cel.EnableIdentifierEscapeSyntax(),
		cel.ParserRecursionLimit(MaxDepth),
		cel.ParserExpressionSizeLimit(MaxBytes),
		cel.ASTValidators(cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
		cel.DefaultUTCTimeZone(true),
		cel.Function(holds, cel.Overload("holds_dyn", []*cel.Type{cel.DynType}, cel.BoolType,
			cel.OverloadIsNonStrict(),
			cel.UnaryBinding(func(v ref.Val) ref.Val { return types.Bool(v == types.True) }))),
	)
})
