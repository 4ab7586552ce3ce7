// Package simulator makes up the customers of a shop whose true behaviour is known, so that
// what an experiment finds out about them can be held against the truth.
//
// # The shop
//
// Customers join over some weeks, each with a first contact on one of three channels, and
// get four e-mails, a week apart. Seven in ten ever order anything. These differ widely in
// how often: their own rate of orders is exponentially distributed, so most order rarely and
// a few all the time. The value of an order is lognormal, with a long tail; some orders are
// refunded later; each e-mail costs something.
//
// The value of a customer over [Window] is thus 0 for most of them, but for the cost of the
// e-mails, and heavy-tailed for the others, as real ones are. Its mean is known exactly all
// the same: see [Behaviour.Truth].
//
// # Randomness
//
// All of it comes from the source given to [New]. Each customer takes a seed of their own
// from it, so a life does not depend on when, or in which order, lives are lived; and the
// same customer leads comparable lives under two behaviours.
package simulator

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Window is how long a customer's life is watched after the first contact. Orders happen
// inside it, refunds also after it.
const Window = 28 * day

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// The shop's parameters.
const (
	shareEmail, shareWeb = 0.80, 0.15 // of first contacts; the rest is in the store
	buyers               = 0.70       // share of customers who ever order
	ordersPerBuyer       = 1.2        // mean over Window
	onWeb                = 0.75       // share of orders; the rest is in the store
	medianCents          = 3200       // of an order
	spread               = 0.80       // standard deviation of the logarithm of an order's value
	mails                = 4
	clickWithin          = 12 * time.Hour
	refundAfter          = 3 * day  // at the earliest
	refundBefore         = 13 * day // at the latest
)

// A Channel is where a customer meets the shop.
type Channel string

// The channels of the shop.
const (
	Email Channel = "email"
	Web   Channel = "web"
	Store Channel = "store"
)

// A Kind is what happens in an Act.
type Kind int

// The kinds of acts.
const (
	Contact Kind = iota // the customer meets a touchpoint; Cents is its cost, not positive
	Click               // on an e-mail
	Order               // Cents is positive
	Refund              // of a whole order; Cents is negative
)

// An Act is one thing that happens in a customer's life.
type Act struct {
	At      time.Duration // since the shop opened
	Kind    Kind
	Channel Channel
	Cents   int64
}

// A Customer is a person who has not met the shop yet.
type Customer struct {
	ID      string
	Joins   time.Duration // first contact, since the shop opened; e-mails go out as a day begins
	Channel Channel       // of the first contact

	rate float64 // own mean number of orders over Window
	seed [2]uint64
}

// New makes customers who join evenly over some days, in the order of their joining.
func New(source rand.Source, customers, days int) []Customer {
	random := rand.New(source)
	all := make([]Customer, customers)
	for i := range all {
		c := &all[i]
		c.Joins = time.Duration(random.IntN(days)) * day
		switch u := random.Float64(); {
		case u < shareEmail:
			c.Channel = Email
		case u < shareEmail+shareWeb:
			c.Channel = Web
		default:
			c.Channel = Store
		}
		if c.Channel != Email {
			c.Joins += 1 + time.Duration(random.Int64N(int64(day-1)))
		}
		if random.Float64() < buyers {
			c.rate = ordersPerBuyer * random.ExpFloat64()
		}
		c.seed = [2]uint64{random.Uint64(), random.Uint64()}
	}
	slices.SortStableFunc(all, func(a, b Customer) int { return cmp.Compare(a.Joins, b.Joins) })
	for i := range all {
		all[i].ID = fmt.Sprintf("c-%05d", i+1)
	}
	return all
}

// A Behaviour is how customers act who get one variant of what the shop says to them.
type Behaviour struct {
	Orders    float64 // factor on everybody's rate of orders
	Refunded  float64 // chance of an order to be refunded
	Clicks    float64 // chance of an e-mail to be clicked
	MailCents int64   // cost of an e-mail
}

// Life is all that a customer does under a behaviour, in the order of time. It begins with
// the first contact.
func (c Customer) Life(b Behaviour) []Act {
	random := rand.New(rand.NewPCG(c.seed[0], c.seed[1]))
	var acts []Act
	add := func(at time.Duration, kind Kind, channel Channel, cents int64) {
		acts = append(acts, Act{At: at, Kind: kind, Channel: channel, Cents: cents})
	}
	first := c.Joins
	if c.Channel != Email {
		add(c.Joins, Contact, c.Channel, 0)
		first = c.Joins.Truncate(day) + day // the next day's e-mails
	}
	for i := range mails {
		sent := first + time.Duration(i)*week
		add(sent, Contact, Email, -b.MailCents)
		clicked, later := random.Float64() < b.Clicks, uniform(random, time.Minute, clickWithin)
		if clicked {
			add(sent+later, Click, Email, 0)
		}
	}
	for _, at := range c.orders(random, b.Orders) {
		channel := Store
		if random.Float64() < onWeb {
			channel = Web
		}
		cents := max(1, int64(math.Round(medianCents*math.Exp(spread*random.NormFloat64()))))
		add(at, Contact, channel, 0)
		add(at, Order, channel, cents)
		refunded, later := random.Float64() < b.Refunded, uniform(random, refundAfter, refundBefore)
		if refunded {
			add(at+later, Refund, channel, -cents)
		}
	}
	slices.SortStableFunc(acts, func(a, b Act) int { return cmp.Compare(a.At, b.At) })
	return acts
}

// orders are the times of a Poisson process over Window.
func (c Customer) orders(random *rand.Rand, factor float64) []time.Duration {
	rate := c.rate * factor
	if rate == 0 {
		return nil
	}
	var times []time.Duration
	for at := 0.0; ; {
		at += random.ExpFloat64() / rate // in windows
		if at >= 1 {
			return times
		}
		times = append(times, c.Joins+time.Duration(at*float64(Window)))
	}
}

func uniform(random *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(random.Int64N(int64(to-from)))
}
