//go:build linux || darwin

package pglocal

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const platform = runtime.GOOS + "/" + runtime.GOARCH

// published is an npm package as the tests publish it: a postgres that only knows its version, and a library with two names.
var published = map[string]string{
	"package/package.json":            `{}`,
	"package/native/bin/initdb":       "#!/bin/sh\n",
	"package/native/bin/postgres":     "#!/bin/sh\necho 'postgres (PostgreSQL) 17.10'\n",
	"package/native/lib/libx.so.1.2":  "library",
	"package/native/share/x/deep.txt": "text",
	"package/native/pg-symlinks.json": `[{"source":"native/lib/libx.so.1.2","target":"native/lib/libx.so"},{"source":"native/lib/libx.so.1.2","target":"native/share/x/libx.so.1"}]`,
}

func pack(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	tarred := tar.NewWriter(zipped)
	for name, text := range files {
		mode := int64(0o644)
		if strings.Contains(name, "/bin/") {
			mode = 0o755
		}
		if err := tarred.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tarred, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tarred.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func sum(archive []byte) string {
	s := sha512.Sum512(archive)
	return base64.StdEncoding.EncodeToString(s[:])
}

// emptyMachine is a search on a machine without PostgreSQL, whose npm, if any, is the script and whose system is Fedora.
func emptyMachine(t *testing.T, sha512, npm string) search {
	t.Helper()
	dir := openFolder(t)
	release := filepath.Join(dir, "os-release")
	write(t, release, "NAME=\"Fedora Linux\"\nID=fedora\n")
	path := filepath.Join(dir, "path")
	if npm != "" {
		script(t, filepath.Join(path, "npm"), npm)
		path += ":/usr/bin:/bin" // for what the script calls
	}
	t.Setenv("PATH", path)
	return search{
		installed: func() [][]string { return nil },
		cache:     filepath.Join(dir, "cache"),
		packages:  map[string]npmPackage{platform: {name: "@test/postgres", sha512: sha512}},
		release:   release,
	}
}

// account is who runs the programs in these tests.
func testAccount(t *testing.T) *account {
	t.Helper()
	who, err := serverAccount(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func TestDownload(t *testing.T) {
	archive := pack(t, published)
	tgz := filepath.Join(t.TempDir(), "a.tgz")
	write(t, tgz, string(archive))
	calls := filepath.Join(t.TempDir(), "calls")
	s := emptyMachine(t, sum(archive), `echo "$*" >>`+calls+`; cp `+tgz+` ./test-postgres.tgz`)
	who := testAccount(t)

	// Test processes of several packages look for programs at the same time: one of them downloads.
	var notices [3]bytes.Buffer
	var wait sync.WaitGroup
	for i := range notices {
		wait.Go(func() {
			p, err := s.find(t.Context(), "folder", 0, who, &notices[i])
			if err != nil {
				t.Error(err)
			} else if want := (programs{bin: filepath.Join(s.cache, "postgresql-"+pinnedVersion, "bin"), major: 17}); p != want {
				t.Errorf("found %+v, want %+v", p, want)
			}
		})
	}
	wait.Wait()
	if got, _ := os.ReadFile(calls); string(got) != "pack --silent --ignore-scripts @test/postgres@"+pinnedVersion+"\n" {
		t.Errorf("npm was called with %q", got)
	}
	said := notices[0].String() + notices[1].String() + notices[2].String()
	if strings.Count(said, "downloading @test/postgres") != 1 {
		t.Errorf("the person was told %q", said)
	}

	home := filepath.Join(s.cache, "postgresql-"+pinnedVersion)
	for link, want := range map[string]string{"lib/libx.so": "libx.so.1.2", "share/x/libx.so.1": "../../lib/libx.so.1.2"} {
		if got, err := os.Readlink(filepath.Join(home, link)); err != nil || got != want {
			t.Errorf("%s leads to %q, %v, want %q", link, got, err, want)
		}
	}
	for name, want := range map[string]fs.FileMode{"bin": 0o755, "share/x": 0o755, "bin/postgres": 0o755, "share/x/deep.txt": 0o644} {
		if info, err := os.Stat(filepath.Join(home, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %v", name, info, err, want)
		}
	}
	entries, _ := os.ReadDir(s.cache)
	if len(entries) != 2 { // this and download.lock
		t.Errorf("the cache holds %v", entries)
	}

	// A build that was cut short is fetched again.
	write(t, filepath.Join(home, "bin", "postgres"), "")
	if _, err := s.find(t.Context(), "folder", 17, who, io.Discard); err != nil {
		t.Error(err)
	}
}

func TestDownloadWithAnotherChecksumIsRefused(t *testing.T) {
	tgz := filepath.Join(t.TempDir(), "a.tgz")
	write(t, tgz, string(pack(t, published)))
	s := emptyMachine(t, pinnedPackages["linux/amd64"].sha512, `cp `+tgz+` ./test-postgres.tgz`)
	dir := t.TempDir()
	_, err := Start(t.Context(), Options{Dir: dir, search: s})
	if !errors.Is(err, errChecksum) || !strings.Contains(err.Error(), pinnedPackages["linux/amd64"].sha512) {
		t.Errorf("got %v, want errChecksum and the sum that was expected", err)
	}
	if entries, _ := os.ReadDir(s.cache); len(entries) != 1 { // download.lock
		t.Errorf("the cache holds %v", entries)
	}
}

func TestArchiveThatLeadsOutOfItsFolderIsRefused(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"file":   {"package/native/../../../evil": "x", "package/native/pg-symlinks.json": "[]"},
		"source": {"package/native/pg-symlinks.json": `[{"source":"native/../../evil","target":"native/link"}]`},
		"target": {"package/native/x": "", "package/native/pg-symlinks.json": `[{"source":"native/x","target":"native/../../link"}]`},
		"list":   {"package/native/x": ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "evil"), "outside")
			if err := unpack(pack(t, files), filepath.Join(dir, "a")); err == nil {
				t.Error("unpacked")
			}
			if text, err := os.ReadFile(filepath.Join(dir, "evil")); err != nil || string(text) != "outside" {
				t.Errorf("the file outside holds %q, %v", text, err)
			}
			if _, err := os.Lstat(filepath.Join(dir, "link")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a link outside was made: %v", err)
			}
		})
	}
}

func TestNoPostgreSQLNamesTheOneCommand(t *testing.T) {
	if runtime.GOOS == "darwin" {
		s := emptyMachine(t, "", "")
		refused(t, Options{Dir: t.TempDir(), search: s}, "brew install postgresql@17")
		return
	}
	for name, c := range map[string]struct {
		npm   string
		words []string
	}{
		"no npm":      {"", []string{"no PostgreSQL", "npm", "sudo dnf install -y postgresql-server"}},
		"npm offline": {"echo 'network is unreachable' >&2; exit 1", []string{"network is unreachable", "sudo dnf install -y postgresql-server"}},
		"npm broken":  {":", []string{"0 archives", "sudo dnf install -y postgresql-server"}},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, Options{Dir: t.TempDir(), search: emptyMachine(t, "", c.npm)}, c.words...)
		})
	}
}

