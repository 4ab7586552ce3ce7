package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/people"
)

// present lets an engine serve a configuration.
func present(tb testing.TB, e *Engine, c *Configuration) {
	tb.Helper()
	next, err := newLive(c)
	if err == nil {
		err = e.show(next)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// evaluating is an engine with 50 tests on 20 touchpoints, which share each touchpoint's
// traffic, and customers c0, c1, … who are enrolled at the first. Its answers need no store.
func evaluating(tb testing.TB, customers int) *Engine {
	tb.Helper()
	c := &Configuration{Version: 7, Layers: []Layer{{Key: "default", Salt: "00000000000000000000000000000001"}}, Secret: make([]byte, 32)}
	key := func(i int) TouchpointKey { return TouchpointKey(fmt.Sprintf("touchpoint-%02d", i)) }
	for i := range 20 {
		c.Touchpoints = append(c.Touchpoints, PromotedTouchpoint{Touchpoint: Touchpoint{Key: key(i), Channel: "web", Content: []byte(`{"hero":"plain"}`)}})
	}
	for i := range 50 {
		at := i % 20
		here := (50 - at + 19) / 20
		x := Experiment{Status: StatusRunning, Version: 2, Salt: fmt.Sprintf("%032d", i), Slots: assign.Slots{
			{i / 20 * 10_000 / here, (i/20 + 1) * 10_000 / here},
		}}
		x.Key, x.Assignment, x.Layer = ExperimentKey(fmt.Sprintf("test-%02d", i)), AssignedByEngine, "default"
		x.Touchpoints = []TouchpointKey{key(at)}
		x.Variants = []Variant{
			{Key: "control", Control: true, Weight: 1},
			{Key: "warm", Weight: 1, Content: map[TouchpointKey]json.RawMessage{key(at): json.RawMessage(`{"hero":"warm"}`)}},
		}
		c.Live = append(c.Live, x)
	}
	e := testEngine(began)
	present(tb, e, c)
	for i := range customers {
		customer := fmt.Sprint("c", i)
		lookup, who := e.meet(tb, customer)
		answer, _ := lookup.Meet("touchpoint-00", who)
		e.live.Load().people.Enrol(people.Enrolment{
			Customer: customer, Experiment: answer.Experiment, Variant: answer.Variant, Key: answer.Key, At: began,
		})
	}
	return e
}

func (e *Engine) meet(tb testing.TB, customer string) (Lookup, *Visitor) {
	tb.Helper()
	lookup, err := e.Lookup()
	if err != nil {
		tb.Fatal(err)
	}
	return lookup, lookup.Visitor(CustomerID(customer), []byte(`{"targetingKey":"c1","country":"FR"}`))
}

// BenchmarkEvaluate answers one customer of 100,000 who are enrolled at one touchpoint of 20.
func BenchmarkEvaluate(b *testing.B) {
	e := evaluating(b, 100_000)
	customers := make([]CustomerID, 100_000)
	for i := range customers {
		customers[i] = CustomerID(fmt.Sprint("c", i))
	}
	ctx := b.Context()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		lookup, err := e.Lookup()
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := e.Evaluate(ctx, lookup, "touchpoint-00", lookup.Visitor(customers[i%len(customers)], nil)); !ok {
			b.Fatal("no answer")
		}
	}
}

// BenchmarkEvaluateAll answers one customer at all 20 touchpoints, with the fingerprint.
func BenchmarkEvaluateAll(b *testing.B) {
	e := evaluating(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		lookup, who := e.meet(b, "c1")
		_ = lookup.Fingerprint(who)
		for _, touchpoint := range lookup.Snapshot().Touchpoints() {
			if _, ok := lookup.Meet(touchpoint, who); !ok {
				b.Fatal("no answer")
			}
		}
	}
}

// TestEvaluateAllocates at most three times.
func TestEvaluateAllocates(t *testing.T) {
	e := evaluating(t, 10)
	n := testing.AllocsPerRun(1000, func() {
		lookup, _ := e.Lookup()
		_, _ = e.Evaluate(t.Context(), lookup, "touchpoint-00", lookup.Visitor("c7", nil))
	})
	if n > 3 {
		t.Errorf("%v allocations, want at most 3", n)
	}
}

// TestFingerprint: it is the same for the same answers, and another after all that can
// change them.
func TestFingerprint(t *testing.T) {
	fingerprint := func(e *Engine, customer, sent string) [16]byte {
		lookup, _ := e.Lookup()
		return lookup.Fingerprint(lookup.Visitor(CustomerID(customer), []byte(sent)))
	}
	e := evaluating(t, 10)
	first := fingerprint(e, "c1", `{}`)
	if again := fingerprint(evaluating(t, 10), "c1", `{}`); again != first {
		t.Error("another server has another fingerprint")
	}
	enrol := func(customer, key, experiment, variant string, at time.Time) {
		e.live.Load().people.Enrol(people.Enrolment{Customer: customer, Experiment: experiment, Variant: variant, Key: key, At: at})
	}
	seen := map[[16]byte]string{first: "the first"}
	for _, step := range []struct {
		name string
		do   func() [16]byte
	}{
		{"another customer", func() [16]byte { return fingerprint(e, "c2", `{}`) }},
		{"another context", func() [16]byte { return fingerprint(e, "c1", `{"a":1}`) }},
		{"a boundary moved", func() [16]byte { return fingerprint(e, "c1{", `}`) }},
		{"an enrolment", func() [16]byte { enrol("c1", "c1", "test-01", "warm", began); return fingerprint(e, "c1", `{}`) }},
		{"a link", func() [16]byte { e.live.Load().people.Link("c1", "z1"); return fingerprint(e, "c1", `{}`) }},
		{"the other identifier", func() [16]byte { return fingerprint(e, "z1", `{}`) }},
		{"an enrolment with another key", func() [16]byte {
			enrol("z1", "z1", "test-02", "control", began.Add(-time.Hour))
			return fingerprint(e, "c1", `{}`)
		}},
		{"another picture", func() [16]byte {
			c := *e.live.Load().configuration
			c.Version++
			present(t, e, &c)
			return fingerprint(e, "c1", `{}`)
		}},
	} {
		got := step.do()
		if other, ok := seen[got]; ok {
			t.Errorf("%s has the fingerprint of %s", step.name, other)
		}
		seen[got] = step.name
	}
	if long := fingerprint(e, strings.Repeat("a", 256), strings.Repeat(" ", 5000)); long == first {
		t.Error("a long context has the fingerprint of a short one")
	}
}
