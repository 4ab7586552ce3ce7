package api

import (
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/perennial-engine/perennial/engine"
)

// Config is what a Server is made of. All fields are required but the last two.
type Config struct {
	Engine     *engine.Engine
	Log        *slog.Logger
	Now        func() time.Time
	Random     io.Reader // of request ids
	Version    string
	Collectors []prometheus.Collector // of what only the caller knows, for /metrics
	Origins    []string               // whose pages may ask for assignments: https://shop.example, or * for all
}

// Server answers the HTTP contract.
type Server struct {
	engine  *engine.Engine
	log     *slog.Logger
	now     func() time.Time
	random  io.Reader
	version string
	handler *gin.Engine
	meters  *meters
	pace    time.Duration // of those who read streams
}

// New makes a server.
func New(c Config) (*Server, error) {
	gin.SetMode(gin.ReleaseMode)
	s := &Server{engine: c.Engine, log: c.Log, now: c.Now, random: c.Random, version: c.Version, handler: gin.New(), pace: streamPace}
	r := s.handler
	r.UseRawPath, r.UnescapePathValues = true, true
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	if err := r.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	var err error
	if s.meters, err = newMeters(c); err != nil {
		return nil, err
	}
	r.Use(s.identify, s.observe, s.recoverPanic)
	if len(c.Origins) > 0 {
		r.Use(forBrowsers(c.Origins))
	}
	r.NoRoute(func(c *gin.Context) { s.fail(c, noSuchRoute(c)) })
	r.NoMethod(func(c *gin.Context) {
		p := problemOf(engine.Errorf(engine.KindMalformed, "method_not_allowed", "%s does not take %s", c.Request.URL.Path, c.Request.Method))
		p.Status, p.Title, p.RequestID = http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed), requestID(c)
		s.write(c, p)
	})
	for _, route := range s.routes() {
		r.Handle(route.method, route.path, s.serve(route))
	}
	if err := s.mountDocs(r); err != nil {
		return nil, err
	}
	s.meters.watch(r.Routes())
	return s, nil
}

func noSuchRoute(c *gin.Context) error {
	return engine.Errorf(engine.KindNotFound, "no_such_route", "there is no %s; /docs lists what there is", c.Request.URL.Path)
}

// HTTP is the http.Server for this handler, with its timeouts.
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// A reply is what a handler answers: a status, a body to be encoded and headers.
type reply struct {
	status int
	body   any
	etag   string
}

func ok(body any) reply      { return reply{status: http.StatusOK, body: body} }
func created(body any) reply { return reply{status: http.StatusCreated, body: body} }
func noContent() reply       { return reply{status: http.StatusNoContent} }

// put is the reply to a PUT.
func put(isNew bool, body any) reply {
	if isNew {
		return created(body)
	}
	return ok(body)
}

// write writes the body of an error.
func (s *Server) write(c *gin.Context, p problem) {
	// What a client sent may come back in the words of an error, also bytes that are no
	// UTF-8. Nothing else in a problem can fail to be encoded.
	encoded, err := json.Marshal(p, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		s.log.ErrorContext(c.Request.Context(), "problem cannot be encoded", "request_id", requestID(c), "error", err)
	}
	send(c, p.Status, encodedBody{"application/problem+json", encoded})
}

func send(c *gin.Context, status int, body encodedBody) {
	c.Header("Content-Length", strconv.Itoa(len(body.data)))
	c.Data(status, body.contentType, body.data)
}

// newID is 16 random hexadecimal digits.
func (s *Server) newID() string {
	var b [8]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return "unknown"
	}
	return hex.EncodeToString(b[:])
}
