package api_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"
)

// welcomeTone is the least a test needs, at two touchpoints.
var welcomeTone = object{
	"key": "welcome-tone", "touchpoints": []string{"welcome-email", "welcome-web"},
	"variants": []object{
		{"key": "control", "control": true, "weight": 1},
		{"key": "warm", "weight": 1, "content": object{"welcome-email": object{"subject": "Hello you"}, "welcome-web": object{"hero": "warm"}}},
	},
	"metrics": object{"primary": "ltv_30"},
	"plan":    object{"method": "anytime"},
}

// catalogue puts the touchpoints and metrics that the tests use.
func (s *system) catalogue() *system {
	s.t.Helper()
	for key, channel := range map[string]string{"welcome-email": "email", "welcome-web": "web", "checkout": "web", "till": "store"} {
		s.put("/v1/touchpoints/"+key, object{"channel": channel, "content": object{"from": key}}).is(http.StatusCreated)
	}
	for key, metric := range map[string]object{
		"ltv_30":          {"kind": "ltv", "events": []string{"order", "refund"}},
		"kept_30":         {"kind": "retention", "events": []string{"order", "visit"}},
		"clicks_30":       {"kind": "click", "events": []string{"click"}},
		"orders_30":       {"kind": "count", "events": []string{"order"}},
		"unsubscribed_30": {"kind": "conversion", "events": []string{"unsubscribed"}, "direction": "decrease"},
	} {
		s.put("/v1/metrics/"+key, and(metric, object{"window": object{"from_day": 0, "to_day": 30}})).is(http.StatusCreated)
	}
	return s
}

// running creates and starts an experiment and answers its state.
func (s *system) running(experiment object) *answer {
	s.t.Helper()
	s.post("/v1/experiments", experiment).is(http.StatusCreated)
	return s.post(fmt.Sprintf("/v1/experiments/%s/start", experiment["key"]), nil).is(http.StatusOK)
}

// TestExperimentDefaults: what is left out gets the contract's defaults.
func TestExperimentDefaults(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	a := s.post("/v1/experiments", and(welcomeTone, object{"plan": nil})).is(http.StatusCreated)
	a.has(object{
		"/name": "welcome-tone", "/layer": "default", "/traffic": 1.0, "/assignment": "engine", "/status": "draft", "/outcome": nil,
		"/metrics/primary": "ltv_30", "/plan/method": "group_sequential", "/plan/alpha": 0.05, "/plan/power": 0.8,
		"/plan/planned_customers": nil, "/policy/mode": "auto", "/policy/min_days": 14.0, "/policy/on_timeout": "keep_control",
		"/version": 1.0, "/slots": []any{}, "/started_at": nil,
	})
	if got := a.header.Get("ETag"); got != `"1"` {
		t.Errorf("ETag is %s", got)
	}
	s.get("/v1/experiments/welcome-tone").is(http.StatusOK).has(object{"/salt": a.at("/salt")})
	s.post("/v1/experiments", welcomeTone).fails(http.StatusConflict, "key_taken")
}

// TestExperimentComesBack: everything that was written comes back as it was written.
func TestExperimentComesBack(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	whole := object{
		"key": "whole", "name": "Warmer <welcome>", "hypothesis": "A personal tone\nkeeps more", "objective": "retention",
		"touchpoints": []any{"welcome-email", "welcome-web"}, "audience": "customer.country == 'FR'", "layer": "default",
		"traffic": 0.5, "assignment": "engine",
		"variants": []any{
			object{"key": "control", "control": true, "weight": 3.0},
			object{"key": "très chaud", "weight": 1.0, "content": object{"welcome-web": object{"html": "<b>&amp;</b>"}}},
		},
		"metrics": object{
			"primary": []any{"ltv_30", "kept_30"}, "secondary": []any{"orders_30"}, "diagnostics": []any{"clicks_30"},
			"guardrails": []any{object{"metric": "unsubscribed_30", "margin": 0.1}},
		},
		"plan": object{
			"method": "group_sequential", "alpha": 0.05, "power": 0.8, "min_effect": 0.03, "promote_above": 0.01, "covariate": true,
			"planned_customers": 5000.0,
		},
		"policy": object{
			"mode": "approve", "min_days": 7.0, "max_days": 120.0, "min_customers": 1000.0, "ramp": []any{0.25, 1.0}, "ramp_hours": 24.0,
			"holdback": 0.05, "holdback_days": 90.0, "on_timeout": "inconclusive",
		},
	}
	s.post("/v1/experiments", whole).is(http.StatusCreated)
	a := s.get("/v1/experiments/whole").is(http.StatusOK)
	for _, name := range slices.Sorted(maps.Keys(whole)) {
		a.has(object{"/" + name: whole[name]})
	}
}

