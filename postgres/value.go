package postgres

import (
	"context"
	"strconv"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// parts are what the values of metrics are made of, column by column: one row for each
// event type of each sum. Main ones make the value, the others its x.
type parts struct {
	metrics, types []string
	main           []bool
	since, until   []string // from enrolment, as intervals; since is inside, until is not
	counts         []bool   // an event counts 1, whatever its value
	missing        []int64  // what an event without a value is worth
	factors        []string // of the value
	atLeast        []int64  // the value is 1 from so many events on, else 0; 0: it is the sum
	first, end     int      // days between which all of it lies, from enrolment
}

func (p *parts) add(m *engine.Metric, types []string, main bool, fromDay, toDay int) {
	for _, t := range types {
		p.metrics, p.types, p.main = append(p.metrics, string(m.Key)), append(p.types, t), append(p.main, main)
		p.since, p.until = append(p.since, hours(fromDay)), append(p.until, hours(toDay))
		factor, missing, least := "1", int64(0), int64(0)
		if m.MarginRate != nil && !strings.HasSuffix(t, "_cost") {
			factor = m.MarginRate.String()
		}
		if m.Kind == engine.KindRatio {
			missing = 1
		}
		if m.Kind.IsBinary() {
			least = int64(max(m.MinCount, 1))
		}
		p.counts = append(p.counts, m.Kind == engine.KindCount || m.Kind.IsBinary())
		p.factors, p.missing, p.atLeast = append(p.factors, factor), append(p.missing, missing), append(p.atLeast, least)
	}
	p.first, p.end = min(p.first, fromDay), max(p.end, toDay)
}

// hours is a number of days of 24 hours as an interval, which no clock change stretches.
func hours(days int) string { return strconv.Itoa(24*days) + " hours" }

// partsOf lists the parts of the metrics. With a covariate each value stands beside the same
// over as many days before enrolment.
func partsOf(metrics []engine.Metric, covariate bool) *parts {
	p := &parts{}
	for i := range metrics {
		m := &metrics[i]
		if m.Kind == engine.KindSurvival {
			continue
		}
		p.add(m, m.Events, true, m.Window.FromDay, m.Window.ToDay)
		switch {
		case m.Kind == engine.KindRatio:
			p.add(m, m.Denominator, false, m.Window.FromDay, m.Window.ToDay)
		case covariate:
			p.add(m, m.Events, false, m.Window.FromDay-m.Window.ToDay, 0)
		}
	}
	return p
}

// known is the part of the ledger that values are computed from: what came in after one
// position, up to another.
type known struct {
	after, cut int64
	all        bool // touched is everybody
}

// computeValues makes the table measured: the values of the customers in touched over their
// whole windows. Customers whose value and x are both 0 are left out.
func computeValues(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, k known) error {
	if err := computeSums(ctx, tx, x, partsOf(x.Frozen, x.Plan.Covariate), k); err != nil {
		return err
	}
	for i := range x.Frozen {
		m := &x.Frozen[i]
		if m.Kind != engine.KindSurvival {
			continue
		}
		compute := computeSilence
		if m.ChurnEvent != "" {
			compute = computeChurn
		}
		if err := compute(ctx, tx, x, m, k.cut); err != nil {
			return err
		}
	}
	return nil
}

// computeSums computes all that is not survival, in one pass over the events.
func computeSums(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, p *parts, k known) error {
	// That nothing lies outside of these times follows from the rest. The database does not see
	// it, and skips what it can when it is told. Few customers are looked up one by one instead.
	earliest, latest := "-infinity", "infinity"
	if k.all {
		if err := tx.QueryRowxContext(ctx, `
			SELECT coalesce(min(enrolled_at) + CAST($3 AS interval), '-infinity'), coalesce(max(enrolled_at) + CAST($4 AS interval), 'infinity')
			FROM touched WHERE experiment = $1 AND position <= $2`,
			x.Key, k.cut, hours(p.first), hours(p.end)).Scan(&earliest, &latest); err != nil {
			return err
		}
	}
	reporting, err := reportingCurrency(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		CREATE TEMPORARY TABLE measured ON COMMIT DROP AS
		SELECT customer_id, metric,
			CASE WHEN at_least > 0 THEN CAST(CAST(value >= at_least AS integer) AS numeric) ELSE value END AS value,
			CASE WHEN at_least > 0 THEN CAST(CAST(x >= at_least AS integer) AS numeric) ELSE x END AS x
		FROM (
			SELECT touched.customer_id, part.metric, max(part.at_least) AS at_least,
				coalesce(sum(amount) FILTER (WHERE part.main), 0) AS value,
				coalesce(sum(amount) FILTER (WHERE NOT part.main), 0) AS x
			FROM touched
			JOIN events ON events.customer_id = touched.customer_id AND events.position <= $2 AND events.position > $15
				AND events.type = ANY ($4) AND events.occurred_at >= $13 AND events.occurred_at < $14
			JOIN unnest(CAST($3 AS text[]), CAST($4 AS text[]), CAST($5 AS boolean[]), CAST($6 AS interval[]), CAST($7 AS interval[]),
				CAST($8 AS boolean[]), CAST($9 AS bigint[]), CAST($10 AS numeric[]), CAST($11 AS bigint[]))
				AS part (metric, type, main, since, until, counts, missing, factor, at_least)
				-- Written so that no index on occurred_at is asked for one customer at a time.
				ON events.type = part.type AND events.occurred_at - part.since >= touched.enrolled_at
				AND events.occurred_at - part.until < touched.enrolled_at
			CROSS JOIN LATERAL (SELECT CASE
				WHEN part.counts THEN 1
				WHEN events.value IS NULL THEN part.missing
				WHEN events.currency = $12 THEN events.value * part.factor
				-- The reporting currency has no rates. No other event comes in without one.
				ELSE events.value * part.factor * coalesce((
					SELECT rate FROM rates
					WHERE rates.currency = events.currency AND rates.position <= $2
						AND rates.valid_from <= events.occurred_at AND rates.valid_from > events.occurred_at - interval '192 hours'
					ORDER BY rates.valid_from DESC, rates.position DESC LIMIT 1), 1)
				END AS amount) AS worth
			WHERE touched.experiment = $1 AND touched.position <= $2
			GROUP BY touched.customer_id, part.metric
			OFFSET 0 -- or else the database sums up once more for each use of a sum outside
		) AS summed
		WHERE CASE WHEN at_least > 0 THEN value >= at_least OR x >= at_least ELSE value <> 0 OR x <> 0 END`,
		x.Key, k.cut, pq.Array(p.metrics), pq.Array(p.types), pq.Array(p.main), pq.Array(p.since), pq.Array(p.until),
		pq.Array(p.counts), pq.Array(p.missing), pq.Array(p.factors), pq.Array(p.atLeast), reporting, earliest, latest, k.after)
	return err
}

// reportingCurrency is the one the database was begun with, or "".
func reportingCurrency(ctx context.Context, tx *sqlx.Tx) (c string, err error) {
	err = tx.GetContext(ctx, &c, `SELECT coalesce(reporting_currency, '') FROM configuration`)
	return c, err
}

// computeChurn computes the days until an event: whole ones, the last begun one included.
func computeChurn(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, m *engine.Metric, cut int64) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO measured (customer_id, metric, value, x)
		SELECT touched.customer_id, $3, ceil(extract(epoch FROM min(events.occurred_at) - touched.enrolled_at) / 86400), 0
		FROM touched
		JOIN events ON events.customer_id = touched.customer_id AND events.position <= $2 AND events.type = $4
			AND events.occurred_at >= touched.enrolled_at AND events.occurred_at <= touched.enrolled_at + CAST($5 AS interval)
		WHERE touched.experiment = $1 AND touched.position <= $2
		GROUP BY touched.customer_id, touched.enrolled_at`,
		x.Key, cut, m.Key, m.ChurnEvent, hours(m.Window.ToDay))
	return err
}

// computeSilence computes the days until inactivity_days have passed without an event. The
// first such silence counts: who comes back after it has been away.
func computeSilence(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, m *engine.Metric, cut int64) error {
	_, err := tx.ExecContext(ctx, `
		WITH seen AS (
			SELECT customer_id, enrolled_at, enrolled_at AS at FROM touched WHERE experiment = $1 AND position <= $2
			UNION ALL
			SELECT touched.customer_id, touched.enrolled_at, events.occurred_at FROM touched
			JOIN events ON events.customer_id = touched.customer_id AND events.position <= $2
				AND events.occurred_at >= touched.enrolled_at AND events.occurred_at < touched.enrolled_at + CAST($6 AS interval)
				AND (events.type = ANY ($4) OR (cardinality(CAST($4 AS text[])) = 0 AND right(events.type, 5) <> '_cost'))
			WHERE touched.experiment = $1 AND touched.position <= $2
		), silence AS (
			SELECT customer_id, enrolled_at, at, lead(at) OVER (PARTITION BY customer_id ORDER BY at) AS next FROM seen
		)
		INSERT INTO measured (customer_id, metric, value, x)
		SELECT customer_id, $3, ceil(extract(epoch FROM min(at) + CAST($5 AS interval) - enrolled_at) / 86400), 0
		FROM silence WHERE next IS NULL OR next >= at + CAST($5 AS interval)
		GROUP BY customer_id, enrolled_at
		HAVING min(at) + CAST($5 AS interval) <= enrolled_at + CAST($6 AS interval)`,
		x.Key, cut, m.Key, pq.Array(append([]string{}, m.Events...)), hours(m.InactivityDays), hours(m.Window.ToDay))
	return err
}
