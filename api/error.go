package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

// statusOf is the one table from kinds of failure to HTTP statuses.
var statusOf = map[engine.Kind]int{
	engine.KindInternal:             http.StatusInternalServerError,
	engine.KindMalformed:            http.StatusBadRequest,
	engine.KindInvalid:              http.StatusUnprocessableEntity,
	engine.KindNotFound:             http.StatusNotFound,
	engine.KindConflict:             http.StatusConflict,
	engine.KindPreconditionRequired: http.StatusPreconditionRequired,
	engine.KindStale:                http.StatusPreconditionFailed,
	engine.KindTooLarge:             http.StatusRequestEntityTooLarge,
	engine.KindUnauthenticated:      http.StatusUnauthorized,
	engine.KindForbidden:            http.StatusForbidden,
	engine.KindUnavailable:          http.StatusServiceUnavailable,
	engine.KindNotBuilt:             http.StatusNotImplemented,
}

// problem is the body of every error: RFC 9457 with a stable code.
type problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Code      string         `json:"code"`
	RequestID string         `json:"request_id"`
	Errors    []problemField `json:"errors,omitempty"`
	ofrepFailure
}

type problemField struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// problemOf is what a client learns of an error. What goes wrong inside is logged, not told.
func problemOf(err error) problem {
	known, ok := errors.AsType[*engine.Error](err)
	if !ok {
		known = engine.Errorf(engine.KindInternal, "internal", "something went wrong here; the log has it under the request id")
		if errors.Is(err, context.Canceled) {
			known = engine.Errorf(engine.KindUnavailable, "canceled", "the request was given up")
		}
	}
	status := statusOf[known.Kind]
	p := problem{
		Type: "urn:perennial:problem:" + known.Code, Title: http.StatusText(status), Status: status,
		Detail: known.Message, Code: known.Code,
	}
	for _, f := range known.Fields {
		p.Errors = append(p.Errors, problemField{Pointer: f.Pointer, Detail: f.Detail})
	}
	return p
}

// fail writes an error. It is the only place that does.
func (s *Server) fail(c *gin.Context, err error) {
	p := problemOf(err)
	p.RequestID = requestID(c)
	p.ofrepFailure = ofrepFailureOf(c, &p)
	switch p.Status {
	case http.StatusUnauthorized:
		c.Header("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		c.Header("Retry-After", "1")
	}
	abandoned := c.Request.Context().Err() != nil // the client has gone: nobody's fault here
	if p.Status >= http.StatusInternalServerError && p.Status != http.StatusNotImplemented && !abandoned {
		s.log.ErrorContext(c.Request.Context(), "request failed", "request_id", p.RequestID, "code", p.Code, "error", err)
	}
	s.write(c, p)
	c.Abort()
}
