package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

type promotionRow struct {
	Experiment   string       `db:"experiment"`
	Variant      string       `db:"variant"`
	Before       []byte       `db:"served_before"`
	PromotedAt   time.Time    `db:"promoted_at"`
	Step         int          `db:"step"`
	SteppedAt    time.Time    `db:"stepped_at"`
	ReleasedAt   sql.NullTime `db:"released_at"`
	EndedAt      sql.NullTime `db:"ended_at"`
	RolledBackAt sql.NullTime `db:"rolled_back_at"`
}

func (r *promotionRow) promotion() (*engine.Promotion, error) {
	p := &engine.Promotion{
		Variant: engine.VariantKey(r.Variant), PromotedAt: r.PromotedAt, Step: r.Step, SteppedAt: r.SteppedAt,
		ReleasedAt: timeOf(r.ReleasedAt), EndedAt: timeOf(r.EndedAt), RolledBackAt: timeOf(r.RolledBackAt),
	}
	return p, json.Unmarshal(r.Before, &p.Before)
}

func loadPromotion(ctx context.Context, tx *sqlx.Tx, key engine.ExperimentKey) (*engine.Promotion, error) {
	var r promotionRow
	err := tx.GetContext(ctx, &r, `
		SELECT experiment, variant, served_before, promoted_at, step, stepped_at, released_at, ended_at, rolled_back_at
		FROM promotions WHERE experiment = $1`, key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // most experiments have no promotion
	}
	if err != nil {
		return nil, err
	}
	return r.promotion()
}

// savePromotions writes the experiment's promotion and, after a rollback, what those above
// it replaced.
func savePromotions(ctx context.Context, tx *sqlx.Tx, c *engine.Change) error {
	p := c.Promotion
	if p == nil {
		return nil
	}
	for i := range c.Promoted {
		above, err := json.Marshal(c.Promoted[i].Promotion.Before)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE promotions SET served_before = $2
			WHERE experiment = $1 AND CAST(served_before AS jsonb) <> CAST($2 AS jsonb)`, c.Promoted[i].Key, above); err != nil {
			return err
		}
	}
	before, err := json.Marshal(p.Before)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO promotions
			(experiment, variant, served_before, promoted_at, step, stepped_at, released_at, ended_at, rolled_back_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (experiment) DO UPDATE SET step = excluded.step, stepped_at = excluded.stepped_at,
			released_at = excluded.released_at, ended_at = excluded.ended_at, rolled_back_at = excluded.rolled_back_at`,
		c.Experiment.Key, p.Variant, before, p.PromotedAt, p.Step, p.SteppedAt, p.ReleasedAt, p.EndedAt, p.RolledBackAt)
	return err
}

// selectPromoted reads experiments that were promoted, oldest first: those whose promotion
// is in force or, where x is not nil, all others that share a touchpoint with it.
func selectPromoted(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment) ([]engine.PromotedExperiment, error) {
	var touchpoints []string
	key := engine.ExperimentKey("")
	if x != nil {
		key, touchpoints = x.Key, texts[string](x.Touchpoints)
	}
	var promotions []promotionRow
	if err := tx.SelectContext(ctx, &promotions, `
		SELECT p.experiment, p.variant, p.served_before, p.promoted_at, p.step, p.stepped_at, p.released_at, p.ended_at,
			p.rolled_back_at
		FROM promotions p JOIN experiments x ON x.key = p.experiment
		WHERE x.key <> $1 AND CASE WHEN $1 = '' THEN p.ended_at IS NULL ELSE x.touchpoints && $2 END
		ORDER BY p.promoted_at, p.experiment`, key, pq.Array(touchpoints)); err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(promotions))
	for i := range promotions {
		keys = append(keys, promotions[i].Experiment)
	}
	var rows []experimentRow
	if err := tx.SelectContext(ctx, &rows, `
		SELECT status, outcome, winner, version, spec, salt, slots, frozen, stopped,
			created_at, updated_at, started_at, concluded_at
		FROM experiments WHERE key = ANY ($1)`, pq.Array(keys)); err != nil {
		return nil, err
	}
	named := map[string]*engine.Experiment{}
	for i := range rows {
		x, err := rows[i].experiment()
		if err != nil {
			return nil, err
		}
		named[string(x.Key)] = x
	}
	promoted := make([]engine.PromotedExperiment, 0, len(promotions))
	for i := range promotions {
		p, err := promotions[i].promotion()
		if err != nil {
			return nil, err
		}
		promoted = append(promoted, engine.PromotedExperiment{Experiment: *named[promotions[i].Experiment], Promotion: *p})
	}
	return promoted, nil
}

// selectWinners reads which variant won, of every promotion there was.
func selectWinners(ctx context.Context, tx *sqlx.Tx) (map[engine.ExperimentKey]engine.VariantKey, error) {
	var rows []struct {
		Experiment engine.ExperimentKey `db:"experiment"`
		Variant    engine.VariantKey    `db:"variant"`
	}
	if err := tx.SelectContext(ctx, &rows, `SELECT experiment, variant FROM promotions`); err != nil {
		return nil, err
	}
	winners := make(map[engine.ExperimentKey]engine.VariantKey, len(rows))
	for _, r := range rows {
		winners[r.Experiment] = r.Variant
	}
	return winners, nil
}

// selectCovering reads what was replaced by the promotions that are over and were made while
// another one, still in force, stood on a touchpoint of theirs.
func selectCovering(ctx context.Context, tx *sqlx.Tx) (map[engine.ExperimentKey]engine.Replaced, error) {
	var rows []promotionRow
	if err := tx.SelectContext(ctx, &rows, `
		SELECT p.experiment, p.variant, p.served_before, p.promoted_at, p.step, p.stepped_at, p.released_at, p.ended_at,
			p.rolled_back_at
		FROM promotions p JOIN experiments x ON x.key = p.experiment
		WHERE p.ended_at IS NOT NULL AND p.rolled_back_at IS NULL AND EXISTS (
			SELECT FROM promotions below JOIN experiments y ON y.key = below.experiment
			WHERE below.ended_at IS NULL AND below.promoted_at <= p.promoted_at AND y.touchpoints && x.touchpoints)`); err != nil {
		return nil, err
	}
	covering := make(map[engine.ExperimentKey]engine.Replaced, len(rows))
	for i := range rows {
		p, err := rows[i].promotion()
		if err != nil {
			return nil, err
		}
		replaced := engine.Replaced{}
		for key, before := range p.Before {
			if before.PromotedBy != "" {
				replaced[key] = before.PromotedBy
			}
		}
		covering[engine.ExperimentKey(rows[i].Experiment)] = replaced
	}
	return covering, nil
}
