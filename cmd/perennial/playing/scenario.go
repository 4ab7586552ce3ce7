package playing

import (
	"math"
	"math/rand/v2"
)

// A Scenario says what is true of the tests that are played.
type Scenario string

// The scenarios.
const (
	// AA: all arms are alike.
	AA Scenario = "aa"
	// Effect: customers of the first treatment spend more, by Config.Effect. Other treatments
	// are like control, here and below.
	Effect Scenario = "effect"
	// Harm: customers of the first treatment spend less, by twice the effect.
	Harm Scenario = "harm"
	// Programme: of ten tests one is harm, two an effect and seven nothing.
	Programme Scenario = "programme"
	// PullForward: the treatments make customers buy earlier, and no more.
	PullForward Scenario = "pull_forward"
	// Late: arms are alike, and of three in ten orders the record comes up to 14 days late.
	Late Scenario = "late"
	// SampleRatio: arms are alike, and of the first treatment's customers who spend less than
	// the average a share, Config.Lost, is lost, so that it looks better than it is.
	SampleRatio Scenario = "sample_ratio"
)

// Scenarios are all scenarios.
var Scenarios = []Scenario{AA, Effect, Harm, Programme, PullForward, Late, SampleRatio}

const (
	shareHarm, shareEffect = 0.1, 0.2 // of the tests of a programme
	pulled                 = 0.7      // factor on the age of an order that is pulled forward
	lateShare, lateDays    = 0.3, 14
)

// A truth is what is true of one test.
type truth struct {
	lift    float64 // of what customers of the first treatment spend
	pull    bool
	late    bool
	lost    float64 // share of the first treatment's customers who spend little
	horizon float64
	average float64 // spent within the horizon, in ten-thousandths
}

func (p *player) newTruth(r *rand.Rand) truth {
	t := truth{horizon: float64(p.Horizon), average: p.mean * math.Pow10(-unit)}
	switch p.Scenario {
	case Effect:
		t.lift = p.Effect
	case Harm:
		t.lift = -2 * p.Effect
	case Programme:
		switch u := r.Float64(); {
		case u < shareHarm:
			t.lift = -2 * p.Effect
		case u < shareHarm+shareEffect:
			t.lift = p.Effect
		}
	case PullForward:
		t.pull = true
	case Late:
		t.late = true
	case SampleRatio:
		t.lost = p.Lost
	case AA:
	}
	return t
}

// befall writes down what a customer does in an arm; control is arm 0. ok is false when
// nobody ever hears of the customer.
func (t *truth) befall(r *rand.Rand, c *Customer, arm int, into []Order) (orders []Order, ok bool) {
	if t.lost > 0 && arm == 1 && float64(c.spent(t.horizon)) < t.average && r.Float64() < t.lost {
		return nil, false
	}
	for _, o := range c.Orders {
		if t.lift != 0 && arm == 1 {
			o.Amount = int64(math.Round(float64(o.Amount) * (1 + t.lift)))
		}
		if t.pull && arm > 0 && o.Age < t.horizon {
			o.Age *= pulled
		}
		o.known = o.Age
		if t.late && r.Float64() < lateShare {
			o.known += lateDays * r.Float64()
		}
		into = append(into, o)
	}
	return into, true
}
