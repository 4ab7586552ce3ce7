package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// weigh measures the resident memory of a server with a thousand tests and a million
// enrolled customers: as it grew, and after a start that read all of them.
func weigh(ctx context.Context, o options, dir string) (err error) {
	const running = 1000
	say("Memory: starting a server with %d tests …", running)
	s, err := startStack(ctx, o.perennial, filepath.Join(dir, "memory"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.set(ctx, running, running); err != nil {
		return err
	}
	say("Memory: enrolling %d customers …", o.customers)
	const groups = 50 // customers of several touchpoints
	for g := range groups {
		if err := s.enrol(ctx, fmt.Sprintf("customer-%d-", g), g, o.customers/groups); err != nil {
			return err
		}
	}
	grown, err := s.resident()
	if err != nil {
		return err
	}
	if err := s.process.stop(); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	load := load{script: filepath.Join(dir, "load.lua"), connections: 64, duration: 10 * time.Second}
	if _, err := load.run(ctx, s.process, single, "known"); err != nil {
		return err
	}
	started, err := s.resident()
	if err != nil {
		return err
	}
	for _, m := range []struct {
		when string
		mib  int
	}{{"while they came", grown}, {"after a start, under load", started}} {
		_, _ = fmt.Fprintf(os.Stdout, "%-52s %5d   goal %d    %s\n", "resident MiB, "+m.when, m.mib, goalMemory, verdict(m.mib <= goalMemory))
	}
	return nil
}

var residentPattern = regexp.MustCompile(`VmRSS:\s+([0-9]+) kB`)

// resident is the server's resident memory, in MiB.
func (s *stack) resident() (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	found := residentPattern.FindSubmatch(status)
	if found == nil {
		return 0, errors.New("/proc does not tell the resident memory")
	}
	kb, err := strconv.Atoi(string(found[1]))
	return kb / 1024, err
}
