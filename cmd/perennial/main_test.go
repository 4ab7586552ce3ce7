package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A result is what one run of the program left behind.
type result struct {
	code           int
	stdout, stderr string
}

// perennial runs the program as a user would.
func perennial(t *testing.T, environ map[string]string, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"perennial"}, args...), environ, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// checkGolden compares got with testdata/name, which -update rewrites.
func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
	}
}

func TestRunExitCodes(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		code   int
		stderr string // part of standard error
	}{
		{"help", []string{"--help"}, exitDone, ""},
		{"help of a command", []string{"config", "print", "--help"}, exitDone, ""},
		{"help on a command", []string{"help", "config", "print"}, exitDone, ""},
		{"completion", []string{"completion", "bash"}, exitDone, ""},
		{"help on what there is not", []string{"help", "improt"}, exitUsage, `unknown command "improt"`},
		{"help on no subcommand", []string{"help", "config", "prnt"}, exitUsage, `unknown command "config prnt"`},
		{"completion for no shell", []string{"completion"}, exitUsage, "needs a subcommand: bash, fish"},
		{"completion for an unknown shell", []string{"completion", "csh"}, exitUsage, `unknown command "csh"`},
		{"unknown command", []string{"improt"}, exitUsage, `unknown command "improt"`},
		{"unknown subcommand", []string{"config", "prnt"}, exitUsage, `unknown command "prnt"`},
		{"subcommand missing", []string{"config"}, exitUsage, "needs a subcommand: print"},
		{"unknown flag", []string{"version", "--colour"}, exitUsage, "unknown flag: --colour"},
		{"too many arguments", []string{"version", "now"}, exitUsage, `unknown command "now"`},
		{"required flags missing", []string{"plan"}, exitUsage, `required flag(s) "metric", "min-effect" not set` + "\nSee 'perennial plan --help'."},
		{"flags that exclude each other", []string{"report", "x", "--holdback", "--now"}, exitUsage, "See 'perennial report --help'."},
		{"wrong setting", []string{"config", "print", "--addr", "here"}, exitUsage, `"here" is not an address`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := perennial(t, nil, "", test.args...)
			if got.code != test.code {
				t.Errorf("exit code %d, want %d; standard error:\n%s", got.code, test.code, got.stderr)
			}
			if !strings.Contains(got.stderr, test.stderr) || (test.stderr == "" && got.stderr != "") {
				t.Errorf("standard error %q, want %q in it", got.stderr, test.stderr)
			}
			if strings.Count(got.stderr, "perennial: ") > 1 {
				t.Errorf("the error is printed more than once:\n%s", got.stderr)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	got := perennial(t, nil, "", "version", "--json")
	var info versionInfo
	if err := json.Unmarshal([]byte(got.stdout), &info); err != nil || got.code != exitDone {
		t.Fatalf("exit code %d, %v, standard output %q", got.code, err, got.stdout)
	}
	if diff := cmp.Diff(buildVersion(), info); diff != "" {
		t.Errorf("version --json (-want +got):\n%s", diff)
	}
	if got := perennial(t, nil, "", "version"); !strings.Contains(got.stdout, info.Go) {
		t.Errorf("version prints %q, want %q in it", got.stdout, info.Go)
	}
}
