package api

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/perennial-engine/perennial/engine"
)

// namespace begins the names of all metrics of this program.
const namespace = "perennial"

// meters count what this process does, for /metrics. What is counted for each request is
// found once and kept, so that counting costs a lookup by route and a few additions.
type meters struct {
	registry *prometheus.Registry
	answers  *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	elements *prometheus.CounterVec
	routes   map[routeName]*routeMeter
	unknown  *routeMeter // of requests that meet no route
}

type routeName struct{ method, path string }

func newMeters(c Config) (*meters, error) {
	m := &meters{
		registry: prometheus.NewRegistry(),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "http", Name: "requests_total",
			Help: `Requests answered, by method, route and status. Requests to what is no route have the route "none".`,
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "http", Name: "request_duration_seconds",
			Help:    "Time from the headers of a request to the end of its answer, by method and route.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"method", "route"}),
		elements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "ingested_total",
			Help: "Elements of batches answered, by kind (events, exposures, enrolments, customers) and result (accepted, duplicate, rejected).",
		}, []string{"kind", "result"}),
		routes: map[routeName]*routeMeter{},
	}
	m.unknown = &routeMeter{meters: m, routeName: routeName{"any", "none"}}
	all := append([]prometheus.Collector{
		m.answers, m.seconds, m.elements, &vitals{engine: c.Engine, now: c.Now},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}, c.Collectors...)
	for _, collector := range all {
		if err := m.registry.Register(collector); err != nil {
			return nil, err
		}
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info",
		Help:        "Always 1; the label version says which version runs.",
		ConstLabels: prometheus.Labels{"version": c.Version},
	})
	build.Set(1)
	return m, m.registry.Register(build)
}

// watch makes a meter for each route that is served.
func (m *meters) watch(routes gin.RoutesInfo) {
	for _, r := range routes {
		name := routeName{r.Method, r.Path}
		m.routes[name] = &routeMeter{meters: m, routeName: name}
	}
}

// request finds the meter of a request; path is that of its route, "" where it met none.
func (m *meters) request(method, path string) *routeMeter {
	if r, ok := m.routes[routeName{method, path}]; ok {
		return r
	}
	return m.unknown
}

// A routeMeter counts and times the requests of one route. Its series begin with the
// first request, so that /metrics has only those of routes in use.
type routeMeter struct {
	*meters
	routeName
	once     sync.Once
	duration prometheus.Observer
	byStatus sync.Map // int → prometheus.Counter
}

func (r *routeMeter) answered(status int, took time.Duration) {
	r.once.Do(func() { r.duration = r.seconds.WithLabelValues(r.method, r.path) })
	r.duration.Observe(took.Seconds())
	if known, ok := r.byStatus.Load(status); ok {
		if counter, ok := known.(prometheus.Counter); ok {
			counter.Inc()
		}
		return
	}
	counter := r.answers.WithLabelValues(r.method, r.path, strconv.Itoa(status))
	r.byStatus.Store(status, counter)
	counter.Inc()
}

// batchCounts count what became of the elements of one kind of batch.
type batchCounts struct{ accepted, duplicates, rejected prometheus.Counter }

func (m *meters) batches(kind string) batchCounts {
	return batchCounts{
		accepted:   m.elements.WithLabelValues(kind, "accepted"),
		duplicates: m.elements.WithLabelValues(kind, "duplicate"),
		rejected:   m.elements.WithLabelValues(kind, "rejected"),
	}
}

func (b batchCounts) add(r *engine.Receipt) {
	b.accepted.Add(float64(r.Accepted))
	b.duplicates.Add(float64(r.Duplicates))
	b.rejected.Add(float64(len(r.Rejections)))
}

// getMetrics writes all metrics in the text format of Prometheus. A collector that fails
// takes only its own metrics away.
func (s *Server) getMetrics(c *gin.Context) (reply, error) {
	families, err := s.meters.registry.Gather()
	if err != nil {
		s.log.WarnContext(c.Request.Context(), "some metrics could not be collected", "error", err)
	}
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return reply{}, err
		}
	}
	return ok(encodedBody{string(format), text.Bytes()}), nil
}
