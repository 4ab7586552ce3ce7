package simulation

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/ltv"
)

// Outcome is what is measured of customers who are still buying.
type Outcome uint8

// The outcomes.
const (
	// ToDate is the value so far of everyone enrolled, however long ago.
	ToDate Outcome = iota
	// Matured is the value over the window of those who have completed it.
	Matured
	// Cumulative is the mean cumulative value at the end of the window, from
	// everyone for as long as observed.
	Cumulative
)

// Accrual has customers who enrol on a random day and buy at random times after,
// watched daily. The treatment changes at most when they buy: the value over the
// window is the same in both arms.
type Accrual struct {
	// PerArm customers enrol on the first Entry days; the last look is at the
	// end of day Days.
	PerArm, Entry, Days int
	// Window is the number of days whose value counts.
	Window int
	// Rate is the mean number of purchases per day, Shape that of its gamma
	// distribution over customers (0: everyone alike), LogSD the deviation of the
	// logarithm of an amount.
	Rate, Shape, LogSD float64
	// Pull multiplies the age of the treatment's purchases within the window;
	// 0 changes nothing.
	Pull float64
	// Cap limits the matured value of one customer; 0 is no cap.
	Cap     float64
	Outcome Outcome
}

// firstMatured and firstAtRisk are the customers per arm below which matured
// value and cumulative value are not looked at, firstDay the day before which
// value to date is not.
const (
	firstDay     = 3
	firstMatured = 30
	firstAtRisk  = 20
)

// Effect returns the true difference over the window, which is zero.
func (Accrual) Effect() float64 { return 0 }

// Path draws one experiment.
func (a Accrual) Path(r *rand.Rand, into []Look) []Look {
	return a.follow(a.enrol(r), a.enrol(r), into)
}

// follow returns the looks at two arms. The treatment's purchases are pulled
// forward in place.
func (a Accrual) follow(control, treatment cohort, into []Look) []Look {
	if a.Pull > 0 {
		treatment.hurry(float64(a.Window), a.Pull)
	}
	switch a.Outcome {
	case Matured:
		return a.maturedPath(control, treatment, into[:0])
	case Cumulative:
		return a.cumulativePath(control, treatment, into[:0])
	case ToDate:
	}
	return a.toDatePath(control, treatment, into[:0])
}

// cohort is one arm: who entered when and what they will buy, sorted by customer
// and age.
type cohort struct {
	entry     []int
	purchases []ltv.Purchase
}

func (a Accrual) enrol(r *rand.Rand) cohort {
	c := cohort{entry: make([]int, a.PerArm)}
	for i := range c.entry {
		c.entry[i] = r.IntN(a.Entry)
		rate := a.Rate
		if a.Shape > 0 {
			rate = distuv.Gamma{Alpha: a.Shape, Beta: a.Shape / a.Rate, Src: r}.Rand()
		}
		for age := r.ExpFloat64() / rate; age < float64(a.Days); age += r.ExpFloat64() / rate {
			c.purchases = append(c.purchases, ltv.Purchase{
				Customer: i, Age: age, Amount: math.Exp(a.LogSD * r.NormFloat64()),
			})
		}
	}
	return c
}

// hurry makes purchases within the window happen earlier.
func (c cohort) hurry(window, factor float64) {
	for i := range c.purchases {
		if p := &c.purchases[i]; p.Age < window {
			p.Age *= factor
		}
	}
}

// toDate returns the moments of the value so far at the end of every day.
func (a Accrual) toDate(c cohort) []arm {
	var (
		enrolled = make([]int64, a.Days)
		buyers   = make([]int64, a.Days)
		sum      = make([]float64, a.Days)
		squares  = make([]float64, a.Days)
	)
	for _, day := range c.entry {
		enrolled[day]++
	}
	customer, value := -1, 0.0
	for _, p := range c.purchases {
		day := int(float64(c.entry[p.Customer]) + p.Age)
		if day >= a.Days {
			continue
		}
		if p.Customer != customer {
			customer, value = p.Customer, 0
			buyers[day]++
		}
		sum[day] += p.Amount
		squares[day] += p.Amount * (p.Amount + 2*value)
		value += p.Amount
	}
	arms := make([]arm, a.Days)
	var n, paid int64
	var s, q float64
	for d := range arms {
		n, paid, s, q = n+enrolled[d], paid+buyers[d], s+sum[d], q+squares[d]
		if n > 0 {
			mean := s / float64(n)
			arms[d] = arm{stats.Moments{N: n, Mean: mean, M2: max(0, q-s*mean)}, paid}
		}
	}
	return arms
}

