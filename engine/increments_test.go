package engine

import (
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// A person of a played test: when they entered, what they did before, and what they did since.
// Amounts are whole; churned is the day on which they stopped, after the last for never.
type person struct {
	day, arm             int
	before, spent, units int64
	churned              int
}

// A play is a group-sequential test of customers who enter evenly for some days, judged daily
// from the day on which the first have matured.
type play struct {
	name      string
	primary   Metric
	guardrail *Metric // with a margin of a tenth
	covariate bool
	// draw makes up what a customer of an arm does.
	draw func(r *rand.Rand, p *person)
}

const (
	playHorizon  = 14 // days until a customer has matured
	playDays     = 28 // of entry
	playPerDay   = 36 // in each arm
	playCustomer = playDays * playPerDay
)

// run plays a test to its end and answers its outcome.
func (p *play) run(e *Engine, seed uint64) Outcome {
	r := rand.New(rand.NewPCG(seed, 33))
	x := p.experiment()
	people := make([]person, 0, 2*playCustomer)
	for day := range playDays {
		for i := range 2 * playPerDay {
			one := person{day: day, arm: i % 2}
			p.draw(r, &one)
			people = append(people, one)
		}
	}
	var last *Report
	for today := playHorizon; x.Status == StatusRunning && today <= playDays+playHorizon; today++ {
		now := began.AddDate(0, 0, today)
		report, err := e.Rehearse(x, p.totals(x, people, today), now, last)
		if err != nil {
			panic(err)
		}
		if report != nil && report.Look != nil {
			last = report
		}
	}
	return x.Outcome
}

func (p *play) experiment() *Experiment {
	s := newScene()
	s.x.Metrics, s.x.Frozen = Metrics{}, nil
	s.metric(RolePrimary, p.primary)
	if p.guardrail != nil {
		s.metric(RoleGuardrail, *p.guardrail)
	}
	for i := range s.x.Frozen {
		s.x.Frozen[i].Window = &Window{ToDay: playHorizon}
	}
	s.x.Plan.Method, s.x.Plan.PlannedCustomers, s.x.Plan.Covariate = MethodGroupSequential, playCustomer, p.covariate
	s.x.Plan.MinEffect = 0 // nothing ends because nothing can win
	s.x.Policy.MinDays, s.x.Policy.MaxDays = playHorizon, playDays
	return s.x
}

// totals are what the ledger says on a day (postgres/totals.go).
func (p *play) totals(x *Experiment, people []person, today int) *Totals {
	t := &Totals{First: &began}
	for arm, v := range x.Variants {
		entered, mature := int64(0), []*person{}
		for i := range people {
			if one := &people[i]; one.arm == arm && one.day <= today {
				entered++
				if one.day+playHorizon <= today {
					mature = append(mature, one)
				}
			}
		}
		t.Arms = append(t.Arms, ArmCount{Variant: v.Key, Customers: entered})
		for i := range x.Frozen {
			m := &x.Frozen[i]
			total := ArmTotal{Metric: m.Key, Variant: v.Key, Mature: int64(len(mature))}
			if m.Kind == KindSurvival {
				days := daysOf(m.Key, v.Key, arm, people, today)
				for _, d := range days {
					total.NonZero += d.Churned
				}
				t.Days = append(t.Days, days...)
			} else {
				total.sum(m.Kind, mature)
			}
			t.Values = append(t.Values, total)
		}
	}
	return t
}

func (a *ArmTotal) sum(kind MetricKind, people []*person) {
	var y, yy, x, xx, xy int64
	for _, one := range people {
		value, by := one.spent, one.before
		if kind == KindRatio {
			by = one.units
		}
		if kind.IsBinary() {
			value = min(value, 1)
		}
		if value != 0 {
			a.NonZero++
		}
		y, yy, x, xx, xy = y+value, yy+value*value, x+by, xx+by*by, xy+value*by
	}
	a.Sum, a.SumSquares, a.Uncapped = decimal.NewFromInt(y), decimal.NewFromInt(yy), decimal.NewFromInt(y)
	a.SumX, a.SumXX, a.SumXY = decimal.NewFromInt(x), decimal.NewFromInt(xx), decimal.NewFromInt(xy)
}

func daysOf(metric MetricKey, variant VariantKey, arm int, people []person, today int) []DayCount {
	days := make([]DayCount, playHorizon+1)
	for i := range days {
		days[i] = DayCount{Metric: metric, Variant: variant, Day: i}
	}
	for i := range people {
		if one := &people[i]; one.arm == arm && one.day <= today {
			if followed := min(today-one.day, playHorizon); one.churned <= followed {
				days[one.churned].Churned++
			} else {
				days[followed].Censored++
			}
		}
	}
	return days
}

// Customers as shops have them: half never buy, amounts are lognormal with a deviation of the
// logarithm of 1, and who bought before buys again, for much the same.
func buys(r *rand.Rand, p *person) {
	taste := r.NormFloat64()
	amount := func(mean float64) int64 {
		return 1 + int64(math.Round(mean*math.Exp(0.8*taste+0.6*r.NormFloat64()))) // one at least: a cent
	}
	if r.Float64() < 0.6 {
		p.before = amount(3000)
	}
	if r.Float64() < 0.5 {
		p.spent, p.units = amount(3000), 1+r.Int64N(4)
		p.spent = p.spent * p.units / 2
	}
}

// stays draws the day on which a customer leaves who leaves with a probability a day that
// differs between customers.
func stays(r *rand.Rand, p *person, rate float64) {
	hazard := 1 - math.Exp(-rate*math.Exp(0.5*r.NormFloat64()))
	for p.churned = 1; p.churned <= playHorizon && r.Float64() >= hazard; p.churned++ {
	}
}

// Rates of leaving a day at which the restricted means up to the horizon are 10.129 and, a tenth
// less, 9.116 days: ∫ (1-(1-h)^14)/h over the normal distribution, h = 1 - exp(-rate e^(z/2)), the
// second by bisection.
const (
	stayRate      = 0.05
	stayRateWorse = 0.069255604
)

var (
	playedLTV      = Metric{Key: "ltv", Kind: KindLTV, Direction: Increase}
	playedShare    = Metric{Key: "kept", Kind: KindRetention, Direction: Increase}
	playedSurvival = Metric{Key: "stay", Kind: KindSurvival, Direction: Increase}
	playedRatio    = Metric{Key: "basket", Kind: KindRatio, Direction: Increase}
)

// In all plays whoever promotes or stops an arm is wrong, or has luck: the arms are alike, or the
// treatment is much better in the primary and worse in the guardrail by exactly its margin.
var plays = []play{
	{name: "covariate", primary: playedLTV, covariate: true, draw: buys},
	{name: "covariate of a share", primary: playedShare, covariate: true, draw: buys},
	{name: "survival", primary: playedSurvival, draw: func(r *rand.Rand, p *person) { stays(r, p, stayRate) }},
	{name: "ratio at its margin", primary: playedSurvival, guardrail: &playedRatio, draw: func(r *rand.Rand, p *person) {
		buys(r, p)
		stays(r, p, stayRate)
		if p.arm == 1 {
			p.spent = int64(math.Round(0.9 * float64(p.spent)))
			stays(r, p, stayRate/4)
		}
	}},
	{name: "survival at its margin", primary: playedShare, guardrail: &playedSurvival, draw: func(r *rand.Rand, p *person) {
		buys(r, p)
		stays(r, p, stayRate)
		if p.arm == 1 {
			p.spent++
			stays(r, p, stayRateWorse)
		}
	}},
}

// TestGroupSequentialErrors plays tests of every kind of metric whose looks are not simply sums of
// what the matured spent: of those that end by a decision on either side at most half of alpha do,
// and three standard errors more. PERENNIAL_TEST_PLAYS=4000 plays that many of each instead of 80.
func TestGroupSequentialErrors(t *testing.T) {
	tests, err := strconv.Atoi(os.Getenv("PERENNIAL_TEST_PLAYS"))
	if err != nil {
		tests = 80
	}
	for _, p := range plays {
		t.Run(p.name, func(t *testing.T) {
			counts := p.all(tests)
			n, side := float64(tests), DefaultPlan().Alpha/2
			most := n*side + 3*math.Sqrt(n*side*(1-side))
			promoted, stopped := counts[OutcomePromoted], counts[OutcomeStopped]
			if max(promoted, stopped) > int(most) {
				t.Errorf("%d promoted, %d stopped, at most %.1f of %d", promoted, stopped, most, tests)
			}
			if promoted+stopped == 0 || counts[""] > 0 {
				t.Errorf("outcomes %v: this proves nothing", counts)
			}
			t.Logf("of %d tests %d (%.2f %%) promoted, %d (%.2f %%) stopped",
				tests, promoted, 100*float64(promoted)/n, stopped, 100*float64(stopped)/n)
		})
	}
}

// all plays tests and counts their outcomes.
func (p *play) all(tests int) map[Outcome]int {
	// One engine remembers the boundaries that plays share.
	e := New(Config{Random: zeros{}, Now: func() time.Time { return began }, Reporting: "EUR"})
	outcomes := make([]Outcome, tests)
	var wait sync.WaitGroup
	for w := range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := w; i < tests; i += runtime.GOMAXPROCS(0) {
				outcomes[i] = p.run(e, uint64(i))
			}
		})
	}
	wait.Wait()
	counts := map[Outcome]int{}
	for _, o := range outcomes {
		counts[o]++
	}
	return counts
}

