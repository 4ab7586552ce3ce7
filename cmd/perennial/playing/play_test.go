package playing_test

import (
	"math"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/cmd/perennial/playing"
	"github.com/perennial-engine/perennial/engine"
)

// config is a small simulation of a scenario: 800 customers per arm, of whom half order.
func config(s playing.Scenario, m engine.Method) playing.Config {
	return playing.Config{
		Scenario: s, Tests: 100, Looks: 20, Method: m, Seed: 3, Alpha: 0.05, Power: 0.8, Effect: 0.4,
		Weights: []int{1, 1}, Primaries: 1, Horizon: 28, Customers: 800, Zeros: 0.5, LogSD: 1, Lost: 0.4,
	}
}

func play(t *testing.T, c playing.Config) *playing.Result {
	t.Helper()
	r, err := playing.Run(t.Context(), c, func() {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// atMost and atLeast allow a rate four of its Monte-Carlo standard errors beyond the limit: a
// defect shows, and chance hardly ever does.
func atMost(t *testing.T, what string, rate *float64, limit float64, tests int) {
	t.Helper()
	if rate == nil || *rate > limit+4*math.Sqrt(limit*(1-limit)/float64(tests)) {
		t.Errorf("%s = %v, want at most %v", what, show(rate), limit)
	}
}

func atLeast(t *testing.T, what string, rate *float64, limit float64, tests int) {
	t.Helper()
	if rate == nil || *rate < limit-4*math.Sqrt(limit*(1-limit)/float64(tests)) {
		t.Errorf("%s = %v, want at least %v", what, show(rate), limit)
	}
}

func show(x *float64) any {
	if x == nil {
		return nil
	}
	return *x
}

// TestErrorRates: with nothing to find, the methods of the engine are wrong as seldom as their
// plan says, however the tests are made; a plain test at each look is not.
func TestErrorRates(t *testing.T) {
	three := func(c *playing.Config) { c.Weights, c.Primaries, c.Zeros = []int{1, 1, 1}, 2, 0.2 }
	uneven := func(c *playing.Config) { c.Weights, c.Customers = []int{9, 1}, 5000 }
	more := func(c *playing.Config) { c.Tests = 300 }
	tests := []struct {
		name     string
		scenario playing.Scenario
		method   engine.Method
		alter    func(*playing.Config)
	}{
		{"anytime", playing.AA, engine.MethodAnytime, nil},
		{"group sequential", playing.AA, engine.MethodGroupSequential, nil},
		{"fixed", playing.AA, engine.MethodFixed, nil},
		{"three arms and two primaries", playing.AA, engine.MethodGroupSequential, three},
		{"90 to 10", playing.AA, engine.MethodAnytime, uneven},
		{"late records", playing.Late, engine.MethodGroupSequential, nil},
		{"pull-forward", playing.PullForward, engine.MethodGroupSequential, more},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := config(test.scenario, test.method)
			if test.alter != nil {
				test.alter(&c)
			}
			r := play(t, c)
			atMost(t, "error rate", r.ErrorRate, 0.05, r.Tests)
			atLeast(t, "coverage", r.Coverage, 0.94, r.Tests)
			if ended := r.Promoted + r.KeptControl + r.StoppedHarm; ended < r.Tests || r.Undecided > 0 {
				t.Errorf("%d of %d tests ended, %d did not", ended, r.Tests, r.Undecided)
			}
			if r.Power != nil || r.HarmStopped != nil {
				t.Errorf("there is a power %v and a share of harm %v, and nothing to find", show(r.Power), show(r.HarmStopped))
			}
		})
	}
	t.Run("naive", func(t *testing.T) {
		// 26.2 % of the reference (stats/simulation, lognormal sd 1.5, 30 looks) after fewer looks.
		r := play(t, config(playing.AA, playing.Naive))
		atLeast(t, "error rate", r.ErrorRate, 0.22, r.Tests)
		if *r.ErrorRate < 0.1 {
			t.Errorf("error rate %v of looking often, want far more than that of the plan", *r.ErrorRate)
		}
	})
}

// TestValueToDate: the same customers, who only buy earlier, fool a test that decides on what
// they have spent so far.
func TestValueToDate(t *testing.T) {
	c := config(playing.PullForward, engine.MethodAnytime)
	c.Customers, c.ToDate = 1500, true
	// 43 % of 1,000 tests of this size and 45 looks (docs/simulate.md).
	r := play(t, c)
	atLeast(t, "false promotions on value to date", r.FalsePromotionRate, 0.4, r.Tests)
	c.ToDate = false
	r = play(t, c)
	atMost(t, "false promotions on matured value", r.FalsePromotionRate, 0.025, r.Tests)
}

// TestFindings: what is there is found at the planner's size.
func TestFindings(t *testing.T) {
	c := config(playing.Effect, engine.MethodGroupSequential)
	c.Customers = 0
	r := play(t, c)
	atLeast(t, "power", r.Power, 0.78, r.Tests)
	atMost(t, "mean sample", r.MeanSample, 0.8, r.Tests)
	if r.FalsePromotionRate != nil {
		t.Errorf("a rate of false promotions of %v where none can be false", *r.FalsePromotionRate)
	}

	c.Scenario, c.Looks, c.Horizon = playing.Harm, 30, 7
	r = play(t, c)
	atLeast(t, "harm stopped", r.HarmStopped, 0.99, r.Tests)
	atLeast(t, "harm stopped early", r.HarmStoppedEarly, 0.8, r.Tests)
	if r.Promoted > 0 || *r.HarmAvoided <= 0 {
		t.Errorf("of harmful arms %d were promoted and %v of the customers spared", r.Promoted, *r.HarmAvoided)
	}

	c.NoFutility = true
	if r = play(t, c); r.StoppedHarm < r.Tests*9/10 {
		t.Errorf("of %d harmful arms %d were stopped for harm where none can end as futile", r.Tests, r.StoppedHarm)
	}

	c.Scenario = playing.Programme
	r = play(t, c)
	atMost(t, "false promotions of a programme", r.FalsePromotionRate, 0.025, r.Tests)
	if r.Power == nil || r.HarmStopped == nil {
		t.Errorf("a programme without effects (%v) or harm (%v)", show(r.Power), show(r.HarmStopped))
	}
}

// TestSampleRatio: a treatment that loses customers is not promoted, although it looks better.
func TestSampleRatio(t *testing.T) {
	c := config(playing.SampleRatio, engine.MethodAnytime)
	c.Customers, c.Tests = 4000, 50
	r := play(t, c)
	if r.Promoted > 0 || r.RatioAlarmed < r.Tests*9/10 || r.Unhealthy != r.Undecided {
		t.Errorf("%d promoted, %d alarmed and %d waiting of %d", r.Promoted, r.RatioAlarmed, r.Unhealthy, r.Tests)
	}
	c.Lost = 0
	if r = play(t, c); r.RatioAlarmed > 1 {
		t.Errorf("%d alarms without a fault", r.RatioAlarmed)
	}
}

// TestSameSeedSameResult: whatever the number of processors.
func TestSameSeedSameResult(t *testing.T) {
	c := config(playing.Programme, engine.MethodGroupSequential)
	c.Tests = 40
	want := play(t, c)
	for _, processors := range []int{1, 7} {
		before := runtime.GOMAXPROCS(processors)
		got := play(t, c)
		runtime.GOMAXPROCS(before)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("on %d processors (-before +now):\n%s", processors, diff)
		}
	}
	c.Seed++
	if cmp.Equal(want, play(t, c), cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Seed" }, cmp.Ignore())) {
		t.Error("another seed gives the same result")
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name  string
		alter func(*playing.Config)
	}{
		{"scenario", func(c *playing.Config) { c.Scenario = "bb" }},
		{"method", func(c *playing.Config) { c.Method = "guess" }},
		{"no tests", func(c *playing.Config) { c.Tests = 0 }},
		{"no looks", func(c *playing.Config) { c.Looks = 0 }},
		{"one arm", func(c *playing.Config) { c.Weights = []int{1} }},
		{"weight 0", func(c *playing.Config) { c.Weights = []int{1, 0} }},
		{"three primaries", func(c *playing.Config) { c.Primaries = 3 }},
		{"no effect", func(c *playing.Config) { c.Effect = math.NaN() }},
		{"zeros", func(c *playing.Config) { c.Zeros = 1 }},
		{"tail", func(c *playing.Config) { c.LogSD = math.Inf(1) }},
		{"customers of a log", func(c *playing.Config) { c.Log = &playing.Log{} }},
		{"empty log", func(c *playing.Config) { c.Log, c.Customers = &playing.Log{}, 0 }},
		{"an effect too small to find", func(c *playing.Config) {
			c.Scenario, c.Effect, c.Customers, c.Zeros, c.LogSD = playing.Effect, 0.01, 0, 0.99, 2.5
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := config(playing.AA, engine.MethodAnytime)
			test.alter(&c)
			if r, err := playing.Run(t.Context(), c, func() {}); err == nil {
				t.Errorf("played: %+v", r)
			}
		})
	}
}
