package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
)

// Totals implements engine.Measures.
func (s *Store) Totals(ctx context.Context, x *engine.Experiment, v engine.View) (t *engine.Totals, err error) {
	err = s.inPicture(ctx, func(tx *sqlx.Tx) error {
		t = &engine.Totals{}
		if v.DataCut == nil {
			t.DataCut, _, err = measure(ctx, tx, x)
		} else {
			t.DataCut = *v.DataCut
			t.Restated, err = standAt(ctx, tx, x, t.DataCut)
		}
		if err != nil {
			return err
		}
		return sumUp(ctx, tx, x, v, t)
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// A cell is a part of an arm that is counted by itself.
type cell struct {
	Variant      string `db:"variant"`
	Contaminated bool   `db:"contaminated"`
	Segment      string `db:"segment"`
}

// sums are the sums of a metric in a cell over the matured customers who have a measure.
type sums struct {
	cell
	Metric     engine.MetricKey `db:"metric"`
	NonZero    int64            `db:"nonzero"`
	Sum        decimal.Decimal  `db:"sum"`
	SumSquares decimal.Decimal  `db:"sumsquares"`
	Uncapped   decimal.Decimal  `db:"uncapped"`
	SumX       decimal.Decimal  `db:"sumx"`
	SumXX      decimal.Decimal  `db:"sumxx"`
	SumXY      decimal.Decimal  `db:"sumxy"`
}

// A scope is the part of an experiment that is summed up.
type scope struct {
	key     engine.ExperimentKey
	asOf    time.Time
	cut     int64
	end     time.Time // of enrolment, exclusive
	segment string
	forced  pq.StringArray // customers with a forced variant, who are never analysed
}

// sumUp fills in t from the measures. Customers enrolled after max_days do not belong to
// the analysis.
func sumUp(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment, v engine.View, t *engine.Totals) error {
	sc := scope{key: x.Key, asOf: v.AsOf, cut: t.DataCut, end: v.AsOf.Add(time.Hour), segment: v.Segment, forced: pq.StringArray{}}
	if err := tx.SelectContext(ctx, &sc.forced, `
		SELECT coalesce(identities.person, overrides.customer_id) FROM overrides LEFT JOIN identities USING (customer_id)
		WHERE experiment = $1`, x.Key); err != nil {
		return err
	}
	if err := tx.QueryRowxContext(ctx, `
		SELECT min(enrolled_at), max(enrolled_at) FROM enrolments
		WHERE experiment = $1 AND enrolled_at <= $2 AND position <= $3 AND customer_id <> ALL ($4)`,
		x.Key, v.AsOf, t.DataCut, sc.forced).Scan(&t.First, &t.Last); err != nil || t.First == nil {
		return err
	}
	if days := x.Policy.MaxDays; days > 0 {
		sc.end = t.First.Add(time.Duration(days) * 24 * time.Hour)
		if t.Last.After(sc.end) {
			t.Last = &sc.end
		}
	}
	if err := divide(ctx, tx, sc); err != nil {
		return err
	}
	mature, err := countMature(ctx, tx, sc, x.Frozen)
	if err != nil {
		return err
	}
	for c, n := range mature[0] {
		t.Arms = append(t.Arms, engine.ArmCount{
			Variant: engine.VariantKey(c.Variant), Contaminated: c.Contaminated, Segment: c.Segment, Customers: n,
		})
	}
	all, err := sumMeasures(ctx, tx, sc, x.Frozen)
	if err != nil {
		return err
	}
	for i := range x.Frozen {
		m := &x.Frozen[i]
		var days []engine.DayCount
		if m.Kind == engine.KindSurvival {
			if days, err = countDays(ctx, tx, sc, m); err != nil {
				return err
			}
			t.Days = append(t.Days, days...)
		}
		for c := range mature[0] {
			total := engine.ArmTotal{
				Metric: m.Key, Variant: engine.VariantKey(c.Variant), Contaminated: c.Contaminated, Segment: c.Segment,
				Mature: mature[m.Window.ToDay][c],
			}
			if at := slices.IndexFunc(all, func(s sums) bool { return s.Metric == m.Key && s.cell == c }); at >= 0 {
				s := all[at]
				total.NonZero, total.Sum, total.SumSquares, total.Uncapped = s.NonZero, s.Sum, s.SumSquares, s.Uncapped
				total.SumX, total.SumXX, total.SumXY = s.SumX, s.SumXX, s.SumXY
			}
			for _, d := range days {
				if d.Variant == total.Variant && d.Contaminated == total.Contaminated && d.Segment == total.Segment {
					total.NonZero += d.Churned
					total.Sum = total.Sum.Add(decimal.NewFromInt(int64(d.Day) * (d.Churned + d.Censored)))
				}
			}
			t.Values = append(t.Values, total)
		}
	}
	_, err = tx.ExecContext(ctx, `DROP VIEW pg_temp.members`)
	return err
}

// countMature counts the customers of each cell by the days since enrolment that have passed
// by as_of: 0 for all who are enrolled, and those of each window's end.
func countMature(ctx context.Context, tx *sqlx.Tx, sc scope, metrics []engine.Metric) (map[int]map[cell]int64, error) {
	days := []int{0}
	for i := range metrics {
		days = append(days, metrics[i].Window.ToDay)
	}
	slices.Sort(days)
	days = slices.Compact(days)
	slices.Reverse(days)
	// The first moments of enrolment that are too late for so many days, in their order.
	late := make([]string, len(days))
	for i, d := range days {
		late[i] = stamps(sc.asOf.Add(time.Microsecond - time.Duration(d)*24*time.Hour))
	}
	var rows []struct {
		cell
		TooLate   int   `db:"too_late"`
		Customers int64 `db:"customers"`
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT width_bucket(enrolled_at, CAST($5 AS timestamptz[])) AS too_late, variant, contaminated, segment,
			count(*) AS customers
		FROM members
		WHERE experiment = $1 AND enrolled_at <= $2 AND position <= $3 AND enrolled_at < $4 AND customer_id <> ALL ($6)
		GROUP BY too_late, variant, contaminated, segment`,
		sc.key, sc.asOf, sc.cut, sc.end, pq.Array(late), sc.forced); err != nil {
		return nil, err
	}
	mature := map[int]map[cell]int64{}
	for i, d := range days {
		mature[d] = map[cell]int64{}
		for _, r := range rows {
			if r.TooLate <= i {
				mature[d][r.cell] += r.Customers
			}
		}
	}
	return mature, nil
}

// sumMeasures sums up the measures of matured customers, but for survival. Values are
// limited to the cap of their metric; what is beyond shows in the uncapped sum.
func sumMeasures(ctx context.Context, tx *sqlx.Tx, sc scope, metrics []engine.Metric) (all []sums, err error) {
	var keys, latest, caps []string
	for i := range metrics {
		m := &metrics[i]
		if m.Kind == engine.KindSurvival {
			continue
		}
		limit := "Infinity"
		if m.CapValue != nil {
			limit = m.CapValue.String()
		}
		keys, caps = append(keys, string(m.Key)), append(caps, limit)
		latest = append(latest, stamps(sc.asOf.Add(-time.Duration(m.Window.ToDay)*24*time.Hour)))
	}
	err = tx.SelectContext(ctx, &all, `
		SELECT metric.key AS metric, e.variant, e.contaminated, e.segment,
			count(*) FILTER (WHERE m.value <> 0) AS nonzero,
			sum(least(m.value, metric.cap)) AS sum,
			sum(least(m.value, metric.cap) * least(m.value, metric.cap)) AS sumsquares,
			sum(m.value) AS uncapped,
			coalesce(sum(least(m.x, metric.cap)) FILTER (WHERE m.x <> 0), 0) AS sumx,
			coalesce(sum(least(m.x, metric.cap) * least(m.x, metric.cap)) FILTER (WHERE m.x <> 0), 0) AS sumxx,
			coalesce(sum(least(m.x, metric.cap) * least(m.value, metric.cap)) FILTER (WHERE m.x <> 0), 0) AS sumxy
		FROM measures AS m
		JOIN unnest(CAST($5 AS text[]), CAST($6 AS timestamptz[]), CAST($7 AS numeric[])) AS metric (key, latest, cap)
			ON metric.key = m.metric
		JOIN members AS e ON e.customer_id = m.customer_id AND e.experiment = m.experiment AND e.enrolled_at <= metric.latest
		WHERE m.experiment = $1 AND e.experiment = $1 AND e.enrolled_at <= $2 AND e.position <= $3 AND e.enrolled_at < $4
			AND e.customer_id <> ALL ($8)
		GROUP BY metric.key, e.variant, e.contaminated, e.segment`,
		sc.key, sc.asOf, sc.cut, sc.end, pq.Array(keys), pq.Array(latest), pq.Array(caps), sc.forced)
	return all, err
}

// countDays counts the customers of each cell by the day on which they churned, or up to which
// they were seen to stay: the last whole day by as_of, at most to_day. On one day churn comes
// before the end of observation.
func countDays(ctx context.Context, tx *sqlx.Tx, sc scope, m *engine.Metric) ([]engine.DayCount, error) {
	var rows []struct {
		cell
		Day      int   `db:"day"`
		Churned  int64 `db:"churned"`
		Censored int64 `db:"censored"`
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT variant, contaminated, segment, CAST(least(stayed, followed) AS integer) AS day,
			count(*) FILTER (WHERE stayed <= followed) AS churned,
			count(*) FILTER (WHERE stayed IS NULL OR stayed > followed) AS censored
		FROM (
			SELECT e.variant, e.contaminated, e.segment, m.value AS stayed,
				least(floor(extract(epoch FROM $2 - e.enrolled_at) / 86400), $6) AS followed
			FROM members AS e
			LEFT JOIN measures AS m ON m.customer_id = e.customer_id AND m.experiment = $1 AND m.metric = $5
			WHERE e.experiment = $1 AND e.enrolled_at <= $2 AND e.position <= $3 AND e.enrolled_at < $4
				AND e.customer_id <> ALL ($7)
		) AS customer
		GROUP BY variant, contaminated, segment, day
		ORDER BY day`,
		sc.key, sc.asOf, sc.cut, sc.end, m.Key, m.Window.ToDay, sc.forced); err != nil {
		return nil, err
	}
	var days []engine.DayCount
	for _, r := range rows {
		days = append(days, engine.DayCount{
			Metric: m.Key, Variant: engine.VariantKey(r.Variant), Contaminated: r.Contaminated, Segment: r.Segment,
			Day: r.Day, Churned: r.Churned, Censored: r.Censored,
		})
	}
	return days, nil
}
