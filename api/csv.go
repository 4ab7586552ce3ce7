package api

import (
	"bytes"
	"encoding/csv"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
)

func wantsCSV(c *gin.Context) bool {
	return c.Query("format") == "csv" || strings.HasPrefix(c.GetHeader("Accept"), "text/csv")
}

// reportLine is one arm of one metric of a report, as a row of CSV.
type reportLine struct {
	Metric         string   `json:"metric"`
	Role           string   `json:"role"`
	Kind           string   `json:"kind"`
	Currency       string   `json:"currency"`
	Variant        string   `json:"variant"`
	Customers      int64    `json:"customers"`
	Mature         int64    `json:"mature"`
	Mean           *float64 `json:"mean"`
	StdError       *float64 `json:"std_error"`
	Total          string   `json:"total"`
	Difference     *float64 `json:"difference"`
	IntervalLower  *float64 `json:"interval_lower"`
	IntervalUpper  *float64 `json:"interval_upper"`
	Lift           *float64 `json:"lift"`
	LiftLower      *float64 `json:"lift_lower"`
	LiftUpper      *float64 `json:"lift_upper"`
	PValue         *float64 `json:"p_value"`
	AdjustedPValue *float64 `json:"adjusted_p_value"`
	FixedStdError  *float64 `json:"fixed_std_error"`
	FixedStatistic *float64 `json:"fixed_statistic"`
	FixedPValue    *float64 `json:"fixed_p_value"`
	Warnings       string   `json:"warnings"`
	CovariateGain  *float64 `json:"covariate_gain"`
	UncappedMean   *float64 `json:"uncapped_mean"`
	Shrunken       *float64 `json:"shrunken_difference"`
	ShrunkenLower  *float64 `json:"shrunken_lower"`
	ShrunkenUpper  *float64 `json:"shrunken_upper"`
	ShrunkenLift   *float64 `json:"shrunken_lift"`
	PastTests      *int     `json:"past_tests"`
	Segment        string   `json:"segment"` // empty for the whole test
}

// reportLines are the lines of the whole test and then of every segment.
func reportLines(r *engine.Report) []reportLine {
	lines := metricLines(r.Metrics, "")
	for _, s := range r.Segments {
		lines = append(lines, metricLines(s.Metrics, r.SegmentBy+"="+s.Segment)...)
	}
	return lines
}

func metricLines(metrics []engine.MetricReport, segment string) []reportLine {
	var lines []reportLine
	for _, m := range metrics {
		comparisons := map[engine.VariantKey]engine.Comparison{}
		for _, comparison := range m.Comparisons {
			comparisons[comparison.Variant] = comparison
		}
		for _, a := range m.Arms {
			c := comparisons[a.Variant]
			line := reportLine{
				Metric: string(m.Metric), Role: string(m.Role), Kind: string(m.Kind), Currency: string(m.Currency),
				Variant: string(a.Variant), Customers: a.Customers, Mature: a.Mature, Mean: a.Mean, StdError: a.StdError, Total: a.Total,
				Difference: c.Difference, IntervalLower: c.Interval[0], IntervalUpper: c.Interval[1],
				Lift: c.Lift, LiftLower: c.LiftInterval[0], LiftUpper: c.LiftInterval[1],
				PValue: c.PValue, AdjustedPValue: c.AdjustedPValue,
				FixedStdError: c.Fixed.StdError, FixedStatistic: c.Fixed.Statistic, FixedPValue: c.Fixed.PValue,
				Warnings: strings.Join(c.Warnings, " "), CovariateGain: c.CovariateGain, UncappedMean: a.UncappedMean, Segment: segment,
			}
			if s := c.Shrunken; s != nil {
				line.Shrunken, line.ShrunkenLower, line.ShrunkenUpper = s.Difference, s.Interval[0], s.Interval[1]
				line.ShrunkenLift, line.PastTests = s.Lift, &s.PastTests
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// csvOf writes a list, a batch of assignments or a report as CSV; ok is false for any
// other body.
func csvOf(body any) (data []byte, ok bool) {
	var rows any
	switch b := body.(type) {
	case assignmentsJSON:
		rows = b.Assignments
	case *engine.Report:
		rows = reportLines(b)
	case interface{ rows() any }:
		rows = b.rows()
	default:
		return nil, false
	}
	encoded, err := json.Marshal(rows, json.Deterministic(true))
	if err != nil {
		return nil, false
	}
	empty, err := json.Marshal(emptyRow(rows), json.Deterministic(true))
	if err != nil {
		return nil, false
	}
	data, err = writeCSV(encoded, empty)
	return data, err == nil
}

// emptyRow is a row of the type that a list is of, with nothing in it.
func emptyRow(list any) any {
	of := reflect.TypeOf(list).Elem()
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	return reflect.Zero(of).Interface()
}

func (l listJSON[T]) rows() any { return l.Data }

// writeCSV turns a JSON list of objects into CSV. The columns are the members in the order
// of their first appearance, those of the empty row where there is no other; a nested value is
// written as JSON.
func writeCSV(list, empty []byte) ([]byte, error) {
	var objects []jsontext.Value
	if err := json.Unmarshal(list, &objects); err != nil {
		return nil, err
	}
	var columns []string
	if len(objects) == 0 {
		if err := eachMember(empty, func(column string, _ jsontext.Value) { columns = append(columns, column) }); err != nil {
			return nil, err
		}
	}
	var rows []map[string]string
	for _, object := range objects {
		row := map[string]string{}
		if err := eachMember(object, func(column string, value jsontext.Value) {
			if !slices.Contains(columns, column) {
				columns = append(columns, column)
			}
			row[column] = cell(value)
		}); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	_ = w.Write(columns)
	for _, row := range rows {
		cells := make([]string, len(columns))
		for i, column := range columns {
			cells[i] = row[column]
		}
		_ = w.Write(cells)
	}
	w.Flush()
	return out.Bytes(), w.Error()
}

// eachMember hands over the members of an object in their order.
func eachMember(object jsontext.Value, fn func(name string, value jsontext.Value)) error {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		fn(name, value)
	}
	return nil
}

var numberPattern = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// cell writes one value. A text that a spreadsheet would run as a formula gets an
// apostrophe in front.
func cell(value jsontext.Value) string {
	switch value.Kind() {
	case 'n':
		return ""
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return ""
		}
		if text != "" && strings.ContainsRune("=+-@", rune(text[0])) && !numberPattern.MatchString(text) {
			return "'" + text
		}
		return text
	default:
		return string(value)
	}
}
