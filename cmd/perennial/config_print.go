package main

import (
	"fmt"
	"reflect"

	"github.com/spf13/cobra"
)

// A settingValue is one line of "config print". Value is never a secret.
type settingValue struct {
	Setting string `json:"setting"`
	Env     string `json:"env"`
	Value   string `json:"value"`
	Origin  string `json:"origin"`
}

func newConfig(a *app) *cobra.Command {
	printing := &cobra.Command{
		Use:   "print",
		Short: "Print every setting, its value and where that comes from",
		Long: `Print every setting, its value and where that comes from: a flag, the
environment or the default. Keys and passwords are hidden.

The settings are printed even when some are wrong; the mistakes follow on
standard error, all at once.`,
		Example: `  perennial config print
  PERENNIAL_LOG_LEVEL=debug perennial config print --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, mistakes := a.config(cmd)
			var values []settingValue
			for _, s := range settings() {
				_, origin := lookup(s, a.environ, cmd.Flags())
				value := fmt.Sprint(reflect.ValueOf(config).FieldByName(s.field).Interface())
				values = append(values, settingValue{Setting: s.flag, Env: s.env, Value: value, Origin: origin})
			}
			err := a.answer(map[string]any{"settings": values}, func() string { return settingsText(values) })
			if err != nil {
				return err
			}
			return mistakes
		},
	}
	for _, s := range settings() {
		if s.flag != "log-level" && s.flag != "log-format" { // these two are on every command
			addSettings(printing.Flags(), s.flag)
		}
	}
	return newGroup("config", "Show the settings", printing)
}

func settingsText(values []settingValue) string {
	rows := [][]string{{"SETTING", "VALUE", "FROM", "ENVIRONMENT"}}
	for _, v := range values {
		rows = append(rows, []string{v.Setting, orDash(v.Value), v.Origin, v.Env})
	}
	return align(rows, 4, "")
}
