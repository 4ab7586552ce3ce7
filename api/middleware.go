package api

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/perennial-engine/perennial/engine"
)

// An origin is where a request comes from: its id, and the key it was sent with.
type origin struct {
	requestID string
	key       *engine.Key // nil before authentication, and on open routes
	secret    string
}

const originKey = "origin"

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// identify gives the request an id: the client's own, or a new one.
func (s *Server) identify(c *gin.Context) {
	id := c.GetHeader("X-Request-Id")
	if id == "" || !requestIDPattern.MatchString(id) {
		id = s.newID()
	}
	c.Set(originKey, &origin{requestID: id})
	c.Header("X-Request-Id", id)
}

func originOf(c *gin.Context) *origin {
	from, ok := c.Value(originKey).(*origin)
	if !ok {
		return &origin{}
	}
	return from
}

func requestID(c *gin.Context) string { return originOf(c).requestID }

// observe counts and times a request and logs one line about it, without anything personal:
// the route, not the path.
func (s *Server) observe(c *gin.Context) {
	start := s.now()
	c.Next()
	took := s.now().Sub(start)
	s.meters.request(c.Request.Method, c.FullPath()).answered(c.Writer.Status(), took)
	if s.log.Enabled(c.Request.Context(), slog.LevelDebug) {
		s.log.DebugContext(c.Request.Context(), "request",
			"request_id", requestID(c), "method", c.Request.Method, "route", c.FullPath(),
			"status", c.Writer.Status(), "duration", took)
	}
}

// recoverPanic turns a panic into a 500 and keeps serving.
func (s *Server) recoverPanic(c *gin.Context) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // it is the value itself that net/http knows
			panic(p)
		} else if p != nil {
			s.log.ErrorContext(c.Request.Context(), "panic",
				"request_id", requestID(c), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			if !c.Writer.Written() {
				s.fail(c, fmt.Errorf("panic: %v", p))
			}
		}
	}()
	c.Next()
}

// serve turns a route into a gin handler: authenticate, handle, answer.
func (s *Server) serve(r route) gin.HandlerFunc {
	handle := r.handle
	if r.idempotent {
		handle = s.idempotently(handle)
	}
	acts := slices.ContainsFunc(r.scopes, changesState) && r.method != http.MethodGet
	return func(c *gin.Context) {
		// The router takes nothing for a key too: /v1/experiments//decisions.
		if slices.ContainsFunc(c.Params, func(p gin.Param) bool { return p.Value == "" }) {
			s.fail(c, noSuchRoute(c))
			return
		}
		if len(r.scopes) > 0 {
			if err := s.authenticate(c, r.scopes); err != nil {
				s.fail(c, err)
				return
			}
		}
		if acts {
			c.Request = c.Request.WithContext(engine.WithActor(c.Request.Context(), caller(c).Actor()))
		}
		if r.slow {
			deadline := http.NewResponseController(c.Writer)
			if err := deadline.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
				s.fail(c, err)
				return
			}
		}
		answer, err := handle(c)
		if err != nil {
			s.fail(c, err)
			return
		}
		s.respond(c, answer)
	}
}

// changesState: what is done with this scope is written in the audit log, under the name
// of the key. Assignments and events are not, and do not pay for it.
func changesState(s engine.Scope) bool {
	return s == engine.ScopeAuthor || s == engine.ScopeDecide || s == engine.ScopeAdmin
}

func (s *Server) respond(c *gin.Context, answer reply) {
	if answer.etag != "" {
		c.Header("ETag", answer.etag)
	}
	switch body := answer.body.(type) {
	case nil:
		c.Status(answer.status)
		c.Writer.WriteHeaderNow()
	case encodedBody:
		send(c, answer.status, body)
	case streamedBody:
		s.stream(c, answer.status, body)
	case *sheet:
		send(c, answer.status, encodedBody{"application/json", body.out})
		body.free()
	default:
		encoded, err := encode(c, answer.body)
		if err != nil {
			s.fail(c, err)
			return
		}
		send(c, answer.status, encoded)
	}
}

// encode writes a body, whole, before a byte goes out: a value that cannot be encoded must
// not become an empty answer.
func encode(c *gin.Context, body any) (encodedBody, error) {
	if wantsCSV(c) {
		if data, ok := csvOf(body); ok {
			return encodedBody{"text/csv; charset=utf-8", data}, nil
		}
	}
	data, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return encodedBody{}, fmt.Errorf("the answer cannot be encoded: %w", err)
	}
	return encodedBody{"application/json", data}, nil
}

// encodedBody is an answer that is encoded already.
type encodedBody struct {
	contentType string
	data        []byte
}

// authenticate finds the request's key and checks that it has one of the scopes.
func (s *Server) authenticate(c *gin.Context, scopes []engine.Scope) error {
	secret := c.GetHeader("X-API-Key")
	if scheme, bearer, ok := strings.Cut(c.GetHeader("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		secret = strings.TrimSpace(bearer)
	}
	key, err := s.engine.Authenticate(secret)
	if err != nil {
		return err
	}
	from := originOf(c)
	from.key, from.secret = key, secret
	if slices.ContainsFunc(scopes, key.Allows) {
		return nil
	}
	return engine.Errorf(engine.KindForbidden, "scope_missing", "the key %q needs the scope %s for this", key.Name, scopes[0])
}

// caller is the key of the request.
func caller(c *gin.Context) *engine.Key {
	if key := originOf(c).key; key != nil {
		return key
	}
	return &engine.Key{}
}

const (
	maxBody  = 1 << 20
	maxBatch = 32 << 20
	// maxUnwanted is how much is still read of a body that is too large: many clients look for
	// an answer only when they have sent everything.
	maxUnwanted = 64 << 20
)

// readBody reads a body of at most limit bytes, unpacked.
func readBody(c *gin.Context, limit int64) ([]byte, error) {
	var reader io.Reader = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
	switch encoding := strings.ToLower(c.GetHeader("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(reader)
		if err != nil {
			return nil, engine.Errorf(engine.KindMalformed, "malformed_gzip", "the body is not gzip, as Content-Encoding says")
		}
		reader = unzipped
	default:
		return nil, engine.Errorf(engine.KindMalformed, "unknown_encoding", "Content-Encoding %q is not known: send gzip or none", encoding)
	}
	body, err := io.ReadAll(io.LimitReader(reader, limit+1))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || int64(len(body)) > limit {
		_, _ = io.CopyN(io.Discard, c.Request.Body, maxUnwanted)
		return nil, engine.Errorf(engine.KindTooLarge, "too_large", "the body must be at most %d bytes, unpacked", limit)
	}
	if err != nil {
		return nil, unreadable()
	}
	return body, nil
}

func unreadable() error {
	return engine.Errorf(engine.KindMalformed, "unreadable_body", "the body ended too early or is not what Content-Encoding says")
}

// read decodes the body of a request that is not a batch.
func read(c *gin.Context, into any) error {
	body, err := readBody(c, maxBody)
	if err != nil {
		return err
	}
	return decode(body, into)
}

// readOptional is read for a request that may come without a body.
func readOptional(c *gin.Context, into any) error {
	body, err := readBody(c, maxBody)
	if err != nil || len(body) == 0 {
		return err
	}
	return decode(body, into)
}
