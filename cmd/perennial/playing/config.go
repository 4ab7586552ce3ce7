package playing

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/stats"
)

// Naive is a plain test at each look. The engine does not have it.
const Naive engine.Method = "naive"

// Methods are the methods that tests can be played by.
var Methods = []engine.Method{engine.MethodAnytime, engine.MethodGroupSequential, engine.MethodFixed, Naive}

// A Config says which tests are played.
type Config struct {
	Scenario Scenario
	Tests    int
	Looks    int // at which more customers have matured than before
	Method   engine.Method
	Seed     uint64

	Alpha     float64
	Power     float64
	Effect    float64 // true effect, and the least worth having, as a share of control's mean
	Weights   []int   // of the arms, control first
	Primaries int     // 1: value; 2: value, and whether one orders in the second half of the horizon
	Horizon   int     // days
	// Customers is the planned number per arm; 0: as many as the effect asks for, or
	// DefaultCustomers without one. Of a log it is all there are.
	Customers  int
	NoFutility bool    // the plan names no least effect: no test ends because nothing can win
	Lost       float64 // of scenario SampleRatio
	ToDate     bool    // decide on everybody's value so far, which the engine never does

	Zeros float64 // share of the made-up customers who never order
	LogSD float64 // deviation of the logarithm of an amount
	Log   *Log    // real customers instead
}

// DefaultCustomers are the customers per arm where no effect says how many are needed.
const DefaultCustomers = 6000

const (
	maxPrimaries = 2
	retained     = 1 // index of the second primary
	maxCustomers = 5_000_000
	maxLooks     = 1000
)

// Validate answers everything that is wrong.
func (c *Config) Validate() error {
	var mistakes []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			mistakes = append(mistakes, fmt.Errorf(format, args...))
		}
	}
	check(slices.Contains(Scenarios, c.Scenario), "scenario %q is not one of %s", c.Scenario, list(Scenarios))
	check(slices.Contains(Methods, c.Method), "method %q is not one of %s", c.Method, list(Methods))
	check(c.Tests >= 1 && c.Tests <= 1_000_000, "tests must be 1 to 1,000,000")
	check(c.Looks >= 1 && c.Looks <= maxLooks, "looks must be 1 to %d", maxLooks)
	check(c.Alpha >= 0.0001 && c.Alpha <= 0.2, "alpha must lie between 0.0001 and 0.2")
	check(c.Effect >= 0.01 && c.Effect <= 0.5, "effect must be a share of control's mean from 0.01 to 0.5")
	check(len(c.Weights) >= 2 && len(c.Weights) <= 10, "weights must be those of 2 to 10 arms, control first, such as 1,1")
	check(!slices.ContainsFunc(c.Weights, func(w int) bool { return w < 1 || w > 1000 }), "a weight must be 1 to 1000")
	check(c.Primaries == 1 || c.Primaries == 2, "primaries must be 1 or 2")
	check(c.Horizon >= 1 && c.Horizon <= 365, "horizon must be 1 to 365 days")
	check(c.Customers >= 0 && c.Customers <= maxCustomers, "customers must be at most %d per arm", maxCustomers)
	check(c.Lost >= 0 && c.Lost < 1, "lost must be a share from 0 to below 1")
	check(c.Zeros >= 0 && c.Zeros <= 0.99, "zeros must be a share from 0 to 0.99")
	check(c.LogSD >= 0.1 && c.LogSD <= 2.5, "log-sd must be 0.1 to 2.5")
	check(c.Log == nil || c.Customers == 0, "the number of customers is that of the log: leave it out")
	return errors.Join(mistakes...)
}

func list[T ~string](names []T) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, ", ")
}

// effective tells whether the plan is made to find an effect.
func (s Scenario) effective() bool { return s == Effect || s == Harm || s == Programme }

// plannedCustomers is the number per arm that finds the effect in the first treatment with the
// wanted power, at the spread of the crowd: that of one look, times what the method's many
// looks cost. With several questions each has a share of alpha.
func (c *Config) plannedCustomers(mean, sd float64) (int, error) {
	total, treatment := 0, float64(c.Weights[1])
	for _, w := range c.Weights {
		total += w
	}
	questions := float64(c.Primaries * (len(c.Weights) - 1))
	size := stats.MeanSampleSize(c.Effect*mean, sd, (1+c.Effect)*sd, c.Alpha/questions, c.Power, treatment/float64(c.Weights[0]))
	if size.Warning != stats.NoWarning {
		return 0, fmt.Errorf("the number of customers for an effect of %g cannot be found: %s", c.Effect, size.Warning)
	}
	all := size.Control / float64(c.Weights[0]) * float64(total)
	planned := math.Ceil(all / float64(len(c.Weights)) * inflation(c.Method))
	if planned > maxCustomers {
		return 0, fmt.Errorf("an effect of %g needs %.0f customers per arm of a spread of %.0f times the mean: ask for a larger effect",
			c.Effect, planned, sd/mean)
	}
	return int(planned), nil
}

// inflation is what looking often costs in customers: Lan-DeMets with O'Brien-Fleming spending,
// 30 looks and power 80 %; a confidence sequence tuned to the plan's end.
func inflation(m engine.Method) float64 {
	switch m {
	case engine.MethodGroupSequential:
		return 1.06
	case engine.MethodAnytime:
		return 1.72
	case engine.MethodFixed, Naive:
	}
	return 1
}
