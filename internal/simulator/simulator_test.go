package simulator_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat"

	"github.com/perennial-engine/perennial/internal/simulator"
)

const day = 24 * time.Hour

var behaviour = simulator.Behaviour{Orders: 1.2, Refunded: 0.1, Clicks: 0.15, MailCents: 2}

func source(seed uint64) rand.Source { return rand.NewPCG(seed, 0) }

func lives(customers []simulator.Customer, b simulator.Behaviour) [][]simulator.Act {
	var all [][]simulator.Act
	for _, c := range customers {
		all = append(all, c.Life(b))
	}
	return all
}

func TestTheSameSeedMakesTheSameLives(t *testing.T) {
	first, second := simulator.New(source(7), 500, 30), simulator.New(source(7), 500, 30)
	want := lives(first, behaviour)
	slices.Reverse(second) // the order in which lives are lived does not matter
	got := lives(second, behaviour)
	slices.Reverse(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("two populations of one seed differ:\n%s", diff)
	}
	if cmp.Equal(want, lives(simulator.New(source(8), 500, 30), behaviour)) {
		t.Error("two seeds make the same population")
	}
}

func TestLife(t *testing.T) {
	const days = 30
	people := simulator.New(source(1), 3000, days)
	first := map[simulator.Channel]int{}
	for i, c := range people {
		if i > 0 && c.Joins < people[i-1].Joins {
			t.Fatalf("%s joins before %s", c.ID, people[i-1].ID)
		}
		if c.Joins < 0 || c.Joins >= days*day || (c.Channel == simulator.Email) != (c.Joins%day == 0) {
			t.Fatalf("%+v: joins outside of the days, or not when e-mails go out", c)
		}
		first[c.Channel]++
		life := c.Life(behaviour)
		if begin := life[0]; begin.Kind != simulator.Contact || begin.At != c.Joins || begin.Channel != c.Channel {
			t.Fatalf("%s begins with %+v, want the first contact", c.ID, begin)
		}
		checkLife(t, c, life)
	}
	for _, channel := range []simulator.Channel{simulator.Email, simulator.Web, simulator.Store} {
		if first[channel] < 100 {
			t.Errorf("%d of %d customers come by %s", first[channel], len(people), channel)
		}
	}
}

// checkLife checks that acts are in order and what they may be.
func checkLife(t *testing.T, c simulator.Customer, life []simulator.Act) {
	t.Helper()
	mails, mailsFirstWeek := 0, 0
	var orders int64
	for i, act := range life {
		after := act.At - c.Joins
		if i > 0 && act.At < life[i-1].At {
			t.Fatalf("%s: act %d is before the one before it", c.ID, i)
		}
		if after >= simulator.Window && act.Kind != simulator.Refund {
			t.Fatalf("%s: %+v is outside of the window", c.ID, act)
		}
		switch act.Kind {
		case simulator.Contact:
			if act.Channel == simulator.Email {
				mails++
				if after < 7*day {
					mailsFirstWeek++
				}
			}
		case simulator.Click:
		case simulator.Order:
			if before := life[i-1]; act.Cents <= 0 || before.Kind != simulator.Contact || before.Channel != act.Channel {
				t.Fatalf("%s: order %+v after %+v, want a visit before", c.ID, act, before)
			}
			orders += act.Cents
		case simulator.Refund:
			orders += act.Cents
		}
	}
	if mails != 4 || mailsFirstWeek != 1 || orders < 0 {
		t.Fatalf("%s: %d e-mails, %d of them in the first week, %d cents", c.ID, mails, mailsFirstWeek, orders)
	}
}

// outcomes are what the four metrics of Truth see of one life.
func outcomes(c simulator.Customer, life []simulator.Act) [4]float64 {
	var o [4]float64
	for _, act := range life {
		after := act.At - c.Joins
		if after < simulator.Window {
			o[0] += float64(act.Cents) / 100
		}
		if act.Kind == simulator.Order {
			o[2] = 1
			if after >= simulator.Window/2 {
				o[1] = 1
			}
		}
		if act.Kind == simulator.Click && after < 7*day {
			o[3] = 1
		}
	}
	return o
}

// TestTruth holds the computed means against those of 200,000 simulated customers: within
// four standard errors, which a right value leaves once in 16,000 times; and the seed is fixed.
func TestTruth(t *testing.T) {
	for name, b := range map[string]simulator.Behaviour{
		"some": behaviour,
		"more": {Orders: 1.7, Refunded: 0.3, Clicks: 0.05, MailCents: 10},
		"none": {},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 200_000
			var values [4][]float64
			for _, c := range simulator.New(source(3), n, 40) {
				for i, x := range outcomes(c, c.Life(b)) {
					values[i] = append(values[i], x)
				}
			}
			truth := b.Truth()
			for i, want := range []float64{truth.Value, truth.Retained, truth.Bought, truth.Clicked} {
				mean, sd := stat.MeanStdDev(values[i], nil)
				se := sd / math.Sqrt(n)
				t.Logf("outcome %d: %.5f ± %.5f, truth %.5f", i, mean, se, want)
				if math.Abs(mean-want) > 4*se {
					t.Errorf("outcome %d: %.5f ± %.5f, the truth is said to be %.5f", i, mean, se, want)
				}
			}
		})
	}
}

// TestHeavyTail: most of the customers spend nothing, and the best hundredth a good part of all.
func TestHeavyTail(t *testing.T) {
	var values []float64
	total, nothing := 0.0, 0
	people := simulator.New(source(5), 20_000, 40)
	for _, c := range people {
		value := outcomes(c, c.Life(simulator.Behaviour{Orders: 1}))[0]
		values = append(values, value)
		total += value
		if value == 0 {
			nothing++
		}
	}
	slices.Sort(values)
	best := 0.0
	for _, value := range values[len(values)*99/100:] {
		best += value
	}
	if share := float64(nothing) / float64(len(values)); share < 0.5 || share > 0.75 {
		t.Errorf("%.0f %% spend nothing, want most", 100*share)
	}
	if share := best / total; share < 0.08 || share > 0.3 {
		t.Errorf("the best hundredth spend %.0f %% of all, want a good part", 100*share)
	}
}
