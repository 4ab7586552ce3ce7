package api

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
)

// experimentBody is what a marketer writes. What is left out gets the contract's default.
type experimentBody struct {
	Key         string        `json:"key"`
	Name        string        `json:"name"`
	Hypothesis  string        `json:"hypothesis"`
	Objective   *string       `json:"objective"`
	Touchpoints []string      `json:"touchpoints"`
	Audience    string        `json:"audience"`
	Layer       string        `json:"layer"`
	Traffic     *amountNumber `json:"traffic"`
	Assignment  *string       `json:"assignment"`
	Variants    []variantJSON `json:"variants"`
	Metrics     metricsJSON   `json:"metrics"`
	Plan        planJSON      `json:"plan"`
	Policy      policyJSON    `json:"policy"`
}

type variantJSON struct {
	Key     string                    `json:"key"`
	Control bool                      `json:"control,omitzero"`
	Weight  int                       `json:"weight"`
	Content map[string]jsontext.Value `json:"content,omitempty"`
}

type metricsJSON struct {
	Primary     keys            `json:"primary"`
	Secondary   []string        `json:"secondary"`
	Diagnostics []string        `json:"diagnostics"`
	Guardrails  []guardrailJSON `json:"guardrails"`
}

type guardrailJSON struct {
	Metric string  `json:"metric"`
	Margin float64 `json:"margin"`
}

type planJSON struct {
	Method           *string  `json:"method"`
	Alpha            *float64 `json:"alpha"`
	Power            *float64 `json:"power"`
	MinEffect        *float64 `json:"min_effect"`
	PromoteAbove     *float64 `json:"promote_above"`
	Covariate        *bool    `json:"covariate"`
	PlannedCustomers *int     `json:"planned_customers"`
}

type policyJSON struct {
	Mode         *string   `json:"mode"`
	MinDays      *int      `json:"min_days"`
	MaxDays      *int      `json:"max_days"`
	MinCustomers *int      `json:"min_customers"`
	Ramp         []float64 `json:"ramp"`
	RampHours    *int      `json:"ramp_hours"`
	Holdback     *float64  `json:"holdback"`
	HoldbackDays *int      `json:"holdback_days"`
	OnTimeout    *string   `json:"on_timeout"`
}

// experimentJSON is an experiment as it is answered.
type experimentJSON struct {
	experimentBody
	Status          string     `json:"status"`
	Outcome         *string    `json:"outcome"`
	Winner          *string    `json:"winner"`
	Version         int        `json:"version"`
	Salt            string     `json:"salt"`
	Slots           [][2]int   `json:"slots"`
	StoppedVariants []string   `json:"stopped_variants"`
	CreatedAt       time.Time  `json:"created_at"`
	UpdatedAt       time.Time  `json:"updated_at"`
	StartedAt       *time.Time `json:"started_at"`
	ConcludedAt     *time.Time `json:"concluded_at"`
}

func experimentOf(x *engine.Experiment) experimentJSON {
	return experimentJSON{
		experimentBody: bodyOf(&x.Spec), Status: string(x.Status), Outcome: optional(x.Outcome), Winner: optional(x.Winner),
		Version: x.Version, Salt: x.Salt, Slots: x.Slots, StoppedVariants: strs(x.Stopped),
		CreatedAt: x.CreatedAt.UTC(), UpdatedAt: x.UpdatedAt.UTC(), StartedAt: utc(x.StartedAt), ConcludedAt: utc(x.ConcludedAt),
	}
}

func optional[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	text := string(s)
	return &text
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func strs[S ~string](all []S) []string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = string(s)
	}
	return texts
}

func named[S ~string](all []string) []S {
	names := make([]S, len(all))
	for i, s := range all {
		names[i] = S(s)
	}
	return names
}