// TestBadExperiments: every rule of a draft is 422 with a pointer to each field to blame.
func TestBadExperiments(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	variants := func(list ...object) object { return object{"variants": list} }
	control, warm := object{"key": "control", "control": true, "weight": 1}, object{"key": "warm", "weight": 1}
	metrics := func(changes object) object { return object{"metrics": and(object{"primary": "ltv_30"}, changes)} }
	for name, c := range map[string]struct {
		changes object
		code    string
		pointer string
	}{
		"no key":               {object{"key": nil}, "invalid", "/key"},
		"bad key":              {object{"key": "a b"}, "invalid", "/key"},
		"long hypothesis":      {object{"hypothesis": text(2001)}, "invalid", "/hypothesis"},
		"unknown objective":    {object{"objective": "fame"}, "invalid", "/objective"},
		"no traffic":           {object{"traffic": 0}, "invalid", "/traffic"},
		"negative traffic":     {object{"traffic": -0.5}, "invalid", "/traffic"},
		"too much traffic":     {object{"traffic": 1.0001}, "invalid", "/traffic"},
		"unknown layer":        {object{"layer": "none"}, "unknown_layer", "/layer"},
		"unknown assignment":   {object{"assignment": "random"}, "invalid", "/assignment"},
		"no touchpoints":       {object{"touchpoints": []string{}, "variants": []object{control, warm}}, "invalid", "/touchpoints"},
		"unknown touchpoint":   {object{"touchpoints": []string{"welcome-email", "welcome-web", "none"}}, "unknown_touchpoint", "/touchpoints/2"},
		"a touchpoint twice":   {object{"touchpoints": []string{"welcome-email", "welcome-web", "welcome-web"}}, "invalid", "/touchpoints/2"},
		"no variants":          {object{"variants": nil}, "invalid", "/variants"},
		"one variant":          {variants(control), "invalid", "/variants"},
		"two controls":         {variants(control, and(warm, object{"control": true})), "invalid", "/variants"},
		"no control":           {variants(warm, and(warm, object{"key": "hot"})), "invalid", "/variants"},
		"a variant twice":      {variants(control, warm, warm), "invalid", "/variants/2/key"},
		"weight 0":             {variants(control, and(warm, object{"weight": 0})), "invalid", "/variants/1/weight"},
		"negative weight":      {variants(control, and(warm, object{"weight": -1})), "invalid", "/variants/1/weight"},
		"huge weight":          {variants(control, and(warm, object{"weight": 1_000_001})), "invalid", "/variants/1/weight"},
		"content elsewhere":    {variants(control, and(warm, object{"content": object{"checkout": 1}})), "invalid", "/variants/1/content/checkout"},
		"content at a/b~":      {variants(control, and(warm, object{"content": object{"a/b~": 1}})), "invalid", "/variants/1/content/a~1b~0"},
		"a list as content":    {variants(control, and(warm, object{"content": object{"welcome-web": []int{1}}})), "invalid", "/variants/1/content/welcome-web"},
		"null as content":      {variants(control, object{"key": "warm", "weight": 1, "content": map[string]*int{"welcome-web": nil}}), "invalid", "/variants/1/content/welcome-web"},
		"no primary":           {metrics(object{"primary": []string{}}), "invalid", "/metrics/primary"},
		"unknown primary":      {metrics(object{"primary": "none"}), "unknown_metric", "/metrics/primary"},
		"a click decides":      {metrics(object{"primary": "clicks_30"}), "metric_cannot_decide", "/metrics/primary"},
		"the second decides":   {metrics(object{"primary": []string{"ltv_30", "clicks_30"}}), "metric_cannot_decide", "/metrics/primary/1"},
		"a count decides":      {metrics(object{"primary": "orders_30"}), "metric_cannot_decide", "/metrics/primary"},
		"a click guards":       {metrics(object{"guardrails": []object{{"metric": "clicks_30", "margin": 0.1}}}), "metric_cannot_decide", "/metrics/guardrails/0/metric"},
		"a click is secondary": {metrics(object{"secondary": []string{"clicks_30"}}), "metric_cannot_decide", "/metrics/secondary/0"},
		"four primaries":       {metrics(object{"primary": []string{"a", "b", "c", "d"}}), "invalid", "/metrics/primary"},
		"a metric twice":       {metrics(object{"secondary": []string{"ltv_30"}}), "invalid", "/metrics/secondary/0"},
		"a margin of 0":        {metrics(object{"guardrails": []object{{"metric": "kept_30", "margin": 0}}}), "invalid", "/metrics/guardrails/0/margin"},
		"unknown method":       {object{"plan": object{"method": "bayes"}}, "invalid", "/plan/method"},
		"alpha of 1":           {object{"plan": object{"alpha": 1}}, "invalid", "/plan/alpha"},
		"alpha beyond doubles": {object{"plan": object{"alpha": 1e-300}}, "invalid", "/plan/alpha"},
		"no power":             {object{"plan": object{"power": 0}}, "invalid", "/plan/power"},
		"negative effect":      {object{"plan": object{"min_effect": -0.1}}, "invalid", "/plan/min_effect"},
		"more than mankind":    {object{"plan": object{"planned_customers": int64(1) << 62}}, "invalid", "/plan/planned_customers"},
		"unknown mode":         {object{"policy": object{"mode": "yolo"}}, "invalid", "/policy/mode"},
		"max before min":       {object{"policy": object{"min_days": 14, "max_days": 7}}, "invalid", "/policy/max_days"},
		"nobody":               {object{"policy": object{"min_customers": 0}}, "invalid", "/policy/min_customers"},
		"everybody":            {object{"policy": object{"min_customers": int64(1) << 62}}, "invalid", "/policy/min_customers"},
		"an empty ramp":        {object{"policy": object{"ramp": []float64{}}}, "invalid", "/policy/ramp"},
		"a ramp that falls":    {object{"policy": object{"ramp": []float64{0.5, 0.25, 1}}}, "invalid", "/policy/ramp/1"},
		"half a holdback":      {object{"policy": object{"holdback": 0.51}}, "invalid", "/policy/holdback"},
		"unknown timeout":      {object{"policy": object{"on_timeout": "promote"}}, "invalid", "/policy/on_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() {
				s.post("/v1/experiments", and(welcomeTone, c.changes)).fails(http.StatusUnprocessableEntity, c.code, c.pointer)
			})
		})
	}
}

