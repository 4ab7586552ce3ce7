package api

import (
	"encoding/csv"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perennial-engine/perennial/engine"
)

// lines writes rows one by one.
type lines struct {
	w     io.Writer
	csv   *csv.Writer // nil: NDJSON
	cells []string
	total func(rows int64) // is told how many rows will come
}

// newLines begins with NDJSON or CSV. CSV has a first line with the names of an empty row's
// members, which every row has.
func newLines(w io.Writer, asCSV bool, empty any) (*lines, error) {
	if !asCSV {
		return &lines{w: w}, nil
	}
	l := &lines{csv: csv.NewWriter(w)}
	encoded, err := json.Marshal(empty)
	if err != nil {
		return nil, err
	}
	var columns []string
	if err := eachMember(encoded, func(name string, _ jsontext.Value) { columns = append(columns, name) }); err != nil {
		return nil, err
	}
	return l, l.csv.Write(columns)
}

func (l *lines) add(row any) error {
	encoded, err := json.Marshal(row, json.Deterministic(true))
	if err != nil {
		return err
	}
	if l.csv == nil {
		_, err = l.w.Write(append(encoded, '\n'))
		return err
	}
	l.cells = l.cells[:0]
	if err := eachMember(encoded, func(_ string, value jsontext.Value) { l.cells = append(l.cells, cell(value)) }); err != nil {
		return err
	}
	return l.csv.Write(l.cells)
}

func (l *lines) flush() error {
	if l.csv == nil {
		return nil
	}
	l.csv.Flush()
	return l.csv.Error()
}

// exportedTime is written to the microsecond, always with as many digits.
func exportedTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// exportedEvent has the fields of an event that is sent in, and no others.
type exportedEvent struct {
	ID         string         `json:"id"`
	Customer   string         `json:"customer"`
	Type       string         `json:"type"`
	OccurredAt string         `json:"occurred_at"`
	Value      *string        `json:"value"`
	Currency   *string        `json:"currency"`
	Channel    *string        `json:"channel"`
	Touchpoint *string        `json:"touchpoint"`
	Properties jsontext.Value `json:"properties"`
}

func exportedEventOf(e *engine.Event) exportedEvent {
	return exportedEvent{
		e.ID, string(e.Customer), e.Type, exportedTime(e.OccurredAt), decimalText(e.Value), optional(e.Currency),
		optional(e.Channel), optional(e.Touchpoint), jsontext.Value(e.Properties),
	}
}

type exportedEnrolment struct {
	Experiment    string  `json:"experiment"`
	Variant       string  `json:"variant"`
	Customer      string  `json:"customer"`
	EnrolledAt    string  `json:"enrolled_at"`
	Channel       *string `json:"channel"`
	Touchpoint    *string `json:"touchpoint"`
	AssignmentKey string  `json:"assignment_key"`
	Contaminated  bool    `json:"contaminated"`
	Analysed      bool    `json:"analysed"`
}

func exportedEnrolmentOf(e *engine.ExportedEnrolment) exportedEnrolment {
	return exportedEnrolment{
		string(e.Experiment), string(e.Variant), string(e.Customer), exportedTime(e.EnrolledAt), optional(e.Channel),
		optional(e.Touchpoint), e.AssignmentKey, e.Contaminated, e.Analysed,
	}
}

type exportedMeasure struct {
	Experiment   string  `json:"experiment"`
	Metric       string  `json:"metric"`
	Kind         string  `json:"kind"`
	Customer     string  `json:"customer"`
	Variant      string  `json:"variant"`
	EnrolledAt   string  `json:"enrolled_at"`
	MaturedAt    string  `json:"matured_at"`
	Value        *string `json:"value"`
	Currency     *string `json:"currency"`
	CapValue     *string `json:"cap_value"`
	Covariate    *string `json:"covariate"`
	Denominator  *string `json:"denominator"`
	Contaminated bool    `json:"contaminated"`
	Analysed     bool    `json:"analysed"`
	DataCut      int64   `json:"data_cut"`
}

func (s *Server) exportedMeasureOf(v *engine.MeasuredValue) exportedMeasure {
	j := exportedMeasure{
		Experiment: string(v.Experiment), Metric: string(v.Metric.Key), Kind: string(v.Metric.Kind), Customer: string(v.Customer),
		Variant: string(v.Variant), EnrolledAt: exportedTime(v.EnrolledAt), MaturedAt: exportedTime(v.MaturedAt),
		Value: decimalText(v.Value), CapValue: decimalText(v.Metric.CapValue), Contaminated: v.Contaminated,
		Analysed: v.Analysed, DataCut: v.DataCut,
	}
	if v.Metric.Kind.IsMoney() {
		j.Currency = optional(s.engine.Reporting())
	}
	if v.Metric.Kind == engine.KindRatio {
		j.Denominator = decimalText(v.X)
	} else {
		j.Covariate = decimalText(v.X)
	}
	return j
}

// exportedReportLine is a line of a report's CSV with the report that it is of.
type exportedReportLine struct {
	Experiment string `json:"experiment"`
	Version    int    `json:"version"`
	AsOf       string `json:"as_of"`
	DataCut    int64  `json:"data_cut"`
	Look       *int   `json:"look"`
	Method     string `json:"method"`
	reportLine
}

func exportedReportLineOf(r *engine.Report, line reportLine) exportedReportLine {
	return exportedReportLine{string(r.Experiment), r.Version, exportedTime(r.AsOf), r.DataCut, r.Look, string(r.Method), line}
}
