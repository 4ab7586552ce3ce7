package engine

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine/audience"
)

const (
	maxVariants   = 20
	maxPrimaries  = 3
	maxMetrics    = 50
	maxProse      = 2000
	maxWeight     = 1_000_000
	maxDays       = 3650
	maxRampSteps  = 20
	maxRampHours  = 24 * 90
	maxTouchpoint = 100
	maxCustomers  = 1_000_000_000 // of an arm
)

// Validate checks a spec by itself and fills in what may be left out. Whether the
// metrics, touchpoints and layer it names exist is checked by the engine.
func (s *Spec) Validate() error {
	var v violations
	if !validKey(string(s.Key)) {
		v.add("/key", keyRule)
	}
	if s.Name == "" {
		s.Name = string(s.Key)
	} else if !validText(s.Name, maxName) {
		v.add("/name", textRule, maxName)
	}
	if len(s.Hypothesis) > maxProse {
		v.add("/hypothesis", "must be at most %d bytes", maxProse)
	}
	if s.Objective != "" && !slices.Contains(Objectives, s.Objective) {
		v.add("/objective", "%s", oneOf(Objectives))
	}
	if _, err := audience.Compile(s.Audience); err != nil {
		v.addCode("invalid_audience", "/audience", "%v", err)
	}
	if s.Layer == "" {
		s.Layer = DefaultLayer
	}
	if !validKey(string(s.Layer)) {
		v.add("/layer", keyRule)
	}
	if s.Traffic.GreaterThan(decimal.NewFromInt(1)) || s.SlotCount() < 1 {
		v.add("/traffic", "must be a share from 0.0001 to 1")
	}
	s.checkTouchpoints(&v)
	s.checkVariants(&v)
	s.Metrics.check(&v)
	s.Plan.check(&v)
	s.Policy.check(&v)
	return v.err("experiment")
}

func (s *Spec) checkTouchpoints(v *violations) {
	switch {
	case s.Assignment != AssignedByEngine && s.Assignment != AssignedElsewhere:
		v.add("/assignment", "must be engine or external")
	case s.Assignment == AssignedByEngine && len(s.Touchpoints) == 0:
		v.add("/touchpoints", "must name at least one touchpoint (an external test needs none)")
	}
	if len(s.Touchpoints) > maxTouchpoint {
		v.add("/touchpoints", "must name at most %d touchpoints", maxTouchpoint)
		return
	}
	for i, key := range s.Touchpoints {
		at := "/touchpoints/" + strconv.Itoa(i)
		switch {
		case !validKey(string(key)):
			v.add(at, keyRule)
		case slices.Contains(s.Touchpoints[:i], key):
			v.add(at, "%q stands twice", key)
		}
	}
}

func (s *Spec) checkVariants(v *violations) {
	if len(s.Variants) < 2 || len(s.Variants) > maxVariants {
		v.add("/variants", "must be 2 to %d variants", maxVariants)
		return
	}
	controls := 0
	for i, variant := range s.Variants {
		at := "/variants/" + strconv.Itoa(i)
		if variant.Control {
			controls++
		}
		if !validText(string(variant.Key), maxEventType) {
			v.add(at+"/key", textRule, maxEventType)
		}
		if slices.ContainsFunc(s.Variants[:i], func(o Variant) bool { return o.Key == variant.Key }) {
			v.add(at+"/key", "%q stands twice", variant.Key)
		}
		if variant.Weight < 1 || variant.Weight > maxWeight {
			v.add(at+"/weight", "must be a whole number from 1 to %d", maxWeight)
		}
		for _, touchpoint := range slices.Sorted(maps.Keys(variant.Content)) {
			pointer, content := at+"/content/"+pointerToken(string(touchpoint)), variant.Content[touchpoint]
			if !slices.Contains(s.Touchpoints, touchpoint) {
				v.add(pointer, "%q is not among the experiment's touchpoints", touchpoint)
			}
			checkContent(v, pointer, content)
		}
	}
	if controls != 1 {
		v.add("/variants", "must have exactly one control, not %d", controls)
	}
}

