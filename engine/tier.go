package engine

import (
	"context"
	"encoding/json"

	"github.com/shopspring/decimal"
)

// A Tier says how a customer's value to date, net of costs, compares with that of the others.
// Only customers who have an event with a value that is no cost have one.
type Tier string

// The tiers. Of values that tie at a limit all are below it.
const (
	TierHigh   Tier = "high"   // above HighAbove
	TierMedium Tier = "medium" // above MediumAbove
	TierLow    Tier = "low"    // the others
	TierNone   Tier = "none"   // as the name of a segment: no value yet
)

// The limits of the tiers, as type-7 quantiles of the values: the top two deciles are high, the
// next three medium.
var (
	HighAbove   = decimal.New(8, -1)
	MediumAbove = decimal.New(5, -1)
)

// AttributeTier is the stored attribute that holds a customer's tier. What a client writes
// under this name stands instead: the engine leaves it alone, until null is written.
const AttributeTier = "ltv_tier"

// tierAll is the tiers job: it compares everybody's value and writes the tiers that changed.
func (e *Engine) tierAll(ctx context.Context) (int, error) {
	changed, err := e.store.WriteTiers(ctx, e.now())
	e.followed(ctx) // those of before a failure are written, too
	return changed, err
}

// Tier is the tier that audiences see, "" without any.
func (c *Customer) Tier() Tier {
	var t Tier
	if err := json.Unmarshal(c.Attributes[AttributeTier], &t); err != nil {
		return "" // nothing, or no text
	}
	return t
}
