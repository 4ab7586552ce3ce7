package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// A versionInfo says which build this is.
type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified"` // built with changes that are not in Commit
	Go       string `json:"go"`
}

// buildVersion reads what the Go toolchain wrote into the binary.
func buildVersion() versionInfo {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return versionInfo{Version: "unknown"}
	}
	info := versionInfo{Version: build.Main.Version, Go: build.GoVersion}
	if info.Version == "" {
		info.Version = "(devel)"
	}
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			info.Commit = setting.Value
		case "vcs.modified":
			info.Modified = setting.Value == "true"
		}
	}
	return info
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			info := buildVersion()
			return a.answer(info, func() string {
				commit := info.Commit
				if commit == "" {
					commit = "unknown"
				}
				if info.Modified {
					commit += " (modified)"
				}
				return fmt.Sprintf("perennial %s\ncommit %s\n%s\n", info.Version, commit, info.Go)
			})
		},
	}
}
