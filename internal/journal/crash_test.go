//go:build linux || darwin

package journal

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The variables that make the test binary a program which appends to the journal in that folder until it is killed, and says
// on its output what was confirmed. With loadShipping it also ships, into a file beside the folder.
const (
	loadFolder   = "JOURNAL_LOAD_FOLDER"
	loadRound    = "JOURNAL_LOAD_ROUND"
	loadShipping = "JOURNAL_LOAD_SHIPPING"
)

func appendForEver(dir string) {
	var seconds atomic.Int64 // each look at the clock is a second, so that new files are made all the time
	j, err := Open(dir, Options{Now: func() time.Time { return time.Unix(seconds.Add(1), 0) }})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("open")
	if to := os.Getenv(loadShipping); to != "" {
		go loadShip(j, to)
	}
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d %s %d", w, os.Getenv(loadRound), i)
				// Of different lengths, some larger than a page; and sometimes two in a call.
				records := [][]byte{[]byte(name + " a " + strings.Repeat("x", i%5*i%6000))}
				if i%3 == 0 {
					records = append(records, []byte(name+" b"))
				}
				if err := j.Append(context.Background(), records...); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				said := name + " a\n"
				if len(records) == 2 {
					said += name + " b\n"
				}
				_, _ = os.Stdout.WriteString(said)
			}
		})
	}
	all.Wait()
}

func loadShip(j *Journal, to string) {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	for err == nil {
		_, err = j.Ship(context.Background(), 50, func(_ context.Context, records [][]byte) error {
			var lines bytes.Buffer
			for _, r := range records {
				lines.WriteString(name(string(r)) + "\n")
			}
			_, err := f.Write(lines.Bytes())
			return err
		})
	}
	fmt.Println("error", err)
	os.Exit(1)
}

// name is what a record of the load is known by: appender, round, number and letter.
func name(record string) string { return strings.Join(strings.Fields(record)[:4], " ") }

// killed runs the load, kills it after some confirmations and returns them.
func killed(t *testing.T, dir string, after int, env ...string) (confirmed []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), loadFolder+"="+dir), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() { // until the killed process's end of the pipe is closed
		line := lines.Text()
		switch {
		case line == "open":
			continue
		case strings.HasPrefix(line, "error"):
			t.Error(line)
		}
		if confirmed = append(confirmed, line); len(confirmed) == after {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if len(confirmed) < after {
		t.Fatalf("the load ended by itself after %d confirmations", len(confirmed))
	}
	return confirmed
}

// inOrder checks that no record comes twice and those of each appender in the order in which it appended them.
func inOrder(t *testing.T, names []string) {
	t.Helper()
	type place struct {
		round, number int
		letter        string
	}
	last := map[string]place{}
	for _, n := range names {
		parts := strings.Fields(n)
		round, err1 := strconv.Atoi(parts[1])
		number, err2 := strconv.Atoi(parts[2])
		if err1 != nil || err2 != nil {
			t.Fatalf("the record %q was never appended", n)
		}
		is, was := place{round, number, parts[3]}, last[parts[0]]
		if before := was.round < is.round || was.round == is.round && (was.number < is.number ||
			was.number == is.number && was.letter < is.letter); !before {
			t.Errorf("%q comes after %v", n, was)
		}
		last[parts[0]] = is
	}
}

// whole checks that calls with two records left both or none.
func whole(t *testing.T, names []string) {
	t.Helper()
	there := map[string]bool{}
	for _, n := range names {
		there[n] = true
	}
	for n := range there {
		call, letter := n[:len(n)-2], n[len(n)-1]
		number, _ := strconv.Atoi(strings.Fields(n)[2])
		if number%3 == 0 && (!there[call+" a"] || !there[call+" b"]) {
			t.Errorf("of the call %q only %c is there", call, letter)
		}
	}
}

func contains(t *testing.T, names, wanted []string) {
	t.Helper()
	there := map[string]bool{}
	for _, n := range names {
		there[n] = true
	}
	for _, n := range wanted {
		if !there[n] {
			t.Errorf("%q was confirmed and is lost", n)
		}
	}
}

func rounds() int {
	if testing.Short() {
		return 5
	}
	return 20
}

// TestKill: every confirmed record is replayed, once, after kill -9, however often.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	chance := rand.New(rand.NewPCG(1, 2))
	var confirmed []string
	for round := range rounds() {
		confirmed = append(confirmed, killed(t, dir, 1+chance.IntN(400), fmt.Sprintf("%s=%d", loadRound, round))...)
	}
	var names []string
	var c clock
	for _, r := range pending(t, begin(t, dir, &c)) {
		names = append(names, name(r))
	}
	t.Logf("%d confirmed, %d replayed", len(confirmed), len(names))
	inOrder(t, names)
	whole(t, names)
	contains(t, names, confirmed)
}

// TestKillWhileShipping: whoever takes the records and knows them again has each of them once; and few come twice, those of
// the shipment that was interrupted.
func TestKillWhileShipping(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(t.TempDir(), "taken")
	chance := rand.New(rand.NewPCG(3, 4))
	var confirmed []string
	for round := range rounds() {
		confirmed = append(confirmed, killed(t, dir, 1+chance.IntN(1000), fmt.Sprintf("%s=%d", loadRound, round), loadShipping+"="+taken)...)
	}
	content, err := os.ReadFile(taken)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	shipped := len(lines)
	var c clock
	for _, r := range pending(t, begin(t, dir, &c)) {
		lines = append(lines, name(r))
	}
	seen := map[string]bool{}
	once := slices.DeleteFunc(slices.Clone(lines), func(n string) bool {
		again := seen[n]
		seen[n] = true
		return again
	})
	t.Logf("%d confirmed, %d shipped, %d replayed, %d of them again", len(confirmed), shipped, len(lines)-shipped, len(lines)-len(once))
	inOrder(t, once)
	whole(t, once)
	contains(t, once, confirmed)
	if again := len(lines) - len(once); again > 50*rounds() {
		t.Errorf("%d records came again, more than one shipment for each kill", again)
	}
}

func TestSecondOpener(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), loadFolder+"="+dir, loadRound+"=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "open\n" {
		t.Fatalf("%q, %v", line, err)
	}
	var c clock
	_, err = Open(dir, Options{Now: c.now})
	_ = cmd.Process.Kill()
	_, _ = lines.WriteTo(&bytes.Buffer{})
	_ = cmd.Wait()
	if err == nil {
		t.Fatal("two processes have it open")
	}
	for _, word := range []string{dir, fmt.Sprintf("process %d)", cmd.Process.Pid)} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
	begin(t, dir, &c) // now it is free
	if j, err := Open(dir, Options{Now: c.now}); err == nil {
		_ = j.Close()
		t.Error("one process has it open twice")
	}
}
