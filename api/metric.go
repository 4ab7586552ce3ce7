package api

import (
	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

type windowJSON struct {
	FromDay int `json:"from_day"`
	ToDay   int `json:"to_day"`
}

type metricJSON struct {
	Key            string      `json:"key"`
	Name           string      `json:"name"`
	Kind           string      `json:"kind"`
	Events         []string    `json:"events"`
	Denominator    []string    `json:"denominator,omitempty"`
	Window         *windowJSON `json:"window"`
	Direction      string      `json:"direction"`
	MarginRate     *amount     `json:"margin_rate,omitzero"`
	MinCount       int         `json:"min_count,omitzero"`
	ChurnEvent     string      `json:"churn_event,omitzero"`
	InactivityDays int         `json:"inactivity_days,omitzero"`
	CapQuantile    *float64    `json:"cap_quantile"`
	CapValue       *amount     `json:"cap_value,omitzero"`
}

func metricOf(m *engine.Metric) metricJSON {
	j := metricJSON{
		Key: string(m.Key), Name: m.Name, Kind: string(m.Kind), Events: m.Events, Denominator: m.Denominator,
		Direction: string(m.Direction), MinCount: m.MinCount, ChurnEvent: m.ChurnEvent,
		InactivityDays: m.InactivityDays, CapQuantile: m.CapQuantile,
	}
	if w := m.Window; w != nil {
		j.Window = &windowJSON{w.FromDay, w.ToDay}
	}
	if m.MarginRate != nil {
		rate := amount(m.MarginRate.String())
		j.MarginRate = &rate
	}
	if m.CapValue != nil {
		value := amount(m.CapValue.String())
		j.CapValue = &value
	}
	return j
}

func (j *metricJSON) metric() (*engine.Metric, error) {
	m := &engine.Metric{
		Name: j.Name, Kind: engine.MetricKind(j.Kind), Events: j.Events, Denominator: j.Denominator,
		Direction: engine.Direction(j.Direction), MinCount: j.MinCount, ChurnEvent: j.ChurnEvent,
		InactivityDays: j.InactivityDays, CapQuantile: j.CapQuantile,
	}
	if j.Window != nil {
		m.Window = &engine.Window{FromDay: j.Window.FromDay, ToDay: j.Window.ToDay}
	}
	if j.MarginRate != nil {
		rate, err := engine.ParseAmount(string(*j.MarginRate))
		if err != nil {
			return nil, at("/margin_rate", err)
		}
		m.MarginRate = &rate
	}
	if j.CapValue != nil {
		value, err := engine.ParseAmount(string(*j.CapValue))
		if err != nil {
			return nil, at("/cap_value", err)
		}
		m.CapValue = &value
	}
	return m, nil
}

func (s *Server) putMetric(c *gin.Context) (reply, error) {
	var b metricJSON
	if err := read(c, &b); err != nil {
		return reply{}, err
	}
	key, err := keyInPath(c, b.Key)
	if err != nil {
		return reply{}, err
	}
	m, err := b.metric()
	if err != nil {
		return reply{}, err
	}
	m.Key = engine.MetricKey(key)
	isNew, err := s.engine.PutMetric(c.Request.Context(), m)
	if err != nil {
		return reply{}, err
	}
	return put(isNew, metricOf(m)), nil
}

func (s *Server) getMetric(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "metric")
	if err != nil {
		return reply{}, err
	}
	m, err := s.engine.Catalogue().Metric(c.Request.Context(), engine.MetricKey(key))
	if err != nil {
		return reply{}, err
	}
	return ok(metricOf(m)), nil
}

func (s *Server) deleteMetric(c *gin.Context) (reply, error) {
	key, err := pathKey(c, "key", "metric")
	if err != nil {
		return reply{}, err
	}
	return noContent(), s.engine.DeleteMetric(c.Request.Context(), engine.MetricKey(key))
}

func (s *Server) listMetrics(c *gin.Context) (reply, error) {
	return list(c, s.engine.Catalogue().Metrics, metricOf, func(m *engine.Metric) string { return string(m.Key) })
}
