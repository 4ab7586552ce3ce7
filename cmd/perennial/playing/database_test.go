package playing

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/api"
	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pgtest"
	"github.com/perennial-engine/perennial/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// A house is the whole engine on a database, behind its HTTP API, at a time that is set.
type house struct {
	t      *testing.T
	engine *engine.Engine
	url    string
	now    time.Time
}

const houseKey = "pk_test_admin"

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, now: began}
	store, err := postgres.Open(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	clock, log := func() time.Time { return h.now }, slog.New(slog.DiscardHandler)
	h.engine = engine.New(engine.Config{Store: store, Now: clock, Random: rand.Reader, Log: log, Reporting: "EUR"})
	if err := h.engine.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.engine.EnsureAdminKey(t.Context(), houseKey); err != nil {
		t.Fatal(err)
	}
	server, err := api.New(api.Config{Engine: h.engine, Log: log, Now: clock, Random: rand.Reader, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	h.url = listener.URL
	return h
}

// send makes a request that must succeed, with every element taken where it has some.
func (h *house) send(method, path string, body any) {
	h.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		h.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, bytes.NewReader(text))
	if err != nil {
		h.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+houseKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	answer, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	var receipt struct {
		Rejected int `json:"rejected"`
	}
	if err != nil || response.StatusCode >= 300 || (json.Unmarshal(answer, &receipt) == nil && receipt.Rejected > 0) {
		h.t.Fatalf("%s %s: %d, %v: %.500s", method, path, response.StatusCode, err, answer)
	}
}

// object is a JSON object on its way.
type object = map[string]any

// set makes the metrics and the running experiments of a player's tests.
func (h *house) set(p *player) {
	h.t.Helper()
	for _, m := range p.metrics {
		h.send("PUT", "/v1/metrics/"+string(m.Key), object{"kind": m.Kind, "events": m.Events, "window": m.Window})
	}
	var variants []object
	for _, v := range p.template.Variants {
		variants = append(variants, object{"key": v.Key, "control": v.Control, "weight": v.Weight})
	}
	for i := range p.Tests {
		h.send("POST", "/v1/experiments", object{
			"key": key(i), "name": "Simulated", "assignment": "external", "variants": variants,
			"metrics": object{"primary": p.template.Metrics.Primary},
			"plan": object{
				"method": p.Method, "alpha": p.Alpha, "power": p.Power, "planned_customers": p.Customers,
				"min_effect": p.template.Plan.MinEffect,
			},
			"policy": object{
				"mode": "auto", "min_days": p.template.Policy.MinDays, "max_days": p.template.Policy.MaxDays,
				"min_customers": p.template.Policy.MinCustomers,
			},
		})
		h.send("POST", "/v1/experiments/"+string(key(i))+"/start", object{})
	}
}

func key(i int) engine.ExperimentKey { return engine.ExperimentKey(fmt.Sprintf("simulated-%d", i)) }

// A diary is what the engine is told of one test on each day.
type diary struct {
	enrolments, events [][]object
}

// write answers what is to be told of test i.
func (p *player) write(i int) *diary {
	d := &diary{make([][]object, p.steps+1), make([][]object, p.steps+1)}
	l := newLedger(p.Config, p.step, p.steps)
	x, r := p.start(i)
	truth := p.newTruth(r)
	p.meet(r, x, &truth, func(c *Customer, arm int, orders []Order) {
		who := fmt.Sprintf("%d-%s", i, c.ID)
		day := l.at(c.Enters)
		d.enrolments[day] = append(d.enrolments[day], object{
			"experiment": key(i), "variant": x.Variants[arm].Key, "customer": who, "enrolled_at": after(c.Enters),
		})
		for n, o := range orders {
			if day = l.at(c.Enters + o.known); day > p.steps {
				continue
			}
			d.events[day] = append(d.events[day], object{
				"id": fmt.Sprintf("%s-%d", who, n), "customer": who, "type": "order", "occurred_at": after(c.Enters + o.Age),
				"value": decimal.New(o.Amount, unit).String(), "currency": "EUR",
			})
		}
	})
	return d
}

// tell sends what happened by a day.
func (h *house) tell(d *diary, day int) {
	h.t.Helper()
	if rows := d.enrolments[day]; len(rows) > 0 {
		h.send("POST", "/v1/enrolments", object{"enrolments": rows})
	}
	if rows := d.events[day]; len(rows) > 0 {
		h.send("POST", "/v1/events", object{"events": rows})
	}
}

// TestAsThroughTheDatabase plays programmes of tests twice: as simulate does, and with customers
// who are told over HTTP to an engine on a database, whose jobs run once a day. Every look
// and every decision is the same.
func TestAsThroughTheDatabase(t *testing.T) {
	tests := []struct {
		scenario Scenario
		method   engine.Method
	}{
		{Programme, engine.MethodAnytime},
		{Programme, engine.MethodGroupSequential},
		{Programme, engine.MethodFixed},
		{Late, engine.MethodAnytime},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.method, " ", test.scenario), func(t *testing.T) {
			t.Parallel()
			c := Config{
				Scenario: test.scenario, Tests: 3, Looks: 12, Method: test.method, Seed: 20, Alpha: 0.05, Power: 0.8, Effect: 0.45,
				Weights: []int{1, 1, 1}, Primaries: 2, Horizon: 8, Customers: 400, Zeros: 0.1, LogSD: 0.5,
			}
			p, err := newPlayer(&c)
			if err != nil {
				t.Fatal(err)
			}
			throughTheDatabase(t, p)
		})
	}
}