// TestLifeCycle: draft → running ⇄ paused → concluded, and no other way.
func TestLifeCycle(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	const at = "/v1/experiments/welcome-tone"
	actions := []string{"start", "pause", "resume", "stop", "promote", "approve", "rollback"}
	do := func(action string) *answer {
		var body any
		if action == "promote" {
			body = object{"variant": "warm"}
		}
		return s.post(at+"/"+action, body)
	}
	// In this state only these actions are taken; the others are 409 and change nothing.
	state := func(status string, allowed ...string) {
		t.Helper()
		s.get(at).is(http.StatusOK).has(object{"/status": status})
		for _, action := range actions {
			if !slices.Contains(allowed, action) {
				code := "wrong_status"
				if action == "approve" {
					code = "nothing_to_approve"
				}
				s.keeps(action+" of "+status, func() { do(action).fails(http.StatusConflict, code) })
			}
		}
	}
	do("start").fails(http.StatusNotFound, "not_found")
	s.post("/v1/experiments", welcomeTone).is(http.StatusCreated)
	state("draft", "start")
	s.pass(time.Minute)
	do("start").is(http.StatusOK).has(object{"/status": "running", "/started_at": "2026-03-01T12:01:00Z", "/plan/planned_customers": 2500.0})
	state("running", "pause", "stop", "promote")
	do("pause").is(http.StatusOK).has(object{"/status": "paused"})
	state("paused", "resume", "stop", "promote")
	do("resume").is(http.StatusOK).has(object{"/status": "running"})
	s.pass(time.Minute)
	do("promote").is(http.StatusOK).has(object{
		"/status": "concluded", "/outcome": "promoted", "/winner": "warm", "/concluded_at": "2026-03-01T12:02:00Z",
	})
	state("concluded", "rollback")
	do("rollback").is(http.StatusOK).has(object{"/status": "concluded", "/outcome": "rolled_back"})
	state("concluded")

	s.running(and(welcomeTone, object{"key": "second"}))
	s.post("/v1/experiments/second/stop", `{"reason": "Stock has run out"}`).is(http.StatusOK).has(object{
		"/status": "concluded", "/outcome": "stopped", "/winner": nil,
	})
	s.get("/v1/experiments/second/decisions").is(http.StatusOK).has(object{
		"/data/0/action": "stop", "/data/0/note": "Stock has run out", "/data/0/decided_by": "bootstrap", "/data/0/report_version": nil,
		"/data/0/variant": nil, "/data/1": nil,
	})
}

