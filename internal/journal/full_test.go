//go:build linux || darwin

package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// limitedFolder makes the test binary a program that may write no file beyond a size, and sees what the journal makes of it.
const limitedFolder = "JOURNAL_LIMITED_FOLDER"

func limited(dir string) {
	signal.Ignore(unix.SIGXFSZ)
	limit := func(bytes uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	said := "ok"
	must := func(err error) {
		if err != nil {
			said = err.Error()
		}
	}
	j, err := Open(dir, Options{Now: new(clock).now})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	limit(100_000)
	confirmed, err := fill(j)
	if !errors.Is(err, unix.EFBIG) && !strings.Contains(fmt.Sprint(err), unix.EFBIG.Error()) {
		said = fmt.Sprintf("filling ended with: %v", err)
	}
	limit(unix.RLIM_INFINITY)
	must(j.Append(context.Background(), []byte("room again")))
	must(exactly(j, append(confirmed, "room again")))
	must(j.Close())
	fmt.Printf("%s after %d records\n", said, len(confirmed))
	os.Exit(0)
}

// fill appends until it fails, calls of two records of growing length, and returns what was confirmed.
func fill(j *Journal) (confirmed []string, err error) {
	for i := 0; ; i++ {
		a := fmt.Sprintf("%d a %s", i, strings.Repeat("x", i))
		b := fmt.Sprintf("%d b", i)
		if err := j.Append(context.Background(), []byte(a), []byte(b)); err != nil {
			return confirmed, err
		}
		confirmed = append(confirmed, a, b)
	}
}

// exactly compares what is pending.
func exactly(j *Journal, want []string) error {
	var got []string
	if err := j.Replay(func(r []byte) error { got = append(got, string(r)); return nil }); err != nil {
		return err
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			return fmt.Errorf("%d records, %d confirmed; they differ at %d", len(got), len(want), i)
		}
	}
	return nil
}

// TestFileTooLarge runs anywhere; the disk is another limit of the same kind.
func TestFileTooLarge(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), limitedFolder+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "ok after ") {
		t.Errorf("%v: %s", err, out)
	}
	t.Logf("%s", out)
}
