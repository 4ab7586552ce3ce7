package engine

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
)

// pointers are the fields that an error names.
func pointers(err error) []string {
	known, ok := errors.AsType[*Error](err)
	if !ok {
		return nil
	}
	var all []string
	for _, f := range known.Fields {
		all = append(all, f.Pointer)
		if f.Detail == "" {
			all = append(all, "without words")
		}
	}
	return all
}

func validSpec() Spec {
	return Spec{
		Key: "tone", Touchpoints: []TouchpointKey{"mail", "web"}, Traffic: decimal.NewFromInt(1), Assignment: AssignedByEngine,
		Variants: []Variant{
			{Key: "control", Control: true, Weight: 1},
			{Key: "warm", Weight: 1, Content: map[TouchpointKey]json.RawMessage{"mail": json.RawMessage(`{"a":1}`)}},
		},
		Metrics: Metrics{Primary: []MetricKey{"ltv"}}, Plan: DefaultPlan(), Policy: DefaultPolicy(),
	}
}

func keys(n int) (all []MetricKey) {
	for i := range n {
		all = append(all, MetricKey(strings.Repeat("m", i+1)))
	}
	return all
}

func TestSpecRules(t *testing.T) {
	traffic := func(text string) func(s *Spec) {
		return func(s *Spec) { s.Traffic = decimal.RequireFromString(text) }
	}
	for _, tt := range []struct {
		name   string
		change func(s *Spec)
		want   []string
	}{
		{"as it should be", func(*Spec) {}, nil},
		{"no key", func(s *Spec) { s.Key = "" }, []string{"/key"}},
		{"a key of 101", func(s *Spec) { s.Key = ExperimentKey(strings.Repeat("k", 101)) }, []string{"/key"}},
		{"a key with a slash", func(s *Spec) { s.Key = "a/b" }, []string{"/key"}},
		{"a key that begins with a dot", func(s *Spec) { s.Key = ".a" }, []string{"/key"}},
		{"a key with a line break", func(s *Spec) { s.Key = "a\n" }, []string{"/key"}},
		{"a long name", func(s *Spec) { s.Name = strings.Repeat("n", 201) }, []string{"/name"}},
		{"a long hypothesis", func(s *Spec) { s.Hypothesis = strings.Repeat("n", 2001) }, []string{"/hypothesis"}},
		{"unknown objective", func(s *Spec) { s.Objective = "fame" }, []string{"/objective"}},
		{"an audience", func(s *Spec) { s.Audience = "customer.country == 'FR' && channel == 'email'" }, nil},
		{"an audience that cannot be read", func(s *Spec) { s.Audience = "country == 'FR'" }, []string{"/audience"}},
		{"a long audience", func(s *Spec) { s.Audience = "true" + strings.Repeat(" ", 4000) }, []string{"/audience"}},
		{"traffic 0", traffic("0"), []string{"/traffic"}},
		{"traffic of half a slot", traffic("0.00005"), nil},
		{"traffic of less", traffic("0.00004"), []string{"/traffic"}},
		{"traffic above 1", traffic("1.0001"), []string{"/traffic"}},
		{"negative traffic", traffic("-0.5"), []string{"/traffic"}},
		{"no assignment", func(s *Spec) { s.Assignment = "" }, []string{"/assignment"}},
		{"no touchpoints", func(s *Spec) { s.Touchpoints, s.Variants[1].Content = nil, nil }, []string{"/touchpoints"}},
		{"an external test needs none", func(s *Spec) {
			s.Touchpoints, s.Variants[1].Content, s.Assignment = nil, nil, AssignedElsewhere
		}, nil},
		{"a touchpoint twice", func(s *Spec) { s.Touchpoints = []TouchpointKey{"mail", "mail"} }, []string{"/touchpoints/1"}},
		{"one variant", func(s *Spec) { s.Variants = s.Variants[:1] }, []string{"/variants"}},
		{"no control", func(s *Spec) { s.Variants[0].Control = false }, []string{"/variants"}},
		{"two controls", func(s *Spec) { s.Variants[1].Control = true }, []string{"/variants"}},
		{"weight 0", func(s *Spec) { s.Variants[1].Weight = 0 }, []string{"/variants/1/weight"}},
		{"negative weight", func(s *Spec) { s.Variants[1].Weight = -1 }, []string{"/variants/1/weight"}},
		{"weight above a million", func(s *Spec) { s.Variants[1].Weight = 1_000_001 }, []string{"/variants/1/weight"}},
		{"a variant twice", func(s *Spec) { s.Variants[1].Key = "control" }, []string{"/variants/1/key"}},
		{"a variant without key", func(s *Spec) { s.Variants[1].Key = "" }, []string{"/variants/1/key"}},
		{"content elsewhere", func(s *Spec) {
			s.Variants[1].Content = map[TouchpointKey]json.RawMessage{"app/x": json.RawMessage(`1`)}
		}, []string{"/variants/1/content/app~1x"}},
		{"content null", func(s *Spec) { s.Variants[1].Content["mail"] = json.RawMessage(`null`) }, []string{"/variants/1/content/mail"}},
		{"content a list", func(s *Spec) { s.Variants[1].Content["mail"] = json.RawMessage(`[1]`) }, []string{"/variants/1/content/mail"}},
		{"content a text", func(s *Spec) { s.Variants[1].Content["mail"] = json.RawMessage(`"Hi"`) }, nil},
		{"no primary", func(s *Spec) { s.Metrics.Primary = nil }, []string{"/metrics/primary"}},
		{"three primaries", func(s *Spec) { s.Metrics.Primary = keys(3) }, nil},
		{"four primaries", func(s *Spec) { s.Metrics.Primary = keys(4) }, []string{"/metrics/primary"}},
		{"a primary twice", func(s *Spec) { s.Metrics.Primary = []MetricKey{"ltv", "ltv"} }, []string{"/metrics/primary/1"}},
		{"a guardrail twice", func(s *Spec) { s.Metrics.Guardrails = []Guardrail{{"g", 0.1}, {"g", 0.2}} }, []string{"/metrics/guardrails/1/metric"}},
		{"a metric in two roles", func(s *Spec) { s.Metrics.Secondary = []MetricKey{"ltv"} }, []string{"/metrics/secondary/0"}},
		{"a margin of 0", func(s *Spec) { s.Metrics.Guardrails = []Guardrail{{"g", 0}} }, []string{"/metrics/guardrails/0/margin"}},
		{"a margin of 1", func(s *Spec) { s.Metrics.Guardrails = []Guardrail{{"g", 1}} }, []string{"/metrics/guardrails/0/margin"}},
		{"unknown method", func(s *Spec) { s.Plan.Method = "naive" }, []string{"/plan/method"}},
		{"alpha 0", func(s *Spec) { s.Plan.Alpha = 0 }, []string{"/plan/alpha"}},
		{"alpha .21", func(s *Spec) { s.Plan.Alpha = 0.21 }, []string{"/plan/alpha"}},
		{"power 1", func(s *Spec) { s.Plan.Power = 1 }, []string{"/plan/power"}},
		{"negative effect", func(s *Spec) { s.Plan.MinEffect = -0.01 }, []string{"/plan/min_effect"}},
		{"negative size", func(s *Spec) { s.Plan.PlannedCustomers = -1 }, []string{"/plan/planned_customers"}},
		{"unknown mode", func(s *Spec) { s.Policy.Mode = "never" }, []string{"/policy/mode"}},
		{"max_days below min_days", func(s *Spec) { s.Policy.MaxDays = 13 }, []string{"/policy/max_days"}},
		{"no customers", func(s *Spec) { s.Policy.MinCustomers = 0 }, []string{"/policy/min_customers"}},
		{"a ramp that falls", func(s *Spec) { s.Policy.Ramp = []float64{0.5, 0.25, 1} }, []string{"/policy/ramp/1"}},
		{"a ramp without an end", func(s *Spec) { s.Policy.Ramp = []float64{0.5} }, []string{"/policy/ramp"}},
		{"half held back", func(s *Spec) { s.Policy.Holdback = 0.51 }, []string{"/policy/holdback"}},
		{"no timeout", func(s *Spec) { s.Policy.OnTimeout = "" }, []string{"/policy/on_timeout"}},
		{"all mistakes at once", func(s *Spec) { s.Key, s.Variants[0].Weight, s.Plan.Alpha = "", 0, 2 }, []string{"/key", "/variants/0/weight", "/plan/alpha"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := validSpec()
			tt.change(&s)
			err := s.Validate()
			if diff := cmp.Diff(tt.want, pointers(err)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.want == nil) || (err != nil && KindOf(err) != KindInvalid) {
				t.Errorf("error %v", err)
			}
		})
	}
	s := validSpec()
	if err := s.Validate(); err != nil || s.Name != "tone" || s.Layer != DefaultLayer {
		t.Errorf("left out: name %q, layer %q (%v)", s.Name, s.Layer, err)
	}
	// traffic × 10,000, half up.
	for text, want := range map[string]int{"0.5": 5000, "0.00015": 2, "0.33334": 3333, "0.33335": 3334, "1": 10000} {
		s.Traffic = decimal.RequireFromString(text)
		if got := s.SlotCount(); got != want {
			t.Errorf("traffic %s: %d slots, want %d", text, got, want)
		}
	}
}

