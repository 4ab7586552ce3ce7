package engine

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// codeOf is the code of an engine's error, "" for none.
func codeOf(err error) string {
	if known, ok := errors.AsType[*Error](err); ok {
		return known.Code
	}
	return ""
}

func TestParseAmount(t *testing.T) {
	for _, tt := range []struct{ text, want, code string }{
		{"49.90", "49.9", ""},
		{"49.9", "49.9", ""},
		{"4.99e1", "49.9", ""},
		{"499E-1", "49.9", ""},
		{"-0", "0", ""},
		{"-0.00", "0", ""},
		{"0e999", "0", ""},
		{"007", "7", ""},
		{"-12.5", "-12.5", ""},
		{"0.000000000001", "0.000000000001", ""},
		{"1e12", "1000000000000", ""},
		{"-1000000000000", "-1000000000000", ""},
		{"999999999999.999999999999", "999999999999.999999999999", ""},
		{"0." + strings.Repeat("3", 12) + strings.Repeat("0", 18), "0.333333333333", ""},

		{"0." + strings.Repeat("3", 30), "", "too_many_decimals"},
		{"0.0000000000001", "", "too_many_decimals"},
		{"1e-13", "", "too_many_decimals"},
		{"1e-999", "", "too_many_decimals"},

		{"1000000000000.000000000001", "", "amount_too_large"},
		{"1e13", "", "amount_too_large"},
		{"-1e13", "", "amount_too_large"},
		{"1e999", "", "amount_too_large"},

		{"", "", "invalid_amount"},
		{"NaN", "", "invalid_amount"},
		{"Infinity", "", "invalid_amount"},
		{"-inf", "", "invalid_amount"},
		{"+1", "", "invalid_amount"},
		{".5", "", "invalid_amount"},
		{"5.", "", "invalid_amount"},
		{"1,5", "", "invalid_amount"},
		{"1_000", "", "invalid_amount"},
		{"0x10", "", "invalid_amount"},
		{" 1", "", "invalid_amount"},
		{"1\n", "", "invalid_amount"},
		{"1e9999", "", "invalid_amount"},
		{"１", "", "invalid_amount"}, // a full-width digit
		{strings.Repeat("1", 65), "", "invalid_amount"},
	} {
		t.Run(tt.text, func(t *testing.T) {
			got, err := ParseAmount(tt.text)
			if code := codeOf(err); code != tt.code {
				t.Fatalf("error %v, want code %q", err, tt.code)
			}
			if tt.code == "" && got.String() != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// What is taken has at most 12 decimals and 1e12 in size, and its text reads back as it.
func TestParseAmountProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?[0-9]{1,14}(\.[0-9]{1,14})?(e-?[0-9]{1,2})?`).Draw(t, "text")
		d, err := ParseAmount(text)
		if err != nil {
			return
		}
		if -d.Exponent() > 12 || d.Abs().GreaterThan(maxAmount) {
			t.Fatalf("%s was taken as %s", text, d)
		}
		again, err := ParseAmount(d.String())
		if err != nil || !again.Equal(d) || again.String() != d.String() || again.Exponent() != d.Exponent() {
			t.Fatalf("%s is %s, which reads as %s (%v)", text, d, again, err)
		}
	})
}

func TestCurrencies(t *testing.T) {
	// Minor units: ISO 4217.
	for code, units := range map[string]int32{"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3, "ISK": 0, "TND": 3} {
		c, err := ParseCurrency(code)
		if err != nil || c.MinorUnits() != units {
			t.Errorf("%s: %d minor units (%v), want %d", code, c.MinorUnits(), err, units)
		}
	}
	for _, bad := range []string{"", "eur", "EURO", "EU", "€", "ZZZ", "E R", "EU\x00"} {
		if c, err := ParseCurrency(bad); codeOf(err) != "unknown_currency" {
			t.Errorf("%q is %q: %v", bad, c, err)
		}
	}
}
