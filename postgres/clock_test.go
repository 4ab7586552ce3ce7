package postgres

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// TestNothingIsEarlyWhateverTheClocksDo: two workers whose clocks are set by up to a day
// forwards and backwards, at any time between the jobs, promote a test after another. By the
// times in the database no look counts anybody before they have matured, nothing is promoted before
// min_days, nor before the look that says so, and no step of a ramp is taken early.
// PERENNIAL_TEST_DAYS=3650 plays ten years instead of four months.
func TestNothingIsEarlyWhateverTheClocksDo(t *testing.T) {
	days, err := strconv.Atoi(os.Getenv("PERENNIAL_TEST_DAYS"))
	if err != nil {
		days = 120
	}
	s := newStore(t)
	r := rand.New(rand.NewPCG(3650, 24))
	at := start
	var clocks []*clock
	var engines []*engine.Engine
	offs := []time.Duration{0, 0}
	for i := range offs {
		clocks = append(clocks, &clock{at: at})
		engines = append(engines, newEngine(t, s, clocks[i], byte(i+1)))
	}
	catalogue(t, engines[0])
	jobs := []string{"measure", "analyze", "decide", "ramp"}
	steps := map[string]promotionRow{}
	begun, sets := 0, 0
	for d := range days {
		if d%60 == 0 {
			x := spec(engine.ExperimentKey(fmt.Sprintf("x%d", begun)))
			x.Policy.MinDays, x.Policy.Ramp, x.Policy.RampHours = 14, []float64{0.2, 0.5, 1}, 24
			running(t, engines[0], x)
			spend(t, s, x.Key, "control", 110, 10, at)
			spend(t, s, x.Key, "warm", 110, 20, at.Add(time.Hour))
			begun++
		}
		for range 2 {
			at = at.Add(12 * time.Hour)
			worker := r.IntN(len(engines))
			if off := time.Duration(r.Int64N(int64(2*day))) - day; r.IntN(2) == 0 && (off-offs[worker]).Abs() <= day {
				offs[worker] = off
				sets++
			}
			for i := range clocks {
				clocks[i].Set(at.Add(offs[i]))
			}
			job := jobs[r.IntN(len(jobs))]
			if _, err := engines[worker].RunDue(t.Context(), job); err != nil && engine.KindOf(err) != engine.KindConflict {
				t.Fatal(err)
			}
			checkSteps(t, s, steps)
		}
	}
	for what, query := range map[string]string{
		"looks counted somebody before they had matured": `
			SELECT count(*) FROM reports WHERE as_of < (SELECT min(enrolled_at) FROM enrolments WHERE enrolments.experiment = reports.experiment) + interval '7 days'
				AND jsonb_path_exists(CAST(document AS jsonb), '$.metrics[*].arms[*] ? (@.mature > 0)')`,
		"looks spoke of promotion before min_days": `
			SELECT count(*) FROM reports WHERE document #>> '{verdict,action}' = 'promote'
				AND as_of < (SELECT min(enrolled_at) FROM enrolments WHERE enrolments.experiment = reports.experiment) + interval '14 days'`,
		"tests were promoted before min_days": `
			SELECT count(*) FROM promotions AS p
			WHERE promoted_at < (SELECT min(enrolled_at) FROM enrolments WHERE enrolments.experiment = p.experiment) + interval '14 days'`,
		"decisions were carried out before they were made": `SELECT count(*) FROM decisions WHERE applied_at < decided_at`,
		"tests had several decisions":                      `SELECT count(*) FROM (SELECT FROM decisions WHERE applied_at IS NOT NULL GROUP BY experiment HAVING count(*) > 1) AS several`,
	} {
		if n := count(t, s, query); n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
	if n := count(t, s, `SELECT count(*) FROM promotions WHERE ended_at IS NOT NULL`); n != begun {
		t.Errorf("%d tests are promoted and their ramps at the end, of %d", n, begun)
	}
	t.Logf("%d tests in %d days, clocks set %d times", begun, days, sets)
}

// checkSteps checks that promotions have gone on, since they were last seen, by at most a step
// of the ramp, and by the times that are written down after ramp_hours at the earliest.
func checkSteps(t *testing.T, s *Store, seen map[string]promotionRow) {
	t.Helper()
	var rows []promotionRow
	if err := sqlx.SelectContext(t.Context(), s.hot, &rows, `
		SELECT experiment, variant, served_before, promoted_at, step, stepped_at, ended_at, rolled_back_at FROM promotions`); err != nil {
		t.Fatal(err)
	}
	for _, p := range rows {
		before, known := seen[p.Experiment]
		if !known && (p.Step != 0 || !p.SteppedAt.Equal(p.PromotedAt)) {
			t.Errorf("%s begins at step %d, %v after its promotion", p.Experiment, p.Step, p.SteppedAt.Sub(p.PromotedAt))
		}
		if known && p.Step != before.Step && (p.Step != before.Step+1 || p.SteppedAt.Sub(before.SteppedAt) < day) {
			t.Errorf("%s went from step %d to %d after %v", p.Experiment, before.Step, p.Step, p.SteppedAt.Sub(before.SteppedAt))
		}
		seen[p.Experiment] = p
	}
}
