package engine

import (
	"context"
	"encoding/json"
	"slices"
)

// PutTouchpoint makes or replaces a touchpoint.
func (e *Engine) PutTouchpoint(ctx context.Context, t *Touchpoint) (created bool, err error) {
	if err := t.Validate(); err != nil {
		return false, err
	}
	t.CreatedAt, t.UpdatedAt = e.now(), e.now()
	created, err = e.store.PutTouchpoint(ctx, t)
	if err == nil {
		e.changed(ctx)
	}
	return created, err
}

// DeleteTouchpoint deletes a touchpoint that no experiment names.
func (e *Engine) DeleteTouchpoint(ctx context.Context, key TouchpointKey) error {
	err := e.store.DeleteTouchpoint(ctx, key, e.now())
	if err == nil {
		e.changed(ctx)
	}
	return err
}

// PutMetric makes or replaces a metric. Started experiments keep the one they started with.
func (e *Engine) PutMetric(ctx context.Context, m *Metric) (created bool, err error) {
	if err := m.Validate(); err != nil {
		return false, err
	}
	return e.store.PutMetric(ctx, m, e.now())
}

// DeleteMetric deletes a metric that no draft names.
func (e *Engine) DeleteMetric(ctx context.Context, key MetricKey) error {
	return e.store.DeleteMetric(ctx, key, e.now())
}

// PutLayer makes a layer with a salt of its own, or answers the one that is there.
func (e *Engine) PutLayer(ctx context.Context, key LayerKey) (layer *Layer, created bool, err error) {
	l := &Layer{Key: key}
	if err := l.Validate(); err != nil {
		return nil, false, err
	}
	if l.Salt, err = e.newSalt(); err != nil {
		return nil, false, err
	}
	if created, err = e.store.PutLayer(ctx, l, e.now()); err != nil {
		return nil, false, err
	}
	layer, err = e.store.Layer(ctx, key)
	return layer, created, err
}

// Catalogue reads touchpoints, metrics and layers.
func (e *Engine) Catalogue() Catalogue { return e.store }

// Experiment reads one experiment.
func (e *Engine) Experiment(ctx context.Context, key ExperimentKey) (*Experiment, error) {
	return e.store.Experiment(ctx, key)
}

// Experiments lists experiments by key.
func (e *Engine) Experiments(ctx context.Context, p Page) ([]Experiment, error) {
	return e.store.Experiments(ctx, p)
}

// CreateExperiment stores a draft.
func (e *Engine) CreateExperiment(ctx context.Context, s *Spec) (*Experiment, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := e.checkReferences(ctx, s); err != nil {
		return nil, err
	}
	salt, err := e.newSalt()
	if err != nil {
		return nil, err
	}
	now := e.now()
	x := &Experiment{Spec: *s, Status: StatusDraft, Version: 1, Salt: salt, CreatedAt: now, UpdatedAt: now}
	if err := e.store.CreateExperiment(ctx, x); err != nil {
		return nil, err
	}
	return x, nil
}

// checkReferences checks that what a draft names exists and may be used so.
func (e *Engine) checkReferences(ctx context.Context, s *Spec) error {
	metrics := map[MetricKey]Metric{}
	for _, r := range s.Metrics.all() {
		m, err := e.store.Metric(ctx, r.key)
		switch {
		case err == nil:
			metrics[r.key] = *m
		case KindOf(err) != KindNotFound:
			return err
		}
	}
	touchpoints := map[TouchpointKey]*Touchpoint{}
	for _, key := range s.Touchpoints {
		t, err := e.store.Touchpoint(ctx, key)
		switch {
		case err == nil:
			touchpoints[key] = t
		case KindOf(err) != KindNotFound:
			return err
		}
	}
	_, err := e.store.Layer(ctx, s.Layer)
	if err != nil && KindOf(err) != KindNotFound {
		return err
	}
	var v violations
	s.checkReferences(&v, metrics, touchpoints, err == nil)
	return v.err("experiment")
}

func (s *Spec) checkReferences(
	v *violations, metrics map[MetricKey]Metric, touchpoints map[TouchpointKey]*Touchpoint, layerExists bool,
) {
	s.Metrics.checkRoles(v, metrics)
	for i, key := range s.Touchpoints {
		if touchpoints[key] == nil {
			v.addCode("unknown_touchpoint", pointerf("/touchpoints/%d", i), "there is no touchpoint %q", key)
		}
	}
	if !layerExists {
		v.addCode("unknown_layer", "/layer", "there is no layer %q: PUT /v1/layers/%s makes it", s.Layer, s.Layer)
	}
}

// ChangeExperiment replaces the spec of an experiment of this version. alter gets the
// spec as it is and answers the new one. After the start only a few things may change.
func (e *Engine) ChangeExperiment(ctx context.Context, key ExperimentKey, version int, alter func(Spec) (Spec, error)) (*Experiment, error) {
	// The new spec is made and checked before the lock is taken: checking it reads from the
	// database, and whoever holds the lock must not wait for a second connection. Below the
	// lock the version says that nothing has changed since.
	x, err := e.store.Experiment(ctx, key)
	if err != nil {
		return nil, err
	}
	if x.Version != version {
		return nil, staleVersion(x)
	}
	next, err := alter(x.Spec)
	if err != nil {
		return nil, err
	}
	if err := e.checkChange(ctx, x, &next); err != nil {
		return nil, err
	}
	err = e.store.ChangeExperiment(ctx, key, func(c *Change) error {
		x := c.Experiment
		if x.Version != version {
			return staleVersion(x)
		}
		x.Spec = next
		if x.Live() && x.Assignment == AssignedByEngine {
			if err := x.takeSlots(c.Others); err != nil {
				return err
			}
		}
		x.UpdatedAt = e.now()
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.changed(ctx)
	return e.store.Experiment(ctx, key)
}

// checkChange checks the new spec of an experiment by its status.
func (e *Engine) checkChange(ctx context.Context, x *Experiment, next *Spec) error {
	if next.Key != x.Key {
		return &Error{
			Kind: KindInvalid, Code: "invalid", Message: "the key of an experiment never changes",
			Fields: []FieldError{{Pointer: "/key", Detail: "never changes"}},
		}
	}
	if x.Status != StatusDraft {
		if err := next.checkFrozen(x); err != nil {
			return err
		}
		return next.Validate()
	}
	if err := next.Validate(); err != nil {
		return err
	}
	// The references are checked again at start; here as they are now, so that the marketer
	// hears of a misspelling at once.
	return e.checkReferences(ctx, next)
}

func staleVersion(x *Experiment) error {
	return Errorf(KindStale, "stale", "experiment %q has changed since: its ETag is now \"%d\"", x.Key, x.Version)
}

// DeleteExperiment deletes a draft of this version.
func (e *Engine) DeleteExperiment(ctx context.Context, key ExperimentKey, version int) error {
	err := e.store.DeleteExperiment(ctx, key, version, e.now())
	if err == nil {
		e.changed(ctx) // it may have forced variants
	}
	return err
}

// CheckDelete answers why this version of the experiment cannot be deleted, or nil.
func (x *Experiment) CheckDelete(version int) error {
	if x.Version != version {
		return staleVersion(x)
	}
	return needStatus(x, "delete", StatusDraft)
}

func (x *Experiment) isStopped(key VariantKey) bool { return slices.Contains(x.Stopped, key) }

func rawContent(content map[TouchpointKey]json.RawMessage) map[string]json.RawMessage {
	raw := make(map[string]json.RawMessage, len(content))
	for key, value := range content {
		raw[string(key)] = value
	}
	return raw
}