// TestPromoteAndRollback: the winner becomes what the touchpoints serve, and a rollback
// brings back what they served before, but for what has changed since.
func TestPromoteAndRollback(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(welcomeTone)
	s.pass(time.Hour)
	s.post("/v1/experiments/welcome-tone/promote", nil).fails(http.StatusUnprocessableEntity, "unknown_variant", "/variant")
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "control"}`).fails(http.StatusUnprocessableEntity, "unknown_variant", "/variant")
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm", "reason": "Best everywhere"}`).is(http.StatusOK)
	s.get("/v1/touchpoints/welcome-email").has(object{"/content": object{"subject": "Hello you"}})
	s.post("/v1/assignments", `{"customer": "new", "touchpoint": "welcome-web"}`).has(object{
		"/reason": "promoted", "/experiment": "welcome-tone", "/variant": "warm", "/content": object{"hero": "warm"},
	})
	s.put("/v1/touchpoints/welcome-email", `{"channel": "email", "content": "by hand"}`).is(http.StatusOK)
	s.pass(time.Hour)
	s.post("/v1/experiments/welcome-tone/rollback", nil).is(http.StatusOK)
	s.get("/v1/touchpoints/welcome-email").has(object{"/content": "by hand"})
	s.post("/v1/assignments", `{"customer": "new", "touchpoint": "welcome-web"}`).has(object{
		"/reason": "default", "/experiment": nil, "/variant": nil, "/content": object{"from": "welcome-web"},
	})
	s.get("/v1/decisions").has(object{
		"/data/0/action": "rollback", "/data/1/action": "promote", "/data/1/variant": "warm", "/data/1/note": "Best everywhere",
	})
}

// TestSamePutKeepsThePromotion: to put a touchpoint again as it is does not hide that it
// serves a winner.
func TestSamePutKeepsThePromotion(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"variants": []object{
		{"key": "control", "control": true, "weight": 1},
		{"key": "warm", "weight": 1, "content": object{"welcome-web": object{"html": "<b>Grüße & Küsse</b>"}}},
	}}))
	s.post("/v1/experiments/welcome-tone/promote", `{"variant": "warm"}`).is(http.StatusOK)
	for _, same := range []string{`{"html":"<b>Grüße & Küsse</b>"}`, `{ "html" : "\u003cb>Gr\u00fc\u00dfe \u0026 K\u00fcsse<\/b>" }`} {
		s.put("/v1/touchpoints/welcome-web", `{"channel": "web", "content": `+same+`}`).is(http.StatusOK)
	}
	s.post("/v1/assignments", `{"customer": "new", "touchpoint": "welcome-web"}`).has(object{"/reason": "promoted"})
}

