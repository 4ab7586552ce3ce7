package engine

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perennial-engine/perennial/engine/people"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// Config is what an Engine is made of. All fields are required but Journal, Pictures and Sender.
type Config struct {
	Store     Store
	Journal   Journal  // nil in a process that answers no assignments
	Pictures  Pictures // nil: the last picture is kept nowhere
	Now       func() time.Time
	Random    io.Reader // of salts, ids and secrets
	Log       *slog.Logger
	Reporting Currency
	Sender    Sender // of messages to webhooks; without one they wait for a process that has one
}

// Engine carries out the use cases. It is safe for concurrent use.
type Engine struct {
	store     Store
	journal   Journal
	pictures  Pictures
	now       func() time.Time
	random    io.Reader
	log       *slog.Logger
	reporting Currency
	sender    Sender

	live       atomic.Pointer[live]
	attributes attributeMemory
	following  sync.Mutex   // held by who brings people and attributes up to date
	upTo       atomic.Int64 // ingest position that people are at
	stored     stored       // what the stored picture shows

	boundaries boundaries // of group-sequential plans

	assigned  reasonTally
	confirmed atomic.Pointer[time.Time] // when live was last known to be the newest

	toShip     chan struct{} // told when enrolments wait in the journal
	unrecorded atomic.Int64  // enrolments answered and recorded nowhere
	refused    atomic.Int64  // pictures that failed their checks
	missing    struct {
		sync.Mutex
		from map[ExperimentKey]int64 // unrecorded enrolments not yet told the database
	}
}

// New makes an engine. It serves nobody until Refresh or LoadPicture has succeeded once.
func New(c Config) *Engine {
	e := &Engine{
		store: c.Store, journal: c.Journal, pictures: c.Pictures,
		now:    func() time.Time { return microseconds(c.Now()) },
		random: c.Random, log: c.Log, reporting: c.Reporting, sender: c.Sender,
		toShip: make(chan struct{}, 1),
	}
	if e.journal == nil {
		e.journal = noJournal{}
	}
	e.missing.from = map[ExperimentKey]int64{}
	return e
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
	current := e.live.Load()
	if current != nil && !current.stored {
		version, err := e.store.ConfigurationVersion(ctx)
		if err != nil {
			return err
		}
		if version == current.version() {
			return nil
		}
	}
	c, err := e.store.Configuration(ctx)
	if err != nil {
		return err
	}
	next, err := newLive(c)
	if err != nil {
		e.refused.Add(1)
		return fmt.Errorf("configuration %d is refused: %w", c.Version, err)
	}
	if current != nil && current.stored {
		return e.replaceStored(ctx, current, next)
	}
	return e.showKnowing(ctx, next)
}

// showKnowing reads the attributes that a configuration's audiences name before it shows it:
// whoever an audience took in without them would stay.
func (e *Engine) showKnowing(ctx context.Context, next *live) error {
	if e.journal == (noJournal{}) {
		return e.show(next) // nobody is assigned here
	}
	e.attributes.following.Lock()
	defer e.attributes.following.Unlock()
	names := next.snapshot.Attributes()
	if current := e.live.Load(); current != nil { // which goes on asking for its own meanwhile
		names = slices.Concat(names, current.snapshot.Attributes())
		slices.Sort(names)
		names = slices.Compact(names)
	}
	if err := e.attributes.read(ctx, e.store, names); err != nil {
		return err
	}
	return e.show(next)
}

// show swaps a configuration in, unless a newer one serves already.
func (e *Engine) show(next *live) error {
	for {
		current := e.live.Load()
		if current != nil && !current.stored && current.version() >= next.version() {
			return nil
		}
		if current != nil {
			next.people = current.people
		} else {
			next.people = people.New(next.secret())
		}
		if e.live.CompareAndSwap(current, next) {
			next.retire()
			if current == nil {
				return e.recall(next)
			}
			return nil
		}
	}
}

// replaceStored puts the database's configuration in the place of a stored picture's. The
// people of the picture stay, which spares reading them all, if it was taken from this
// database as it is: not from another one, and not from a later state of a restored one.
func (e *Engine) replaceStored(ctx context.Context, picture, next *live) error {
	position, err := e.store.IngestPosition(ctx)
	if err != nil {
		return err
	}
	e.following.Lock()
	defer e.following.Unlock()
	if picture.secret() == next.secret() && e.upTo.Load() <= position {
		return e.showKnowing(ctx, next)
	}
	next.people = people.New(next.secret())
	e.attributes.take(attributePicture{})
	if err := e.attributes.follow(ctx, e.store, func() *snapshot.Snapshot { return next.snapshot }); err != nil {
		return err
	}
	if !e.live.CompareAndSwap(picture, next) {
		return nil // somebody else has replaced it
	}
	e.upTo.Store(0)
	next.retire()
	return e.recall(next)
}

// KeepFresh shows what other processes changed and ships what waits in the journal, until
// ctx ends. It shows a change when the database tells of it, and every interval in case it
// does not; it ships at once, and every interval in case that failed. Neither waits for the
// other.
func (e *Engine) KeepFresh(ctx context.Context, interval time.Duration) {
	changes := make(chan struct{}, 1)
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		e.store.Listen(ctx, func() {
			select {
			case changes <- struct{}{}:
			default: // it has been told already
			}
		})
	})
	running.Go(func() {
		e.keep(ctx, interval, e.toShip, func(bool) error { return e.Flush(ctx) })
	})
	var saved time.Time
	e.keep(ctx, interval, changes, func(told bool) error {
		if told {
			return e.Refresh(ctx)
		}
		err := errors.Join(e.Refresh(ctx), e.Follow(ctx))
		if e.pictureDue(saved) {
			saved = e.now()
			err = errors.Join(err, e.SavePicture())
		}
		return err
	})
}

// sayAgain is how often an outage that lasts is told of.
const sayAgain = time.Minute

// keep does something whenever it is told to and every interval, until ctx ends.
func (e *Engine) keep(ctx context.Context, interval time.Duration, tell <-chan struct{}, do func(told bool) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var said time.Time // zero while all is well
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tell:
			err = do(true)
		case <-tick.C:
			err = do(false)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil && (said.IsZero() || e.now().Sub(said).Abs() >= sayAgain):
			said = e.now()
			e.log.WarnContext(ctx, "not up to date with the database; serving what is known", "error", err)
		case err == nil && !said.IsZero():
			said = time.Time{}
			e.log.InfoContext(ctx, "up to date with the database again")
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
