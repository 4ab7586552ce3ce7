package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

// metricRow is a metric as the measuring statement reads it, as one row of a JSON array.
type metricRow struct {
	Key     engine.MetricKey `json:"key"`
	Sum     bool             `json:"sum"`      // the sum of values, times margin
	AtLeast int              `json:"at_least"` // 1 if so many events; 0: their number
	Events  []string         `json:"events"`   // types
	FromDay int              `json:"from_day"` // of the window
	ToDay   int              `json:"to_day"`   // of the window
	Margin  decimal.Decimal  `json:"margin"`   // of all but costs
}

func metricRows(metrics []engine.Metric) ([]byte, error) {
	rows := make([]metricRow, 0, len(metrics))
	for i := range metrics {
		m := &metrics[i]
		r := metricRow{
			Key: m.Key, Events: m.Events, FromDay: m.Window.FromDay, ToDay: m.Window.ToDay,
			Sum: m.Kind.IsMoney(), Margin: decimal.NewFromInt(1),
		}
		if m.MarginRate != nil {
			r.Margin = *m.MarginRate
		}
		if m.Kind.IsBinary() {
			r.AtLeast = max(m.MinCount, 1)
		}
		rows = append(rows, r)
	}
	return json.Marshal(rows)
}

// Measure implements engine.Measures.
func (s *Store) Measure(ctx context.Context, x *engine.Experiment) (customers int, err error) {
	metrics, err := metricRows(x.Frozen)
	if err != nil {
		return 0, err
	}
	err = s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		_, customers, err = measure(ctx, tx, x.Key, metrics)
		return err
	})
	return customers, err
}

// measure measures again every customer of the experiment whom something new concerns:
// an event or an enrolment that came in since the last cut. It answers the new cut. The
// row of the cut is locked, so that two processes never measure one experiment at once.
func measure(ctx context.Context, tx *sqlx.Tx, key engine.ExperimentKey, metrics []byte) (cut int64, customers int, err error) {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO measure_cuts (experiment, position) VALUES ($1, 0) ON CONFLICT (experiment) DO NOTHING`, key); err != nil {
		return 0, 0, err
	}
	var from int64
	if err := tx.GetContext(ctx, &from,
		`SELECT position FROM measure_cuts WHERE experiment = $1 FOR UPDATE`, key); err != nil {
		return 0, 0, err
	}
	if err := tx.GetContext(ctx, &cut, `SELECT value FROM ingest_position`); err != nil {
		return 0, 0, err
	}
	if cut == from {
		return cut, 0, nil
	}
	result, err := tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
		SELECT customer_id, enrolled_at FROM enrolments
		WHERE experiment = $1 AND position > $2 AND position <= $3
		UNION
		SELECT customer_id, enrolled_at FROM enrolments JOIN events USING (customer_id)
		WHERE experiment = $1 AND enrolments.position <= $3 AND events.position > $2 AND events.position <= $3`,
		key, from, cut)
	if err != nil {
		return 0, 0, err
	}
	touched, err := result.RowsAffected()
	if err != nil {
		return 0, 0, err
	}
	if touched > 0 {
		if err := remeasure(ctx, tx, key, metrics, cut); err != nil {
			return 0, 0, err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE measure_cuts SET position = $2 WHERE experiment = $1`, key, cut)
	return cut, int(touched), err
}

// remeasure computes the values of the customers in the table touched over their whole
// windows. A value of 0 has no row.
func remeasure(ctx context.Context, tx *sqlx.Tx, key engine.ExperimentKey, metrics []byte, cut int64) error {
	if _, err := tx.ExecContext(ctx, `ANALYZE touched`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM measures USING touched
		WHERE measures.customer_id = touched.customer_id AND measures.experiment = $1`, key); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `
		WITH metric AS (
			SELECT key, sum, at_least, events, from_day, to_day, margin
			FROM json_to_recordset(CAST($2 AS json)) AS m (key text, sum boolean, at_least integer,
				events text[], from_day integer, to_day integer, margin numeric)
		), value AS (
			SELECT touched.customer_id, metric.key,
				CASE
					WHEN metric.sum THEN coalesce(sum(events.value *
						CASE WHEN right(events.type, 5) = '_cost' THEN 1 ELSE metric.margin END), 0)
					WHEN metric.at_least > 0 THEN CAST(CAST(count(*) >= metric.at_least AS integer) AS numeric)
					ELSE CAST(count(*) AS numeric)
				END AS value
			FROM touched
			JOIN events ON events.customer_id = touched.customer_id AND events.position <= $3
			JOIN metric ON events.type = ANY (metric.events)
				AND events.occurred_at >= touched.enrolled_at + metric.from_day * interval '24 hours'
				AND events.occurred_at < touched.enrolled_at + metric.to_day * interval '24 hours'
			GROUP BY touched.customer_id, metric.key, metric.sum, metric.at_least
		)
		INSERT INTO measures (customer_id, experiment, metric, value)
		SELECT customer_id, $1, key, value FROM value WHERE value <> 0`, key, metrics, cut)
	return err
}

// Totals implements engine.Measures.
func (s *Store) Totals(ctx context.Context, x *engine.Experiment, asOf time.Time) (*engine.Totals, error) {
	metrics, err := metricRows(x.Frozen)
	if err != nil {
		return nil, err
	}
	t := &engine.Totals{}
	err = s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		if t.DataCut, _, err = measure(ctx, tx, x.Key, metrics); err != nil {
			return err
		}
		if err := tx.GetContext(ctx, &t.First, `
			SELECT min(enrolled_at) FROM enrolments
			WHERE experiment = $1 AND enrolled_at <= $2 AND position <= $3`, x.Key, asOf, t.DataCut); err != nil || t.First == nil {
			return err
		}
		// Customers enrolled after max_days do not belong to the analysis.
		end := asOf.Add(time.Hour)
		if days := x.Policy.MaxDays; days > 0 {
			end = t.First.Add(time.Duration(days) * 24 * time.Hour)
		}
		if err := tx.SelectContext(ctx, &t.Arms, `
			SELECT variant, count(*) AS customers FROM enrolments
			WHERE experiment = $1 AND enrolled_at <= $2 AND position <= $3 AND enrolled_at < $4
			GROUP BY variant`, x.Key, asOf, t.DataCut, end); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &t.Values, `
			SELECT metric.key AS metric, e.variant, count(*) AS mature, count(m.value) AS nonzero,
				coalesce(sum(m.value), 0) AS sum, coalesce(sum(m.value * m.value), 0) AS sumsquares
			FROM json_to_recordset(CAST($5 AS json)) AS metric (key text, to_day integer)
			JOIN enrolments e ON e.experiment = $1 AND e.position <= $3 AND e.enrolled_at < $4
				AND e.enrolled_at + metric.to_day * interval '24 hours' <= $2
			LEFT JOIN measures m ON m.customer_id = e.customer_id AND m.experiment = $1 AND m.metric = metric.key
			GROUP BY metric.key, e.variant`, x.Key, asOf, t.DataCut, end, metrics)
	})
	return t, err
}
