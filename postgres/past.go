package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// Unclosed implements engine.PastTests.
func (s *Store) Unclosed(ctx context.Context) ([]engine.UnclosedExperiment, error) {
	var rows []struct {
		experimentRow
		MaturesAt sql.NullTime `db:"matures_at"`
	}
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT status, outcome, winner, version, spec, salt, slots, frozen, stopped,
			created_at, updated_at, started_at, concluded_at, newest.matures_at
		FROM experiments LEFT JOIN past_tests AS newest ON newest.experiment = key AND NOT newest.closing
		WHERE status = 'concluded' AND NOT EXISTS (
			SELECT FROM past_tests AS closed WHERE closed.experiment = key AND closed.closing)
		ORDER BY key`); err != nil {
		return nil, translate(err)
	}
	unclosed := make([]engine.UnclosedExperiment, 0, len(rows))
	for i := range rows {
		x, err := rows[i].experiment()
		if err != nil {
			return nil, err
		}
		unclosed = append(unclosed, engine.UnclosedExperiment{Experiment: *x, MaturesAt: timeOf(rows[i].MaturesAt)})
	}
	return unclosed, nil
}

// KeepPastTest implements engine.PastTests.
func (s *Store) KeepPastTest(ctx context.Context, p *engine.PastTest, maturesAt time.Time) error {
	return s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		result, err := tx.ExecContext(ctx,
			`UPDATE past_tests SET matures_at = $2 WHERE experiment = $1 AND NOT closing`, p.Experiment, maturesAt)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		position, err := nextPosition(ctx, tx)
		if err != nil {
			return err
		}
		return insertPastTest(ctx, tx, p, position, &maturesAt)
	})
}

// CloseExperiment implements engine.PastTests. It takes the ledger's lock first, as erasing
// does: whoever changes the configuration holds locks that both wait for.
func (s *Store) CloseExperiment(ctx context.Context, r *engine.Report, p *engine.PastTest) error {
	return s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		position, err := nextPosition(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := insertReport(ctx, tx, r); err != nil {
			return err
		}
		if err := insertPastTest(ctx, tx, p, position, nil); err != nil {
			return err
		}
		return record(ctx, tx, r.ComputedAt, r.Entry())
	})
}

// insertPastTest answers KindConflict when what the test found is known already.
func insertPastTest(ctx context.Context, tx *sqlx.Tx, p *engine.PastTest, position int64, maturesAt *time.Time) error {
	effects, err := json.Marshal(p.Effects)
	if err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO past_tests (experiment, closing, objective, at, position, matures_at, effects)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		p.Experiment, p.Closing, p.Objective, p.At, position, maturesAt, effects)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return engine.Errorf(engine.KindConflict, "already_closed", "what experiment %q found is written down already", p.Experiment)
}

// PastTests implements engine.PastTests.
func (s *Store) PastTests(ctx context.Context, x *engine.Experiment, asOf time.Time, dataCut int64) ([]engine.PastTest, error) {
	var rows []struct {
		Experiment engine.ExperimentKey `db:"experiment"`
		Closing    bool                 `db:"closing"`
		At         time.Time            `db:"at"`
		Effects    []byte               `db:"effects"`
	}
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT DISTINCT ON (experiment COLLATE "C") experiment, closing, at, effects FROM past_tests
		WHERE objective = $1 AND experiment <> $2 AND at <= $3 AND position <= $4
		ORDER BY experiment COLLATE "C", closing DESC`, x.Objective, x.Key, asOf, dataCut); err != nil {
		return nil, translate(err)
	}
	past := make([]engine.PastTest, len(rows))
	for i, r := range rows {
		past[i] = engine.PastTest{Experiment: r.Experiment, Objective: x.Objective, Closing: r.Closing, At: r.At}
		if err := json.Unmarshal(r.Effects, &past[i].Effects); err != nil {
			return nil, err
		}
	}
	return past, nil
}
