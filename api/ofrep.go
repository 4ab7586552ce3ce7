package api

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// evaluateFlag answers OFREP's question about one flag, which is a touchpoint, and enrols.
func (s *Server) evaluateFlag(c *gin.Context) (reply, error) {
	lookup, err := s.engine.Lookup()
	if err != nil {
		return reply{}, err
	}
	p := newSheet()
	who, err := p.visitor(c, lookup)
	if err != nil {
		p.free()
		return reply{}, err
	}
	touchpoint := c.Param("touchpoint")
	answer, found := s.engine.Evaluate(c.Request.Context(), lookup, touchpoint, who)
	if !found {
		p.free()
		return reply{}, engine.NotFoundf("touchpoint", touchpoint)
	}
	p.out = appendFlag(p.out, touchpoint, &answer)
	return ok(p), nil
}

// evaluateFlags answers OFREP's question about all flags, and records nothing: who sees
// one of them is told by an exposure.
func (s *Server) evaluateFlags(c *gin.Context) (reply, error) {
	lookup, err := s.engine.Lookup()
	if err != nil {
		return reply{}, err
	}
	p := newSheet()
	who, err := p.visitor(c, lookup)
	if err != nil {
		p.free()
		return reply{}, err
	}
	fingerprint := lookup.Fingerprint(who)
	etag := `"` + hex.EncodeToString(fingerprint[:]) + `"`
	if knows(c.GetHeader("If-None-Match"), etag) {
		p.free()
		return reply{status: http.StatusNotModified, etag: etag}, nil
	}
	p.out = append(p.out, `{"flags":[`...)
	for i, touchpoint := range lookup.Snapshot().Touchpoints() {
		if i > 0 {
			p.out = append(p.out, ',')
		}
		answer, _ := lookup.Meet(touchpoint, who)
		p.out = appendFlag(p.out, touchpoint, &answer)
	}
	p.out = append(p.out, `]}`...)
	return reply{status: http.StatusOK, body: p, etag: etag}, nil
}

// knows reports whether the header If-None-Match names the tag.
func knows(header, etag string) bool {
	for known := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(known), "W/") == etag {
			return true
		}
	}
	return false
}

// A sheet is the memory of one OFREP request, used again by later ones: what came in and
// what goes out. What came in is not kept by the engine beyond the request.
type sheet struct{ in, out []byte }

var sheets sync.Pool

func newSheet() *sheet {
	if used, ok := sheets.Get().(*sheet); ok {
		return used
	}
	return &sheet{}
}

// keptSheet is how large a sheet may be to be used again, in bytes.
const keptSheet = 64 << 10

func (p *sheet) free() {
	if cap(p.in) <= keptSheet && cap(p.out) <= keptSheet {
		p.out = p.out[:0]
		sheets.Put(p)
	}
}

// visitor reads who asks.
func (p *sheet) visitor(c *gin.Context, lookup engine.Lookup) (*engine.Visitor, error) {
	body, err := p.read(c)
	if err != nil {
		return nil, err
	}
	q, plain := scanQuestion(body)
	if !plain {
		if q, err = decodeQuestion(body); err != nil {
			return nil, err
		}
	}
	customer, err := engine.ParseIdentifier(string(q.customer))
	if err != nil {
		return nil, badContext("invalid_identifier", "/context/targetingKey", "must be 1 to 256 bytes of UTF-8 without control characters")
	}
	return lookup.Visitor(customer, q.context), nil
}

// read reads the body into the sheet, as readBody does, where its size is known beforehand.
func (p *sheet) read(c *gin.Context) ([]byte, error) {
	size := c.Request.ContentLength
	if size < 0 || size > maxBody || c.GetHeader("Content-Encoding") != "" {
		return readBody(c, maxBody)
	}
	if int64(cap(p.in)) < size {
		p.in = make([]byte, size)
	}
	p.in = p.in[:size]
	for read := 0; read < len(p.in); {
		n, err := c.Request.Body.Read(p.in[read:])
		read += n
		if err != nil && read < len(p.in) {
			return nil, unreadable()
		}
	}
	return p.in, nil
}

// A question is what an OFREP body asks: for whom, and in which context.
type question struct {
	customer []byte
	context  json.RawMessage
}