func bodyOf(s *engine.Spec) experimentBody {
	traffic := amountNumber(s.Traffic.String())
	assignment, method, mode := string(s.Assignment), string(s.Plan.Method), string(s.Policy.Mode)
	timeout := string(s.Policy.OnTimeout)
	b := experimentBody{
		Key: string(s.Key), Name: s.Name, Hypothesis: s.Hypothesis, Objective: optional(s.Objective),
		Touchpoints: strs(s.Touchpoints), Audience: s.Audience, Layer: string(s.Layer), Traffic: &traffic,
		Assignment: &assignment,
		Metrics: metricsJSON{
			Primary: strs(s.Metrics.Primary), Secondary: strs(s.Metrics.Secondary), Diagnostics: strs(s.Metrics.Diagnostics),
		},
		Plan: planJSON{
			Method: &method, Alpha: &s.Plan.Alpha, Power: &s.Plan.Power, MinEffect: positive(s.Plan.MinEffect),
			PromoteAbove: &s.Plan.PromoteAbove, Covariate: &s.Plan.Covariate, PlannedCustomers: positive(s.Plan.PlannedCustomers),
		},
		Policy: policyJSON{
			Mode: &mode, MinDays: &s.Policy.MinDays, MaxDays: positive(s.Policy.MaxDays), MinCustomers: &s.Policy.MinCustomers,
			Ramp: s.Policy.Ramp, RampHours: &s.Policy.RampHours, Holdback: &s.Policy.Holdback,
			HoldbackDays: &s.Policy.HoldbackDays, OnTimeout: &timeout,
		},
	}
	for _, g := range s.Metrics.Guardrails {
		b.Metrics.Guardrails = append(b.Metrics.Guardrails, guardrailJSON{string(g.Metric), g.Margin})
	}
	for _, v := range s.Variants {
		variant := variantJSON{Key: string(v.Key), Control: v.Control, Weight: v.Weight}
		for key, content := range v.Content {
			if variant.Content == nil {
				variant.Content = map[string]jsontext.Value{}
			}
			variant.Content[string(key)] = jsontext.Value(content)
		}
		b.Variants = append(b.Variants, variant)
	}
	return b
}

// positive answers nil for what is not set.
func positive[N int | float64](n N) *N {
	if n == 0 {
		return nil
	}
	return &n
}

// amountNumber is an exact number, written as a JSON number.
type amountNumber string

