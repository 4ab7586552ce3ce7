package audience

import (
	"regexp/syntax"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types/ref"
)

// patterns are the regular expressions of an audience, each with its number of instructions:
// 'x{1000}' is short and slow. Matching takes at most one step for each instruction and
// character, and ten such steps cost one unit.
type patterns map[string]uint64

func (p patterns) add(pattern string) error {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return err
	}
	p[pattern] = uint64(len(program.Inst))
	return nil
}

func (p patterns) cost(characters uint64, pattern string) uint64 {
	return 1 + cost.SafeMultiply(cost.SafeAdd(characters, 1), p[pattern])/10
}

// counted makes the run charge what a pattern costs.
func (p patterns) counted() cel.ProgramOption {
	track := func(args []ref.Val, _ ref.Val) *uint64 {
		pattern, _ := args[1].Value().(string)
		units := p.cost(cost.ActualSize(args[0]), pattern)
		return &units
	}
	return cel.CostTrackerOptions(cost.OverloadTracker(overloads.Matches, track), cost.OverloadTracker(overloads.MatchesString, track))
}

// The largest values that the estimate of an expression's cost reckons with.
const (
	maxAttribute = 4096 // bytes of text, elements of a list, members of a map
	maxElement   = 64   // the same, of an element: 4,096 of them are in no attribute
	maxChannel   = 64   // bytes
)

// sizes tells the estimate how large the variables can be, and what patterns cost.
type sizes struct{ patterns patterns }

// EstimateSize answers the size of a variable, or of what is inside it.
func (s sizes) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := node.Path()
	if len(path) == 0 {
		return nil
	}
	if path[0] == variableChannel {
		return &cost.SizeEstimate{Max: maxChannel}
	}
	for _, part := range path {
		if part == "@items" || part == "@keys" || part == "@values" {
			return &cost.SizeEstimate{Max: maxElement}
		}
	}
	return &cost.SizeEstimate{Max: maxAttribute}
}

// EstimateCallCost answers what matching a pattern costs, and leaves all else to CEL.
func (s sizes) EstimateCallCost(function, _ string, target *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	if function != overloads.Matches {
		return nil
	}
	if target != nil {
		args = append([]cost.AstNode{*target}, args...)
	}
	pattern, _ := args[1].Expr().AsLiteral().Value().(string)
	size := cost.EstimateSize(s, args[0])
	return cost.NewCallEstimate(cost.Estimate{Min: 1, Max: s.patterns.cost(size.Max, pattern)}, nil)
}
