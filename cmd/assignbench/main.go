// Command assignbench measures how fast a real server answers assignments over HTTP, beside
// the floor: a bare gin handler that reads the same OFREP body with encoding/json and answers
// a fixed one. Authentication, metrics and recording are on.
//
// Each round asks the floor, one flag and all flags in turn, so that what else the machine
// does meets all three; figures are medians over the rounds, ratios are medians of the
// rounds' ratios. `make bench-assign` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are what to measure.
type options struct {
	perennial string        // the program to measure
	rounds    int           // of floor, single and bulk
	duration  time.Duration // of each of them
	customers int           // enrolled for the memory figure; 0: leave it out
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		fail(serveFloor())
		return
	}
	var o options
	flag.StringVar(&o.perennial, "perennial", "bin/perennial", "program to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of floor, single and bulk")
	flag.DurationVar(&o.duration, "duration", 6*time.Second, "time for each")
	flag.IntVar(&o.customers, "customers", 1_000_000, "enrolled customers for the memory figure; 0 leaves it out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fail(run(ctx, o))
}

func fail(err error) {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "assignbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	if _, err := exec.LookPath("wrk"); err != nil {
		return errors.New("wrk makes the load and is not on this machine: apt-get install wrk (Debian, Ubuntu) or brew install wrk")
	}
	dir, err := os.MkdirTemp("", "assignbench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.WriteFile(filepath.Join(dir, "load.lua"), []byte(loadScript), 0o600); err != nil {
		return err
	}
	if err := compare(ctx, o, dir); err != nil || o.customers == 0 {
		return err
	}
	return weigh(ctx, o, dir)
}

// compare measures the rates.
func compare(ctx context.Context, o options, dir string) (err error) {
	say("Starting PostgreSQL, a server with %d tests on %d touchpoints, and the floor …", tests, touchpoints)
	s, err := startStack(ctx, o.perennial, filepath.Join(dir, "rates"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	floor, err := startProcess(ctx, self, nil, "floor")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, floor.stop()) }()
	if err := s.set(ctx, touchpoints, tests); err != nil {
		return err
	}
	load := load{script: filepath.Join(dir, "load.lua"), connections: 64, duration: o.duration}

	say("First contacts: every request enrols another customer …")
	first, err := load.run(ctx, s.process, single, "first")
	if err != nil {
		return err
	}
	say("Enrolling the %d customers of the load …", keys)
	if err := s.enrol(ctx, keyPrefix, 0, keys); err != nil {
		return err
	}
	many, err := load.rounds(ctx, o.rounds, floor, s.process)
	if err != nil {
		return err
	}
	load.connections, load.duration = 4, o.duration/2
	few, err := load.rounds(ctx, min(o.rounds, 3), floor, s.process)
	if err != nil {
		return err
	}
	report(many, few, first)
	return nil
}

func say(format string, args ...any) { _, _ = fmt.Fprintf(os.Stderr, format+"\n", args...) }
