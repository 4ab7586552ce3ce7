package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

//go:embed load.lua
var loadScript string

// The load: keys customers, who are called keyPrefix and a number.
const (
	keys      = 100_000
	keyPrefix = "c-"
)

// What is asked for.
const (
	single = "/ofrep/v1/evaluate/flags/touchpoint-0"
	bulk   = "/ofrep/v1/evaluate/flags"
)

// A load is how wrk asks.
type load struct {
	script      string
	connections int
	duration    time.Duration
}

// A figure is what one run of wrk found.
type figure struct {
	Seconds  float64 `json:"seconds"`
	Requests int64   `json:"requests"`
	Failed   int64   `json:"failed"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`

	CPU float64 `json:"-"` // microseconds of the server's, a request
}

func (f figure) rate() float64 { return float64(f.Requests) / f.Seconds }

// run asks a server for path for as long as the load lasts; whose is "known", or "first" for
// new customers.
func (l load) run(ctx context.Context, server *process, path, whose string) (figure, error) {
	before := server.cpu()
	f, err := l.wrk(ctx, server.url, path, whose)
	f.CPU = float64((server.cpu() - before).Microseconds()) / float64(max(f.Requests, 1))
	return f, err
}

func (l load) wrk(ctx context.Context, url, path, whose string) (figure, error) {
	cmd := exec.CommandContext(ctx, "wrk", "-t2", "-c"+strconv.Itoa(l.connections), "-d"+seconds(l.duration), "--timeout=5s", //nolint:gosec // ours
		"-s", l.script, url, "--", path, adminKey, whose)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return figure{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var f figure
	if err := json.Unmarshal(lines[len(lines)-1], &f); err != nil {
		return figure{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if f.Failed > 0 || f.Requests == 0 {
		return figure{}, fmt.Errorf("wrk: %d of %d requests to %s%s failed", f.Failed, f.Requests, url, path)
	}
	return f, nil
}

// seconds is a duration as wrk takes it: whole seconds, at least one.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(int(d.Round(time.Second).Seconds()), 1)) + "s"
}

// A round is one figure of each.
type round struct{ floor, single, bulk figure }

// rounds measures in turn, after a round that only warms up.
func (l load) rounds(ctx context.Context, n int, floor, server *process) ([]round, error) {
	var all []round
	for i := range n + 1 {
		var r round
		for _, step := range []struct {
			to     *figure
			server *process
			path   string
		}{{&r.floor, floor, single}, {&r.single, server, single}, {&r.bulk, server, bulk}} {
			var err error
			if *step.to, err = l.run(ctx, step.server, step.path, "known"); err != nil {
				return nil, err
			}
		}
		if i == 0 {
			continue
		}
		all = append(all, r)
		say("%2d connections, round %d of %d: floor %s, single %s, bulk %s requests/s", l.connections, i, n,
			thousands(r.floor.rate()), thousands(r.single.rate()), thousands(r.bulk.rate()))
	}
	return all, nil
}
