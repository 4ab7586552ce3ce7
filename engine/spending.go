package engine

import (
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/survival"
)

// A SpentLook is a look at which a group-sequential plan has spent error. Those up to a look
// and the plan's alpha say what its boundary was. Looks that came too early to decide
// anything, or on unhealthy data, have spent nothing and are not among them.
type SpentLook struct {
	// Fraction is the share of the plan up to which error is spent: 1 at its end, whatever was
	// reached; before min_days at most the share of them that is over.
	Fraction   float64 `json:"fraction"`
	AlphaSpent float64 `json:"alpha_spent"` // up to and at this look, on both sides
	// Information is the matured customers of each metric as a share of the plan; of survival those
	// still followed count in part. It sets the correlation of the looks.
	Information map[MetricKey]float64 `json:"information"`
	// Boundary is what the difference of the first primary over its error had to reach if it
	// were the only question; nil: the look could not stop.
	Boundary *float64 `json:"boundary"`
}

const (
	// farBoundary: a look whose boundary is beyond it cannot stop.
	farBoundary = 8
	// leastGrowth is the least information that a look is taken to have added. The slower of
	// two metrics may not have grown at all; with less correlation the boundary is safe.
	leastGrowth = 0.001
	// mostInformation is the most that is told from more: looks before are forgotten by then.
	mostInformation = 50
)

// nextLooks adds the look that is taken now to those before. One that adds too little counts
// as the one before; so does any after the end, when everything is spent.
func nextLooks(before []SpentLook, next SpentLook) []SpentLook {
	if n := len(before); n > 0 {
		last := before[n-1].Fraction
		if last >= 1 || (next.Fraction < 1 && !grown(last, next.Fraction)) {
			return before
		}
	}
	return append(slices.Clone(before), next)
}

// thisLook is the look that is taken on these totals. A plan does not end before min_days, however
// many have matured: until then a part is left to spend.
func (c *caseFile) thisLook(t *Totals, r *Report) SpentLook {
	x := c.experiment
	l := SpentLook{Fraction: min(1, r.Information), Information: map[MetricKey]float64{}}
	if r.Final {
		l.Fraction = 1
	} else if least := x.Policy.minDays(); least > 0 {
		l.Fraction = min(l.Fraction, c.age()/float64(least))
	}
	for i, key := range x.Metrics.Keys() {
		l.Information[key] = x.share(t, key)
		if m := &x.Frozen[i]; m.Kind == KindSurvival && l.Information[key] > 0 {
			l.Information[key] *= x.followed(t, m)
		}
	}
	l.AlphaSpent = 2 * stats.Spending{}.Spent(x.Plan.Alpha/2, l.Fraction)
	return l
}

// followed is how many customers, followed to the end, would tell as much of survival as all who
// are in the test do, for each that has matured. The restricted mean up to a fixed day has
// independent increments, in the information of everybody.
func (x *Experiment) followed(t *Totals, m *Metric) float64 {
	customers, mature := 0.0, 0.0
	for _, v := range x.Variants {
		n := float64(t.value(m.Key, v.Key).Mature)
		mature += n
		customers += max(n, wholeLives(lifeTable(t.days(m.Key, v.Key)), float64(m.Window.ToDay)))
	}
	return customers / mature
}

// wholeLives is the number of customers, all followed to tau, whose restricted mean would have
// the error of that of the table: the variance of a life up to tau over the error's square. It is 0
// where either cannot be told.
func wholeLives(table survival.Table, tau float64) float64 {
	mean := table.RestrictedMean(tau)
	curve := survival.KaplanMeier(table, survival.LogLog, 0.95)
	if mean.Warning != stats.NoWarning || curve.Warning != stats.NoWarning || mean.SE == 0 {
		return 0
	}
	squares, share, last := 0.0, 1.0, 0.0 // E[min(T, tau)²] = ∫ 2t S(t) dt
	for _, p := range curve.Points {
		if p.Time >= tau {
			break
		}
		squares += share * (p.Time*p.Time - last*last)
		share, last = p.Survival, p.Time
	}
	squares += share * (tau*tau - last*last)
	return max(0, squares-mean.Mean*mean.Mean) / (mean.SE * mean.SE)
}

// groupPlan is the plan of the looks so far for a metric, at an error of both sides together.
func groupPlan(looks []SpentLook, metric MetricKey, alpha float64) stats.Plan {
	p := stats.Plan{Alpha: alpha / 2, TwoSided: true}
	last := 0.0
	for _, l := range looks {
		last = max(min(l.Information[metric], mostInformation), last+leastGrowth)
		p.Times = append(p.Times, last)
		p.SpendTimes = append(p.SpendTimes, l.Fraction)
	}
	return p
}

// boundary is what |difference|/error of a metric must reach at the last look for an error
// of alpha; +Inf before the first look and where the look cannot stop.
func (j judge) boundary(metric MetricKey, alpha float64) float64 {
	if len(j.looks) == 0 {
		return math.Inf(1)
	}
	return j.known.boundary(groupPlan(j.looks, metric, alpha))
}

// repeatedP is the smallest error at which the last look would have stopped at z; NaN before
// the first look, and where it is not asked for.
func (j judge) repeatedP(metric MetricKey, z float64) float64 {
	if len(j.looks) == 0 || j.noP {
		return math.NaN()
	}
	p, w := groupPlan(j.looks, metric, j.plan.Alpha).RepeatedP(len(j.looks), min(math.Abs(z), farBoundary))
	if w != stats.NoWarning {
		return math.NaN()
	}
	return min(1, 2*p)
}

// boundaries remembers boundaries: they take long to find, and many questions of a report,
// and many reports, ask for the same. It is safe for concurrent use.
type boundaries struct {
	mu    sync.Mutex
	known map[string]float64
}

// mostBoundaries is how many are remembered before all are forgotten.
const mostBoundaries = 10_000

// boundary is that of the plan's last look.
func (b *boundaries) boundary(p stats.Plan) float64 {
	key := strconv.AppendFloat(nil, p.Alpha, 'g', -1, 64)
	for i := range p.Times {
		key = strconv.AppendFloat(append(key, ' '), p.Times[i], 'g', -1, 64)
		key = strconv.AppendFloat(append(key, ' '), p.SpendTimes[i], 'g', -1, 64)
	}
	b.mu.Lock()
	z, ok := b.known[string(key)]
	b.mu.Unlock()
	if ok {
		return z
	}
	z = math.Inf(1)
	if found := p.Boundaries(); found.Warning == stats.NoWarning {
		z = found.Upper[len(found.Upper)-1]
	}
	if z > farBoundary {
		z = math.Inf(1)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil || len(b.known) >= mostBoundaries {
		b.known = map[string]float64{}
	}
	b.known[string(key)] = z
	return z
}