// TestChangeNeedsETag: PATCH and DELETE need If-Match (428) with the newest ETag (412).
func TestChangeNeedsETag(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	const at = "/v1/experiments/welcome-tone"
	first := s.post("/v1/experiments", welcomeTone).is(http.StatusCreated).header.Get("ETag")
	s.patch(at, `{"name": "x"}`).fails(http.StatusPreconditionRequired, "if_match_required")
	s.delete(at).fails(http.StatusPreconditionRequired, "if_match_required")
	second := s.patch(at, `{"name": "x"}`, ifMatch(first)).is(http.StatusOK).header.Get("ETag")
	if second == first {
		t.Errorf("the ETag is %s after a change, as before", second)
	}
	for _, stale := range []string{first, "W/" + second, "*", `"999999999"`, `"99999999999999999999"`, "2", `""`, `"2", "3"`, "garbage"} {
		s.patch(at, `{"name": "y"}`, ifMatch(stale)).fails(http.StatusPreconditionFailed, "stale")
		s.delete(at, ifMatch(stale)).fails(http.StatusPreconditionFailed, "stale")
	}
	s.patch("/v1/experiments/none", `{}`, ifMatch(second)).fails(http.StatusNotFound, "not_found")
	s.delete(at, ifMatch(second)).is(http.StatusNoContent)
	s.delete(at, ifMatch(second)).fails(http.StatusNotFound, "not_found")
}

// TestDeleteDraftsOnly: what has been started is kept for ever.
func TestDeleteDraftsOnly(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	etag := s.running(welcomeTone).header.Get("ETag")
	s.delete("/v1/experiments/welcome-tone", ifMatch(etag)).fails(http.StatusConflict, "wrong_status")
	etag = s.post("/v1/experiments/welcome-tone/stop", nil).header.Get("ETag")
	s.delete("/v1/experiments/welcome-tone", ifMatch(etag)).fails(http.StatusConflict, "wrong_status")
	s.patch("/v1/experiments/welcome-tone", `{"variants": []}`, ifMatch(etag)).fails(http.StatusUnprocessableEntity, "plan_frozen", "/variants")
}

// TestPatchDraft: a merge patch changes what it names; null goes back to the default.
func TestPatchDraft(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	etag := s.post("/v1/experiments", and(welcomeTone, object{"name": "Old", "objective": "retention", "traffic": 0.5})).header.Get("ETag")
	a := s.patch("/v1/experiments/welcome-tone", `{"name": null, "traffic": null, "plan": {"alpha": 0.01}, "policy": {"max_days": 30},
		"metrics": {"secondary": ["orders_30"]}}`, ifMatch(etag)).is(http.StatusOK)
	a.has(object{
		"/name": "welcome-tone", "/traffic": 1.0, "/objective": "retention", "/plan/alpha": 0.01, "/plan/method": "anytime",
		"/policy/max_days": 30.0, "/policy/min_days": 14.0, "/metrics/primary": "ltv_30", "/metrics/secondary": []any{"orders_30"},
	})
	etag = a.header.Get("ETag")
	s.patch("/v1/experiments/welcome-tone", `{"key": "other"}`, ifMatch(etag)).fails(http.StatusUnprocessableEntity, "invalid", "/key")
	s.patch("/v1/experiments/welcome-tone", `{"metrics": {"primary": "clicks_30"}}`, ifMatch(etag)).
		fails(http.StatusUnprocessableEntity, "metric_cannot_decide", "/metrics/primary")
}

