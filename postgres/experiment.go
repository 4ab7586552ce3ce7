package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

type experimentRow struct {
	Status      string         `db:"status"`
	Outcome     string         `db:"outcome"`
	Winner      string         `db:"winner"`
	Version     int            `db:"version"`
	Spec        []byte         `db:"spec"`
	Salt        string         `db:"salt"`
	Slots       []byte         `db:"slots"`
	Frozen      []byte         `db:"frozen"`
	Stopped     pq.StringArray `db:"stopped"`
	CreatedAt   time.Time      `db:"created_at"`
	UpdatedAt   time.Time      `db:"updated_at"`
	StartedAt   sql.NullTime   `db:"started_at"`
	ConcludedAt sql.NullTime   `db:"concluded_at"`
}

func (r *experimentRow) experiment() (*engine.Experiment, error) {
	x := &engine.Experiment{
		Status: engine.Status(r.Status), Outcome: engine.Outcome(r.Outcome), Winner: engine.VariantKey(r.Winner),
		Version: r.Version, Salt: r.Salt, Stopped: texts[engine.VariantKey](r.Stopped),
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
		StartedAt: timeOf(r.StartedAt), ConcludedAt: timeOf(r.ConcludedAt),
	}
	if err := json.Unmarshal(r.Spec, &x.Spec); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(r.Slots, &x.Slots); err != nil {
		return nil, err
	}
	return x, json.Unmarshal(r.Frozen, &x.Frozen)
}

func timeOf(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	return &t.Time
}

// texts turns texts of one type into those of another.
func texts[To, From ~string](from []From) []To {
	to := make([]To, len(from))
	for i, s := range from {
		to[i] = To(s)
	}
	return to
}

// CreateExperiment implements engine.Experiments.
func (s *Store) CreateExperiment(ctx context.Context, x *engine.Experiment) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		var taken bool
		if err := tx.GetContext(ctx, &taken,
			`SELECT EXISTS (SELECT FROM experiments WHERE key = $1)`, x.Key); err != nil {
			return err
		}
		if taken {
			return engine.Errorf(engine.KindConflict, "key_taken", "there is an experiment %q already", x.Key)
		}
		spec, err := marshalSpec(&x.Spec)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO experiments
				(key, status, version, spec, touchpoints, metrics, salt, slots, frozen, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, '[]', '[]', $8, $9)`,
			x.Key, x.Status, x.Version, spec, pq.Array(texts[string](x.Touchpoints)),
			pq.Array(texts[string](x.Metrics.Keys())), x.Salt, x.CreatedAt, x.UpdatedAt); err != nil {
			return err
		}
		return record(ctx, tx, x.CreatedAt, x.Entry())
	})
}

// marshalSpec writes a spec with its contents as they are. The encoder's habit of escaping
// markup would make them other texts than those of the touchpoints that they take over.
func marshalSpec(spec *engine.Spec) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(spec)
	return b.Bytes(), err
}

// Experiment implements engine.Experiments.
func (s *Store) Experiment(ctx context.Context, key engine.ExperimentKey) (*engine.Experiment, error) {
	var r experimentRow
	if err := s.hot.GetContext(ctx, &r, `
		SELECT status, outcome, winner, version, spec, salt, slots, frozen, stopped,
			created_at, updated_at, started_at, concluded_at
		FROM experiments WHERE key = $1`, key); err != nil {
		return nil, found(err, "experiment", string(key))
	}
	return r.experiment()
}

// Experiments implements engine.Experiments.
func (s *Store) Experiments(ctx context.Context, p engine.Page) ([]engine.Experiment, error) {
	var rows []experimentRow
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT status, outcome, winner, version, spec, salt, slots, frozen, stopped,
			created_at, updated_at, started_at, concluded_at
		FROM experiments WHERE key > $1 ORDER BY key LIMIT $2`, p.After, p.Limit); err != nil {
		return nil, translate(err)
	}
	return experiments(rows)
}

