package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// An analysis tells which enrolments reports show, as sumUp does.
type analysis struct {
	forced map[seatKey]bool
	ended  map[string]time.Time // by experiment with max_days: who came from then on is too late
}

// analysed reads it for experiments.
func analysed(ctx context.Context, tx *sqlx.Tx, of []engine.Experiment) (*analysis, error) {
	a := &analysis{forced: map[seatKey]bool{}, ended: map[string]time.Time{}}
	keys, days := keysOf(of), make([]int64, len(of))
	for i := range of {
		days[i] = int64(of[i].Policy.MaxDays)
	}
	var forced []struct {
		Customer   string `db:"customer_id"`
		Experiment string `db:"experiment"`
	}
	if err := tx.SelectContext(ctx, &forced, `
		SELECT coalesce(identities.person, overrides.customer_id) AS customer_id, experiment
		FROM overrides LEFT JOIN identities USING (customer_id) WHERE experiment = ANY ($1)`, keys); err != nil {
		return nil, err
	}
	customers, experiments := pq.StringArray{}, pq.StringArray{}
	for _, f := range forced {
		a.forced[seatKey{f.Customer, f.Experiment}] = true
		customers, experiments = append(customers, f.Customer), append(experiments, f.Experiment)
	}
	var ended []struct {
		Experiment string    `db:"experiment"`
		At         time.Time `db:"at"`
	}
	if err := tx.SelectContext(ctx, &ended, `
		SELECT e.experiment, min(e.enrolled_at) + plan.max_days * interval '24 hours' AS at
		FROM unnest(CAST($1 AS text[]), CAST($4 AS bigint[])) AS plan (experiment, max_days)
		JOIN enrolments AS e ON e.experiment = plan.experiment
		LEFT JOIN unnest(CAST($2 AS text[]), CAST($3 AS text[])) AS forced (customer_id, experiment)
			ON forced.customer_id = e.customer_id AND forced.experiment = e.experiment
		WHERE plan.max_days > 0 AND forced.customer_id IS NULL
		GROUP BY e.experiment, plan.max_days`, keys, customers, experiments, pq.Array(days)); err != nil {
		return nil, err
	}
	for _, e := range ended {
		a.ended[e.Experiment] = e.At
	}
	return a, nil
}

// mark is an enrolment with whether it is analysed.
func (a *analysis) mark(r *enrolmentRow) *engine.ExportedEnrolment {
	end, ends := a.ended[r.Experiment]
	return &engine.ExportedEnrolment{
		Enrolment: r.enrolment(),
		Analysed:  !a.forced[seatKey{r.Customer, r.Experiment}] && (!ends || r.EnrolledAt.Before(end)),
	}
}