// decodeQuestion reads a body strictly, but for members that it does not know: clients
// are others' work and may send more.
func decodeQuestion(body []byte) (question, error) {
	var b struct {
		Context jsontext.Value `json:"context"`
	}
	if err := decodeOpen(body, &b); err != nil {
		return question{}, err
	}
	switch b.Context.Kind() {
	case 0, 'n':
		return question{}, noTargetingKey()
	case '{':
	default:
		return question{}, badContext("invalid_context", "/context", "must be an object")
	}
	var context struct {
		TargetingKey jsontext.Value `json:"targetingKey"` //nolint:tagliatelle // OpenFeature spells it so
	}
	if err := decodeOpen(b.Context, &context); err != nil {
		return question{}, err
	}
	switch context.TargetingKey.Kind() {
	case 0, 'n':
		return question{}, noTargetingKey()
	case '"':
	default:
		return question{}, badContext("invalid_context", "/context/targetingKey", "must be a string")
	}
	key, err := jsontext.AppendUnquote(nil, context.TargetingKey)
	if err != nil {
		return question{}, decodeError(err)
	}
	if len(key) == 0 {
		return question{}, noTargetingKey()
	}
	return question{key, json.RawMessage(b.Context)}, nil
}

func noTargetingKey() error {
	return badContext("targeting_key_missing", "/context/targetingKey", "must name the customer: context.targetingKey is one of their identifiers")
}

func badContext(code string, pointer jsontext.Pointer, detail string) error {
	return malformed(code, pointer, "%s", detail)
}

// appendFlag appends what a customer gets, as OFREP has it.
func appendFlag(b []byte, touchpoint string, a *snapshot.Answer) []byte {
	b = append(append(b, `{"key":"`...), touchpoint...) // keys need no escapes
	b = append(append(b, `","reason":"`...), ofrepReason(a.Reason)...)
	b = append(b, '"')
	if a.Variant != "" {
		b = appendText(append(b, `,"variant":`...), a.Variant)
	}
	b = append(append(b, `,"value":`...), a.Content...)
	b = append(b, `,"metadata":{`...)
	start := len(b)
	if a.Experiment != "" {
		b = append(append(b, `"experiment":"`...), a.Experiment...)
		b = append(b, '"')
	}
	if a.Version != 0 {
		b = append(comma(b, start), `"version":`...)
		b = strconv.AppendInt(b, int64(a.Version), 10)
	}
	if a.Reason != snapshot.Assigned {
		b = append(append(comma(b, start), `"not_enrolled_reason":"`...), a.Reason...)
		b = append(b, '"')
	}
	return append(b, `}}`...)
}

// comma appends one unless nothing stands behind start.
func comma(b []byte, start int) []byte {
	if len(b) > start {
		b = append(b, ',')
	}
	return b
}

// appendText appends a name that people chose: UTF-8 with any letters.
func appendText(b []byte, text string) []byte {
	quoted, err := jsontext.AppendQuote(b, text)
	if err != nil {
		return append(b, `""`...)
	}
	return quoted
}

// ofrepReason is the reason of an answer in OpenFeature's words.
func ofrepReason(reason snapshot.Reason) string {
	switch reason {
	case snapshot.Assigned:
		return "SPLIT"
	case snapshot.Forced:
		return "TARGETING_MATCH"
	case snapshot.Paused:
		return "DISABLED"
	case snapshot.HeldOut, snapshot.HeldBack, snapshot.Promoted, snapshot.NotInTraffic, snapshot.NotEligible, snapshot.Default:
		return "STATIC"
	}
	return "UNKNOWN"
}

// ofrepFailure is what OFREP adds to a problem.
type ofrepFailure struct {
	Key          string `json:"key,omitempty"`
	ErrorCode    string `json:"errorCode,omitempty"`    //nolint:tagliatelle // OFREP spells it so
	ErrorDetails string `json:"errorDetails,omitempty"` //nolint:tagliatelle // OFREP spells it so
}

// ofrepFailureOf is the failure of a request, empty for requests of other protocols.
func ofrepFailureOf(c *gin.Context, p *problem) ofrepFailure {
	if !strings.HasPrefix(c.FullPath(), "/ofrep/") {
		return ofrepFailure{}
	}
	f := ofrepFailure{Key: c.Param("touchpoint"), ErrorCode: "GENERAL", ErrorDetails: p.Detail}
	switch {
	case p.Status == http.StatusNotFound:
		f.ErrorCode = "FLAG_NOT_FOUND"
	case p.Code == "targeting_key_missing":
		f.ErrorCode = "TARGETING_KEY_MISSING"
	case p.Code == "invalid_context" || p.Code == "invalid_identifier":
		f.ErrorCode = "INVALID_CONTEXT"
	case p.Status == http.StatusBadRequest:
		f.ErrorCode = "PARSE_ERROR"
	}
	return f
}
