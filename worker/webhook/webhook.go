// Package webhook sends the engine's messages over HTTP, signed by Standard Webhooks 1.0,
// and guards the network it sends from: whoever may make a webhook chooses where this
// process connects to.
//
// The guard looks at the address that is dialled, after names have been resolved, so a name
// that points inwards, or does so only at the second question, is refused as well. No proxy
// is used, which would resolve names by itself, and no redirect is followed.
package webhook

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/perennial-engine/perennial/engine"
)

const (
	// timeout bounds one request; Standard Webhooks recommends 15 to 30 seconds.
	timeout = 15 * time.Second
	// maxAnswer is how much of an answer is read, in bytes. None of it is kept.
	maxAnswer = 16 << 10
)

// Sender implements engine.Sender.
type Sender struct {
	client    *http.Client
	userAgent string
}

var _ engine.Sender = (*Sender)(nil)

// New makes a sender that connects to public addresses, and to those in allowed.
func New(allowed []netip.Prefix, version string) *Sender {
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: guard(allowed)}
	return &Sender{
		userAgent: "Perennial/" + version,
		client: &http.Client{
			Timeout: timeout,
			Transport: &http.Transport{
				DialContext:            dialer.DialContext,
				TLSHandshakeTimeout:    5 * time.Second,
				ResponseHeaderTimeout:  timeout,
				MaxResponseHeaderBytes: maxAnswer,
				ForceAttemptHTTP2:      true,
				// Each request dials anew, past the guard.
				DisableKeepAlives: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Send implements engine.Sender.
func (s *Sender) Send(ctx context.Context, w *engine.Webhook, m *engine.Message, at time.Time) engine.Answered {
	answer, err := s.send(ctx, w, m, at)
	if err != nil {
		return engine.Answered{Failure: err.Error()}
	}
	return answer
}

func (s *Sender) send(ctx context.Context, w *engine.Webhook, m *engine.Message, at time.Time) (engine.Answered, error) {
	signer, err := standardwebhooks.NewWebhookRaw(w.Secret)
	if err != nil {
		return engine.Answered{}, err
	}
	signature, err := signer.Sign(m.ID, at, m.Body)
	if err != nil {
		return engine.Answered{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(m.Body))
	if err != nil {
		return engine.Answered{}, err
	}
	request.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	request.Header.Set("User-Agent", s.userAgent)
	request.Header.Set(standardwebhooks.HeaderWebhookID, m.ID)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	response, err := s.client.Do(request)
	if err != nil {
		return engine.Answered{}, err
	}
	defer response.Body.Close() //nolint:errcheck // the status is known
	// What comes after the status is read, within bounds, so that the receiver can end.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	return engine.Answered{Status: response.StatusCode, RetryAfter: retryAfter(response.Header, at)}, nil
}

// retryAfter reads Retry-After, which is seconds or a date; 0 for anything else.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}