func (a Accrual) toDatePath(control, treatment cohort, path []Look) []Look {
	c, t := a.toDate(control), a.toDate(treatment)
	for d := firstDay - 1; d < a.Days; d++ {
		path = append(path, compare(c[d], t[d], float64(d+1)/float64(a.Days)))
	}
	return path
}

// matured returns the moments of the window's value of those who have completed
// it by the end of every day.
func (a Accrual) matured(c cohort) []arm {
	value := make([]float64, len(c.entry))
	for _, p := range c.purchases {
		if p.Age < float64(a.Window) {
			value[p.Customer] += p.Amount
		}
	}
	arms := make([]arm, a.Days)
	for i, day := range c.entry {
		if a.Cap > 0 {
			value[i] = min(value[i], a.Cap)
		}
		if d := day + a.Window - 1; d < a.Days {
			push(&arms[d].Moments, value[i])
			if value[i] > 0 {
				arms[d].payers++
			}
		}
	}
	for d := 1; d < a.Days; d++ {
		today := arms[d]
		arms[d] = arms[d-1]
		arms[d].join(today.Moments, today.payers)
	}
	return arms
}

// maturedPath has a look on every day on which somebody matured.
func (a Accrual) maturedPath(control, treatment cohort, path []Look) []Look {
	c, t := a.matured(control), a.matured(treatment)
	planned := float64(c[a.Days-1].N + t[a.Days-1].N)
	var before int64
	for d := range a.Days {
		n := c[d].N + t[d].N
		if n == before || min(c[d].N, t[d].N) < firstMatured {
			continue
		}
		path = append(path, compare(c[d], t[d], float64(n)/planned))
		before = n
	}
	return path
}

// at returns what is known of a cohort at the end of a day, by full days of age.
func (c cohort) at(day int) ltv.Arm {
	arm := ltv.Arm{FollowUp: make([]float64, len(c.entry))}
	for i, entry := range c.entry {
		arm.FollowUp[i] = float64(day - entry)
	}
	for _, p := range c.purchases {
		p.Age = math.Floor(p.Age) + 1
		if p.Age <= arm.FollowUp[p.Customer] {
			arm.Purchases = append(arm.Purchases, p)
		}
	}
	return arm
}

// cumulativePath has a look on every day after the first window has ended.
func (a Accrual) cumulativePath(control, treatment cohort, path []Look) []Look {
	for day := a.Window + 1; day <= a.Days; day++ {
		c, t := control.at(day), treatment.at(day)
		if min(followed(c, a.Window), followed(t, a.Window)) < firstAtRisk {
			continue
		}
		v := ltv.Compare(c, t, float64(a.Window), 1-alpha)
		path = append(path, Look{
			Diff: v.Diff, N: int64(followed(c, 1) + followed(t, 1)), Share: float64(day) / float64(a.Days),
			Errors: stats.StandardErrors{Welch: v.SE, Pooled: v.SE, Decision: v.SE, Warning: v.Warning},
		})
	}
	return path
}

// followed counts the customers of at least an age.
func followed(a ltv.Arm, age int) (n int) {
	for _, f := range a.FollowUp {
		if f >= float64(age) {
			n++
		}
	}
	return n
}

// FinalVariance returns the variance of the difference at the last look of one
// pilot experiment, the planned variance of [SequenceByInformation].
func FinalVariance(s Scenario, r *rand.Rand) float64 {
	path := s.Path(r, nil)
	se := path[len(path)-1].Errors.Welch
	return se * se
}
