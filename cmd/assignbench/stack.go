package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perennial-engine/perennial/internal/pglocal"
)

const adminKey = "assignbench-admin"

// A process is a server that was started here.
type process struct {
	cmd *exec.Cmd
	url string
}

var urlPattern = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)

// startProcess starts a server and waits until it says where it listens.
func startProcess(ctx context.Context, program string, environ []string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the program to measure
	cmd.Env = append(os.Environ(), environ...)
	output, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = write, write
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_ = write.Close()
	var said strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if found := urlPattern.FindString(lines.Text()); found != "" {
			go func() { _, _ = io.Copy(io.Discard, output) }()
			return &process{cmd, found}, nil
		}
		said.WriteString(lines.Text() + "\n")
	}
	return nil, fmt.Errorf("%s ended: %w\n%s", program, cmd.Wait(), said.String())
}

// cpu is the time that the process has worked, in user space and in the kernel; 0 where
// there is no /proc.
func (p *process) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, behind, found := strings.Cut(string(text), ") ") // the name before it may hold anything
	if err != nil || !found {
		return 0
	}
	fields := strings.Fields(behind)
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime, proc(5)
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	const perSecond = 100 // USER_HZ, on every Linux
	return time.Duration(ticks) * time.Second / perSecond
}

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	err := p.cmd.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); exited {
		return nil // as it was told to
	}
	return err
}

// A stack is a server on a PostgreSQL of its own.
type stack struct {
	*process
	program string
	environ []string
	cluster *pglocal.Cluster
}

func startStack(ctx context.Context, program, dir string) (_ *stack, err error) {
	s := &stack{program: program}
	if s.cluster, err = pglocal.Start(ctx, pglocal.Options{Dir: filepath.Join(dir, "postgresql"), Notice: os.Stderr}); err != nil {
		return nil, err
	}
	query := url.Values{"host": {filepath.Join(dir, "postgresql", "socket")}, "sslmode": {"disable"}, "user": {"perennial"}}
	s.environ = []string{
		"PERENNIAL_DATABASE_URL=postgres:///perennial?" + query.Encode(), "PERENNIAL_STATE=" + filepath.Join(dir, "state"),
		"PERENNIAL_ADDR=127.0.0.1:0", "PERENNIAL_BOOTSTRAP_KEY=" + adminKey,
	}
	migrate := exec.CommandContext(ctx, program, "migrate")
	migrate.Env = append(os.Environ(), s.environ...)
	if out, err := migrate.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w\n%s", migrate, err, out), s.cluster.Stop(ctx))
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.cluster.Stop(ctx))
	}
	return s, nil
}

// start starts the server alone.
func (s *stack) start(ctx context.Context) (err error) {
	s.process, err = startProcess(ctx, s.program, s.environ, "serve")
	return err
}

func (s *stack) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(s.process.stop(), s.cluster.Stop(ctx))
}

type object = map[string]any

// call sends a request to the server.
func (s *stack) call(ctx context.Context, method, path string, body any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	return err
}
