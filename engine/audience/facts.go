package audience

import "cel.dev/cel-go/cel"

// facts are what one evaluation sees.
type facts struct {
	customer map[string]any
	channel  string
}

// ResolveName answers a variable.
func (f *facts) ResolveName(name string) (any, bool) {
	switch name {
	case variableCustomer:
		return f.customer, true
	case variableChannel:
		return f.channel, true
	}
	return nil, false
}

// Parent is nil: there is no wider scope.
func (*facts) Parent() cel.Activation { return nil }