func throughTheDatabase(t *testing.T, p *player) {
	t.Helper()
	h := newHouse(t)
	h.set(p)
	diaries := make([]*diary, p.Tests)
	for i := range diaries {
		diaries[i] = p.write(i)
	}
	for day := range p.steps + 1 {
		h.now = after(float64(day) * p.step)
		for i, d := range diaries {
			if x, err := h.engine.Experiment(t.Context(), key(i)); err != nil {
				t.Fatal(err)
			} else if x.Status == engine.StatusRunning {
				h.tell(d, day)
			}
		}
		for _, job := range []string{"measure", "analyze", "decide"} {
			if _, err := h.engine.RunJob(t.Context(), job); err != nil {
				t.Fatal(err)
			}
		}
	}
	ends := map[engine.Outcome]bool{}
	for i := range p.Tests {
		want, looks := p.rehearse(t, i)
		got, err := h.engine.Experiment(t.Context(), key(i))
		if err != nil {
			t.Fatal(err)
		}
		ends[want.Outcome] = true
		same := func(x *engine.Experiment) []any {
			return []any{x.Status, x.Outcome, x.Winner, x.Stopped, x.ConcludedAt.UTC()}
		}
		if diff := cmp.Diff(same(want), same(got), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("test %d (-rehearsed +through the database):\n%s", i, diff)
		}
		stored, err := h.engine.Reports(t.Context(), key(i), engine.Page{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		var taken []engine.Report
		for _, r := range stored {
			if r.Look != nil {
				taken = append(taken, r)
			}
		}
		ignore := cmp.Options{
			cmpopts.IgnoreFields(engine.Report{}, "Experiment", "Version", "DataCut"), cmpopts.EquateEmpty(),
			// A rehearsal has no past.
			cmpopts.IgnoreSliceElements(func(r engine.Reason) bool { return r.Code == "few_past_tests" }),
			cmpopts.IgnoreSliceElements(func(warning string) bool { return warning == "few_past_tests" }),
		}
		if p.Method == engine.MethodGroupSequential {
			ignore = append(ignore, cmpopts.IgnoreFields(engine.Comparison{}, "PValue", "AdjustedPValue"))
		}
		if diff := cmp.Diff(looks, taken, ignore); diff != "" || len(looks) < 1 {
			t.Errorf("the %d looks of test %d (-rehearsed +through the database):\n%s", len(looks), i, diff)
		}
	}
	if len(ends) < 2 && p.Scenario == Programme {
		t.Errorf("all tests ended alike, %v: nothing is compared", ends)
	}
}

// rehearse plays test i and answers what became of it and its looks.
func (p *player) rehearse(t *testing.T, i int) (x *engine.Experiment, looks []engine.Report) {
	t.Helper()
	l := newLedger(p.Config, p.step, p.steps)
	x, r := p.start(i)
	truth := p.newTruth(r)
	p.meet(r, x, &truth, l.record)
	var last *engine.Report
	for step := range p.steps + 1 {
		report, err := p.engine.Rehearse(x, l.totals(step, x, began), after(float64(step)*p.step), last)
		if err != nil {
			t.Fatal(err)
		}
		if report != nil && report.Look != nil {
			last = report
			looks = append(looks, *report)
		}
		if x.Status == engine.StatusConcluded {
			break
		}
	}
	o, err := p.play(i, newLedger(p.Config, p.step, p.steps))
	if err != nil || o.ended != x.Outcome || (o.winner > 0) != (x.Winner != "") {
		t.Errorf("test %d was played to %q with arm %d, %v, and rehearsed to %q with %q", i, o.ended, o.winner, err, x.Outcome, x.Winner)
	}
	return x, looks
}
