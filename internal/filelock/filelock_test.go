//go:build linux || darwin

package filelock

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func TestLockIsHeldOnce(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	lock := claim(t, name)
	_, err := Claim(name)
	if held, ok := errors.AsType[*HeldError](err); !ok || held.Process != strconv.Itoa(os.Getpid()) {
		t.Errorf("a second claim got %v, want that process %d holds it", err, os.Getpid())
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	claim(t, name)
}

// A child that has the file open, as each has for a moment while it is started, does not keep
// the lock.
func TestReleaseDoesNotWaitForChildren(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	lock := claim(t, name)
	child := exec.CommandContext(t.Context(), "sleep", "600")
	child.ExtraFiles = []*os.File{lock.file}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Wait() }()
	defer func() { _ = child.Process.Kill() }()
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	claim(t, name)
}

func TestAwait(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	lock := claim(t, name)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Await(short, name); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a lock that is held ended with %v", err)
	}
	got := make(chan error)
	go func() {
		_, err := Await(t.Context(), name)
		got <- err
	}()
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("waiting for a lock that was released ended with %v", err)
	}
}

func TestLinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "theirs")
	if err := os.WriteFile(target, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "lock")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(link); err == nil {
		t.Error("a link was locked")
	}
	if text, err := os.ReadFile(target); string(text) != "kept" {
		t.Errorf("what the link names holds %q, %v", text, err)
	}
}

func claim(t *testing.T, name string) *Lock {
	t.Helper()
	lock, err := Claim(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.file.Close() })
	return lock
}