func (m *Metrics) check(v *violations) {
	if len(m.Primary) < 1 || len(m.Primary) > maxPrimaries {
		v.add("/metrics/primary", "must be one metric or a list of up to %d", maxPrimaries)
	}
	all := m.all()
	if len(all) > maxMetrics {
		v.add("/metrics", "must be at most %d metrics", maxMetrics)
		return
	}
	for i, a := range all {
		if slices.ContainsFunc(all[:i], func(b roleMetric) bool { return a.key == b.key }) {
			v.add(m.pointer(a), "%q stands twice", a.key)
		}
		if a.role == RoleGuardrail && (a.margin <= 0 || a.margin >= 1) {
			v.add("/metrics/guardrails/"+strconv.Itoa(a.index)+"/margin", "its margin must be a share of control's mean between 0 and 1, such as 0.02")
		}
	}
}

// pointer is where a metric is named.
func (m *Metrics) pointer(r roleMetric) string {
	switch r.role {
	case RolePrimary:
		if len(m.Primary) > 1 { // one alone need not be a list
			return "/metrics/primary/" + strconv.Itoa(r.index)
		}
		return "/metrics/primary"
	case RoleSecondary:
		return "/metrics/secondary/" + strconv.Itoa(r.index)
	case RoleGuardrail:
		return "/metrics/guardrails/" + strconv.Itoa(r.index) + "/metric"
	case RoleDiagnostic:
		return "/metrics/diagnostics/" + strconv.Itoa(r.index)
	}
	return "/metrics"
}

func (p *Plan) check(v *violations) {
	if !slices.Contains([]Method{MethodGroupSequential, MethodAnytime, MethodFixed}, p.Method) {
		v.add("/plan/method", "must be one of group_sequential, anytime, fixed")
	}
	if p.Alpha < 0.0001 || p.Alpha > 0.2 {
		v.add("/plan/alpha", "must lie between 0.0001 and 0.2")
	}
	if p.Power < 0.5 || p.Power > 0.999 {
		v.add("/plan/power", "must lie between 0.5 and 0.999")
	}
	if p.MinEffect < 0 || p.MinEffect > 10 {
		v.add("/plan/min_effect", "must be a share of control's mean from 0 to 10, such as 0.03")
	}
	if p.PromoteAbove < -1 || p.PromoteAbove > 10 {
		v.add("/plan/promote_above", "must be a share of control's mean from -1 to 10")
	}
	if p.PlannedCustomers < 0 || p.PlannedCustomers > maxCustomers {
		v.add("/plan/planned_customers", "must be 1 to %d per arm", maxCustomers)
	}
}

func (p *Policy) check(v *violations) {
	if p.Mode != ModeAuto && p.Mode != ModeApprove && p.Mode != ModeManual {
		v.add("/policy/mode", "must be auto, approve or manual")
	}
	if p.MinDays < 0 || p.MinDays > maxDays {
		v.add("/policy/min_days", "must be 0 to %d", maxDays)
	}
	if p.MaxDays < 0 || p.MaxDays > maxDays || (p.MaxDays > 0 && p.MaxDays < p.MinDays) {
		v.add("/policy/max_days", "must be at least min_days and at most %d", maxDays)
	}
	if p.MinCustomers < 1 || p.MinCustomers > maxCustomers {
		v.add("/policy/min_customers", "must be 1 to %d", maxCustomers)
	}
	last := 0.0
	for i, step := range p.Ramp {
		if step <= last || step > 1 {
			v.add("/policy/ramp/"+strconv.Itoa(i), "must grow from step to step and be at most 1")
		}
		last = step
	}
	if len(p.Ramp) > maxRampSteps || last != 1 {
		v.add("/policy/ramp", "must be at most %d shares and end with 1", maxRampSteps)
	}
	if p.RampHours < 1 || p.RampHours > maxRampHours {
		v.add("/policy/ramp_hours", "must be 1 to %d", maxRampHours)
	}
	if p.Holdback < 0 || p.Holdback > 0.5 {
		v.add("/policy/holdback", "must be a share from 0 to 0.5")
	}
	if p.HoldbackDays < 1 || p.HoldbackDays > maxDays {
		v.add("/policy/holdback_days", "must be 1 to %d", maxDays)
	}
	if p.OnTimeout != TimeoutKeepControl && p.OnTimeout != TimeoutInconclusive {
		v.add("/policy/on_timeout", "must be keep_control or inconclusive")
	}
}

