package api

import (
	"time"

	"github.com/gin-gonic/gin"

	"github.com/perennial-engine/perennial/engine"
)

// A RouteForTest is a line of the route table, or a page beside it.
type RouteForTest struct {
	Method, Path string
	Scopes       []engine.Scope
	Idempotent   bool
}

// RoutesForTest lists the route table.
func (s *Server) RoutesForTest() []RouteForTest {
	var all []RouteForTest
	for _, r := range s.routes() {
		all = append(all, RouteForTest{Method: r.method, Path: r.path, Scopes: r.scopes, Idempotent: r.idempotent})
	}
	return all
}

// ServedForTest lists what the router serves, with the table or beside it.
func (s *Server) ServedForTest() []RouteForTest {
	var all []RouteForTest
	for _, r := range s.handler.Routes() {
		all = append(all, RouteForTest{Method: r.Method, Path: r.Path})
	}
	return all
}

// The limits of bodies, for tests that meet them.
const (
	MaxBodyForTest  = maxBody
	MaxBatchForTest = maxBatch
	MaxDepthForTest = maxDepth
)

// DecodeForTest reads a document as the body of an event.
func DecodeForTest(body []byte) error { return decode(body, &eventJSON{}) }

// ReadBatchForTest takes a batch of events apart and reads its elements.
func ReadBatchForTest(c *gin.Context) (elements int, err error) {
	raw, err := readBatch(c, "events")
	if err != nil {
		return 0, err
	}
	return len(elementsOf(raw, (*eventJSON).event)), nil
}

// StatusForTest is the status that an error is answered with.
func StatusForTest(err error) int { return problemOf(err).Status }

// ScanForTest reads a plain OFREP body.
func ScanForTest(body []byte) (customer, context []byte, plain bool) {
	q, plain := scanQuestion(body)
	return q.customer, q.context, plain
}

// DecodeQuestionForTest reads any OFREP body.
func DecodeQuestionForTest(body []byte) (customer, context []byte, err error) {
	q, err := decodeQuestion(body)
	return q.customer, q.context, err
}

// SetPaceForTest is how long a reader may take for a piece of a stream.
func (s *Server) SetPaceForTest(d time.Duration) { s.pace = d }
