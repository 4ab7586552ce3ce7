package playing

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	random "math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/engine/assign"
)

// began is when the first customer enters, by the virtual clock.
var began = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// after is the time when some days have passed.
func after(days float64) time.Time { return began.Add(time.Duration(days * float64(24*time.Hour))) }

// A player plays tests.
type player struct {
	*Config
	engine   *engine.Engine
	crowd    crowd
	mean     float64 // that a customer spends
	step     float64 // days
	steps    int
	template engine.Spec
	metrics  []engine.Metric
}

// Run plays all tests on all processors and calls played after each, at any time from any
// goroutine.
func Run(ctx context.Context, c Config, played func()) (*Result, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p, err := newPlayer(&c)
	if err != nil {
		return nil, err
	}
	outcomes := make([]outcome, c.Tests)
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(c.Tests, runtime.GOMAXPROCS(0)) {
		group.Go(func() error {
			l := newLedger(p.Config, p.step, p.steps)
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= c.Tests {
					return nil
				}
				o, err := p.play(i, l)
				if err != nil {
					return fmt.Errorf("test %d: %w", i, err)
				}
				outcomes[i] = o
				played()
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return p.result(outcomes), nil
}

func newPlayer(c *Config) (*player, error) {
	p := &player{Config: c}
	var mean, sd float64
	if c.Log != nil {
		if len(c.Log.Customers) < 2*len(c.Weights) {
			return nil, errors.New("the log has too few customers who are seen for the whole horizon")
		}
		c.Log.horizon = float64(c.Horizon)
		p.crowd = c.Log
		c.Customers = c.Log.size() / len(c.Weights)
		mean, _ = c.Log.spending()
	} else {
		mean, sd = newShop(c).spending()
		if c.Customers == 0 {
			c.Customers = DefaultCustomers
			if c.Scenario.effective() {
				var err error
				if c.Customers, err = c.plannedCustomers(mean, sd); err != nil {
					return nil, err
				}
			}
		}
		p.crowd = newShop(c)
	}
	p.mean = mean
	p.step = p.crowd.entry() / float64(c.Looks)
	p.engine = engine.New(engine.Config{
		Now: func() time.Time { return began }, Random: rand.Reader, Log: slog.New(slog.DiscardHandler), Reporting: "EUR",
	})
	if err := p.plan(); err != nil {
		return nil, err
	}
	p.steps = int(math.Ceil(float64(p.template.Policy.MaxDays+c.Horizon) / p.step))
	return p, nil
}

// plan makes the experiment that all tests are copies of.
func (p *player) plan() error {
	s := &p.template
	s.Key, s.Assignment, s.Traffic = "simulated", engine.AssignedElsewhere, decimal.NewFromInt(1)
	for i, w := range p.Weights {
		key := engine.VariantKey("control")
		if i > 0 {
			key = engine.VariantKey(fmt.Sprintf("treatment-%d", i))
		}
		s.Variants = append(s.Variants, engine.Variant{Key: key, Control: i == 0, Weight: w})
	}
	p.metrics = []engine.Metric{{
		Key: "value", Kind: engine.KindLTV, Events: []string{"order"}, Window: &engine.Window{ToDay: p.Horizon},
	}, {
		Key: "retained", Kind: engine.KindRetention, Events: []string{"order"},
		Window: &engine.Window{FromDay: p.Horizon / 2, ToDay: p.Horizon},
	}}[:p.Primaries]
	for i := range p.metrics {
		if err := p.metrics[i].Validate(); err != nil {
			return err
		}
		s.Metrics.Primary = append(s.Metrics.Primary, p.metrics[i].Key)
	}
	s.Plan, s.Policy = engine.DefaultPlan(), engine.DefaultPolicy()
	s.Plan.Method, s.Plan.Alpha, s.Plan.Power, s.Plan.PlannedCustomers = p.Method, p.Alpha, p.Power, p.Customers
	if p.Method == Naive {
		s.Plan.Method = engine.MethodFixed // whose reports show a plain test
	}
	if p.Scenario.effective() && !p.NoFutility {
		s.Plan.MinEffect = p.Effect
	}
	s.Policy.MaxDays = int(p.crowd.entry())
	s.Policy.MinDays = min(s.Policy.MinDays, s.Policy.MaxDays)
	return s.Validate()
}

// start makes test i and the source of all its chance.
func (p *player) start(i int) (*engine.Experiment, *random.Rand) {
	r := random.New(random.NewPCG(p.Seed, uint64(i))) //nolint:gosec // The number of a test is not negative.
	return &engine.Experiment{
		Spec: p.template, Status: engine.StatusRunning, Frozen: p.metrics, StartedAt: &began,
		Salt: fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()),
	}, r
}

// play plays one test to its decision or its end.
func (p *player) play(i int, l *ledger) (outcome, error) {
	x, r := p.start(i)
	truth := p.newTruth(r)
	l.reset()
	p.meet(r, x, &truth, l.record)
	o := outcome{truth: truth, spared: -1}
	var last *engine.Report
	for step := range p.steps + 1 {
		day := float64(step) * p.step
		totals := l.totals(step, x, began)
		report, err := p.engine.Rehearse(x, totals, after(day), last)
		if err != nil {
			return outcome{}, err
		}
		if report == nil {
			continue
		}
		if p.Method == Naive {
			naively(x, report, p.Alpha)
		}
		o.see(x, report)
		if o.spared < 0 && o.over(1, x) {
			o.spared, o.overAt = l.spared(1), report.Information
		}
		if report.Look != nil {
			last = report
		}
		if x.Status == engine.StatusConcluded {
			o.conclude(p, x, report, day)
			return o, nil
		}
	}
	return o, nil
}

// meet hands out the customers of a test with their arms and what they do there, which is good
// until the next.
func (p *player) meet(r *random.Rand, x *engine.Experiment, t *truth, each func(c *Customer, arm int, orders []Order)) {
	var orders []Order
	p.crowd.visit(r, func(c *Customer) {
		arm := assign.Pick(x.Salt, c.ID, p.Weights)
		done, ok := t.befall(r, c, arm, orders[:0])
		if ok {
			each(c, arm, done)
			orders = done
		}
	})
}

// naively ends a test as soon as a plain test finds a difference in any primary, at each look
// and uncorrected.
func naively(x *engine.Experiment, r *engine.Report, alpha float64) {
	for _, m := range r.Metrics {
		for _, c := range m.Comparisons {
			if c.Fixed.PValue == nil || *c.Fixed.PValue > alpha || slices.Contains(x.Stopped, c.Variant) {
				continue
			}
			x.Status, x.Winner = engine.StatusConcluded, ""
			if *c.Difference > 0 {
				x.Outcome, x.Winner = engine.OutcomePromoted, c.Variant
				return
			}
			x.Stopped = append(x.Stopped, c.Variant)
			if x.Outcome = engine.OutcomeStopped; len(x.Active()) > 0 {
				x.Status, x.Outcome = engine.StatusRunning, ""
			}
		}
	}
}
