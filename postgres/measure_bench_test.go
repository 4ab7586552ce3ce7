package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pgtest"
)

// BenchmarkMeasure measures a test of 200,000 customers with two events each: from
// nothing, after a thousand new events, and the sums alone.
func BenchmarkMeasure(b *testing.B) {
	s, err := Open(pgtest.Database(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	ctx := context.Background()
	exec := func(statement string) {
		if _, err := s.bulk.ExecContext(ctx, statement); err != nil {
			b.Fatal(err)
		}
	}
	exec(`INSERT INTO enrolments (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position)
		SELECT 'c' || n, 'x', CASE n % 2 WHEN 0 THEN 'control' ELSE 'warm' END, 'c' || n, '2026-03-01', 'email', 'mail', 1
		FROM generate_series(1, 200000) AS n`)
	exec(`INSERT INTO events (customer_id, id, type, occurred_at, value, currency, digest, position)
		SELECT 'c' || n, 'o' || k, 'order', '2026-03-02', n % 100 + 0.99, 'EUR', '', 1
		FROM generate_series(1, 200000) AS n, generate_series(1, 2) AS k`)
	exec(`UPDATE ingest_position SET value = 1`)
	exec(`ANALYZE`)
	window := &engine.Window{FromDay: 0, ToDay: 30}
	x := &engine.Experiment{
		Spec: engine.Spec{Key: "x"},
		Frozen: []engine.Metric{
			{Key: "ltv", Kind: engine.KindLTV, Events: []string{"order"}, Window: window},
			{Key: "stay", Kind: engine.KindRetention, Events: []string{"order"}, Window: window},
		},
	}
	measure := func(b *testing.B) {
		b.Helper()
		if _, err := s.Measure(ctx, x); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("from nothing", func(b *testing.B) {
		for b.Loop() {
			exec(`DELETE FROM measure_cuts`)
			measure(b)
		}
	})
	b.Run("after a thousand events", func(b *testing.B) {
		for b.Loop() {
			exec(`UPDATE ingest_position SET value = value + 1`)
			exec(`INSERT INTO events (customer_id, id, type, occurred_at, value, currency, digest, position)
				SELECT 'c' || n * 7, 'p' || value, 'order', '2026-03-03', 1, 'EUR', '', value
				FROM generate_series(1, 1000) AS n, ingest_position`)
			measure(b)
		}
	})
	b.Run("sums", func(b *testing.B) {
		asOf := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
		for b.Loop() {
			if _, err := s.Totals(ctx, x, engine.View{AsOf: asOf}); err != nil {
				b.Fatal(err)
			}
		}
	})
	enrolments := make([]engine.Enrolment, 10_000)
	b.Run("10,000 enrolments", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			for i := range enrolments {
				customer := "n" + time.Duration(n*10_000+i).String()
				enrolments[i] = engine.Enrolment{
					Customer: engine.CustomerID(customer), Experiment: "y", Variant: "warm", AssignmentKey: customer, EnrolledAt: start,
				}
			}
			if _, err := s.InsertEnrolments(ctx, enrolments); err != nil {
				b.Fatal(err)
			}
		}
	})
}
