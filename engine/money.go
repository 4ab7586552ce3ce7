package engine

import (
	"regexp"

	"github.com/shopspring/decimal"
	"golang.org/x/text/currency"
)

// A Currency is an ISO 4217 code such as EUR.
type Currency string

// ParseCurrency checks a currency code.
func ParseCurrency(s string) (Currency, error) {
	if len(s) == 3 {
		if unit, err := currency.ParseISO(s); err == nil && unit.String() == s {
			return Currency(s), nil
		}
	}
	return "", Errorf(KindInvalid, "unknown_currency", "%q is not an ISO 4217 currency such as EUR", s)
}

// MinorUnits is the number of decimals of the currency: 2 for EUR, 0 for JPY, 3 for KWD.
func (c Currency) MinorUnits() int32 {
	unit, err := currency.ParseISO(string(c))
	if err != nil {
		return 2
	}
	scale, _ := currency.Standard.Rounding(unit)
	return int32(scale) //nolint:gosec // ISO 4217 has 0 to 4
}

// Money is an exact amount in a currency.
type Money struct {
	Amount   decimal.Decimal `json:"amount"`
	Currency Currency        `json:"currency"`
}

const (
	maxDecimals  = 12
	maxDigits    = 64
	maxAmountExp = 12
)

var (
	decimalPattern = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?$`)
	maxAmount      = decimal.New(1, maxAmountExp)
)

// ParseAmount reads an exact decimal number: at most 12 decimals, at most 1e12 in size.
// Its errors carry the codes invalid_amount, too_many_decimals and amount_too_large.
func ParseAmount(s string) (decimal.Decimal, error) {
	if len(s) > maxDigits || !decimalPattern.MatchString(s) {
		return decimal.Decimal{}, Errorf(KindInvalid, "invalid_amount", "an amount must be a decimal number such as 49.90")
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Decimal{}, Errorf(KindInvalid, "invalid_amount", "an amount must be a decimal number such as 49.90")
	}
	if d.IsZero() {
		return decimal.Zero, nil
	}
	// The exponent is checked first: comparing 1e999 would first write it out.
	if int(d.Exponent())+d.NumDigits() > maxAmountExp+1 || d.Abs().GreaterThan(maxAmount) {
		return decimal.Decimal{}, Errorf(KindInvalid, "amount_too_large", "an amount must be at most 1e12 in size")
	}
	d = normal(d)
	if -d.Exponent() > maxDecimals {
		return decimal.Decimal{}, Errorf(KindInvalid, "too_many_decimals", "an amount has at most %d decimals", maxDecimals)
	}
	return d, nil
}

// normal drops trailing zeros after the point, so that 49.90 and 49.9 are one value with one text.
func normal(d decimal.Decimal) decimal.Decimal {
	exact, err := decimal.NewFromString(d.String())
	if err != nil {
		return d
	}
	return exact
}