// Whoever has p < holdback × 10,000 is held back; 0.07 · 10,000 is above 700 in floating point.
func TestHeldBack(t *testing.T) {
	for holdback, want := range map[float64]int{0: 0, 0.05: 500, 0.07: 700, 0.00001: 1, 0.05551: 556, 0.05559: 556, 0.5: 5000} {
		if got := (&Policy{Holdback: holdback}).heldBack(); got != want {
			t.Errorf("holdback %g: %d are held back, want %d", holdback, got, want)
		}
	}
}

func TestMetricRules(t *testing.T) {
	share := func(text string) *decimal.Decimal { return new(decimal.RequireFromString(text)) }
	for _, tt := range []struct {
		name   string
		change func(m *Metric)
		want   []string
	}{
		{"as it should be", func(*Metric) {}, nil},
		{"unknown kind", func(m *Metric) { m.Kind = "mean" }, []string{"/kind"}},
		{"unknown direction", func(m *Metric) { m.Direction = "up" }, []string{"/direction"}},
		{"no events", func(m *Metric) { m.Events = nil }, []string{"/events"}},
		{"an event twice", func(m *Metric) { m.Events = []string{"order", "order"} }, []string{"/events/1"}},
		{"an event without name", func(m *Metric) { m.Events = []string{""} }, []string{"/events/0"}},
		{"51 events", func(m *Metric) { m.Events = slices.Repeat([]string{"order"}, 51) }, []string{"/events"}},
		{"no window", func(m *Metric) { m.Window = nil }, []string{"/window"}},
		{"a window from below 0", func(m *Metric) { m.Window = &Window{FromDay: -1, ToDay: 3} }, []string{"/window/from_day"}},
		{"an empty window", func(m *Metric) { m.Window = &Window{FromDay: 3, ToDay: 3} }, []string{"/window/to_day"}},
		{"a window of more than ten years", func(m *Metric) { m.Window = &Window{ToDay: 3651} }, []string{"/window/to_day"}},
		{"margin 1", func(m *Metric) { m.MarginRate = share("1") }, nil},
		{"margin above 1", func(m *Metric) { m.MarginRate = share("1.01") }, []string{"/margin_rate"}},
		{"margin below 0", func(m *Metric) { m.MarginRate = share("-0.1") }, []string{"/margin_rate"}},
		{"margin of a count", func(m *Metric) { m.Kind, m.MarginRate = KindCount, share("0.4") }, []string{"/margin_rate"}},
		{"repeat without min_count", func(m *Metric) { m.Kind = KindRepeat }, []string{"/min_count"}},
		{"repeat", func(m *Metric) { m.Kind, m.MinCount = KindRepeat, 2 }, nil},
		{"min_count of ltv", func(m *Metric) { m.MinCount = 2 }, []string{"/min_count"}},
		{"ratio without denominator", func(m *Metric) { m.Kind = KindRatio }, []string{"/denominator"}},
		{"denominator of ltv", func(m *Metric) { m.Denominator = []string{"visit"} }, []string{"/denominator"}},
		{"survival without an end", func(m *Metric) { m.Kind, m.Events = KindSurvival, nil }, []string{"/churn_event"}},
		{"survival with two ends", func(m *Metric) {
			m.Kind, m.Events, m.ChurnEvent, m.InactivityDays = KindSurvival, nil, "churned", 30
		}, []string{"/churn_event"}},
		{"survival by an event", func(m *Metric) { m.Kind, m.Events, m.ChurnEvent = KindSurvival, nil, "churned" }, nil},
		{"churn of ltv", func(m *Metric) { m.ChurnEvent = "churned" }, []string{"/churn_event"}},
		{"inactivity of ltv", func(m *Metric) { m.InactivityDays = 30 }, []string{"/inactivity_days"}},
		{"cap of a share", func(m *Metric) { m.Kind, m.CapValue = KindRetention, share("2") }, []string{"/cap_value"}},
		{"quantile of a share", func(m *Metric) { m.Kind, m.CapQuantile = KindRetention, new(0.9) }, []string{"/cap_quantile"}},
		{"cap 0", func(m *Metric) { m.CapValue = share("0") }, []string{"/cap_value"}},
		{"cap at the median", func(m *Metric) { m.CapQuantile = new(0.5) }, []string{"/cap_quantile"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := Metric{Key: "ltv", Kind: KindLTV, Events: []string{"order"}, Window: &Window{ToDay: 90}}
			tt.change(&m)
			err := m.Validate()
			if diff := cmp.Diff(tt.want, pointers(err)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.want == nil) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// The roles that each kind may have are the contract's table.
func TestRolesOfKinds(t *testing.T) {
	decides := []MetricKind{KindLTV, KindRetention, KindSurvival, KindRepeat}
	for _, kind := range MetricKinds {
		for _, role := range []Role{RolePrimary, RoleSecondary, RoleGuardrail, RoleDiagnostic} {
			want := ""
			switch {
			case role == RolePrimary && !slices.Contains(decides, kind),
				kind == KindClick && role != RoleDiagnostic:
				want = "metric_cannot_decide"
			}
			s := newScene()
			s.x.Metrics, s.x.Frozen = Metrics{}, nil
			s.metric(role, Metric{Key: "m", Kind: kind})
			var v violations
			s.x.Metrics.checkRoles(&v, map[MetricKey]Metric{"m": {Key: "m", Kind: kind}})
			if code := codeOf(v.err("experiment")); code != want {
				t.Errorf("%s as %s: code %q, want %q", kind, role, code, want)
			}
		}
	}
	var v violations
	(&Metrics{Primary: []MetricKey{"none"}}).checkRoles(&v, nil)
	if code := codeOf(v.err("experiment")); code != "unknown_metric" {
		t.Errorf("an unknown metric: code %q", code)
	}
}

func TestTouchpointRules(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(p *Touchpoint)
		want   []string
	}{
		{"as it should be", func(*Touchpoint) {}, nil},
		{"no channel", func(p *Touchpoint) { p.Channel = "" }, []string{"/channel"}},
		{"unknown stage", func(p *Touchpoint) { p.Stage = "love" }, []string{"/stage"}},
		{"null", func(p *Touchpoint) { p.Content = json.RawMessage(`null`) }, []string{"/content"}},
		{"a list", func(p *Touchpoint) { p.Content = json.RawMessage(`[]`) }, []string{"/content"}},
		{"false", func(p *Touchpoint) { p.Content = json.RawMessage(`false`) }, nil},
		{"64 KiB", func(p *Touchpoint) { p.Content = json.RawMessage(`"` + strings.Repeat("x", 64<<10-2) + `"`) }, nil},
		{"more than 64 KiB", func(p *Touchpoint) { p.Content = json.RawMessage(`"` + strings.Repeat("x", 64<<10) + `"`) }, []string{"/content"}},
		{"negative cost", func(p *Touchpoint) {
			p.CostPerContact = &Money{Amount: decimal.NewFromInt(-1), Currency: "EUR"}
		}, []string{"/cost_per_contact/amount"}},
		{"a key with a space", func(p *Touchpoint) { p.Key = "a b" }, []string{"/key"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Touchpoint{Key: "mail", Channel: "email"}
			tt.change(&p)
			if diff := cmp.Diff(tt.want, pointers(p.Validate())); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
	p := Touchpoint{Key: "mail", Channel: "email"}
	if err := p.Validate(); err != nil || string(p.Content) != `{}` || p.Name != "mail" {
		t.Errorf("left out: content %s, name %q (%v)", p.Content, p.Name, err)
	}
}

// After the start only the name, the hypothesis, stricter limits and more traffic change.
func TestFrozen(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *Spec)
		want   []string
	}{
		{"nothing", func(*Spec) {}, nil},
		{"name and hypothesis", func(s *Spec) { s.Name, s.Hypothesis = "new", "new" }, nil},
		{"more traffic", func(s *Spec) { s.Traffic = decimal.RequireFromString("0.6") }, nil},
		{"the same traffic in other digits", func(s *Spec) { s.Traffic = decimal.RequireFromString("0.50") }, nil},
		{"stricter limits", func(s *Spec) {
			s.Policy.Mode, s.Policy.MinDays, s.Policy.MinCustomers, s.Policy.MaxDays = ModeManual, 21, 200, 60
		}, nil},
		{"content written otherwise", func(s *Spec) {
			s.Variants[1].Content = map[TouchpointKey]json.RawMessage{"mail": json.RawMessage(`{ "a" : 1 }`)}
		}, nil},

		{"less traffic", func(s *Spec) { s.Traffic = decimal.RequireFromString("0.4") }, []string{"/traffic"}},
		{"objective", func(s *Spec) { s.Objective = "retention" }, []string{"/objective"}},
		{"touchpoints", func(s *Spec) { s.Touchpoints = append(s.Touchpoints, "app") }, []string{"/touchpoints"}},
		{"audience", func(s *Spec) { s.Audience = "true" }, []string{"/audience"}},
		{"layer", func(s *Spec) { s.Layer = "other" }, []string{"/layer"}},
		{"assignment", func(s *Spec) { s.Assignment = AssignedElsewhere }, []string{"/assignment"}},
		{"weight", func(s *Spec) { s.Variants[1].Weight = 2 }, []string{"/variants"}},
		{"order of variants", func(s *Spec) { slices.Reverse(s.Variants) }, []string{"/variants"}},
		{"control", func(s *Spec) { s.Variants[0].Control, s.Variants[1].Control = false, true }, []string{"/variants"}},
		{"a third variant", func(s *Spec) { s.Variants = append(s.Variants, Variant{Key: "bold", Weight: 1}) }, []string{"/variants"}},
		{"content", func(s *Spec) {
			s.Variants[1].Content = map[TouchpointKey]json.RawMessage{"mail": json.RawMessage(`{"a":2}`)}
		}, []string{"/variants"}},
		{"content at another touchpoint", func(s *Spec) {
			s.Variants[1].Content = map[TouchpointKey]json.RawMessage{"web": json.RawMessage(`{"a":1}`)}
		}, []string{"/variants"}},
		{"a second metric", func(s *Spec) { s.Metrics.Diagnostics = []MetricKey{"clicks"} }, []string{"/metrics"}},
		{"margin", func(s *Spec) { s.Metrics.Guardrails[0].Margin = 0.2 }, []string{"/metrics"}},
		{"role of a metric", func(s *Spec) { s.Metrics.Guardrails, s.Metrics.Secondary = nil, []MetricKey{"refunds"} }, []string{"/metrics"}},
		{"alpha", func(s *Spec) { s.Plan.Alpha = 0.1 }, []string{"/plan"}},
		{"size", func(s *Spec) { s.Plan.PlannedCustomers = 1 }, []string{"/plan"}},
		{"a laxer mode", func(s *Spec) { s.Policy.Mode = ModeAuto }, []string{"/policy/mode"}},
		{"fewer days", func(s *Spec) { s.Policy.MinDays = 13 }, []string{"/policy/min_days"}},
		{"fewer customers", func(s *Spec) { s.Policy.MinCustomers = 99 }, []string{"/policy/min_customers"}},
		{"a later end", func(s *Spec) { s.Policy.MaxDays = 91 }, []string{"/policy/max_days"}},
		{"no end", func(s *Spec) { s.Policy.MaxDays = 0 }, []string{"/policy/max_days"}},
		{"ramp", func(s *Spec) { s.Policy.Ramp = []float64{0.5, 1} }, []string{"/policy/ramp"}},
		{"hours of the ramp", func(s *Spec) { s.Policy.RampHours = 48 }, []string{"/policy/ramp_hours"}},
		{"days of the holdback", func(s *Spec) { s.Policy.HoldbackDays = 30 }, []string{"/policy/holdback_days"}},
		{"holdback", func(s *Spec) { s.Policy.Holdback = 0.1 }, []string{"/policy/holdback"}},
		{"timeout", func(s *Spec) { s.Policy.OnTimeout = TimeoutInconclusive }, []string{"/policy/on_timeout"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			started := func() Spec {
				s := validSpec()
				s.Traffic, s.Policy.Mode, s.Policy.MaxDays = decimal.RequireFromString("0.5"), ModeApprove, 90
				s.Metrics.Guardrails = []Guardrail{{"refunds", 0.1}}
				return s
			}
			old, next := started(), started()
			tt.change(&next)
			err := next.checkFrozen(&Experiment{Spec: old, Status: StatusRunning})
			if diff := cmp.Diff(tt.want, pointers(err)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if err != nil && codeOf(err) != "plan_frozen" {
				t.Errorf("code %q", codeOf(err))
			}
		})
	}
}
