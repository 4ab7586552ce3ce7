//go:build linux || darwin

package pglocal

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// helperFolder makes the test binary a program that holds a cluster in that folder until it is killed. It looks for programs
// in helperPrograms, where that is set.
const (
	helperFolder   = "PGLOCAL_HELPER_FOLDER"
	helperPrograms = "PGLOCAL_HELPER_PROGRAMS"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperFolder); dir != "" {
		helper(dir)
	}
	os.Exit(m.Run())
}

func helper(dir string) {
	o := Options{Dir: dir, Notice: os.Stderr}
	if bin := os.Getenv(helperPrograms); bin != "" {
		o.search.installed = only(bin)
	}
	c, err := Start(context.Background(), o)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println("pid:", c.process.Pid)
	<-c.Done()
	os.Exit(2)
}

// runHelper starts the helper and returns its first line; it is killed at the end of the test at the latest.
func runHelper(t *testing.T, dir string, env ...string) (line string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), helperFolder+"="+dir), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	lines := bufio.NewReader(out)
	line, _ = lines.ReadString('\n')
	return strings.TrimSpace(line), kill
}

func only(bins ...string) func() [][]string { return func() [][]string { return [][]string{bins} } }

// begin starts a cluster that stops with the test.
func begin(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.Notice = os.Stderr
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, c) })
	return c
}

