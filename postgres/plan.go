package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

// History implements engine.Measures. Everybody's window begins at one time: the latest at
// which it is whole by now. Customers are those who did anything, or were seen to meet a
// touchpoint, in the 28 days before.
func (s *Store) History(
	ctx context.Context, m *engine.Metric, covariate bool, now time.Time, attributes []string,
) (past engine.History, err error) {
	const day = 24 * time.Hour
	from := now.Add(-time.Duration(m.Window.ToDay) * day)
	x := &engine.Experiment{Frozen: []engine.Metric{*m}}
	x.Plan.Covariate = covariate
	limit := "Infinity"
	if m.CapValue != nil {
		limit = m.CapValue.String()
	}
	err = s.inPicture(ctx, func(tx *sqlx.Tx) error {
		past = nil
		var cut int64
		if err := tx.GetContext(ctx, &cut, `SELECT value FROM ingest_position`); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
			SELECT customer_id, '' AS experiment, $1 AS enrolled_at, CAST(0 AS bigint) AS position FROM (
				SELECT customer_id FROM events WHERE occurred_at >= $2 AND occurred_at < $1
				UNION
				SELECT customer_id FROM exposures WHERE occurred_at >= $2 AND occurred_at < $1
			) AS seen`, from, from.Add(-engine.SeenDays*day)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `ANALYZE touched`); err != nil {
			return err
		}
		if err := computeValues(ctx, tx, x, known{cut: cut, all: true}); err != nil {
			return err
		}
		var rows []struct {
			Attributes []byte          `db:"attributes"`
			Recent     int64           `db:"recent"`
			Mature     int64           `db:"mature"`
			NonZero    int64           `db:"nonzero"`
			Sum        decimal.Decimal `db:"sum"`
			SumSquares decimal.Decimal `db:"sumsquares"`
			SumX       decimal.Decimal `db:"sumx"`
			SumXX      decimal.Decimal `db:"sumxx"`
			SumXY      decimal.Decimal `db:"sumxy"`
		}
		// Of survival, who has no value has stayed to the end.
		otherwise := 0
		if m.Kind == engine.KindSurvival {
			otherwise = m.Window.ToDay
		}
		if err := tx.SelectContext(ctx, &rows, `
			WITH customer AS (
				SELECT customer_id, 0 AS recent, 1 AS mature, least(coalesce(value, $4), CAST($5 AS numeric)) AS y,
					least(coalesce(x, 0), CAST($5 AS numeric)) AS x
				FROM touched LEFT JOIN measured USING (customer_id)
				UNION ALL
				SELECT customer_id, 1, 0, 0, 0 FROM (
					SELECT customer_id FROM events WHERE occurred_at >= $1 AND occurred_at < $2
					UNION
					SELECT customer_id FROM exposures WHERE occurred_at >= $1 AND occurred_at < $2
				) AS seen
			), described AS (
				SELECT customer.recent, customer.mature, customer.y, customer.x, (
					SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(customers.attributes) WHERE key = ANY ($3)
				) AS attributes
				FROM customer LEFT JOIN customers USING (customer_id)
			)
			SELECT attributes, sum(recent) AS recent, sum(mature) AS mature, count(*) FILTER (WHERE y <> 0) AS nonzero,
				sum(y) AS sum, sum(y * y) AS sumsquares, sum(x) AS sumx, sum(x * x) AS sumxx, sum(x * y) AS sumxy
			FROM described GROUP BY attributes`,
			now.Add(-engine.SeenDays*day), now, pq.Array(append([]string{}, attributes...)), otherwise, limit); err != nil {
			return err
		}
		for _, r := range rows {
			g := engine.PastGroup{Recent: r.Recent, Total: engine.ArmTotal{
				Metric: m.Key, Mature: r.Mature, NonZero: r.NonZero, Sum: r.Sum, SumSquares: r.SumSquares,
				SumX: r.SumX, SumXX: r.SumXX, SumXY: r.SumXY,
			}}
			if err := json.Unmarshal(r.Attributes, &g.Attributes); err != nil {
				return err
			}
			past = append(past, g)
		}
		_, err := tx.ExecContext(ctx, `DROP TABLE pg_temp.touched, pg_temp.measured`)
		return err
	})
	return past, err
}
