package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// loadWith loads the configuration with all settings as flags.
func loadWith(t *testing.T, environ map[string]string, args ...string) (Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet(t.Name(), pflag.ContinueOnError)
	for _, s := range settings() {
		addSettings(flags, s.flag)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return loadConfig(environ, flags)
}

func TestLoadConfig(t *testing.T) {
	defaults := Config{
		Data: "/home/ada/.local/share/perennial", State: "/home/ada/.local/share/perennial/state", Addr: "127.0.0.1:8080", ReportingCurrency: "EUR",
		ShutdownTimeout: 20 * time.Second, URL: "http://127.0.0.1:8080", LogLevel: "info", LogFormat: "text",
	}
	tests := []struct {
		name    string
		environ map[string]string
		args    []string
		change  func(*Config)
	}{
		{"defaults", nil, nil, func(*Config) {}},
		{
			"environment",
			map[string]string{"PERENNIAL_ADDR": ":9000", "PERENNIAL_SHUTDOWN_TIMEOUT": "1m30s"},
			nil,
			func(c *Config) { c.Addr, c.ShutdownTimeout = ":9000", 90*time.Second },
		},
		{
			"a flag wins over the environment",
			map[string]string{"PERENNIAL_ADDR": ":9000"},
			[]string{"--addr", ":9001"},
			func(c *Config) { c.Addr = ":9001" },
		},
		{
			"a flag set to the default wins too",
			map[string]string{"PERENNIAL_LOG_LEVEL": "debug"},
			[]string{"--log-level", "info"},
			func(*Config) {},
		},
		{"an empty value is not set", map[string]string{"PERENNIAL_ADDR": ""}, nil, func(*Config) {}},
		{
			"a database of one's own",
			map[string]string{"PERENNIAL_DATABASE_URL": "postgres://u:p@h/d?sslmode=disable"},
			nil,
			func(c *Config) { c.DatabaseURL = "postgres://u:p@h/d?sslmode=disable" },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			environ := map[string]string{"XDG_DATA_HOME": "/home/ada/.local/share"}
			maps.Copy(environ, test.environ)
			got, err := loadWith(t, environ, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			want := defaults
			test.change(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadConfigListsAllMistakes(t *testing.T) {
	_, err := loadWith(t, map[string]string{
		"PERENNIAL_ADDR":                "localhost",
		"PERENNIAL_DATABASE_URL":        "mysql://u:hunter2@h/d",
		"PERENNIAL_BOOTSTRAP_KEY":       "two words",
		"PERENNIAL_REPORTING_CURRENCY":  "XYZ",
		"PERENNIAL_CORS_ORIGINS":        "https://shop.example, https://shop.example/",
		"PERENNIAL_WEBHOOK_ALLOW_CIDRS": "10.1.0.0/16, 10.2.0.0",
		"PERENNIAL_SHUTDOWN_TIMEOUT":    "20",
		"PERENNIAL_URL":                 "http://me:hunter2@host",
		"PERENNIAL_KEY":                 "line\nbreak",
		"PERENNIAL_LOG_LEVEL":           "loud",
		"PERENNIAL_LOG_FORMAT":          "xml",
	})
	if err == nil {
		t.Fatal("no error")
	}
	checkGolden(t, "config_mistakes.golden", err.Error()+"\n")
}

func TestCheckAddr(t *testing.T) {
	for _, good := range []string{"127.0.0.1:8080", ":0", "[::1]:80", "localhost:65535"} {
		if err := checkAddr(good); err != nil {
			t.Errorf("checkAddr(%q): %v", good, err)
		}
	}
	for _, bad := range []string{"", "8080", "localhost", "localhost:", "localhost:http", ":65536", ":-1", "::1:80"} {
		if err := checkAddr(bad); err == nil {
			t.Errorf("checkAddr(%q) finds nothing wrong", bad)
		}
	}
}

func TestOrigins(t *testing.T) {
	for _, good := range []string{"", "*", "https://shop.example", "http://localhost:3000,https://a.example", "http://[::1]:80, capacitor://localhost"} {
		if err := checkOrigins(Config{CORSOrigins: good}.origins()); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"shop.example", "https://shop.example/", "https://Shop.example", "https://u@shop.example", "https://*.shop.example", "null", "//a"} {
		if err := checkOrigins(Config{CORSOrigins: bad}.origins()); err == nil {
			t.Errorf("%q: nothing is wrong", bad)
		}
	}
	want := []string{"https://a.example", "https://b.example"}
	if diff := cmp.Diff(want, Config{CORSOrigins: "https://a.example, https://b.example,"}.origins()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDefaultData(t *testing.T) {
	tests := []struct {
		name, goos string
		environ    map[string]string
		want       string
	}{
		{"linux", "linux", map[string]string{"HOME": "/home/ada"}, "/home/ada/.local/share/perennial"},
		{"XDG", "linux", map[string]string{"HOME": "/home/ada", "XDG_DATA_HOME": "/data"}, "/data/perennial"},
		{"relative XDG", "linux", map[string]string{"XDG_DATA_HOME": "data"}, ""},
		{"macOS", "darwin", map[string]string{"HOME": "/Users/ada"}, "/Users/ada/Library/Application Support/perennial"},
		{"no home", "linux", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := defaultData(test.goos, test.environ); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestEverySettingIsFlagAndEnvironment(t *testing.T) {
	root := newRoot(&app{})
	printing, _, err := root.Find([]string{"config", "print"})
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^PERENNIAL_[A-Z_]+$`)
	for _, s := range settings() {
		if !name.MatchString(s.env) || s.flag == "" || s.usage == "" || s.arg == "" {
			t.Errorf("Config.%s lacks a part: %+v", s.field, s)
		}
		if printing.Flag(s.flag) == nil {
			t.Errorf("config print has no flag --%s", s.flag)
		}
		// What prints must know a secret when it sees one.
		field, _ := reflect.TypeFor[Config]().FieldByName(s.field)
		if looksSecret(s.flag) && field.Type.Kind() == reflect.String && field.Type == reflect.TypeFor[string]() {
			t.Errorf("Config.%s looks like a secret and has the type string", s.field)
		}
	}
}

func looksSecret(flag string) bool {
	return strings.Contains(flag, "key") || strings.Contains(flag, "url") || strings.Contains(flag, "password")
}

func TestPrintingNeverShowsASecret(t *testing.T) {
	const secret = "hunter2"
	environ := map[string]string{"HOME": "/home/ada", "PERENNIAL_ADDR": ":9000"}
	databaseURLs := map[string]string{
		"in the user part":  "postgres://ada:hunter2@db/perennial",
		"in the query":      "postgres://db/perennial?user=ada&password=hunter2",
		"for the client's":  "postgres://db/perennial?sslpassword=hunter2",
		"key and value":     "host=db user=ada password=hunter2",
		"an unreadable URL": "postgres://ada:hunter2%zz@db/perennial",
		"an opaque URL":     "postgres:ada:hunter2@db",
	}
	for name, databaseURL := range databaseURLs {
		t.Run(name, func(t *testing.T) {
			environ := map[string]string{
				"HOME": environ["HOME"], "PERENNIAL_DATABASE_URL": databaseURL, "PERENNIAL_KEY": secret,
				"PERENNIAL_BOOTSTRAP_KEY": secret, "PERENNIAL_URL": "http://me:hunter2@host",
			}
			text := perennial(t, environ, "", "config", "print")
			document := perennial(t, environ, "", "config", "print", "--json")
			config, err := loadWith(t, environ)
			marshalled, _ := json.Marshal(config)
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("start", "config", config)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "config", config)
			for _, printed := range []string{
				text.stdout, text.stderr, document.stdout, document.stderr, string(marshalled), log.String(),
				fmt.Sprint(err), fmt.Sprint(config), fmt.Sprintf("%+v", config), fmt.Sprintf("%#v", config), fmt.Sprintf("%q", config),
			} {
				if strings.Contains(printed, secret) {
					t.Errorf("the secret is in %q", printed)
				}
			}
		})
	}
}

func TestConfigPrint(t *testing.T) {
	environ := map[string]string{"XDG_DATA_HOME": "/data", "PERENNIAL_KEY": "k1", "PERENNIAL_LOG_LEVEL": "debug"}
	text := perennial(t, environ, "", "config", "print", "--addr", ":9000")
	if text.code != exitDone || text.stderr != "" {
		t.Fatalf("exit code %d, standard error %q", text.code, text.stderr)
	}
	checkGolden(t, "config_print.golden", text.stdout)
	document := perennial(t, environ, "", "config", "print", "--addr", ":9000", "--json")
	checkGolden(t, "config_print.golden.json", document.stdout)
}

// Every command says what it is for and shows how to use it, and its settings
// are the ones of Config.
func TestCommandsAreDocumented(t *testing.T) {
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: Short is %q", cmd.CommandPath(), cmd.Short)
		}
		if cmd.HasParent() && cmd.Flags().HasFlags() && cmd.Example == "" {
			t.Errorf("%s has flags and no example", cmd.CommandPath())
		}
		for _, child := range cmd.Commands() {
			visit(child)
		}
	}
	visit(newRoot(&app{}))
}
