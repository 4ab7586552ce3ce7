package engine

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Keys of configuration, chosen by people: letters, digits, "_", "-" and ".", at most 100.
type (
	// TouchpointKey names a touchpoint.
	TouchpointKey string
	// MetricKey names a metric.
	MetricKey string
	// LayerKey names a layer.
	LayerKey string
	// ExperimentKey names an experiment.
	ExperimentKey string
	// VariantKey names a variant within its experiment: any text of 1 to 100 bytes.
	VariantKey string
	// CustomerID names a customer in the ledger. It is one of the customer's identifiers.
	CustomerID string
)

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)

const keyRule = "must be 1 to 100 letters, digits, _, - or ., beginning with a letter or digit"

func validKey(key string) bool { return keyPattern.MatchString(key) }

const textRule = "must be 1 to %d bytes of UTF-8 without control characters"

// validText reports whether s is 1 to max bytes of UTF-8 without control characters.
func validText(s string, limit int) bool {
	return s != "" && len(s) <= limit && validOptionalText(s, limit)
}

// validOptionalText is validText that takes the empty string too.
func validOptionalText(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// maxIdentifier is the longest identifier and event id, in bytes.
const maxIdentifier = 256

// ParseIdentifier checks an identifier of a customer: 1 to 256 bytes of UTF-8 without
// control characters. An identifier that has never been linked to another is its
// customer's id.
func ParseIdentifier(s string) (CustomerID, error) {
	if !validText(s, maxIdentifier) {
		return "", Errorf(KindInvalid, "invalid_identifier", "a customer "+textRule, maxIdentifier)
	}
	return CustomerID(s), nil
}

// Channel is where a touchpoint meets its customers.
type Channel string

// Channels are the channels that the contract names.
var Channels = []Channel{
	"email", "sms", "push", "web", "app", "search", "social", "display", "affiliate",
	"influencer", "messaging", "store", "call_center", "direct_mail", "other",
}

// Stage is the place of a touchpoint in the customer's journey.
type Stage string

// Stages are the stages that the contract names.
var Stages = []Stage{"awareness", "consideration", "conversion", "loyalty", "advocacy"}

// Objective is what an experiment is for.
type Objective string

// Objectives are the objectives that the contract names.
var Objectives = []Objective{
	"acquisition", "awareness", "conversion", "cross_sell", "retention", "win_back", "channel_shift",
}

func oneOf[S ~string](all []S) string {
	parts := make([]string, len(all))
	for i, s := range all {
		parts[i] = string(s)
	}
	return "must be one of " + strings.Join(parts, ", ")
}
