package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"

	"github.com/perennial-engine/perennial/engine"
)

// Config holds every setting. Each field is a flag and an environment variable:
// PERENNIAL_LOG_LEVEL is --log-level. An empty value counts as not set.
type Config struct {
	Data              string        `env:"PERENNIAL_DATA" arg:"DIR" usage:"folder of the private PostgreSQL (default: perennial in your data folder)"`
	State             string        `env:"PERENNIAL_STATE" arg:"DIR" usage:"folder of this server alone: enrolments on their way to the database, and what to serve without it (default: state in the data folder)"`
	Addr              string        `env:"PERENNIAL_ADDR" envDefault:"127.0.0.1:8080" arg:"HOST:PORT" usage:"address the API listens on"`
	DatabaseURL       SecretURL     `env:"PERENNIAL_DATABASE_URL" arg:"URL" usage:"PostgreSQL to use, postgres://user:password@host:5432/name"`
	BootstrapKey      Secret        `env:"PERENNIAL_BOOTSTRAP_KEY" arg:"KEY" usage:"make this string an admin key at start"`
	ReportingCurrency string        `env:"PERENNIAL_REPORTING_CURRENCY" envDefault:"EUR" arg:"CODE" usage:"ISO 4217 currency of all reports"`
	CORSOrigins       string        `env:"PERENNIAL_CORS_ORIGINS" arg:"ORIGINS" usage:"sites whose pages may ask for assignments, such as https://shop.example,https://www.shop.example; * is all (default: none)"`
	WebhookAllowCIDRs string        `env:"PERENNIAL_WEBHOOK_ALLOW_CIDRS" arg:"CIDRS" usage:"private networks that webhooks may be sent to, such as 10.1.0.0/16,fd00::/8"`
	ShutdownTimeout   time.Duration `env:"PERENNIAL_SHUTDOWN_TIMEOUT" envDefault:"20s" arg:"DURATION" usage:"how long a stop waits for work in flight"`
	URL               SecretURL     `env:"PERENNIAL_URL" envDefault:"http://127.0.0.1:8080" arg:"URL" usage:"running engine to talk to"`
	Key               Secret        `env:"PERENNIAL_KEY" arg:"KEY" usage:"API key to talk with (better in the environment: others see flags)"`
	LogLevel          string        `env:"PERENNIAL_LOG_LEVEL" envDefault:"info" arg:"LEVEL" usage:"debug, info, warn or error"`
	LogFormat         string        `env:"PERENNIAL_LOG_FORMAT" envDefault:"text" arg:"FORMAT" usage:"text or json"`
}

// A Secret prints as stars, whatever prints it. string(s) is the secret itself.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "********"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the secret from JSON and from slog.
func (s Secret) MarshalText() ([]byte, error) { //nolint:unparam // encoding.TextMarshaler has it so.
	return []byte(s.String()), nil
}

// A SecretURL prints without its password. string(u) is the whole URL.
type SecretURL string

func (u SecretURL) String() string {
	parsed, err := url.Parse(string(u))
	if err != nil || (u != "" && parsed.Host == "") {
		// Nobody knows where the password is in what is no URL.
		return Secret(u).String()
	}
	query := parsed.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") {
			query.Set(name, "xxxxx")
			parsed.RawQuery = query.Encode()
		}
	}
	return parsed.Redacted()
}

// GoString hides the password from %#v.
func (u SecretURL) GoString() string { return strconv.Quote(u.String()) }

// MarshalText hides the password from JSON and from slog.
func (u SecretURL) MarshalText() ([]byte, error) { //nolint:unparam // encoding.TextMarshaler has it so.
	return []byte(u.String()), nil
}

// A setting describes one field of Config.
type setting struct {
	field, flag, env, fallback, arg, usage string
}

func (s setting) String() string { return fmt.Sprintf("--%s (%s)", s.flag, s.env) }

// settings lists the fields of Config in order.
func settings() []setting {
	var all []setting
	for field := range reflect.TypeFor[Config]().Fields() {
		name := field.Tag.Get("env")
		all = append(all, setting{
			field:    field.Name,
			flag:     strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "PERENNIAL_")), "_", "-"),
			env:      name,
			fallback: field.Tag.Get("envDefault"),
			arg:      field.Tag.Get("arg"),
			usage:    field.Tag.Get("usage"),
		})
	}
	return all
}

// addSettings makes the named settings flags of a command. A command takes the
// settings it reads and no others, so that its help stays about itself.
func addSettings(flags *pflag.FlagSet, names ...string) {
	for _, s := range settings() {
		if slices.Contains(names, s.flag) {
			flags.Var(&settingFlag{text: s.fallback, arg: s.arg}, s.flag, fmt.Sprintf("%s [%s]", s.usage, s.env))
		}
	}
}

// A settingFlag is the text of a setting as a flag; loadConfig understands it.
type settingFlag struct{ text, arg string }

func (f *settingFlag) String() string        { return f.text }
func (f *settingFlag) Set(text string) error { f.text = text; return nil }
func (f *settingFlag) Type() string          { return f.arg }

// loadConfig reads the settings: a flag wins over the environment, that over the default.
// Its error lists all mistakes at once.
func loadConfig(environ map[string]string, flags *pflag.FlagSet) (Config, error) {
	values := make(map[string]string)
	for _, s := range settings() {
		if value, _ := lookup(s, environ, flags); value != "" {
			values[s.env] = value
		}
	}
	var config Config
	err := env.ParseWithOptions(&config, env.Options{Environment: values})
	if config.Data == "" {
		config.Data = defaultData(runtime.GOOS, environ)
	}
	if config.State == "" && config.Data != "" {
		config.State = filepath.Join(config.Data, "state")
	}
	return config, joinMistakes(unreadable(err, values), config.Validate())
}