func TestAdvice(t *testing.T) {
	for release, want := range map[string]string{
		"ID=debian\n": "install it with: sudo apt-get install -y postgresql",
		"ID=linuxmint\nID_LIKE=\"ubuntu debian\"":        "install it with: sudo apt-get install -y postgresql",
		"ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n": "install it with: sudo dnf install -y postgresql-server",
		"NAME=Alpine\nID=alpine\n":                       "install it with: apk add postgresql",
		"ID=arch":                                        "install it with: sudo pacman -S postgresql",
		"ID='opensuse-leap'\nID_LIKE='suse opensuse'\n":  "install it with: sudo zypper install postgresql-server",
		"ID=plan9": "install it so that initdb and postgres are on the PATH",
		"":         "install it so that initdb and postgres are on the PATH",
	} {
		file := filepath.Join(t.TempDir(), "os-release")
		write(t, file, release)
		if runtime.GOOS == "darwin" {
			want = "install it with: brew install postgresql@17"
		}
		if got := readSystem(file).advice(); got != want {
			t.Errorf("%q: %q, want %q", release, got, want)
		}
	}
}

// apt-get is a script here: what is tested is the order, and that Debian's own cluster is switched off while its package is
// being installed, and only then.
func TestInstallKeepsDebianFromMakingACluster(t *testing.T) {
	dir := t.TempDir()
	settings, calls := filepath.Join(dir, "createcluster.conf"), filepath.Join(dir, "calls")
	write(t, settings, "ssl = on\n")
	script(t, filepath.Join(dir, "apt-get"), `echo "$* [$(tr '\n' ' ' <`+settings+`)]" >>`+calls)
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	var notice bytes.Buffer
	if err := (system{names: []string{"debian"}}).install(t.Context(), &notice, settings); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(calls)
	want := "-q update [ssl = on ]\n" +
		"-q install -y --no-install-recommends postgresql-common [ssl = on ]\n" +
		"-q install -y --no-install-recommends postgresql [ssl = on  create_main_cluster = false ]\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if after, _ := os.ReadFile(settings); string(after) != "ssl = on\n" {
		t.Errorf("the settings are left as %q", after)
	}
	if !strings.Contains(notice.String(), "apt-get install -y postgresql") {
		t.Errorf("the person was told %q", notice.String())
	}
}

func TestChoiceOfPrograms(t *testing.T) {
	at := func(major string) string {
		bin := openFolder(t)
		script(t, filepath.Join(bin, "initdb"), ":")
		script(t, filepath.Join(bin, "postgres"), `echo "postgres (PostgreSQL) `+major+`"`)
		return bin
	}
	old, p15, p16, p18 := at("9.6.24"), at("15.18 (Debian 15.18-0+deb12u1)"), at("16.4"), at("18beta1")
	broken := openFolder(t)
	script(t, filepath.Join(broken, "initdb"), ":")
	script(t, filepath.Join(broken, "postgres"), "echo 'cannot load library' >&2; exit 127")
	for name, c := range map[string]struct {
		groups [][]string
		want   int
		bin    string
	}{
		"the first group wins":         {[][]string{{p15}, {p18, p16}}, 0, p15},
		"the newest of a group wins":   {[][]string{{}, {p15, p18, p16}}, 0, p18},
		"the cluster's version counts": {[][]string{{p15}, {p18, p16}}, 16, p16},
		"too old for a new cluster":    {[][]string{{old}, {p16}}, 0, p16},
		"broken ones do not count":     {[][]string{{broken, "/nowhere"}, {p16}}, 0, p16},
		"none":                         {[][]string{{old}, {broken}}, 0, ""},
		"none of the version":          {[][]string{{p15}}, 18, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := search{installed: func() [][]string { return c.groups }, cache: t.TempDir()}.orThisMachine()
			got, _ := choose(s.look(t.Context(), testAccount(t)), c.want)
			if got.bin != c.bin {
				t.Errorf("chose %q (%d), want %q", got.bin, got.major, c.bin)
			}
		})
	}
}

func TestProgramsOnThisMachineAreFoundOnPath(t *testing.T) {
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		t.Log("no initdb on this PATH; the group is empty")
	}
	groups := installedFolders()
	if (err == nil) != (len(groups[0]) == 1) {
		t.Errorf("initdb is %q, and the folders on PATH are %v", initdb, groups[0])
	}
}
