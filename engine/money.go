package engine

import (
	"regexp"
	"strings"

	"github.com/shopspring/decimal"
)

// A Currency is an ISO 4217 code such as EUR.
type Currency string

// currencies are the codes of ISO 4217 in use (list one, 2026), by their minor units; those
// with two are in the last line. Metals, test codes and "no currency" are left out.
var currencies = func() map[Currency]int32 {
	table := map[Currency]int32{}
	for decimals, codes := range map[int32]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
		3: "BHD IQD JOD KWD LYD OMR TND",
		4: "CLF UYW",
		2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF " +
			"CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG " +
			"HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR " +
			"MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD " +
			"SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG " +
			"YER ZAR ZMW ZWG",
	} {
		for code := range strings.FieldsSeq(codes) {
			table[Currency(code)] = decimals
		}
	}
	return table
}()

// ParseCurrency checks a currency code.
func ParseCurrency(s string) (Currency, error) {
	if _, known := currencies[Currency(s)]; !known {
		return "", Errorf(KindInvalid, "unknown_currency", "%q is not an ISO 4217 currency such as EUR", s)
	}
	return Currency(s), nil
}

// MinorUnits is the number of decimals of the currency: 2 for EUR, 0 for JPY, 3 for KWD.
func (c Currency) MinorUnits() int32 { return currencies[c] }

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
	d, err := ParseShare(s)
	if err != nil {
		return decimal.Decimal{}, err
	}
	if -d.Exponent() > maxDecimals {
		return decimal.Decimal{}, Errorf(KindInvalid, "too_many_decimals", "an amount has at most %d decimals", maxDecimals)
	}
	return d, nil
}

// ParseShare is ParseAmount of what is not money and may have any decimals: a third has 16 as
// computers write it.
func ParseShare(s string) (decimal.Decimal, error) {
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
	return normal(d), nil
}

// normal drops trailing zeros after the point, so that 49.90 and 49.9 are one value with one text.
func normal(d decimal.Decimal) decimal.Decimal {
	if d.Exponent() < 0 && d.NumDigits() < 19 && d.CoefficientInt64()%10 != 0 {
		return d
	}
	exact, err := decimal.NewFromString(d.String())
	if err != nil {
		return d
	}
	return exact
}
