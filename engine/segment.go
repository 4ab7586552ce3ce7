package engine

import (
	"maps"
	"slices"
)

// part is the totals of the customers whom keep accepts.
func (t *Totals) part(keep func(contaminated bool, segment string) bool) *Totals {
	part := &Totals{DataCut: t.DataCut, First: t.First}
	for _, a := range t.Arms {
		if keep(a.Contaminated, a.Segment) {
			part.Arms = append(part.Arms, a)
		}
	}
	for i := range t.Values {
		if v := &t.Values[i]; keep(v.Contaminated, v.Segment) {
			part.Values = append(part.Values, *v)
		}
	}
	for _, d := range t.Days {
		if keep(d.Contaminated, d.Segment) {
			part.Days = append(part.Days, d)
		}
	}
	return part
}

// name puts everybody in one segment.
func (t *Totals) name(segment string) {
	for i := range t.Arms {
		t.Arms[i].Segment = segment
	}
	for i := range t.Values {
		t.Values[i].Segment = segment
	}
	for i := range t.Days {
		t.Days[i].Segment = segment
	}
}

// among reports the metrics of a part of the customers. It decides nothing.
func (c *caseFile) among(part *Totals) []MetricReport {
	some := &caseFile{judge: c.judge, experiment: c.experiment, asOf: c.asOf, first: c.first}
	some.assess(part, nil)
	metrics := some.metricReports(part, part.customers(c.experiment))
	for i := range metrics {
		for j := range metrics[i].Comparisons {
			metrics[i].Comparisons[j].Decisive = false
		}
	}
	return metrics
}

// contamination reports the primaries without the contaminated customers, nil when there
// are none.
func (c *caseFile) contamination(t *Totals) *Contamination {
	met := t.part(func(contaminated bool, _ string) bool { return contaminated })
	if len(met.Arms) == 0 {
		return nil
	}
	r := &Contamination{Customers: met.customers(c.experiment)}
	r.Share = float64(sumOf(r.Customers)) / float64(sumOf(t.customers(c.experiment)))
	clean := t.part(func(contaminated bool, _ string) bool { return !contaminated })
	r.Without = c.among(clean)[:len(c.experiment.Metrics.Primary)]
	return r
}

func sumOf(customers map[VariantKey]int64) (sum int64) {
	for _, n := range customers {
		sum += n
	}
	return sum
}

// segments reports every segment, in the order of their names.
func (c *caseFile) segments(t *Totals) []SegmentReport {
	names := map[string]bool{}
	for _, a := range t.Arms {
		names[a.Segment] = true
	}
	segments := make([]SegmentReport, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		part := t.part(func(_ bool, segment string) bool { return segment == name })
		segments = append(segments, SegmentReport{
			Segment: name, Customers: part.customers(c.experiment), Metrics: c.among(part),
		})
	}
	return segments
}
