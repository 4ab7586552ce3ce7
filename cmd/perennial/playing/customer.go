package playing

import (
	"math"
	"math/rand/v2"
	"strconv"

	"gonum.org/v1/gonum/stat/distuv"
)

// unit is the parts of a currency unit that amounts are counted in: ten-thousandths, as
// exponent of ten.
const unit = -4

// A Customer enters a test and orders.
type Customer struct {
	ID     string
	Enters float64 // days since the first customer entered
	Orders []Order
}

// An Order is something a customer did that has a value.
type Order struct {
	Age    float64 // days since the customer entered
	Amount int64   // in ten-thousandths; negative for a refund
	known  float64 // days since the customer entered; Age, or later where records come late
}

// spent is what the customer orders in the first days, in ten-thousandths.
func (c *Customer) spent(days float64) (sum int64) {
	for _, o := range c.Orders {
		if o.Age < days {
			sum += o.Amount
		}
	}
	return sum
}

// A crowd is the customers of a test.
type crowd interface {
	// visit hands out the customers of one test. They are good until the next.
	visit(r *rand.Rand, each func(*Customer))
	// spending is the mean and the standard deviation of what one spends within the horizon,
	// in currency units.
	spending() (mean, sd float64)
	// entry is the days from the first customer to the last, looks the steps in it.
	entry() (days float64)
	size() int
}

// A shop makes up customers: so many of them enter each day.
type shop struct {
	customers, days int
	horizon         float64
	zeros           float64 // share of customers who never order
	logSD           float64 // deviation of the logarithm of an amount
	often           bool    // they order again and again
	ids             []string
}

// The shop's amounts have this median; who orders often does so at a rate, per day, that is
// gamma-distributed over customers.
const (
	medianAmount = 30.0
	oftenRate    = 0.05
	oftenShape   = 0.5
)

func newShop(c *Config) *shop {
	s := &shop{
		customers: c.Customers * len(c.Weights), days: c.Looks, horizon: float64(c.Horizon),
		zeros: c.Zeros, logSD: c.LogSD, often: c.Scenario == PullForward,
	}
	s.ids = make([]string, s.customers)
	for i := range s.ids {
		s.ids[i] = "c-" + strconv.Itoa(i)
	}
	return s
}

func (s *shop) visit(r *rand.Rand, each func(*Customer)) {
	c := Customer{}
	for day := range s.days {
		c.Enters = float64(day)
		for i := s.customers * day / s.days; i < s.customers*(day+1)/s.days; i++ {
			c.ID, c.Orders = s.ids[i], c.Orders[:0]
			if s.often {
				c.Orders = s.repeat(r, c.Orders, float64(s.days)+s.horizon)
			} else if r.Float64() >= s.zeros {
				c.Orders = append(c.Orders, Order{Age: r.Float64() * s.horizon, Amount: s.amount(r)})
			}
			each(&c)
		}
	}
}

// repeat draws the orders of one who may order again, for some days.
func (s *shop) repeat(r *rand.Rand, orders []Order, days float64) []Order {
	rate := distuv.Gamma{Alpha: oftenShape, Beta: oftenShape / oftenRate, Src: r}.Rand()
	for age := r.ExpFloat64() / rate; age < days; age += r.ExpFloat64() / rate {
		orders = append(orders, Order{Age: age, Amount: s.amount(r)})
	}
	return orders
}

func (s *shop) amount(r *rand.Rand) int64 {
	return max(1, int64(math.Round(medianAmount*math.Exp(s.logSD*r.NormFloat64())*math.Pow10(-unit))))
}

// spending is, with m = median·e^(σ²/2) and m₂ = median²·e^(2σ²) the moments of an amount,
//
//	(1 - zeros) m and (1 - zeros) m₂ - mean²       of one order,
//	λ m         and λ m₂ + λ² m²/shape             of a gamma-Poisson number with mean λ.
func (s *shop) spending() (mean, sd float64) {
	v := s.logSD * s.logSD
	m, m2 := medianAmount*math.Exp(v/2), medianAmount*medianAmount*math.Exp(2*v)
	if s.often {
		n := oftenRate * s.horizon
		return n * m, math.Sqrt(n*m2 + n*n*m*m/oftenShape)
	}
	mean = (1 - s.zeros) * m
	return mean, math.Sqrt((1-s.zeros)*m2 - mean*mean)
}

func (s *shop) entry() float64 { return float64(s.days) }

func (s *shop) size() int { return s.customers }

// A Log is real customers, the same in every test.
type Log struct {
	Customers []Customer // by Enters, the first at 0
	horizon   float64
}

func (l *Log) visit(_ *rand.Rand, each func(*Customer)) {
	for i := range l.Customers {
		each(&l.Customers[i])
	}
}

func (l *Log) spending() (mean, sd float64) {
	var sum, squares float64
	n := float64(len(l.Customers))
	for i := range l.Customers {
		sum += float64(l.Customers[i].spent(l.horizon)) * math.Pow10(unit)
	}
	mean = sum / n
	for i := range l.Customers {
		d := float64(l.Customers[i].spent(l.horizon))*math.Pow10(unit) - mean
		squares += d * d
	}
	return mean, math.Sqrt(squares / (n - 1))
}

func (l *Log) entry() float64 { return math.Floor(l.Customers[len(l.Customers)-1].Enters) + 1 }

func (l *Log) size() int { return len(l.Customers) }