// checkRoles checks that each metric exists and may play its role.
func (m *Metrics) checkRoles(v *violations, metrics map[MetricKey]Metric) {
	for _, r := range m.all() {
		metric, ok := metrics[r.key]
		switch {
		case !ok:
			v.addCode("unknown_metric", m.pointer(r), "there is no metric %q", r.key)
		case r.role == RolePrimary && !metric.Kind.MayDecide():
			v.addCode("metric_cannot_decide", m.pointer(r),
				"%q is of kind %s: only ltv, retention, survival and repeat decide", r.key, metric.Kind)
		case r.role != RoleDiagnostic && !metric.Kind.MayGuard():
			v.addCode("metric_cannot_decide", m.pointer(r),
				"%q is of kind click, which is for diagnostics only", r.key)
		}
	}
}

// checkFrozen compares a change of a started experiment with what is frozen: only the
// name, the hypothesis, stricter limits and, until it is concluded, more traffic may change.
func (s *Spec) checkFrozen(x *Experiment) error {
	old := &x.Spec
	var v violations
	frozen := func(pointer string, same bool) {
		if !same {
			v.addCode("plan_frozen", pointer, "is frozen since the experiment started")
		}
	}
	strict := func(pointer string, ok bool) {
		if !ok {
			v.addCode("plan_frozen", pointer, "may only become stricter after the start")
		}
	}
	frozen("/objective", s.Objective == old.Objective)
	frozen("/touchpoints", slices.Equal(s.Touchpoints, old.Touchpoints))
	frozen("/audience", s.Audience == old.Audience)
	frozen("/layer", s.Layer == old.Layer)
	frozen("/assignment", s.Assignment == old.Assignment)
	frozen("/variants", sameVariants(s.Variants, old.Variants))
	frozen("/metrics", slices.Equal(s.Metrics.all(), old.Metrics.all()))
	frozen("/plan", s.Plan == old.Plan)
	if s.Traffic.LessThan(old.Traffic) {
		v.addCode("plan_frozen", "/traffic", "may only grow after the start")
	}
	if x.Status == StatusConcluded && s.Traffic.GreaterThan(old.Traffic) {
		v.addCode("plan_frozen", "/traffic", "is frozen since the experiment was concluded: nobody is enrolled any more")
	}
	p, q := &s.Policy, &old.Policy
	strictness := map[Mode]int{ModeAuto: 0, ModeApprove: 1, ModeManual: 2}
	strict("/policy/mode", strictness[p.Mode] >= strictness[q.Mode])
	strict("/policy/min_days", p.MinDays >= q.MinDays)
	strict("/policy/min_customers", p.MinCustomers >= q.MinCustomers)
	strict("/policy/max_days", p.MaxDays == q.MaxDays || (p.MaxDays > 0 && (q.MaxDays == 0 || p.MaxDays < q.MaxDays)))
	frozen("/policy/ramp", slices.Equal(p.Ramp, q.Ramp))
	frozen("/policy/ramp_hours", p.RampHours == q.RampHours)
	frozen("/policy/holdback", p.Holdback == q.Holdback)
	frozen("/policy/holdback_days", p.HoldbackDays == q.HoldbackDays)
	frozen("/policy/on_timeout", p.OnTimeout == q.OnTimeout)
	return v.err("change")
}

func sameVariants(a, b []Variant) bool {
	return slices.EqualFunc(a, b, func(x, y Variant) bool {
		if x.Key != y.Key || x.Control != y.Control || x.Weight != y.Weight || len(x.Content) != len(y.Content) {
			return false
		}
		for touchpoint, content := range x.Content {
			if !sameJSON(content, y.Content[touchpoint]) {
				return false
			}
		}
		return true
	})
}

// sameJSON compares what two documents say, not how they are written: escapes, spaces and
// the order of members do not matter, the digits of a number do.
func sameJSON(a, b json.RawMessage) bool {
	x, okX := exactJSON(a)
	y, okY := exactJSON(b)
	return okX && okY && reflect.DeepEqual(x, y)
}

// exactJSON reads a document and keeps its numbers as their digits.
func exactJSON(raw json.RawMessage) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return v, d.Decode(&v) == nil
}
