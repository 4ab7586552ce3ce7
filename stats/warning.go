package stats

// Warning says why a result has no number, or less than it should. The zero
// value says that nothing is wrong.
type Warning uint8

// The warnings. Their text is part of the interface: it reaches people.
const (
	// NoWarning: every number of the result is an answer.
	NoWarning Warning = iota
	// TooFewCustomers: fewer than the two customers an arm needs for a variance.
	TooFewCustomers
	// ZeroVariance: nothing varies, so there is no scale to judge by.
	ZeroVariance
	// ZeroBaseline: the control mean is not positive; only the absolute effect
	// has a meaning.
	ZeroBaseline
	// UncertainBaseline: the control mean cannot be told from zero; any relative
	// effect would be possible.
	UncertainBaseline
	// NonFiniteInput: an input is NaN or infinite.
	NonFiniteInput
	// InvalidInput: an input lies outside its range, such as a negative count.
	InvalidInput
	// Overflow: the inputs are finite but the answer is outside float64.
	Overflow
	// NoConvergence: an iteration did not settle.
	NoConvergence
	// NoEvents: nothing happened that could be compared.
	NoEvents
	// BeyondFollowUp: the horizon lies after the last time anyone was observed.
	BeyondFollowUp
	// NotIdentified: nobody was followed long enough to say.
	NotIdentified
	// NeedsMerge: a stratum has fewer than two customers in an arm and must be
	// merged with another one first.
	NeedsMerge
	// UndefinedMean: the fitted distribution has no mean.
	UndefinedMean
	// NoEffect: without an effect to find, no sample is large enough.
	NoEffect
	// ZeroCap: the cap would be zero, because too many values are.
	ZeroCap
)

var warningText = [...]string{
	NoWarning:         "",
	TooFewCustomers:   "too_few_customers",
	ZeroVariance:      "zero_variance",
	ZeroBaseline:      "zero_baseline",
	UncertainBaseline: "uncertain_baseline",
	NonFiniteInput:    "non_finite_input",
	InvalidInput:      "invalid_input",
	Overflow:          "overflow",
	NoConvergence:     "no_convergence",
	NoEvents:          "no_events",
	BeyondFollowUp:    "beyond_follow_up",
	NotIdentified:     "not_identified",
	NeedsMerge:        "needs_merge",
	UndefinedMean:     "undefined_mean",
	NoEffect:          "no_effect",
	ZeroCap:           "zero_cap",
}

// String returns the code of the warning in snake case, empty for NoWarning.
func (w Warning) String() string {
	if int(w) < len(warningText) {
		return warningText[w]
	}
	return "unknown_warning"
}

// first returns the first warning that is one.
func first(ws ...Warning) Warning {
	for _, w := range ws {
		if w != NoWarning {
			return w
		}
	}
	return NoWarning
}
