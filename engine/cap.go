package engine

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine/audience"
)

// capHistory is how many customers a cap is found from at least.
const capHistory = 1000

// A foundCap is the cap of a metric, found for its definition as it was then.
type foundCap struct {
	metric Metric
	value  decimal.Decimal
}

type foundCaps map[MetricKey]foundCap

// findCaps finds the caps of the metrics of a draft that name a quantile instead of a value,
// from the time before now. It runs before the start takes its lock, which others wait for.
func (e *Engine) findCaps(ctx context.Context, key ExperimentKey) (foundCaps, error) {
	x, err := e.store.Experiment(ctx, key)
	if err != nil || x.Status != StatusDraft {
		return nil, err // Start says what is wrong
	}
	among, err := e.among(ctx, x)
	if err != nil {
		return nil, err
	}
	caps := foundCaps{}
	for _, r := range x.Metrics.all() {
		m, err := e.store.Metric(ctx, r.key)
		if KindOf(err) == KindNotFound {
			continue // so does it here
		}
		if err != nil {
			return nil, err
		}
		if !m.seeksCap() {
			continue
		}
		customers, value, err := e.store.QuantileBefore(ctx, m, decimal.NewFromFloat(*m.CapQuantile), e.now(), among)
		switch {
		case err != nil:
			return nil, err
		case customers < capHistory:
			return nil, Errorf(KindInvalid, "cap_needs_history",
				"the cap of metric %q cannot be found: in the %d days before now %d customers of the audience did anything, of at least %d: give cap_value instead of cap_quantile",
				m.Key, m.Window.ToDay-m.Window.FromDay, customers, capHistory)
		case !value.IsPositive():
			return nil, Errorf(KindInvalid, "zero_cap",
				"the cap of metric %q would be %s, and nothing would be left to measure: give cap_value or a higher cap_quantile", m.Key, value)
		}
		caps[m.Key] = foundCap{*m, value}
	}
	return caps, nil
}

// among tells by their stored attributes who is in the audience where the test runs, nil when
// everybody is.
func (e *Engine) among(ctx context.Context, x *Experiment) (func(attributes []byte) bool, error) {
	who, err := audience.Compile(x.Audience)
	if err != nil || who == nil {
		return nil, err
	}
	channels, err := e.channels(ctx, x)
	if err != nil {
		return nil, err
	}
	return func(attributes []byte) bool {
		var known map[string]any
		return json.Unmarshal(attributes, &known) == nil && who.MatchesAny(known, channels)
	}, nil
}

// channels are where the test meets its customers: those of its touchpoints, or, without any, all.
func (e *Engine) channels(ctx context.Context, x *Experiment) ([]string, error) {
	if len(x.Touchpoints) == 0 {
		return everyChannel(), nil
	}
	var channels []string
	for _, key := range x.Touchpoints {
		t, err := e.store.Touchpoint(ctx, key)
		if KindOf(err) == KindNotFound {
			continue // Start says so
		}
		if err != nil {
			return nil, err
		}
		channels = append(channels, string(t.Channel))
	}
	slices.Sort(channels)
	return slices.Compact(channels), nil
}

func everyChannel() []string {
	channels := make([]string, len(Channels))
	for i, c := range Channels {
		channels[i] = string(c)
	}
	return channels
}

// seeksCap reports whether the metric's cap is still to be found.
func (m *Metric) seeksCap() bool { return m.CapQuantile != nil && m.CapValue == nil }

// fix makes the caps constants of the frozen metrics.
func (caps foundCaps) fix(metrics []Metric) error {
	for i := range metrics {
		m := &metrics[i]
		if !m.seeksCap() {
			continue
		}
		found, ok := caps[m.Key]
		if !ok || !reflect.DeepEqual(found.metric, *m) {
			return Errorf(KindConflict, "metric_changed", "metric %q has just been changed: start again", m.Key)
		}
		m.CapValue = &found.value
	}
	return nil
}