// TestFrozenPlan: after the start only name, hypothesis, stricter limits and more traffic
// may change; everything else is 422 with code plan_frozen.
func TestFrozenPlan(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.put("/v1/layers/other", nil).is(http.StatusCreated)
	const at = "/v1/experiments/welcome-tone"
	etag := s.running(and(welcomeTone, object{
		"traffic": 0.5, "policy": object{"mode": "approve", "min_days": 14, "max_days": 60, "min_customers": 500},
		"variants": []object{
			{"key": "control", "control": true, "weight": 1},
			{"key": "warm", "weight": 1, "content": object{"welcome-web": object{"html": "<b>Grüße & \u2028 Küsse</b>", "n": 1.50}}},
		},
	})).header.Get("ETag")
	for name, c := range map[string]struct{ patch, pointer string }{
		"objective":             {`{"objective": "awareness"}`, "/objective"},
		"touchpoints":           {`{"touchpoints": ["welcome-web"]}`, "/touchpoints"},
		"audience":              {`{"audience": "true"}`, "/audience"},
		"layer":                 {`{"layer": "other"}`, "/layer"},
		"assignment":            {`{"assignment": "external"}`, "/assignment"},
		"weights":               {`{"variants": [{"key": "control", "control": true, "weight": 1}, {"key": "warm", "weight": 2}]}`, "/variants"},
		"a variant more":        {`{"variants": [{"key": "control", "control": true, "weight": 1}, {"key": "warm", "weight": 1}, {"key": "hot", "weight": 1}]}`, "/variants"},
		"metrics":               {`{"metrics": {"primary": "kept_30"}}`, "/metrics"},
		"diagnostics":           {`{"metrics": {"diagnostics": ["clicks_30"]}}`, "/metrics"},
		"method":                {`{"plan": {"method": "fixed"}}`, "/plan"},
		"alpha":                 {`{"plan": {"alpha": 0.1}}`, "/plan"},
		"planned customers":     {`{"plan": {"planned_customers": 9}}`, "/plan"},
		"less traffic":          {`{"traffic": 0.4}`, "/traffic"},
		"laxer mode":            {`{"policy": {"mode": "auto"}}`, "/policy/mode"},
		"fewer days":            {`{"policy": {"min_days": 7}}`, "/policy/min_days"},
		"more days":             {`{"policy": {"max_days": 90}}`, "/policy/max_days"},
		"no end":                {`{"policy": {"max_days": null}}`, "/policy/max_days"},
		"fewer customers":       {`{"policy": {"min_customers": 100}}`, "/policy/min_customers"},
		"holdback":              {`{"policy": {"holdback": 0.1}}`, "/policy/holdback"},
		"days of the holdback":  {`{"policy": {"holdback_days": 30}}`, "/policy/holdback_days"},
		"ramp":                  {`{"policy": {"ramp": [0.5, 1]}}`, "/policy/ramp"},
		"hours of the ramp":     {`{"policy": {"ramp_hours": 48}}`, "/policy/ramp_hours"},
		"another way to end it": {`{"policy": {"on_timeout": "inconclusive"}}`, "/policy/on_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			s.keeps(name, func() {
				s.patch(at, c.patch, ifMatch(etag)).fails(http.StatusUnprocessableEntity, "plan_frozen", c.pointer)
			})
		})
	}
	for _, patch := range []string{
		`{"name": "Another name", "hypothesis": "Another thought"}`,
		`{"policy": {"mode": "manual", "min_days": 28, "max_days": 50, "min_customers": 1000}}`,
		`{"traffic": 0.75}`,
		`{}`,
	} {
		etag = s.patch(at, patch, ifMatch(etag)).is(http.StatusOK).header.Get("ETag")
	}
	// What an experiment answers can be sent back.
	variants := s.get(at).at("/variants")
	s.patch(at, object{"variants": variants}, ifMatch(etag)).is(http.StatusOK).has(object{
		"/name": "Another name", "/traffic": 0.75, "/policy/mode": "manual", "/slots": []any{[]any{0.0, 7500.0}}, "/variants": variants,
	})
	// Of a concluded test the words may change and nothing that it was made of.
	etag = s.post(at+"/stop", nil).is(http.StatusOK).header.Get("ETag")
	s.patch(at, `{"traffic": 0.9}`, ifMatch(etag)).fails(http.StatusUnprocessableEntity, "plan_frozen", "/traffic")
	s.patch(at, `{"name": "What we learnt"}`, ifMatch(etag)).is(http.StatusOK).has(object{"/traffic": 0.75})
}

// TestSharesOfAnyDecimals: a share is no amount of money. 0.1 + 0.2 and a third are what computers
// make of them; 0.1 + 0.2 is 3,000 slots and a third 3,333, half up.
func TestSharesOfAnyDecimals(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"traffic": 0.30000000000000004})).
		has(object{"/traffic": 0.30000000000000004, "/slots": []any{[]any{0.0, 3000.0}}})
	s.running(and(welcomeTone, object{"key": "third", "traffic": 1.0 / 3})).has(object{"/slots": []any{[]any{3000.0, 6333.0}}})
	s.put("/v1/holdouts/third", object{"share": 1.0 / 3}).is(http.StatusCreated).has(object{"/share": 0.3333})
	s.post("/v1/experiments", and(welcomeTone, object{"key": "tiny", "traffic": 1e-300})).
		fails(http.StatusUnprocessableEntity, "invalid", "/traffic")
}

