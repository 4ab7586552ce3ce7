package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Date formats that are no pattern.
const (
	dateRFC3339 = "rfc3339"
	dateUnix    = "unix" // seconds since 1970
)

// datePatterns are the parts of a date pattern, the longer first, and Go's
// notation for them.
var datePatterns = []struct{ part, layout string }{
	{"YYYY", "2006"},
	{"MM", "01"},
	{"M", "1"},
	{"DD", "02"},
	{"D", "2"},
	{"HH", "15"},
	{"mm", "04"},
	{"ss", "05"},
}

// dateReader makes the function that reads times of a format: rfc3339, unix or a
// pattern such as DD/MM/YYYY HH:mm:ss, whose times are UTC.
func dateReader(format string) (func(string) (time.Time, error), error) {
	switch format {
	case dateUnix:
		return readUnix, nil
	case dateRFC3339:
		return layoutReader(time.RFC3339, format), nil
	}
	var layout strings.Builder
	for rest := format; rest != ""; {
		part, goPart := nextDatePart(rest)
		if part == "" {
			return nil, fmt.Errorf("date format %q: %q is none of YYYY MM M DD D HH mm ss; or use rfc3339 or unix", format, rest)
		}
		layout.WriteString(goPart)
		rest = rest[len(part):]
	}
	for _, needed := range []string{"YYYY", "M", "D"} {
		if !strings.Contains(format, needed) {
			return nil, fmt.Errorf("date format %q has no %s: write it like YYYY-MM-DD", format, needed)
		}
	}
	return layoutReader(layout.String(), format), nil
}

// nextDatePart answers what a pattern begins with and Go's notation for it, or
// nothing.
func nextDatePart(pattern string) (part, layout string) {
	for _, p := range datePatterns {
		if strings.HasPrefix(pattern, p.part) {
			return p.part, p.layout
		}
	}
	if strings.ContainsRune("-/.,: T", rune(pattern[0])) {
		return pattern[:1], pattern[:1]
	}
	return "", ""
}

func layoutReader(layout, format string) func(string) (time.Time, error) {
	return func(s string) (time.Time, error) {
		t, err := time.Parse(layout, s)
		if err != nil {
			return time.Time{}, fmt.Errorf("%q is not a time of the format %s (--date-format)", s, format)
		}
		return t.UTC(), nil
	}
}

func readUnix(s string) (time.Time, error) {
	seconds, err := strconv.ParseInt(s, 10, 64)
	t := time.Unix(seconds, 0).UTC()
	if err != nil || t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}, fmt.Errorf("%q is not a time in seconds since 1970 (--date-format)", s)
	}
	return t, nil
}
