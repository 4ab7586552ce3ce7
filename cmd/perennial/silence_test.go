//go:build unix

package main

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A link is a TCP connection to the fleet's PostgreSQL that can be made to swallow everything.
type link struct {
	listener net.Listener
	socket   string
	silent   atomic.Bool
}

func newLink(t *testing.T, f *fleet) (l *link, databaseURL string) {
	t.Helper()
	through, err := url.Parse(f.url())
	if err != nil {
		t.Fatal(err)
	}
	query := through.Query()
	l = &link{socket: query.Get("host") + "/.s.PGSQL." + query.Get("port")}
	if l.listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.listener.Close() })
	go func() {
		for {
			near, err := l.listener.Accept()
			if err != nil {
				return
			}
			go l.carry(near)
		}
	}()
	host, port, err := net.SplitHostPort(l.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	query.Set("host", host)
	query.Set("port", port)
	through.RawQuery = query.Encode()
	return l, through.String()
}

func (l *link) carry(near net.Conn) {
	defer near.Close() //nolint:errcheck // nothing hangs on it
	far, err := net.Dial("unix", l.socket)
	if err != nil {
		return
	}
	defer far.Close() //nolint:errcheck // nothing hangs on it
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			defer way[1].Close() //nolint:errcheck // ends the other way too
			buffer := make([]byte, 64<<10)
			for {
				n, err := way[0].Read(buffer)
				if err != nil {
					return
				}
				if l.silent.Load() {
					continue
				}
				if _, err := way[1].Write(buffer[:n]); err != nil {
					return
				}
			}
		})
	}
	both.Wait()
}

// TestSilentDatabase: while the database swallows everything, every assignment is answered,
// with the variant that it has, at the speed that it has; afterwards nothing is missing.
// PERENNIAL_TEST_SILENCE=12 makes it a minute.
func TestSilentDatabase(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	f.tests(1)
	l, through := newLink(t, f)
	f.kill(0)
	f.databaseURL = through
	f.startServer(0)

	w := &witness{seen: map[meeting]string{}}
	var next atomic.Int64
	load := func(lasting time.Duration) (latencies []time.Duration) {
		var mu sync.Mutex
		var clients sync.WaitGroup
		end := time.Now().Add(lasting)
		for range 4 {
			clients.Go(func() {
				for time.Now().Before(end) {
					person := int(next.Add(1))
					if person%2 == 0 {
						person /= 2 // met before
					}
					var a struct{ Variant, Reason string }
					asked := time.Now()
					err := f.post(0, "POST", "/v1/assignments",
						fmt.Sprintf(`{"customer": "c-%d", "touchpoint": "place-0-%d"}`, person, person%7), &a)
					took := time.Since(asked)
					if err != nil || a.Reason != "assigned" {
						t.Errorf("%+v %v", a, err)
						return
					}
					w.see(meeting{person, 0}, a.Variant)
					mu.Lock()
					latencies = append(latencies, took)
					mu.Unlock()
					time.Sleep(2 * time.Millisecond)
				}
			})
		}
		clients.Wait()
		slices.Sort(latencies)
		return latencies
	}
	p99 := func(latencies []time.Duration) time.Duration { return latencies[len(latencies)*99/100] }
	before := load(3 * time.Second)
	l.silent.Store(true)
	silent := load(5 * time.Second * time.Duration(scale(t, "PERENNIAL_TEST_SILENCE")))
	l.silent.Store(false)
	w.agree(t, "with a silent database")
	f.present(w.seen)
	t.Logf("p99 %v of %d answers; while the database was silent %v of %d", p99(before), len(before), p99(silent), len(silent))
}
