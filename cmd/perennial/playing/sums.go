package playing

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

// A sum is what is known of one metric in one arm, or what comes to be known at one step.
type sum struct {
	mature, nonZero int64
	total           int64 // in ten-thousandths
	squares         big.Int
}

func (s *sum) add(other *sum) {
	s.mature += other.mature
	s.nonZero += other.nonZero
	s.total += other.total
	s.squares.Add(&s.squares, &other.squares)
}

// grow counts a value that has grown from before to after, or that is new with before 0.
func (s *sum) grow(before, after int64) {
	switch {
	case before == 0 && after != 0:
		s.nonZero++
	case before != 0 && after == 0:
		s.nonZero--
	}
	s.total += after - before
	var d, e big.Int
	s.squares.Add(&s.squares, d.Mul(d.SetInt64(after-before), e.Add(e.SetInt64(after), big.NewInt(before))))
}

// An armSums is the sums of an arm.
type armSums struct {
	customers int64
	metrics   [maxPrimaries]sum
}

func (a *armSums) add(other *armSums) {
	a.customers += other.customers
	for i := range a.metrics {
		a.metrics[i].add(&other.metrics[i])
	}
}

func (a *armSums) reset() {
	a.customers = 0
	for i := range a.metrics {
		m := &a.metrics[i]
		m.mature, m.nonZero, m.total = 0, 0, 0
		m.squares.SetInt64(0)
	}
}

// A ledger is what comes to be known of each arm at each step of the clock.
type ledger struct {
	*Config
	step  float64 // days
	steps [][]armSums
	now   []armSums
}

func newLedger(c *Config, step float64, steps int) *ledger {
	l := &ledger{Config: c, step: step, steps: make([][]armSums, steps+1), now: make([]armSums, len(c.Weights))}
	for i := range l.steps {
		l.steps[i] = make([]armSums, len(c.Weights))
	}
	return l
}

func (l *ledger) reset() {
	for _, arms := range append(l.steps, l.now) {
		for i := range arms {
			arms[i].reset()
		}
	}
}

// at is the first step at which something is seen, which may be after the last.
func (l *ledger) at(day float64) int { return int(math.Ceil(day / l.step)) }

// record writes down one customer of an arm.
func (l *ledger) record(c *Customer, arm int, orders []Order) {
	from := l.at(c.Enters)
	l.steps[from][arm].customers++
	horizon := float64(l.Horizon)
	matured := l.at(c.Enters + horizon)
	if l.ToDate {
		matured, horizon = from, math.Inf(1)
	}
	slices.SortFunc(orders, func(a, b Order) int { return cmp.Compare(a.known, b.known) })
	for metric := range l.Primaries {
		first := 0.0
		if metric == retained {
			first = float64(l.Horizon) / 2
		}
		l.measure(c, arm, metric, matured, first, horizon, orders)
	}
}

// measure adds what a customer did at ages from first to end to a metric, from the step on at
// which they have matured.
func (l *ledger) measure(c *Customer, arm, metric, matured int, first, end float64, orders []Order) {
	if matured >= len(l.steps) {
		return
	}
	l.steps[matured][arm].metrics[metric].mature++
	value := int64(0)
	for i := 0; i < len(orders); {
		step := max(matured, l.at(c.Enters+orders[i].known))
		before := value
		for ; i < len(orders) && max(matured, l.at(c.Enters+orders[i].known)) == step; i++ {
			if o := orders[i]; o.Age >= first && o.Age < end {
				value = valueAfter(metric, value, o.Amount)
			}
		}
		if step >= len(l.steps) {
			return
		}
		if value != before {
			l.steps[step][arm].metrics[metric].grow(before, value)
		}
	}
}

// valueAfter is a customer's value of a metric after an order.
func valueAfter(metric int, value, amount int64) int64 {
	if metric == retained {
		return one
	}
	return value + amount
}

// one is the value 1 in ten-thousandths.
const one = 10_000

// totals brings the sums up to a step of the clock, the one after the last, and answers them
// as the engine takes them.
func (l *ledger) totals(step int, x *engine.Experiment, first time.Time) *engine.Totals {
	t := &engine.Totals{First: &first}
	for arm := range l.now {
		now := &l.now[arm]
		now.add(&l.steps[step][arm])
		variant := x.Variants[arm].Key
		t.Arms = append(t.Arms, engine.ArmCount{Variant: variant, Customers: now.customers})
		for metric := range l.Primaries {
			m := &now.metrics[metric]
			total := decimal.New(m.total, unit)
			t.Values = append(t.Values, engine.ArmTotal{
				Metric: x.Metrics.Primary[metric], Variant: variant, Mature: m.mature, NonZero: m.nonZero,
				Sum: total, Uncapped: total, SumSquares: decimal.NewFromBigInt(&m.squares, 2*unit),
			})
		}
	}
	return t
}