// ExperimentsNamed implements engine.Experiments.
func (s *Store) ExperimentsNamed(ctx context.Context, keys []engine.ExperimentKey) ([]engine.Experiment, error) {
	var rows []experimentRow
	if err := s.hot.SelectContext(ctx, &rows, `
		SELECT status, outcome, winner, version, spec, salt, slots, frozen, stopped,
			created_at, updated_at, started_at, concluded_at
		FROM experiments WHERE key = ANY ($1)`, pq.Array(texts[string](keys))); err != nil {
		return nil, translate(err)
	}
	return experiments(rows)
}

func experiments(rows []experimentRow) ([]engine.Experiment, error) {
	all := make([]engine.Experiment, 0, len(rows))
	for i := range rows {
		x, err := rows[i].experiment()
		if err != nil {
			return nil, err
		}
		all = append(all, *x)
	}
	return all, nil
}

// DeleteExperiment implements engine.Experiments.
func (s *Store) DeleteExperiment(ctx context.Context, key engine.ExperimentKey, version int, at time.Time) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		x, err := lockedExperiment(ctx, tx, key)
		if err != nil {
			return err
		}
		if err := x.CheckDelete(version); err != nil {
			return err
		}
		if err := dropOverrides(ctx, tx, key, nil); err != nil {
			return err
		}
		return deleteOne(ctx, tx, at, "experiment", string(key), `DELETE FROM experiments WHERE key = $1`)
	})
}

// lockedExperiment reads an experiment inside a transaction that holds the
// configuration's lock.
func lockedExperiment(ctx context.Context, tx *sqlx.Tx, key engine.ExperimentKey) (*engine.Experiment, error) {
	var r experimentRow
	if err := tx.GetContext(ctx, &r, `
		SELECT status, outcome, winner, version, spec, salt, slots, frozen, stopped,
			created_at, updated_at, started_at, concluded_at
		FROM experiments WHERE key = $1 FOR UPDATE`, key); err != nil {
		return nil, found(err, "experiment", string(key))
	}
	return r.experiment()
}

// ChangeExperiment implements engine.Experiments.
func (s *Store) ChangeExperiment(ctx context.Context, key engine.ExperimentKey, change func(c *engine.Change) error) error {
	return s.inTx(ctx, s.hot, func(tx *sqlx.Tx) error {
		if err := touchConfiguration(ctx, tx); err != nil {
			return err
		}
		c, err := loadChange(ctx, tx, key)
		if err != nil {
			return err
		}
		before := map[engine.TouchpointKey]engine.Touchpoint{}
		for key, t := range c.Touchpoints {
			before[key] = *t
		}
		was := c.Before()
		if err := change(c); err != nil {
			return err
		}
		if err := saveExperiment(ctx, tx, c.Experiment); err != nil {
			return err
		}
		if was.Experiment.Status == engine.StatusDraft {
			if err := dropOverrides(ctx, tx, key, c.Experiment.Variants); err != nil {
				return err
			}
		}
		if err := saveContents(ctx, tx, c, before); err != nil {
			return err
		}
		if err := savePromotions(ctx, tx, c); err != nil {
			return err
		}
		if err := saveDecisions(ctx, tx, c); err != nil {
			return err
		}
		messages, err := c.Messages(was)
		if err != nil {
			return err
		}
		if err := post(ctx, tx, messages...); err != nil {
			return err
		}
		return record(ctx, tx, c.Experiment.UpdatedAt, c.Entry(was))
	})
}

