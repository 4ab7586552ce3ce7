package api

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"io"
	"regexp"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/perennial-engine/perennial/engine"
)

var idempotencyPattern = regexp.MustCompile(`^[\x21-\x7e]{1,200}$`)

// idempotently answers a create that is sent again under its Idempotency-Key with the
// first answer. Answers are kept sealed by the secret of the key that asked, since they
// may hold a secret themselves.
func (s *Server) idempotently(handle func(*gin.Context) (reply, error)) func(*gin.Context) (reply, error) {
	return func(c *gin.Context) (reply, error) {
		key := c.GetHeader("Idempotency-Key")
		if key == "" {
			return handle(c)
		}
		if !idempotencyPattern.MatchString(key) {
			return reply{}, engine.Errorf(engine.KindMalformed, "invalid_idempotency_key",
				"Idempotency-Key must be 1 to 200 visible ASCII characters")
		}
		body, err := readBody(c, maxBody)
		if err != nil {
			return reply{}, err
		}
		c.Request.Body = io.NopCloser(bytes.NewReader(body))
		c.Request.Header.Del("Content-Encoding")
		digest := sha256.Sum256(fmt.Appendf(nil, "%s %s\n%s", c.Request.Method, c.Request.URL.RequestURI(), body))
		claim := engine.IdempotencyClaim{Owner: caller(c).ID, Key: key, Digest: digest[:]}
		first, err := s.engine.Idempotent(c.Request.Context(), claim)
		switch {
		case err != nil:
			return reply{}, err
		case first != nil:
			return s.again(c, claim, first)
		}
		answer, err := handle(c)
		// The client may have gone; the answer is kept all the same.
		ctx := context.WithoutCancel(c.Request.Context())
		if err != nil {
			if released := s.engine.Answered(ctx, claim, nil); released != nil {
				s.log.WarnContext(ctx, "idempotency key not released", "error", released)
			}
			return reply{}, err
		}
		sealed, err := s.seal(c, claim, answer)
		if err == nil {
			err = s.engine.Answered(ctx, claim, &engine.IdempotentAnswer{Status: answer.status, Body: sealed})
		}
		if err != nil {
			s.log.WarnContext(ctx, "idempotent answer not kept", "error", err)
		}
		return answer, nil
	}
}

// keptAnswer is the sealed form of a reply.
type keptAnswer struct {
	ETag        string `json:"etag"`
	ContentType string `json:"content_type"`
	Body        []byte `json:"body"`
}

func (s *Server) again(c *gin.Context, claim engine.IdempotencyClaim, first *engine.IdempotentAnswer) (reply, error) {
	switch {
	case !bytes.Equal(first.Digest, claim.Digest):
		return reply{}, engine.Errorf(engine.KindInvalid, "idempotency_key_reused",
			"this Idempotency-Key was used for another request")
	case first.Status == 0:
		return reply{}, engine.Errorf(engine.KindConflict, "in_flight",
			"the first request with this Idempotency-Key is still under way")
	}
	box, err := sealer(c, claim)
	if err != nil {
		return reply{}, err
	}
	size := box.NonceSize()
	if len(first.Body) < size {
		return reply{}, fmt.Errorf("kept answer of %q is too short", claim.Key)
	}
	opened, err := box.Open(nil, first.Body[:size], first.Body[size:], nil)
	if err != nil {
		return reply{}, fmt.Errorf("kept answer of %q: %w", claim.Key, err)
	}
	var kept keptAnswer
	if err := json.Unmarshal(opened, &kept); err != nil {
		return reply{}, err
	}
	return reply{status: first.Status, etag: kept.ETag, body: encodedBody{kept.ContentType, kept.Body}}, nil
}

func (s *Server) seal(c *gin.Context, claim engine.IdempotencyClaim, answer reply) ([]byte, error) {
	encoded, err := encode(c, answer.body)
	if err != nil {
		return nil, err
	}
	kept, err := json.Marshal(keptAnswer{answer.etag, encoded.contentType, encoded.data})
	if err != nil {
		return nil, err
	}
	box, err := sealer(c, claim)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize())
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return nil, err
	}
	return box.Seal(nonce, nonce, kept, nil), nil
}

// sealer seals with a key that only the caller's secret makes.
func sealer(c *gin.Context, claim engine.IdempotencyClaim) (cipher.AEAD, error) {
	key := sha256.Sum256([]byte("idempotent answer\n" + claim.Key + "\n" + originOf(c).secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
