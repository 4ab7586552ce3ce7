package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An outage is told of when it begins, once a minute while it lasts, and when it is over: not
// each time that the database is asked in vain.
func TestAnOutageIsToldOfOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := New(Config{Now: time.Now, Log: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		var attempts int
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			e.keep(ctx, 500*time.Millisecond, nil, func(bool) error {
				attempts++
				if since := time.Since(begun); since > time.Minute && since <= 3*time.Minute {
					return errors.New("the database is away")
				}
				return nil
			})
		}()
		time.Sleep(5 * time.Minute)
		cancel()
		<-ended
		// From 1:00.5 to 3:00: told at 1:00.5 and 2:00.5, and over at 3:00.5.
		warned, over := strings.Count(log.String(), "serving what is known"), strings.Count(log.String(), "up to date with the database again")
		if warned != 2 || over != 1 || attempts < 595 {
			t.Errorf("%d warnings and %d ends in %d attempts, want 2 and 1 in about 600:\n%s", warned, over, attempts, &log)
		}
	})
}
