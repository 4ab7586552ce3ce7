package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

// ConfigurationVersion implements engine.Experiments.
func (s *Store) ConfigurationVersion(ctx context.Context) (int64, error) {
	var version int64
	err := s.hot.GetContext(ctx, &version, `SELECT version FROM configuration`)
	return version, translate(err)
}

// Configuration implements engine.Experiments.
func (s *Store) Configuration(ctx context.Context) (*engine.Configuration, error) {
	c := &engine.Configuration{}
	err := s.inSnapshot(ctx, s.hot, func(tx *sqlx.Tx) error {
		var head struct {
			Version int64  `db:"version"`
			Secret  []byte `db:"secret"`
		}
		if err := tx.GetContext(ctx, &head, `SELECT version, secret FROM configuration`); err != nil {
			return err
		}
		c.Version, c.Secret = head.Version, head.Secret
		var places []touchpointRow
		if err := tx.SelectContext(ctx, &places, `
			SELECT t.key, t.name, t.channel, t.stage, t.content, t.cost_amount, t.cost_currency,
				t.created_at, t.updated_at,
				coalesce(t.promoted_by, '') AS promoted_by, coalesce(p.variant, '') AS promoted_variant
			FROM touchpoints t LEFT JOIN promotions p ON p.experiment = t.promoted_by`); err != nil {
			return err
		}
		for i := range places {
			c.Touchpoints = append(c.Touchpoints, engine.PromotedTouchpoint{
				Touchpoint:      places[i].touchpoint(),
				PromotedVariant: engine.VariantKey(places[i].PromotedVariant),
			})
		}
		if err := tx.SelectContext(ctx, &c.Layers, `SELECT key, salt FROM layers`); err != nil {
			return err
		}
		var err error
		if c.Keys, err = selectKeys(ctx, tx); err != nil {
			return err
		}
		return loadTests(ctx, tx, c)
	})
	return c, err
}

// loadTests reads what decides who gets what: tests, promotions, holdouts and overrides.
func loadTests(ctx context.Context, tx *sqlx.Tx, c *engine.Configuration) error {
	var live []experimentRow
	if err := tx.SelectContext(ctx, &live, `
		SELECT status, outcome, winner, version, spec, salt, slots, frozen, stopped,
			created_at, updated_at, started_at, concluded_at
		FROM experiments WHERE status IN ('running', 'paused') ORDER BY key`); err != nil {
		return err
	}
	var err error
	if c.Live, err = experiments(live); err != nil {
		return err
	}
	if c.Promoted, err = selectPromoted(ctx, tx, nil); err != nil {
		return err
	}
	if c.Winners, err = selectWinners(ctx, tx); err != nil {
		return err
	}
	if c.Covering, err = selectCovering(ctx, tx); err != nil {
		return err
	}
	var holdouts []holdoutRow
	if err := tx.SelectContext(ctx, &holdouts,
		`SELECT key, parts, salt, contents, created_at FROM holdouts ORDER BY key`); err != nil {
		return err
	}
	if c.Holdouts, err = allHoldouts(holdouts); err != nil {
		return err
	}
	if err := tx.SelectContext(ctx, &c.Overrides, `
		SELECT o.customer_id AS customer, o.experiment, o.variant
		FROM overrides o JOIN experiments x ON x.key = o.experiment
		WHERE x.status <> 'concluded' ORDER BY o.experiment, o.customer_id`); err != nil {
		return err
	}
	var drafts []experimentRow
	if err := tx.SelectContext(ctx, &drafts, `
		SELECT status, outcome, winner, version, spec, salt, slots, frozen, stopped,
			created_at, updated_at, started_at, concluded_at
		FROM experiments
		WHERE status = 'draft' AND key IN (SELECT experiment FROM overrides) ORDER BY key`); err != nil {
		return err
	}
	if c.Drafts, err = experiments(drafts); err != nil {
		return err
	}
	return tx.SelectContext(ctx, &c.Over, `
		SELECT key FROM experiments x
		WHERE status = 'concluded' AND NOT EXISTS (
			SELECT FROM promotions p WHERE p.experiment = x.key AND p.ended_at IS NULL)
		ORDER BY key`)
}
