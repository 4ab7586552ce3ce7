package postgres

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

// ExportMeasures implements engine.Exports. Measures are brought up to date and read on one
// picture of the ledger, in a transaction that others wait for. So that it ends before the
// reader does, the cursor outlives it.
func (s *Store) ExportMeasures(ctx context.Context, of []engine.Experiment, out engine.Output[engine.MeasuredValue]) error {
	d := defineMeasures(of)
	return s.exporting(ctx, func(ctx context.Context, conn *sqlx.Conn) error {
		// What there is to measure is measured here, so that little is left for the transaction.
		for i := range of {
			if _, err := s.Measure(ctx, &of[i]); err != nil {
				return err
			}
		}
		// The cursor goes with its connection.
		defer conn.Raw(func(any) error { return driver.ErrBadConn }) //nolint:errcheck // that is the error
		var gone *erasedSince
		var shown *analysis
		if err := inPictureOn(ctx, conn, func(tx *sqlx.Tx) (err error) {
			for i := range of {
				// On one picture the cut is the same for all.
				if d.cut, _, err = measure(ctx, tx, &of[i]); err != nil {
					return err
				}
			}
			if gone, err = s.erasedFromNow(ctx, tx); err != nil {
				return err
			}
			if shown, err = analysed(ctx, tx, of); err != nil {
				return err
			}
			if err := total(ctx, tx, out.Total, `
				SELECT count(*) FROM enrolments AS e
				JOIN unnest(CAST($1 AS text[])) AS metric (experiment) ON metric.experiment = e.experiment`, d.experiments); err != nil {
				return err
			}
			return d.declare(ctx, tx)
		}); err != nil {
			return err
		}
		return fetch(ctx, conn, gone, func(r *exportedMeasure) error { return out.Row(d.measured(r, shown)) })
	})
}

// definitions are the metrics of experiments, column by column.
type definitions struct {
	cut         int64 // what came in up to here is measured
	experiments pq.StringArray
	metrics     pq.StringArray
	ends        pq.StringArray // of the windows, from enrolment, as intervals
	metric      []*engine.Metric
	covariate   []bool // the plan asks for it
}

func defineMeasures(experiments []engine.Experiment) *definitions {
	d := &definitions{experiments: pq.StringArray{}, metrics: pq.StringArray{}, ends: pq.StringArray{}}
	for i := range experiments {
		x := &experiments[i]
		for j := range x.Frozen {
			m := &x.Frozen[j]
			d.experiments, d.metrics = append(d.experiments, string(x.Key)), append(d.metrics, string(m.Key))
			d.ends = append(d.ends, hours(m.Window.ToDay))
			d.metric, d.covariate = append(d.metric, m), append(d.covariate, x.Plan.Covariate)
		}
	}
	return d
}

// declare opens the cursor over a row for each customer and metric.
func (d *definitions) declare(ctx context.Context, tx *sqlx.Tx) error {
	return declare(ctx, tx, `
		DECLARE exported NO SCROLL CURSOR WITH HOLD FOR
		SELECT e.customer_id, e.experiment, e.variant, e.assignment_key, e.enrolled_at, e.channel, e.touchpoint, e.position,
			e.contaminated, metric.n - 1 AS definition, e.enrolled_at + metric.until AS matured_at, measures.value, measures.x
		FROM enrolments AS e
		JOIN unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS interval[])) WITH ORDINALITY
			AS metric (experiment, key, until, n) ON metric.experiment = e.experiment
		LEFT JOIN measures ON measures.customer_id = e.customer_id AND measures.experiment = e.experiment
			AND measures.metric = metric.key`, d.experiments, d.metrics, d.ends)
}

type exportedMeasure struct {
	exportedEnrolment

	Definition int                 `db:"definition"`
	MaturedAt  time.Time           `db:"matured_at"`
	Value      decimal.NullDecimal `db:"value"`
	X          decimal.NullDecimal `db:"x"`
}

// measured is a row as its metric wants it read: who has no measure has the value 0, but of
// survival has not churned.
func (d *definitions) measured(r *exportedMeasure, shown *analysis) *engine.MeasuredValue {
	m := d.metric[r.Definition]
	v := &engine.MeasuredValue{
		ExportedEnrolment: *shown.mark(&r.enrolmentRow), Metric: m, MaturedAt: r.MaturedAt, DataCut: d.cut,
	}
	survival := m.Kind == engine.KindSurvival
	if r.Value.Valid || !survival {
		v.Value = &r.Value.Decimal
	}
	if m.Kind == engine.KindRatio || (d.covariate[r.Definition] && !survival) {
		v.X = &r.X.Decimal
	}
	return v
}
