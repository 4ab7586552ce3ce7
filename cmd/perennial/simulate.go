package main

import (
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/perennial-engine/perennial/cmd/perennial/playing"
	"github.com/perennial-engine/perennial/engine"
)

// simulateOptions are the flags of a simulation.
type simulateOptions struct {
	playing.Config
	scenario, method string
	file             string
	read             importOptions
}

func newSimulate(a *app) *cobra.Command {
	o := simulateOptions{Config: playing.Config{Power: engine.DefaultPlan().Power}}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Play thousands of tests whose truth is known, and count the wrong decisions",
		Long: `Plays whole tests through the engine's own judgement and decisions on a virtual clock, one look
a day, and tells how often it was wrong, how often it found what was there, and how long that
took, each with its 95 % interval. It needs no database and no running engine. The same seed
gives the same result on any machine.

Scenarios:
  aa            all arms are alike: every promotion is a false one
  effect        the first treatment's customers spend more, by --effect
  harm          they spend less, by twice the effect
  programme     of ten tests one is harm, two an effect and seven nothing
  pull_forward  the treatment makes customers buy earlier, and no more
  late          alike, and the records of three in ten orders come up to 14 days late
  sample_ratio  alike, and of those who spend little in the treatment a share, --lost, is lost

Methods: those of a plan, and naive, a plain test at each look, which the engine does not have.

The customers of a shop are made up: nine in ten never order, the others once, for a lognormal
amount. With --data they are those of your own event file, read as by "perennial import events":
everyone enters with their first event, in every test in other arms by hash, and who is not seen
for the whole horizon is left out. See docs/simulate.md for what to expect.`,
		Example: `  perennial simulate --scenario aa --tests 2000 --looks 60
  perennial simulate --scenario aa --tests 2000 --looks 60 --method naive
  perennial simulate --scenario effect --effect 0.2 --method group_sequential
  perennial simulate --scenario pull_forward --to-date --method anytime
  perennial simulate --scenario aa --data orders.csv --map customer=card --set type=order \
      --map occurred_at=date --map value=total --set currency=EUR`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.simulate(cmd, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.scenario, "scenario", string(playing.AA), "what is true of the tests")
	flags.IntVar(&o.Tests, "tests", 1000, "`NUMBER` of tests")
	flags.IntVar(&o.Looks, "looks", 60, "`NUMBER` of looks at which more customers have matured than before")
	flags.StringVar(&o.method, "method", string(engine.MethodGroupSequential), "group_sequential, anytime, fixed or naive")
	flags.Uint64Var(&o.Seed, "seed", 1, "`NUMBER` that all chance is made from")
	flags.Float64Var(&o.Alpha, "alpha", engine.DefaultPlan().Alpha, "error of the plan")
	flags.Float64Var(&o.Effect, "effect", 0.2, "true effect, as a share of control's mean")
	flags.IntSliceVar(&o.Weights, "weights", []int{1, 1}, "weights of the arms, control first: 9,1 or 1,1,1")
	flags.IntVar(&o.Primaries, "primaries", 1, "1: the value of a customer; 2: also whether they order in the second half of the horizon")
	flags.IntVar(&o.Horizon, "horizon", 28, "`DAYS` after which a customer has matured")
	flags.IntVar(&o.Customers, "customers", 0, fmt.Sprintf("planned `NUMBER` per arm (default: what the effect needs; %d without one)", playing.DefaultCustomers))
	flags.BoolVar(&o.NoFutility, "no-futility", false, "a plan without a least effect: no test ends because nothing can win any more")
	flags.Float64Var(&o.Lost, "lost", 0.2, "share of the treatment's customers who spend little that scenario sample_ratio loses")
	flags.BoolVar(&o.ToDate, "to-date", false, "decide on everybody's value so far, which the engine never does")
	flags.Float64Var(&o.Zeros, "zeros", 0.9, "share of the made-up customers who never order")
	flags.Float64Var(&o.LogSD, "log-sd", 1.5, "standard deviation of the logarithm of an amount: the weight of the tail")
	flags.StringVar(&o.file, "data", "", "customers of this event `FILE` instead of made-up ones")
	addMapping(flags, &o.read)
	return cmd
}

func (a *app) simulate(cmd *cobra.Command, o simulateOptions) error {
	o.Scenario, o.Method = playing.Scenario(o.scenario), engine.Method(o.method)
	if o.file != "" {
		var err error
		if o.Log, err = a.readLog(o.file, o.read, float64(o.Horizon)); err != nil {
			return err
		}
	}
	if err := o.Validate(); err != nil {
		return usagef("%s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	bar := newProgress(a.stderr, int64(o.Tests), "tests")
	var mu sync.Mutex
	played := 0
	result, err := playing.Run(cmd.Context(), o.Config, func() {
		mu.Lock()
		defer mu.Unlock()
		played++
		bar.show(int64(played), played)
	})
	bar.done()
	if err != nil {
		return interrupted(cmd.Context(), "the simulation", err)
	}
	return a.answer(result, func() string { return simulationText(result) })
}
