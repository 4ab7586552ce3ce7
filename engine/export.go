package engine

import (
	"context"
	"time"

	"github.com/shopspring/decimal"
)

// An Output takes what is exported, row by row as it is read. An error of Row ends the export.
type Output[T any] struct {
	// Total is told the number of rows before the first one, where that is known without
	// reading them all. Customers who are erased in the meantime are missing in the end.
	Total func(rows int64)
	Row   func(row *T) error // the row is gone once it answers
}

// measuredBy hides what has not happened by a time: of survival a measure holds the day on which
// a customer churns unless they do something before.
func (v *MeasuredValue) measuredBy(now time.Time) {
	if v.Metric.Kind != KindSurvival || v.Value == nil {
		return
	}
	if stayed := v.Value.Mul(decimal.NewFromInt(86_400)); stayed.GreaterThan(decimal.NewFromFloat(now.Sub(v.EnrolledAt).Seconds())) {
		v.Value = nil
	}
}

// A Period is the time from From on and before To; nil is open.
type Period struct{ From, To *time.Time }

// An ExportedEnrolment is an enrolment that counts. It is Analysed unless its customer has a
// forced variant there, or came after max_days.
type ExportedEnrolment struct {
	Enrolment

	Analysed bool
}

// A MeasuredValue is what one metric makes of one customer of a test, from what had come in by
// DataCut. Until MaturedAt it may still change.
type MeasuredValue struct {
	ExportedEnrolment

	Metric    *Metric
	MaturedAt time.Time
	Value     *decimal.Decimal // without the cap; nil for survival: no churn within the window
	// X is the denominator of a ratio; of other kinds the same measure before enrolment, nil
	// where the plan does not ask for it.
	X       *decimal.Decimal
	DataCut int64
}

// ExportEvents hands over what happened in a period, as it would be sent in again.
func (e *Engine) ExportEvents(ctx context.Context, happened Period, out Output[Event]) error {
	if happened.From != nil && happened.To != nil && !happened.From.Before(*happened.To) {
		return Errorf(KindInvalid, "empty_period", "from must be before to: the export has what happened from the one on and before the other")
	}
	return e.store.ExportEvents(ctx, happened, out)
}

// ExportEnrolments hands over the enrolments that count, of one experiment or, of "", of all.
func (e *Engine) ExportEnrolments(ctx context.Context, of ExperimentKey, out Output[ExportedEnrolment]) error {
	experiments, err := e.enrolling(ctx, of)
	if err != nil {
		return err
	}
	e.settle(ctx)
	return e.store.ExportEnrolments(ctx, experiments, out)
}

// ExportMeasures hands over a value for each customer and metric of one experiment or, of "",
// of all. They are brought up to date first.
func (e *Engine) ExportMeasures(ctx context.Context, of ExperimentKey, out Output[MeasuredValue]) error {
	experiments, err := e.enrolling(ctx, of)
	if err != nil {
		return err
	}
	e.settle(ctx)
	now, row := e.now(), out.Row
	out.Row = func(v *MeasuredValue) error {
		v.measuredBy(now)
		return row(v)
	}
	return e.store.ExportMeasures(ctx, experiments, out)
}

// ExportReports hands over the stored reports of one experiment or, of "", of all, by
// experiment and version.
func (e *Engine) ExportReports(ctx context.Context, of ExperimentKey, out Output[Report]) error {
	if of != "" {
		if _, err := e.named(ctx, of); err != nil {
			return err
		}
	}
	return e.store.ExportReports(ctx, of, out)
}

// named is Experiment for a key that may be any text.
func (e *Engine) named(ctx context.Context, key ExperimentKey) (*Experiment, error) {
	if !validKey(string(key)) {
		return nil, NotFoundf("experiment", string(key))
	}
	return e.store.Experiment(ctx, key)
}

// enrolling lists those who have or had customers: experiments that have started and the
// comparisons of promotions; the one of a key or, of "", all.
func (e *Engine) enrolling(ctx context.Context, of ExperimentKey) (all []Experiment, err error) {
	if of != "" {
		x, err := e.named(ctx, of.test())
		if err != nil {
			return nil, err
		}
		for _, x := range x.enrolling() {
			if x.Key == of {
				return []Experiment{x}, nil
			}
		}
		if of != x.Key {
			return nil, NotFoundf("experiment", string(of))
		}
		return nil, nil // a draft
	}
	for page := (Page{Limit: 1000}); ; {
		experiments, err := e.store.Experiments(ctx, page)
		if err != nil {
			return nil, err
		}
		for i := range experiments {
			all = append(all, experiments[i].enrolling()...)
		}
		if len(experiments) < page.Limit {
			return all, nil
		}
		page.After = string(experiments[len(experiments)-1].Key)
	}
}

// enrolling are the experiment, once it has started, and the comparison of its promotion.
func (x *Experiment) enrolling() []Experiment {
	switch {
	case x.Status == StatusDraft:
		return nil
	case x.Winner != "" && x.compares():
		return []Experiment{*x, *(&PromotedExperiment{Experiment: *x}).comparison()}
	}
	return []Experiment{*x}
}