// saveContents writes what a change has made of its touchpoints.
func saveContents(ctx context.Context, tx *sqlx.Tx, c *engine.Change, before map[engine.TouchpointKey]engine.Touchpoint) error {
	for key, t := range c.Touchpoints {
		was := before[key]
		if string(t.Content) == string(was.Content) && t.PromotedBy == was.PromotedBy {
			continue
		}
		if was.PromotedBy == "" {
			if err := holdContent(ctx, tx, key, was.Content); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `
			UPDATE touchpoints SET content = $2, promoted_by = nullif($3, ''), updated_at = $4 WHERE key = $1`,
			key, []byte(t.Content), string(t.PromotedBy), c.Experiment.UpdatedAt); err != nil {
			return err
		}
	}
	return nil
}

func loadChange(ctx context.Context, tx *sqlx.Tx, key engine.ExperimentKey) (*engine.Change, error) {
	x, err := lockedExperiment(ctx, tx, key)
	if err != nil {
		return nil, err
	}
	c := &engine.Change{
		Experiment:  x,
		Metrics:     map[engine.MetricKey]engine.Metric{},
		Touchpoints: map[engine.TouchpointKey]*engine.Touchpoint{},
	}
	if err := tx.GetContext(ctx, &c.Layer, `SELECT key, salt FROM layers WHERE key = $1`, x.Layer); err != nil {
		if missing := found(err, "layer", string(x.Layer)); engine.KindOf(missing) != engine.KindNotFound {
			return nil, missing
		}
	}
	var definitions [][]byte
	if err := tx.SelectContext(ctx, &definitions,
		`SELECT definition FROM metrics WHERE key = ANY ($1)`, pq.Array(texts[string](x.Metrics.Keys()))); err != nil {
		return nil, err
	}
	metrics, err := decodeAll[engine.Metric](definitions)
	if err != nil {
		return nil, err
	}
	for _, m := range metrics {
		c.Metrics[m.Key] = m
	}
	touchpoints := pq.Array(texts[string](x.Touchpoints))
	var places []touchpointRow
	if err := tx.SelectContext(ctx, &places, `
		SELECT key, name, channel, stage, content, coalesce(promoted_by, '') AS promoted_by,
			cost_amount, cost_currency, created_at, updated_at
		FROM touchpoints WHERE key = ANY ($1) FOR UPDATE`, touchpoints); err != nil {
		return nil, err
	}
	for i := range places {
		t := places[i].touchpoint()
		c.Touchpoints[t.Key] = &t
	}
	var others []experimentRow
	if err := tx.SelectContext(ctx, &others, `
		SELECT status, outcome, winner, version, spec, salt, slots, frozen, stopped,
			created_at, updated_at, started_at, concluded_at
		FROM experiments
		WHERE status IN ('running', 'paused') AND key <> $1 AND touchpoints && $2 ORDER BY key`, key, touchpoints); err != nil {
		return nil, err
	}
	if c.Others, err = experiments(others); err != nil {
		return nil, err
	}
	if c.Promoted, err = selectPromoted(ctx, tx, x); err != nil {
		return nil, err
	}
	if c.Promotion, err = loadPromotion(ctx, tx, key); err != nil {
		return nil, err
	}
	c.Pending, err = loadPending(ctx, tx, key)
	return c, err
}

func saveExperiment(ctx context.Context, tx *sqlx.Tx, x *engine.Experiment) error {
	spec, err := marshalSpec(&x.Spec)
	if err != nil {
		return err
	}
	slots, err := json.Marshal(x.Slots)
	if err != nil {
		return err
	}
	frozen, err := json.Marshal(x.Frozen)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE experiments SET version = version + 1, status = $2, outcome = $3, winner = $4, spec = $5,
			touchpoints = $6, metrics = $7, slots = $8, frozen = $9, stopped = $10,
			updated_at = $11, started_at = $12, concluded_at = $13
		WHERE key = $1`,
		x.Key, x.Status, x.Outcome, x.Winner, spec, pq.Array(texts[string](x.Touchpoints)),
		pq.Array(texts[string](x.Metrics.Keys())), slots, frozen, pq.Array(texts[string](x.Stopped)),
		x.UpdatedAt, x.StartedAt, x.ConcludedAt)
	return err
}
