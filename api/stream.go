package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

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
	out := bufio.NewWriterSize(&pacedWriter{c.Writer, s.pace}, 1<<16)
	err := body.write(out)
	if err == nil {
		err = out.Flush()
	}
	switch {
	case err == nil:
	case !c.Writer.Written():
		c.Writer.Header().Del("Content-Type")
		c.Writer.Header().Del(totalHeader)
		s.fail(c, err)
	default:
		s.log.WarnContext(c.Request.Context(), "an answer was cut off", "request_id", requestID(c), "error", err)
		panic(http.ErrAbortHandler)
	}
}

// streamPace is how long a reader may take for 64 KiB of a stream. One who takes longer is cut
// off: something is held for them as long as they read.
const streamPace = 30 * time.Second

// A pacedWriter gives the reader so long for each piece.
type pacedWriter struct {
	http.ResponseWriter

	pace time.Duration
}

func (w *pacedWriter) Write(b []byte) (n int, err error) {
	deadline := time.Now().Add(w.pace) //nolint:forbidigo // network deadlines are not domain time
	if err := http.NewResponseController(w.ResponseWriter).SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	if n, err = w.ResponseWriter.Write(b); err != nil {
		// Nobody takes it for a failure of the database.
		err = fmt.Errorf("the reader is gone or takes nothing: %v", err) //nolint:errorlint // see above
	}
	return n, err
}
