package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/audit"
)

// An Entry is what the audit log says of one change: what was done, such as
// "experiment.start", to which object, such as "experiment/welcome-tone". It names no
// customer. Who stores a change stores its entry in the same transaction.
type Entry struct {
	Action string
	Object string
	Detail Detail
}

// Detail is what an entry tells beside its action. Absent is what does not apply.
type Detail map[string]any

// Row is the entry as a row of the log, not sealed yet. Its detail is canonical JSON (RFC 8785).
func (e Entry) Row(actor string, at time.Time) (audit.Row, error) {
	if e.Detail == nil {
		e.Detail = Detail{}
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return audit.Row{}, err
	}
	canonical := jsontext.Value(detail)
	if err := canonical.Canonicalize(); err != nil {
		return audit.Row{}, err
	}
	return audit.Row{
		At: microseconds(at), Actor: actor, Action: e.Action, Object: e.Object, Detail: string(canonical),
	}, nil
}

// AuditLog lists the audit log from its first row on.
func (e *Engine) AuditLog(ctx context.Context, p Page) ([]audit.Row, error) {
	return e.store.AuditRows(ctx, "", p)
}

// Timeline lists what the audit log says of an experiment, from its creation on.
func (e *Engine) Timeline(ctx context.Context, key ExperimentKey, p Page) ([]audit.Row, error) {
	if _, err := e.store.Experiment(ctx, key); err != nil {
		return nil, err
	}
	return e.store.AuditRows(ctx, "experiment/"+string(key), p)
}

// createdOrChanged is the action of a PUT.
func createdOrChanged(noun string, created bool) string {
	if created {
		return noun + ".create"
	}
	return noun + ".change"
}

// Deleted is the entry of what was deleted.
func Deleted(noun, key string) Entry {
	return Entry{Action: noun + ".delete", Object: noun + "/" + key}
}

// Entry is that of a touchpoint put.
func (t *Touchpoint) Entry(created bool) Entry {
	d := Detail{"name": t.Name, "channel": t.Channel, "content": digestOf(t.Content)}
	if t.Stage != "" {
		d["stage"] = t.Stage
	}
	if c := t.CostPerContact; c != nil {
		d["cost_per_contact"] = Detail{"amount": c.Amount.String(), "currency": c.Currency}
	}
	return Entry{createdOrChanged("touchpoint", created), "touchpoint/" + string(t.Key), d}
}

// Entry is that of a metric put.
func (m *Metric) Entry(created bool) Entry {
	return Entry{createdOrChanged("metric", created), "metric/" + string(m.Key), Detail{"definition": m}}
}

// Entry is that of a new layer.
func (l *Layer) Entry() Entry {
	return Entry{"layer.create", "layer/" + string(l.Key), Detail{"salt": l.Salt}}
}

// Entry is that of a new holdout.
func (h *Holdout) Entry() Entry {
	return Entry{"holdout.create", "holdout/" + string(h.Key), Detail{"share": h.Share().String(), "salt": h.Salt}}
}

// Entry is that of an override put or, without a variant, deleted. It does not say of whom.
func (o Override) Entry() Entry {
	if o.Variant == "" {
		return Entry{"override.delete", "experiment/" + string(o.Experiment), nil}
	}
	return Entry{"override.put", "experiment/" + string(o.Experiment), Detail{"variant": o.Variant}}
}

// Entry is that of a new key.
func (k *Key) Entry() Entry {
	return Entry{"key.create", "key/" + k.ID, Detail{"name": k.Name, "scopes": k.Scopes}}
}

// Entry is that of a new experiment.
func (x *Experiment) Entry() Entry {
	return Entry{"experiment.create", "experiment/" + string(x.Key), Detail{"changed": x.changedSince(&Experiment{})}}
}

// Entry is that of a decision written down with a report.
func (d *Decision) Entry() Entry {
	detail := Detail{"decision": d.ID, "action": d.Action, "mode": d.Mode, "report": d.ReportVersion, "reasons": d.Reasons}
	if d.Variant != "" {
		detail["variant"] = d.Variant
	}
	return Entry{"decision.make", "experiment/" + string(d.Experiment), detail}
}

// Superseded are the entries of decisions that gave way to a new look.
func Superseded(key ExperimentKey, decisions []string) []Entry {
	var entries []Entry
	for _, id := range decisions {
		entries = append(entries, Entry{"decision.supersede", "experiment/" + string(key), Detail{"decision": id}})
	}
	return entries
}

// Before is a copy of what a change may alter, to compare it with afterwards.
func (c *Change) Before() *Change {
	before := *c
	x := *c.Experiment
	before.Experiment = &x
	if c.Promotion != nil {
		p := *c.Promotion
		before.Promotion = &p
	}
	return &before
}

// Entry says what a change of state did, by what is different from before.
func (c *Change) Entry(before *Change) Entry {
	x := c.Experiment
	detail := Detail{"version": before.Experiment.Version + 1, "status": x.Status}
	if x.Outcome != "" {
		detail["outcome"] = x.Outcome
	}
	if x.Winner != "" {
		detail["winner"] = x.Winner
	}
	if arms := x.stoppedSince(before.Experiment); len(arms) > 0 {
		detail["stopped"] = arms
	}
	if d := c.decided(); d != nil {
		detail["decision"], detail["decided_by"] = d.ID, d.DecidedBy
		if d.Note != "" {
			detail["reason"] = d.Note
		}
	}
	if c.Pending != nil && c.Pending.SupersededAt != nil {
		detail["superseded"] = c.Pending.ID
	}
	action := c.action(before)
	switch action {
	case "experiment.start":
		plan := x.frozenPlan()
		detail["plan"], detail["plan_sha256"] = plan, plan.digest()
	case "experiment.ramp":
		detail["step"] = c.Promotion.Step
	case "experiment.change":
		detail["changed"] = x.changedSince(before.Experiment)
	}
	return Entry{action, "experiment/" + string(x.Key), detail}
}

