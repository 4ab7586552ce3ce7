//go:build linux || darwin

package pglocal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// system is what the file os-release tells of this machine: what it is, and what it is like.
type system struct{ names []string }

func readSystem(release string) system {
	if runtime.GOOS == "darwin" {
		return system{names: []string{"darwin"}}
	}
	text, _ := os.ReadFile(release) //nolint:gosec // the system's
	var s system
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "ID" || key == "ID_LIKE" {
			s.names = append(s.names, strings.Fields(strings.Trim(value, `"'`))...)
		}
	}
	return s
}

func (s system) isDebian() bool {
	return slices.Contains(s.names, "debian") || slices.Contains(s.names, "ubuntu")
}

// advice is the one command that a person is told to run.
func (s system) advice() string {
	for _, known := range []struct{ system, command string }{
		{"darwin", "brew install postgresql@17"},
		{"debian", "sudo apt-get install -y postgresql"},
		{"ubuntu", "sudo apt-get install -y postgresql"},
		{"fedora", "sudo dnf install -y postgresql-server"},
		{"rhel", "sudo dnf install -y postgresql-server"},
		{"alpine", "apk add postgresql"},
		{"arch", "sudo pacman -S postgresql"},
		{"suse", "sudo zypper install postgresql-server"},
	} {
		if slices.Contains(s.names, known.system) {
			return "install it with: " + known.command
		}
	}
	return "install it so that initdb and postgres are on the PATH"
}

// clusterSettings is where Debian is told whether to make a cluster of its own when a server is installed.
const clusterSettings = "/etc/postgresql-common/createcluster.conf"

// install installs Debian's package, and keeps it from making and starting the cluster that it would make: we have our own.
func (s system) install(ctx context.Context, notice io.Writer, clusterSettings string) error {
	_, _ = fmt.Fprintln(notice, "No PostgreSQL on this machine: installing it with: apt-get install -y postgresql")
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	// The settings come with this package, the cluster with the next.
	if err := aptGet(ctx, "install", "-y", "--no-install-recommends", "postgresql-common"); err != nil {
		return err
	}
	before, err := os.ReadFile(clusterSettings) //nolint:gosec // the constant, but in a test
	if err != nil {
		return err
	}
	without := append(bytes.Clone(before), "\ncreate_main_cluster = false\n"...)
	if err := os.WriteFile(clusterSettings, without, 0o644); err != nil { //nolint:gosec // its mode is Debian's
		return err
	}
	defer os.WriteFile(clusterSettings, before, 0o644) //nolint:errcheck,gosec // then the setting stays, and harms nothing
	return aptGet(ctx, "install", "-y", "--no-install-recommends", "postgresql")
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, args...)...) //nolint:gosec // our own words
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, tail(out))
	}
	return nil
}