// UnmarshalJSON implements json.Unmarshaler.
func (a *amountNumber) UnmarshalJSON(raw []byte) error {
	if jsontext.Value(raw).Kind() != '0' {
		return fmt.Errorf("not a number: %s", jsontext.Value(raw).Kind())
	}
	*a = amountNumber(raw)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (a amountNumber) MarshalJSON() ([]byte, error) { return []byte(a), nil }

func (b *experimentBody) spec() (*engine.Spec, error) {
	s := &engine.Spec{
		Key: engine.ExperimentKey(b.Key), Name: b.Name, Hypothesis: b.Hypothesis,
		Touchpoints: named[engine.TouchpointKey](b.Touchpoints), Audience: b.Audience, Layer: engine.LayerKey(b.Layer),
		Assignment: engine.AssignedByEngine, Plan: engine.DefaultPlan(), Policy: engine.DefaultPolicy(),
		Metrics: engine.Metrics{
			Primary: named[engine.MetricKey](b.Metrics.Primary), Secondary: named[engine.MetricKey](b.Metrics.Secondary),
			Diagnostics: named[engine.MetricKey](b.Metrics.Diagnostics),
		},
	}
	share := amountNumber("1")
	set(&share, b.Traffic)
	traffic, err := engine.ParseShare(string(share))
	if err != nil {
		return nil, at("/traffic", err)
	}
	s.Traffic = traffic
	setText(&s.Objective, b.Objective)
	setText(&s.Assignment, b.Assignment)
	for _, g := range b.Metrics.Guardrails {
		s.Metrics.Guardrails = append(s.Metrics.Guardrails, engine.Guardrail{Metric: engine.MetricKey(g.Metric), Margin: g.Margin})
	}
	for _, v := range b.Variants {
		variant := engine.Variant{Key: engine.VariantKey(v.Key), Control: v.Control, Weight: v.Weight}
		for key, content := range v.Content {
			if variant.Content == nil {
				variant.Content = map[engine.TouchpointKey]json.RawMessage{}
			}
			variant.Content[engine.TouchpointKey(key)] = plain(content)
		}
		s.Variants = append(s.Variants, variant)
	}
	b.Plan.apply(&s.Plan)
	b.Policy.apply(&s.Policy)
	return s, nil
}

func (p *planJSON) apply(plan *engine.Plan) {
	setText(&plan.Method, p.Method)
	set(&plan.Alpha, p.Alpha)
	set(&plan.Power, p.Power)
	set(&plan.MinEffect, p.MinEffect)
	set(&plan.PromoteAbove, p.PromoteAbove)
	set(&plan.Covariate, p.Covariate)
	set(&plan.PlannedCustomers, p.PlannedCustomers)
}

func (p *policyJSON) apply(policy *engine.Policy) {
	setText(&policy.Mode, p.Mode)
	set(&policy.MinDays, p.MinDays)
	set(&policy.MaxDays, p.MaxDays)
	set(&policy.MinCustomers, p.MinCustomers)
	if p.Ramp != nil {
		policy.Ramp = p.Ramp
	}
	set(&policy.RampHours, p.RampHours)
	set(&policy.Holdback, p.Holdback)
	set(&policy.HoldbackDays, p.HoldbackDays)
	setText(&policy.OnTimeout, p.OnTimeout)
}

// set overwrites a default with what was given.
func set[T any](field, given *T) {
	if given != nil {
		*field = *given
	}
}

func setText[S ~string](field *S, given *string) {
	if given != nil {
		*field = S(*given)
	}
}

func etag(x *engine.Experiment) string { return `"` + strconv.Itoa(x.Version) + `"` }

func experimentReply(status int, x *engine.Experiment) reply {
	return reply{status: status, body: experimentOf(x), etag: etag(x)}
}

func (s *Server) createExperiment(c *gin.Context) (reply, error) {
	var b experimentBody
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	spec, err := b.spec()
	if err != nil {
		return reply{}, err
	}
	x, err := s.engine.CreateExperiment(c.Request.Context(), spec)
	if err != nil {
		return reply{}, err
	}
	return experimentReply(201, x), nil
}

func (s *Server) getExperiment(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	x, err := s.engine.Experiment(c.Request.Context(), engine.ExperimentKey(key))
	if err != nil {
		return reply{}, err
	}
	return experimentReply(200, x), nil
}

func (s *Server) listExperiments(c *gin.Context) (reply, error) {
	return list(c, s.engine.Experiments, experimentOf, func(x *engine.Experiment) string { return string(x.Key) })
}

var etagPattern = regexp.MustCompile(`^"([0-9]{1,9})"$`)

// ifMatch reads the version that a change is based on.
func ifMatch(c *gin.Context) (int, error) {
	header := c.GetHeader("If-Match")
	if header == "" {
		return 0, engine.Errorf(engine.KindPreconditionRequired, "if_match_required",
			"send If-Match with the ETag of the experiment you are changing")
	}
	match := etagPattern.FindStringSubmatch(header)
	if match == nil {
		return 0, engine.Errorf(engine.KindStale, "stale", "If-Match must be one ETag of this experiment, such as \"3\"")
	}
	return strconv.Atoi(match[1])
}

func (s *Server) patchExperiment(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	patch, err := readBody(c, maxBody)
	if err != nil {
		return reply{}, err
	}
	if err := decode(patch, new(map[string]jsontext.Value)); err != nil {
		return reply{}, err
	}
	version, err := ifMatch(c)
	if err != nil {
		return reply{}, err
	}
	x, err := s.engine.ChangeExperiment(c.Request.Context(), engine.ExperimentKey(key), version,
		func(old engine.Spec) (engine.Spec, error) { return patchSpec(old, patch) })
	if err != nil {
		return reply{}, err
	}
	return experimentReply(200, x), nil
}

func patchSpec(old engine.Spec, patch []byte) (engine.Spec, error) {
	// An unknown field is refused also where the patch would only take it away.
	if err := decode(patch, new(experimentBody)); err != nil {
		return old, err
	}
	document, err := jsonv2.Marshal(bodyOf(&old))
	if err != nil {
		return old, err
	}
	merged, err := mergePatch(document, patch)
	if err != nil {
		return old, err
	}
	var b experimentBody
	if err := decode(merged, &b); err != nil {
		return old, err
	}
	spec, err := b.spec()
	if err != nil {
		return old, err
	}
	return *spec, nil
}

func (s *Server) deleteExperiment(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	version, err := ifMatch(c)
	if err != nil {
		return reply{}, err
	}
	return noContent(), s.engine.DeleteExperiment(c.Request.Context(), engine.ExperimentKey(key), version)
}

// act makes the handler of an action. Its body may be left out.
func (s *Server) act(do func(context.Context, engine.Action) (*engine.Experiment, error)) func(*gin.Context) (reply, error) {
	return func(c *gin.Context) (reply, error) {
		var b struct {
			Reason string `json:"reason"`
		}
		if err := readOptional(c, &b); err != nil {
			return reply{}, err
		}
		return perform(c, do, engine.Action{Reason: b.Reason})
	}
}

// promote is the action that names a variant.
func (s *Server) promote(c *gin.Context) (reply, error) {
	var b struct {
		Variant string `json:"variant"`
		Reason  string `json:"reason"`
	}
	if err := readOptional(c, &b); err != nil {
		return reply{}, err
	}
	return perform(c, s.engine.Promote, engine.Action{Variant: engine.VariantKey(b.Variant), Reason: b.Reason})
}

// perform lets the caller do an action on the experiment of the path.
func perform(c *gin.Context, do func(context.Context, engine.Action) (*engine.Experiment, error), a engine.Action) (reply, error) {
	key, err := pathKey(c, "key", "experiment")
	if err != nil {
		return reply{}, err
	}
	if len(a.Reason) > maxReason {
		return reply{}, at("/reason", engine.Errorf(engine.KindInvalid, "invalid", "must be at most %d bytes", maxReason))
	}
	a.Experiment, a.By = engine.ExperimentKey(key), caller(c).Name
	x, err := do(c.Request.Context(), a)
	if err != nil {
		return reply{}, err
	}
	return experimentReply(200, x), nil
}

// maxReason is the longest reason of an action, in bytes.
const maxReason = 2000