// decided is the decision that this change carries out, if any.
func (c *Change) decided() *Decision {
	if c.Decision != nil {
		return c.Decision
	}
	if c.Pending != nil && c.Pending.AppliedAt != nil {
		return c.Pending
	}
	return nil
}

// action names a change of state.
func (c *Change) action(before *Change) string {
	x, was := c.Experiment, before.Experiment
	d := c.decided()
	switch {
	case x.Outcome == OutcomeRolledBack && was.Outcome != OutcomeRolledBack:
		return "experiment.rollback"
	case x.Status == StatusRunning && was.Status == StatusDraft:
		return "experiment.start"
	case x.Status == StatusPaused && was.Status == StatusRunning:
		return "experiment.pause"
	case x.Status == StatusRunning && was.Status == StatusPaused:
		return "experiment.resume"
	case d != nil && d.ApprovedBy != "":
		return "experiment.approve"
	case x.Outcome == OutcomePromoted && was.Outcome != OutcomePromoted:
		return "experiment.promote"
	case d != nil && d.Action == ActionStop:
		return "experiment.stop"
	case x.Status == StatusConcluded && was.Status != StatusConcluded:
		return "experiment.conclude"
	case len(x.stoppedSince(was)) > 0:
		return "experiment.stop_arm"
	case c.Promotion != nil && before.Promotion != nil && c.Promotion.EndedAt == nil && before.Promotion.ReleasedAt != c.Promotion.ReleasedAt:
		return "experiment.release"
	case c.Promotion != nil && before.Promotion != nil && c.Promotion.Step == before.Promotion.Step && c.Promotion.EndedAt != nil:
		return "experiment.end_watch"
	case c.Promotion != nil && !reflect.DeepEqual(c.Promotion, before.Promotion):
		return "experiment.ramp"
	}
	return "experiment.change"
}

// stoppedSince are the arms that were stopped for harm since.
func (x *Experiment) stoppedSince(was *Experiment) []VariantKey {
	return slices.DeleteFunc(slices.Clone(x.Stopped), was.isStopped)
}

// changedSince are the parts of the spec that are not as they were, with what they are now;
// of the variants, whose content may be large, a digest.
func (x *Experiment) changedSince(was *Experiment) Detail {
	now, then := membersOf(x.Spec), membersOf(was.Spec)
	changed := Detail{}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		switch {
		case string(now[name]) == string(then[name]):
		case name == "variants":
			changed[name] = digestOf(now[name])
		default:
			changed[name] = now[name]
		}
	}
	return changed
}

func membersOf(s Spec) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if encoded, err := json.Marshal(s); err == nil {
		_ = json.Unmarshal(encoded, &members) // what was encoded can be decoded
	}
	return members
}

// A frozenPlan is the contract of a test: all that says how its customers are assigned and
// how it is judged, as it was at start. The tags name its form in the audit log.
type frozenPlan struct {
	Touchpoints []TouchpointKey `json:"touchpoints"`
	Audience    string          `json:"audience"`
	Layer       LayerKey        `json:"layer"`
	Salt        string          `json:"salt"`
	Slots       assign.Slots    `json:"slots"`
	Assignment  Assignment      `json:"assignment"`
	Variants    []frozenVariant `json:"variants"`
	Metrics     Metrics         `json:"metrics"`
	Definitions []Metric        `json:"definitions"`
	Plan        Plan            `json:"plan"`
	Policy      Policy          `json:"policy"`
}

type frozenVariant struct {
	Key     VariantKey               `json:"key"`
	Control bool                     `json:"control"`
	Weight  int                      `json:"weight"`
	Content map[TouchpointKey]string `json:"content"` // digests
}

func (x *Experiment) frozenPlan() frozenPlan {
	p := frozenPlan{
		Touchpoints: x.Touchpoints, Audience: x.Audience, Layer: x.Layer, Salt: x.Salt, Slots: x.Slots,
		Assignment: x.Assignment, Metrics: x.Metrics, Definitions: x.Frozen, Plan: x.Plan, Policy: x.Policy,
	}
	for _, v := range x.Variants {
		frozen := frozenVariant{Key: v.Key, Control: v.Control, Weight: v.Weight, Content: map[TouchpointKey]string{}}
		for key, content := range v.Content {
			frozen.Content[key] = digestOf(content)
		}
		p.Variants = append(p.Variants, frozen)
	}
	return p
}

// digest is the SHA-256 of the plan in canonical JSON (RFC 8785), as hexadecimal digits:
// who reads the plan in the audit log can compute it again.
func (p frozenPlan) digest() string {
	encoded, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	canonical := jsontext.Value(encoded)
	if err := canonical.Canonicalize(); err != nil {
		return ""
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// digestOf stands for a content that may be large.
func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
