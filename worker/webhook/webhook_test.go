package webhook

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// The vector of the official libraries (standard-webhooks/libraries/go/webhook_test.go,
// TestWebhookSign, and the same in the other languages).
func TestSignature(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer server.Close()
	answer := New(loopback, "1.2").Send(t.Context(), &engine.Webhook{URL: server.URL, Secret: secret},
		&engine.Message{ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", Body: []byte(`{"test": 2432232314}`)}, time.Unix(1614265330, 0))
	if answer.Status != http.StatusOK {
		t.Fatalf("%+v", answer)
	}
	for name, want := range map[string]string{
		"Webhook-Id":        "msg_p5jXN8AQM9LWM0D4loKWxJek",
		"Webhook-Timestamp": "1614265330",
		"Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
		"Content-Type":      "application/cloudevents+json; charset=utf-8",
		"User-Agent":        "Perennial/1.2",
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
}

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "8.8.8.8": true, "172.15.255.255": true, "172.32.0.1": true, "100.63.255.255": true,
		"2606:4700:4700::1111": true, "2001:4860:4860::8888": true,
		// Loopback, private and link-local, the last with the metadata of clouds.
		"127.0.0.1": false, "127.255.255.254": false, "::1": false, "10.0.0.1": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false, "fe80::1": false, "fd00:ec2::254": false,
		"100.100.100.200": false, "168.63.129.16": false,
		// This network, broadcast, multicast, reserved, documentation, benchmarks.
		"0.0.0.0": false, "0.1.2.3": false, "::": false, "255.255.255.255": false, "224.0.0.1": false, "ff02::1": false,
		"240.0.0.1": false, "192.0.2.1": false, "198.51.100.7": false, "203.0.113.9": false, "198.19.0.1": false,
		"192.0.0.8": false, "2001:db8::1": false, "fec0::1": false,
		// IPv4 inside IPv6: mapped, translated, 6to4, Teredo, compatible.
		"64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001:0:7f00:1::": false, "::7f00:1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: public %v, want %v", address, got, want)
		}
	}
}

func TestGuard(t *testing.T) {
	allowed := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		network, address string
		want             bool
	}{
		{"tcp4", "1.1.1.1:443", true},
		{"tcp4", "10.1.2.3:80", true},
		{"tcp4", "10.2.0.1:80", false},
		{"tcp6", "[fd00::1]:80", true},
		{"tcp6", "[::ffff:10.1.2.3]:80", true},
		{"tcp6", "[::ffff:127.0.0.1]:80", false},
		{"tcp6", "[::ffff:169.254.169.254]:80", false},
		{"tcp6", "[fe80::1%eth0]:80", false},
		{"tcp6", "[fd00::1%eth0]:80", false},
		{"udp4", "1.1.1.1:53", false},
		{"unix", "/run/docker.sock", false},
		{"tcp4", "localhost:80", false}, // never: what is dialled is resolved
	} {
		if err := guard(allowed)(tt.network, tt.address, nil); (err == nil) != tt.want {
			t.Errorf("%s %s: %v", tt.network, tt.address, err)
		}
	}
}

// A name is judged by what it resolves to as it is dialled; a proxy of the environment is
// not asked.
func TestGuardAtDialTime(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests++ }))
	defer server.Close()
	t.Setenv("HTTP_PROXY", server.URL)
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1"} {
		answer := New(nil, "").Send(t.Context(), &engine.Webhook{URL: "http://" + host + port}, &engine.Message{ID: "m"}, time.Unix(0, 0))
		if answer.Status != 0 || answer.Failure == "" {
			t.Errorf("%s was reached", host)
		}
	}
	if requests != 0 {
		t.Errorf("%d requests arrived", requests)
	}
}

// A redirect is an answer, and an answer without an end is left.
func TestAnswers(t *testing.T) {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
			return
		}
		for range 1000 { // 16 MB, far more than the connection holds
			if _, err := io.WriteString(w, strings.Repeat("x", 16<<10)); err != nil {
				return
			}
		}
		t.Error("the answer was read to its end")
	}))
	defer server.Close()
	s := New(loopback, "")
	for path, want := range map[string]int{"/redirect": http.StatusTemporaryRedirect, "/endless": http.StatusOK} {
		answer := s.Send(t.Context(), &engine.Webhook{URL: server.URL + path}, &engine.Message{ID: "m"}, time.Unix(0, 0))
		if answer.Status != want {
			t.Errorf("%s: %+v", path, answer)
		}
	}
	if requests != 2 {
		t.Errorf("%d requests, want 2", requests)
	}
}