func end(t *testing.T, c *Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// refused expects Start to fail with an error that says each of the words.
func refused(t *testing.T, o Options, words ...string) {
	t.Helper()
	c, err := Start(t.Context(), o)
	if err == nil {
		end(t, c)
		t.Fatal("Start accepted it")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

func connect(t *testing.T, c *Cluster) *sql.DB {
	t.Helper()
	db, err := c.open(database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func ask(t *testing.T, c *Cluster, query string) string {
	t.Helper()
	var answer string
	if err := connect(t, c).QueryRow(query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func do(t *testing.T, c *Cluster, statement string) {
	t.Helper()
	if _, err := connect(t, c).Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// picture is every file below a folder with its content, to see that nothing was touched.
func picture(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			files[name] = "folder"
			return err
		}
		text, err := os.ReadFile(name)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(files, filepath.Join(dir, "lock")) // names its last holder
	return files
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestColdAndWarmStart(t *testing.T) {
	dir := t.TempDir() + `/a folder's "name"\`
	before := time.Now()
	c := begin(t, Options{Dir: dir})
	t.Logf("cold start: %v", time.Since(before))
	for setting, want := range map[string]string{
		"listen_addresses": "", "server_encoding": "UTF8", "lc_collate": "C", "TimeZone": "UTC",
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
	} {
		query := `SELECT current_setting('` + setting + `')`
		if setting == "lc_collate" { // no setting any more since version 16
			query = `SELECT datcollate FROM pg_database WHERE datname = current_database()`
		}
		if got := ask(t, c, query); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	do(t, c, `CREATE TABLE kept AS SELECT 'kept' AS word`)
	if info, err := os.Stat(c.socket); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder: %v, %v, want mode 0700", info, err)
	}
	end(t, c)
	end(t, c) // twice is once
	select {
	case <-c.Done():
	default:
		t.Error("Done is open after Stop")
	}

	before = time.Now()
	c = begin(t, Options{Dir: dir})
	t.Logf("warm start: %v", time.Since(before))
	if got := ask(t, c, `SELECT word FROM kept`); got != "kept" {
		t.Errorf("the table says %q, want %q", got, "kept")
	}
}

// The server must not be root, nor keep root's groups, even where root started it.
func TestServerIsNotRoot(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("only Linux shows a process's groups; on macOS Start refuses root")
		return
	}
	c := begin(t, Options{Dir: t.TempDir(), Fast: true})
	if got := ask(t, c, `SHOW fsync`); got != "off" { // what Fast means
		t.Errorf("fsync is %q, want off", got)
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(c.process.Pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		ids := strings.Fields(value)
		if (key == "Uid" || key == "Gid") && slices.Contains(ids, "0") {
			t.Errorf("the server has root's identity: %q", line)
		}
		if key == "Groups" && os.Geteuid() == 0 && len(ids) > 0 {
			t.Errorf("the server kept our groups: %q", line)
		}
	}
}

func TestSecondCopyIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := begin(t, Options{Dir: dir, Fast: true})
	refused(t, Options{Dir: dir}, dir, "in use", strconv.Itoa(os.Getpid()))
	line, _ := runHelper(t, dir)
	if !strings.Contains(line, "error:") || !strings.Contains(line, "in use") || !strings.Contains(line, dir) {
		t.Errorf("the second process said %q, want an error that names the folder", line)
	}
	if got := ask(t, c, `SELECT 'still there'`); got != "still there" {
		t.Errorf("the first copy says %q", got)
	}
}

func TestKilledStarterTakesTheServerWithIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line, kill := runHelper(t, dir)
	if !strings.HasPrefix(line, "pid: ") {
		t.Fatalf("the helper said %q", line)
	}
	first := &Cluster{socket: filepath.Join(dir, "socket")}
	do(t, first, `CREATE TABLE kept AS SELECT 'kept' AS word`)
	kill()

	// At once, while the other server may still be stopping. It would be an error if it never did.
	c := begin(t, Options{Dir: dir})
	if got := ask(t, c, `SELECT word FROM kept`); got != "kept" {
		t.Errorf("the table says %q, want %q", got, "kept")
	}
}

func TestKilledServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log strings.Builder
	c := begin(t, Options{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
	do(t, c, `CREATE TABLE kept AS SELECT 'kept' AS word`)
	c.signal(os.Kill)
	<-c.Done()
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "killed") {
		t.Errorf("the log does not tell of the accident:\n%s", log.String())
	}
	c = begin(t, Options{Dir: dir})
	if got := ask(t, c, `SELECT word FROM kept`); got != "kept" {
		t.Errorf("the table says %q, want %q", got, "kept")
	}
}

func TestPredecessorStillRunning(t *testing.T) {
	t.Parallel()
	f := folder(t.TempDir())
	c := begin(t, Options{Dir: string(f), Fast: true})
	err := f.awaitPredecessor(t.Context(), 30*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "still running (process ") || !strings.Contains(err.Error(), string(f)) {
		t.Errorf("got %v, want an error that names a process and the folder", err)
	}
	c.signal(fastShutdown)
	if err := f.awaitPredecessor(t.Context(), time.Minute); err != nil {
		t.Error(err)
	}
}

// After a crash of the machine the number in postmaster.pid may have been given to any other process of the same user.
func TestStalePidOfAStranger(t *testing.T) {
	t.Parallel()
	f := folder(t.TempDir())
	end(t, begin(t, Options{Dir: string(f), Fast: true}))
	who, err := serverAccount(f.data())
	if err != nil {
		t.Fatal(err)
	}
	stranger := who.command(t.Context(), "/bin/sleep", "600")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })
	pidFile := filepath.Join(f.data(), "postmaster.pid")
	write(t, pidFile, strconv.Itoa(stranger.Process.Pid)+"\n"+f.data()+"\n1700000000\n5432\n\n\n        0         0\nready   \n")
	if who != nil {
		if err := os.Chown(pidFile, int(who.uid), int(who.gid)); err != nil {
			t.Fatal(err)
		}
	}
	begin(t, Options{Dir: string(f), Fast: true})
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was harmed: %v", err)
	}
}

func TestOtherMajorVersionIsRefusedAndUntouched(t *testing.T) {
	for _, version := range []string{"12", "9.6", "99"} {
		t.Run(version, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "lock"), "")
			write(t, filepath.Join(dir, "data", "PG_VERSION"), version+"\n")
			write(t, filepath.Join(dir, "data", "base", "1"), "precious")
			if os.Geteuid() == 0 {
				if err := os.Chown(filepath.Join(dir, "data"), 65534, 65534); err != nil {
					t.Fatal(err)
				}
			}
			before := picture(t, dir)
			major, _, _ := strings.Cut(version, ".")
			refused(t, Options{Dir: dir}, dir, "PostgreSQL "+major, "left as it is")
			if diff := cmp.Diff(before, picture(t, dir)); diff != "" {
				t.Errorf("the folder changed:\n%s", diff)
			}
		})
	}
}

func TestForeignFolderIsRefusedAndUntouched(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"someone's files":     {"thesis.txt": "chapter 1"},
		"not only state":      {"state/picture": "x", "thesis.txt": "chapter 1"},
		"a hidden file":       {".git/config": "[core]"},
		"a cluster by itself": {"PG_VERSION": "15\n", "base/1": "precious"},
		"data without a lock": {"data/PG_VERSION": "15\n"},
		"data of another":     {"lock": "", "data/thesis.txt": "chapter 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range files {
				write(t, filepath.Join(dir, file), text)
			}
			before := picture(t, dir)
			refused(t, Options{Dir: dir}, dir, "another folder (--data or PERENNIAL_DATA)")
			if diff := cmp.Diff(before, picture(t, dir)); diff != "" {
				t.Errorf("the folder changed:\n%s", diff)
			}
		})
	}
}

// A server on another database keeps its state in the same folder, and may have been first.
func TestFolderWithNothingButState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "state", "picture"), "of a server")
	ask(t, begin(t, Options{Dir: dir, Fast: true}), `SELECT 1`)
	if text, err := os.ReadFile(filepath.Join(dir, "state", "picture")); err != nil || string(text) != "of a server" {
		t.Errorf("the state is %q now, %v", text, err)
	}
}

func TestFolderThatIsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	write(t, name, "text")
	refused(t, Options{Dir: name}, name)
}

func TestFolderNameThatNoSocketFitsIn(t *testing.T) {
	for name, dir := range map[string]string{
		"too long":     filepath.Join(t.TempDir(), strings.Repeat("long/", 30)),
		"with a comma": filepath.Join(t.TempDir(), "a,b"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := begin(t, Options{Dir: dir, Fast: true})
			if len(c.socket) > 60 || strings.HasPrefix(c.socket, dir) {
				t.Errorf("the socket is in %s", c.socket)
			}
			ask(t, c, `SELECT 1`)
			end(t, c)
			if _, err := os.Stat(filepath.Dir(c.socket)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the temporary folder %s is still there: %v", filepath.Dir(c.socket), err)
			}
		})
	}
}

// halfWay is an initdb that comes to the middle of its work and no further.
const halfWay = `for a; do case $a in --pgdata=*) echo 15 >"${a#--pgdata=}/PG_VERSION"; echo half >"${a#--pgdata=}/half";; esac; done
echo twenty lines
exec sleep 600`

func TestInitdbKilledHalfWay(t *testing.T) {
	bin := programsThat(t, halfWay)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperFolder+"="+dir, helperPrograms+"="+bin)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for half := []string(nil); len(half) == 0; time.Sleep(5 * time.Millisecond) {
		half, _ = filepath.Glob(filepath.Join(dir, "data.new-*", "half"))
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	ask(t, begin(t, Options{Dir: dir, Fast: true}), `SELECT 1`)
	if rubbish, _ := filepath.Glob(filepath.Join(dir, "data.new-*")); len(rubbish) > 0 {
		t.Errorf("left behind: %v", rubbish)
	}
}

func TestInitdbThatFailsSaysWhy(t *testing.T) {
	bin := programsThat(t, `echo "initdb: the disk is full" >&2; exit 1`)
	dir := t.TempDir()
	o := Options{Dir: dir}
	o.search.installed = only(bin)
	refused(t, o, "initdb", "the disk is full")
	ask(t, begin(t, Options{Dir: dir, Fast: true}), `SELECT 1`)
}

func TestInitdbThatIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir}
	ctx, interrupt := context.WithCancel(t.Context())
	o.search.installed = only(programsThat(t, halfWay))
	interrupting := make(chan struct{})
	go func() {
		defer close(interrupting)
		for half := []string(nil); len(half) == 0 && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			half, _ = filepath.Glob(filepath.Join(dir, "data.new-*", "half"))
		}
		interrupt()
	}()
	_, err := Start(ctx, o)
	interrupt()
	<-interrupting
	if !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "twenty") {
		t.Errorf("got %v, want %v alone", err, context.Canceled)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "data*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// programsThat returns a folder with an initdb that is a script and a postgres that only knows its version. A test that makes
// programs must not run in parallel: a fork for another test may hold them open for writing, and then they do not start.
func programsThat(t *testing.T, initdb string) string {
	t.Helper()
	bin := openFolder(t)
	script(t, filepath.Join(bin, "initdb"), initdb)
	script(t, filepath.Join(bin, "postgres"), `echo "postgres (PostgreSQL) 17.1"`)
	return bin
}

func script(t *testing.T, name, text string) {
	t.Helper()
	write(t, name, "#!/bin/sh\n"+text+"\n")
	if err := os.Chmod(name, 0o755); err != nil {
		t.Fatal(err)
	}
}

// openFolder is a temporary folder that every user can enter, unlike t.TempDir.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pglocal-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestServerThatDoesNotStartSaysWhy(t *testing.T) {
	t.Parallel()
	f := folder(t.TempDir())
	end(t, begin(t, Options{Dir: string(f), Fast: true}))
	conf := filepath.Join(f.data(), "postgresql.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	write(t, conf, string(text)+"\nmax_wal_size = nonsense\n")
	refused(t, Options{Dir: string(f)}, string(f), `parameter "max_wal_size"`)
	write(t, conf, string(text))
	ask(t, begin(t, Options{Dir: string(f), Fast: true}), `SELECT 1`) // the failure left no lock
}

func TestEnvironmentDoesNotLeadElsewhere(t *testing.T) {
	for key, value := range map[string]string{"PGHOST": "/nowhere", "PGPORT": "1", "PGUSER": "x", "PGDATABASE": "x", "PGDATA": "/nowhere", "LC_ALL": "no_NO"} {
		t.Setenv(key, value)
	}
	dir := t.TempDir()
	end(t, begin(t, Options{Dir: dir, Fast: true}))
	t.Setenv("PGHOSTADDR", "127.0.0.1")
	refused(t, Options{Dir: dir}, "PGHOSTADDR")
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := Start(ctx, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	ask(t, begin(t, Options{Dir: dir, Fast: true}), `SELECT 1`)
}

func TestStopAtOnceWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := begin(t, Options{Dir: dir})
	do(t, c, `CREATE TABLE kept AS SELECT 'kept' AS word`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	<-c.Done()
	c = begin(t, Options{Dir: dir})
	if got := ask(t, c, `SELECT word FROM kept`); got != "kept" {
		t.Errorf("the table says %q, want %q", got, "kept")
	}
}

func TestSettingsAreNamedOnce(t *testing.T) {
	for _, fast := range []bool{false, true} {
		seen := map[string]bool{}
		for _, s := range settings(fast) {
			key, _, _ := strings.Cut(s, "=")
			if seen[key] {
				t.Errorf("fast=%v: %s is set twice (%v)", fast, key, slices.Sorted(maps.Keys(seen)))
			}
			seen[key] = true
		}
	}
}
