package api

import (
	"bufio"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"
)

// A streamedBody is an answer that is written while it is read, so that it may be larger
// than memory.
type streamedBody struct {
	contentType string
	write       func(w io.Writer) error
}

// stream sends a body. What fails before a byte has gone out is answered as any error;
// later the connection is cut, so that half a body is not taken for a whole one.
func (s *Server) stream(c *gin.Context, status int, body streamedBody) {
	c.Header("Content-Type", body.contentType)
	c.Status(status)
	out := bufio.NewWriterSize(c.Writer, 1<<16)
	err := body.write(out)
	if err == nil {
		err = out.Flush()
	}
	switch {
	case err == nil:
	case !c.Writer.Written():
		c.Writer.Header().Del("Content-Type")
		s.fail(c, err)
	default:
		s.log.WarnContext(c.Request.Context(), "an answer was cut off", "request_id", requestID(c), "error", err)
		panic(http.ErrAbortHandler)
	}
}