// Where everybody has matured survival tells what whole lives tell; before, those who are still
// followed count in part, and the more the longer they have been.
func TestWholeLives(t *testing.T) {
	for _, tt := range []struct {
		name string
		days []DayCount
		want float64 // by hand: the variance of min(T, 4) over the error's square
	}{
		// Means 1, 2, 3, 4 of 25 each: variance 1.25, error² 1.25/100.
		{"all have", []DayCount{{Day: 1, Churned: 25}, {Day: 2, Churned: 25}, {Day: 3, Churned: 25}, {Day: 4, Censored: 25}}, 100},
		// Of 200, 100 are seen for a day only, in which a quarter leaves. S is 3/4, 1/2, 1/4 after
		// days 1 to 3 as above. Areas after them are 1.5, 0.75 and 0.25; error² is
		// 1.5²·50/(200·150) + 0.75²·25/(75·50) + 0.25²·25/(50·25) = 0.00875.
		{"half are seen for a day", []DayCount{
			{Day: 1, Churned: 50, Censored: 75}, {Day: 2, Churned: 25}, {Day: 3, Churned: 25}, {Day: 4, Censored: 25},
		}, 1.25 / 0.00875},
		{"nobody has", []DayCount{{Day: 1, Churned: 25, Censored: 75}}, 0},
		{"nobody left", []DayCount{{Day: 4, Censored: 75}}, 0},
		{"nobody is there", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := wholeLives(lifeTable(tt.days), 4); math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("%g whole lives, want %g", got, tt.want)
			}
		})
	}
}