// TestSlots: a test owns traffic × 10,000 slots of its layer, lowest free first; more
// traffic adds the lowest free ones and moves none.
func TestSlots(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	test := func(key string, traffic any, touchpoint string) object {
		return and(welcomeTone, object{
			"key": key, "traffic": traffic, "touchpoints": []string{touchpoint},
			"variants": []object{{"key": "a", "control": true, "weight": 1}, {"key": "b", "weight": 1}},
		})
	}
	ranges := func(limits ...float64) (all []any) {
		for i := 0; i < len(limits); i += 2 {
			all = append(all, []any{limits[i], limits[i+1]})
		}
		return all
	}
	first := s.running(test("first", 0.3, "welcome-web")).has(object{"/slots": ranges(0, 3000)})
	s.running(test("second", 0.25, "welcome-web")).has(object{"/slots": ranges(3000, 5500)})
	s.running(test("elsewhere", 0.00005, "checkout")).has(object{"/slots": ranges(0, 1)}) // half up

	s.post("/v1/experiments", test("third", 0.46, "welcome-web")).is(http.StatusCreated)
	s.post("/v1/experiments/third/start", nil).fails(http.StatusUnprocessableEntity, "layer_full")
	s.get("/v1/experiments/third").has(object{"/status": "draft", "/slots": []any{}})

	grown := s.patch("/v1/experiments/first", `{"traffic": 0.5}`, ifMatch(first.header.Get("ETag"))).is(http.StatusOK)
	grown.has(object{"/slots": ranges(0, 3000, 5500, 7500)})
	s.patch("/v1/experiments/first", `{"traffic": 0.8}`, ifMatch(grown.header.Get("ETag"))).fails(http.StatusUnprocessableEntity, "layer_full")

	// Slots of a test that has ended are free again.
	s.post("/v1/experiments/second/stop", nil).is(http.StatusOK)
	s.post("/v1/experiments/third/start", nil).is(http.StatusOK).has(object{"/slots": ranges(3000, 5500, 7500, 9600)})
}

// TestLayerConflict: live tests that share a touchpoint must share a layer.
func TestLayerConflict(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.put("/v1/layers/other", nil).is(http.StatusCreated)
	s.running(and(welcomeTone, object{"traffic": 0.1}))
	s.post("/v1/experiments", and(welcomeTone, object{"key": "second", "traffic": 0.1, "layer": "other"})).is(http.StatusCreated)
	s.post("/v1/experiments/second/start", nil).fails(http.StatusUnprocessableEntity, "layer_conflict")
	s.post("/v1/experiments/welcome-tone/pause", nil).is(http.StatusOK)
	s.post("/v1/experiments/second/start", nil).fails(http.StatusUnprocessableEntity, "layer_conflict")
	s.post("/v1/experiments/welcome-tone/stop", nil).is(http.StatusOK)
	s.post("/v1/experiments/second/start", nil).is(http.StatusOK)
}

// TestStartNeedsWhatItNames: what was deleted since the draft is missed at the start.
func TestStartNeedsWhatItNames(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.post("/v1/experiments", welcomeTone).is(http.StatusCreated)
	s.put("/v1/metrics/ltv_30", `{"kind": "click", "events": ["click"], "window": {"to_day": 30}}`).is(http.StatusOK)
	s.post("/v1/experiments/welcome-tone/start", nil).fails(http.StatusUnprocessableEntity, "metric_cannot_decide", "/metrics/primary")
}

// TestFixedPlanHasAnEnd: a fixed plan that names neither a size nor an end gets an end.
func TestFixedPlanHasAnEnd(t *testing.T) {
	t.Parallel()
	s := newSystem(t).catalogue()
	s.running(and(welcomeTone, object{"plan": object{"method": "fixed"}})).has(object{
		"/policy/max_days": 90.0, "/plan/planned_customers": nil,
	})
}

// u32 is the contract's arithmetic: the first four bytes, big-endian, of SHA-256.
func u32(salt any, id string) uint64 {
	sum := sha256.Sum256([]byte(fmt.Sprint(salt) + ":" + id))
	return uint64(binary.BigEndian.Uint32(sum[:4]))
}