// lookup answers the text of a setting and where it comes from: flag, env or default.
func lookup(s setting, environ map[string]string, flags *pflag.FlagSet) (value, origin string) {
	if flag := flags.Lookup(s.flag); flag != nil && flag.Changed && flag.Value.String() != "" {
		return flag.Value.String(), "flag"
	}
	if environ[s.env] != "" {
		return environ[s.env], "env"
	}
	return s.fallback, "default"
}

// unreadable says in words which values do not even have the type of their setting.
func unreadable(err error, values map[string]string) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var mistakes []error
	for _, err := range all.Errors {
		var wrong env.ParseError
		if !errors.As(err, &wrong) {
			mistakes = append(mistakes, err)
			continue
		}
		for _, s := range settings() {
			if s.field == wrong.Name {
				mistakes = append(mistakes, fmt.Errorf("%s: %q is not a %s such as %s", s, values[s.env], strings.ToLower(s.arg), s.fallback))
			}
		}
	}
	return errors.Join(mistakes...)
}

// joinMistakes makes one usage error of what is wrong with a configuration.
func joinMistakes(errs ...error) error {
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	return usagef("the configuration is wrong:\n  %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
}

// Validate answers everything that is wrong with the settings, joined.
func (c Config) Validate() error {
	wrong := map[string]error{
		"Addr":              checkAddr(c.Addr),
		"DatabaseURL":       checkDatabaseURL(c.DatabaseURL),
		"BootstrapKey":      checkKey(c.BootstrapKey),
		"ReportingCurrency": checkCurrency(c.ReportingCurrency),
		"CORSOrigins":       checkOrigins(c.origins()),
		"WebhookAllowCIDRs": checkCIDRs(c.WebhookAllowCIDRs),
		"ShutdownTimeout":   checkTimeout(c.ShutdownTimeout),
		"URL":               checkURL(c.URL),
		"Key":               checkKey(c.Key),
		"LogLevel":          checkOneOf(c.LogLevel, "debug", "info", "warn", "error"),
		"LogFormat":         checkOneOf(c.LogFormat, "text", "json"),
	}
	var mistakes []error
	for _, s := range settings() {
		if err := wrong[s.field]; err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", s, err))
		}
	}
	return errors.Join(mistakes...)
}

// level is LogLevel for slog; Validate has seen to it that it is one.
func (c Config) level() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return slog.LevelInfo
	}
	return level
}

// origins lists CORSOrigins.
func (c Config) origins() []string {
	return strings.FieldsFunc(c.CORSOrigins, func(r rune) bool { return r == ',' || r == ' ' })
}

func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address such as 127.0.0.1:8080 or :8080", addr)
	}
	return nil
}

func checkDatabaseURL(u SecretURL) error {
	if u == "" {
		return nil
	}
	parsed, err := url.Parse(string(u))
	if err != nil || (parsed.Scheme != "postgres" && parsed.Scheme != "postgresql") {
		return errors.New("not a URL such as postgres://user:password@host:5432/name")
	}
	return nil
}

func checkURL(u SecretURL) error {
	parsed, err := url.Parse(string(u))
	if err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Hostname() == "" {
		return errors.New("not a URL such as https://perennial.example.com")
	}
	if parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return errors.New("has more than a host and a path; the key belongs in PERENNIAL_KEY")
	}
	return nil
}

// checkKey refuses what a header cannot carry. It never quotes the key.
func checkKey(key Secret) error {
	for _, r := range string(key) {
		if r <= ' ' || r > '~' {
			return errors.New("has a space, a line break or another character that no key has")
		}
	}
	return nil
}

func checkCurrency(code string) error {
	_, err := engine.ParseCurrency(code)
	return err
}

// checkOrigins refuses what no browser sends: an origin has neither a path nor a slash.
func checkOrigins(origins []string) error {
	for _, origin := range origins {
		parsed, err := url.Parse(origin)
		if origin != "*" && (err != nil || parsed.Host == "" || strings.Contains(origin, "*") || origin != strings.ToLower(parsed.Scheme+"://"+parsed.Host)) {
			return fmt.Errorf("%q is not an origin such as https://shop.example or http://localhost:3000", origin)
		}
	}
	return nil
}

func checkCIDRs(text string) error {
	_, err := parseCIDRs(text)
	return err
}

// webhookNetworks is WebhookAllowCIDRs; Validate has seen to it that it can be read.
func (c Config) webhookNetworks() []netip.Prefix {
	networks, err := parseCIDRs(c.WebhookAllowCIDRs)
	if err != nil {
		return nil
	}
	return networks
}

// parseCIDRs reads networks, separated by commas.
func parseCIDRs(text string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		network, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network such as 10.1.0.0/16 or fd00::/8", part)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

func checkTimeout(timeout time.Duration) error {
	// Zero is what an unreadable duration leaves behind, and is reported as that.
	if timeout < 0 {
		return fmt.Errorf("%s is negative", timeout)
	}
	return nil
}

func checkOneOf(value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%q is not one of %s", value, strings.Join(allowed, ", "))
}

// defaultData is the user's data folder as the operating system has it, or
// empty where the environment does not say: then up asks for --data.
func defaultData(goos string, environ map[string]string) string {
	var parent string
	switch {
	case goos == "windows":
		parent = environ["LOCALAPPDATA"]
	case environ["XDG_DATA_HOME"] != "":
		parent = environ["XDG_DATA_HOME"]
	case environ["HOME"] == "":
	case goos == "darwin":
		parent = filepath.Join(environ["HOME"], "Library", "Application Support")
	default:
		parent = filepath.Join(environ["HOME"], ".local", "share")
	}
	if !filepath.IsAbs(parent) {
		return ""
	}
	return filepath.Join(parent, "perennial")
}
