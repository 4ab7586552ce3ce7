package engine

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perennial-engine/perennial/engine/snapshot"
)

// Config is what an Engine is made of. All fields are required.
type Config struct {
	Store     Store
	Now       func() time.Time
	Random    io.Reader // of salts, ids and secrets
	Log       *slog.Logger
	Reporting Currency
}

// Engine carries out the use cases. It is safe for concurrent use.
type Engine struct {
	store     Store
	now       func() time.Time
	random    io.Reader
	log       *slog.Logger
	reporting Currency
	live      atomic.Pointer[live]
	// unrecorded counts enrolments that were answered and lost.
	unrecorded atomic.Int64
	backlog    sync.Mutex  // guards waiting
	waiting    []Enrolment // answered, and not recorded yet
	assigned   reasonTally
	confirmed  atomic.Pointer[time.Time] // when live was last known to be the newest
}

// live is what assignment and authentication read: never the database.
type live struct {
	version   int64
	snapshot  *snapshot.Snapshot
	keys      map[[32]byte]Key
	startedAt map[ExperimentKey]time.Time
}

// New makes an engine. It serves nobody until Refresh has succeeded once.
func New(c Config) *Engine {
	now := func() time.Time { return microseconds(c.Now()) }
	return &Engine{store: c.Store, now: now, random: c.Random, log: c.Log, reporting: c.Reporting}
}

// Reporting is the reporting currency.
func (e *Engine) Reporting() Currency { return e.reporting }

// Ready answers nil when assignments can be served and the database takes queries.
func (e *Engine) Ready(ctx context.Context) error {
	if e.live.Load() == nil {
		return Errorf(KindUnavailable, "not_ready", "the configuration has not been loaded yet")
	}
	return e.store.Ping(ctx)
}

// Refresh loads the configuration when it has changed and swaps it in whole. A picture
// that fails its checks is refused, and the last good one goes on serving.
func (e *Engine) Refresh(ctx context.Context) error {
	asked := e.now()
	if err := e.refresh(ctx); err != nil {
		return err
	}
	e.confirmed.Store(&asked)
	return nil
}

func (e *Engine) refresh(ctx context.Context) error {
	if current := e.live.Load(); current != nil {
		version, err := e.store.ConfigurationVersion(ctx)
		if err != nil {
			return err
		}
		if version == current.version {
			return nil
		}
	}
	c, err := e.store.Configuration(ctx)
	if err != nil {
		return err
	}
	next, err := newLive(c)
	if err != nil {
		return fmt.Errorf("configuration %d is refused: %w", c.Version, err)
	}
	for {
		current := e.live.Load()
		if current != nil && current.version >= next.version {
			return nil
		}
		if e.live.CompareAndSwap(current, next) {
			return nil
		}
	}
}

// KeepFresh refreshes every interval until ctx ends, so that a change made by another
// process shows here too, and records the enrolments that wait.
func (e *Engine) KeepFresh(ctx context.Context, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := e.Refresh(ctx); err != nil && ctx.Err() == nil {
				e.log.WarnContext(ctx, "configuration not refreshed; serving the last good one", "error", err)
				continue
			}
			if err := e.Flush(ctx); err != nil && ctx.Err() == nil {
				e.log.WarnContext(ctx, "enrolments still wait for the database", "error", err)
			}
		}
	}
}

// changed makes a change of this process visible in it at once. The change itself is
// durable already, so a failure here is only logged: KeepFresh tries again.
func (e *Engine) changed(ctx context.Context) {
	if err := e.Refresh(ctx); err != nil {
		e.log.WarnContext(ctx, "configuration not refreshed after a change", "error", err)
	}
}

func newLive(c *Configuration) (*live, error) {
	l := &live{
		version:   c.Version,
		keys:      make(map[[32]byte]Key, len(c.Keys)),
		startedAt: make(map[ExperimentKey]time.Time, len(c.Live)),
	}
	for _, k := range c.Keys {
		l.keys[k.Hash] = k
	}
	layers := make(map[LayerKey]string, len(c.Layers))
	for _, layer := range c.Layers {
		layers[layer.Key] = layer.Salt
	}
	touchpoints := make([]snapshot.Touchpoint, 0, len(c.Touchpoints))
	for _, t := range c.Touchpoints {
		touchpoints = append(touchpoints, snapshot.Touchpoint{
			Key: string(t.Key), Channel: string(t.Channel), Content: t.Content,
			PromotedBy: string(t.PromotedBy), PromotedVariant: string(t.PromotedVariant),
		})
	}
	var experiments []snapshot.Experiment
	for i := range c.Live {
		x := &c.Live[i]
		if x.StartedAt != nil {
			l.startedAt[x.Key] = *x.StartedAt
		}
		if x.Assignment == AssignedByEngine {
			experiments = append(experiments, x.picture(layers[x.Layer]))
		}
	}
	picture, err := snapshot.New(c.Version, touchpoints, experiments)
	if err != nil {
		return nil, err
	}
	l.snapshot = picture
	return l, nil
}

// picture is the experiment as assignment sees it. An arm stopped for harm serves
// control's content and stays an arm.
func (x *Experiment) picture(layerSalt string) snapshot.Experiment {
	p := snapshot.Experiment{
		Key: string(x.Key), Salt: x.Salt, LayerSalt: layerSalt, Slots: x.Slots,
		Paused: x.Status == StatusPaused,
	}
	for _, t := range x.Touchpoints {
		p.Touchpoints = append(p.Touchpoints, string(t))
	}
	control := x.Control()
	for _, v := range x.Variants {
		content := v.Content
		if x.isStopped(v.Key) {
			content = control.Content
		}
		variant := snapshot.Variant{Key: string(v.Key), Weight: v.Weight}
		variant.Content = rawContent(content)
		p.Variants = append(p.Variants, variant)
	}
	return p
}

// token is n random bytes as hexadecimal digits.
func (e *Engine) token(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(e.random, b); err != nil {
		return "", fmt.Errorf("randomness: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// newSalt is 32 hexadecimal digits.
func (e *Engine) newSalt() (string, error) { return e.token(16) }
