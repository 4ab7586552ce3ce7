package postgres

import (
	"context"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

// A ledgerOfOrders is n orders, one every one and a half seconds, of n/10 customers, every
// fifth of whom is enrolled in a test over 90 days.
type ledgerOfOrders struct {
	*Store
	b         *testing.B
	x         *engine.Experiment
	n         int
	nextOrder int
}

// benchEvents is PERENNIAL_BENCH_EVENTS, or as many as are there in seconds.
func benchEvents(b *testing.B) int {
	b.Helper()
	text := os.Getenv("PERENNIAL_BENCH_EVENTS")
	if text == "" {
		return 200_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		b.Fatalf("PERENNIAL_BENCH_EVENTS=%s is no number of events", text)
	}
	return n
}

func newLedgerOfOrders(b *testing.B) *ledgerOfOrders {
	b.Helper()
	long := bulkLimits
	long.statement, long.silence = time.Hour, time.Hour
	s, err := open(pgtest.Database(b), hotLimits, long)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	if err := s.FixReportingCurrency(b.Context(), "EUR"); err != nil {
		b.Fatal(err)
	}
	l := &ledgerOfOrders{Store: s, b: b, n: benchEvents(b), x: &engine.Experiment{
		Spec: engine.Spec{Key: "x"},
		Frozen: []engine.Metric{{
			Key: "ltv", Kind: engine.KindLTV, Events: []string{"order"}, Window: &engine.Window{FromDay: 0, ToDay: 90},
		}},
	}}
	span := time.Duration(l.n) * 1500 * time.Millisecond
	l.exec(`
		INSERT INTO enrolments (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position)
		SELECT 'c' || n * 5, 'x', CASE n % 2 WHEN 0 THEN 'control' ELSE 'warm' END, 'c' || n * 5,
			CAST($2 AS timestamptz) + CAST($3 AS interval) * (n / CAST($1 AS double precision)), 'email', 'mail', 1
		FROM generate_series(1, CAST($1 AS integer)) AS n`, l.n/50, start.Add(span/4), hours(int(span.Hours()/5)))
	l.orders(l.n)
	l.exec(`VACUUM ANALYZE`) // as the database does by itself, later
	return l
}

func (l *ledgerOfOrders) exec(statement string, args ...any) {
	l.b.Helper()
	if _, err := l.bulk.ExecContext(context.Background(), statement, args...); err != nil {
		l.b.Fatal(err)
	}
}

// orders books the next so many orders, a thousand to a position.
func (l *ledgerOfOrders) orders(n int) {
	l.b.Helper()
	l.exec(`
		INSERT INTO events (customer_id, id, type, occurred_at, value, currency, channel, digest, position)
		SELECT 'c' || 1 + CAST(n AS bigint) * 7919 % $3, 'o' || n, 'order', CAST($4 AS timestamptz) + n * interval '1.5 seconds',
			n * 37 % 10000 / 100.0, 'EUR', 'web', decode(md5(CAST(n AS text)), 'hex'), 2 + n / 1000
		FROM generate_series(CAST($1 AS integer), CAST($2 AS integer)) AS n`,
		l.nextOrder+1, l.nextOrder+n, l.n/10, start)
	l.nextOrder += n
	l.exec(`UPDATE ingest_position SET value = $1`, 2+l.nextOrder/1000)
}

// plainQuery is the answer without measures: join, group by customer, mean and variance.
func (l *ledgerOfOrders) plainQuery() {
	var arms []struct {
		Variant   string  `db:"variant"`
		Customers int64   `db:"customers"`
		Mean      float64 `db:"mean"`
		Variance  float64 `db:"variance"`
	}
	if err := l.bulk.SelectContext(context.Background(), &arms, `
		SELECT variant, count(*) AS customers, avg(value) AS mean, var_samp(value) AS variance FROM (
			SELECT enrolments.customer_id, variant, coalesce(sum(events.value), 0) AS value
			FROM enrolments
			LEFT JOIN events ON events.customer_id = enrolments.customer_id AND events.type = 'order'
				AND events.occurred_at >= enrolments.enrolled_at
				AND events.occurred_at < enrolments.enrolled_at + interval '90 days'
			WHERE experiment = 'x'
			GROUP BY enrolments.customer_id, variant
		) AS customer GROUP BY variant`); err != nil || len(arms) != 2 {
		l.b.Fatal(arms, err)
	}
}

func (l *ledgerOfOrders) measure() {
	if _, err := l.Measure(context.Background(), l.x); err != nil {
		l.b.Fatal(err)
	}
}

func (l *ledgerOfOrders) report() {
	if _, err := l.Totals(context.Background(), l.x, engine.View{AsOf: start.AddDate(2, 0, 0)}); err != nil {
		l.b.Fatal(err)
	}
}

// forget takes back all that was measured.
func (l *ledgerOfOrders) forget() {
	if err := l.inTx(context.Background(), l.bulk, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(context.Background(), `TRUNCATE measures, measure_cuts`)
		return err
	}); err != nil {
		l.b.Fatal(err)
	}
}

// BenchmarkMeasuring compares measuring with the plain query over the same ledger, in turn, so
// that what else the machine does meets both: a test measured for the first time, after one
// more day of orders, and summed up. The ratios are medians, of our time over the query's.
func BenchmarkMeasuring(b *testing.B) {
	l := newLedgerOfOrders(b)
	for _, c := range []struct {
		name         string
		goal         float64
		before, ours func()
	}{
		{"first", 1, l.forget, l.measure},
		{"refresh", 0.1, func() { l.orders(57_600 * l.n / 10_000_000) }, l.measure},
		{"report", 0.1, func() {}, l.report},
	} {
		b.Run(c.name, func(b *testing.B) {
			var ours, floors, ratios []float64
			for b.Loop() {
				b.StopTimer()
				c.before()
				floor := elapsed(l.plainQuery)
				b.StartTimer()
				own := elapsed(c.ours)
				ours, floors, ratios = append(ours, own), append(floors, floor), append(ratios, own/floor)
			}
			b.ReportMetric(median(ours), "ms")
			b.ReportMetric(median(floors), "floor-ms")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(c.goal, "goal-ratio")
		})
	}
}

// BenchmarkTiers computes the tiers of everybody: for the first time, when all are written, and
// again after one more day of orders.
func BenchmarkTiers(b *testing.B) {
	l := newLedgerOfOrders(b)
	for _, c := range []struct {
		name   string
		before func()
	}{
		{"first", func() { l.exec(`TRUNCATE customers`) }},
		{"next", func() { l.orders(57_600 * l.n / 10_000_000) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			changed := 0
			for b.Loop() {
				b.StopTimer()
				c.before()
				b.StartTimer()
				var err error
				if changed, err = l.WriteTiers(context.Background(), start); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(changed), "written")
		})
	}
}

// elapsed is how long do takes.
func elapsed(do func()) float64 {
	began := now()
	do()
	return float64(now().Sub(began).Microseconds()) / 1000
}

func median(all []float64) float64 {
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
