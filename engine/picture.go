package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/perennial-engine/perennial/engine/audience"
	"github.com/perennial-engine/perennial/engine/people"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// live is the configuration that assignment and authentication read: never the database.
type live struct {
	configuration *Configuration
	snapshot      *snapshot.Snapshot
	keys          map[[sha256.Size]byte]*Key
	startedAt     map[ExperimentKey]time.Time
	// people are the customers linked or enrolled; every picture shares them.
	people *people.Registry
	stored bool // it comes from a stored picture, not from the database
	ending atomic.Pointer[ending]
}

// An ending is which tests nobody entered any more for a while.
type ending struct {
	experiments []string
	from, until time.Time // until is zero: for good
	firsts      int       // of people
}

// ended are the tests that nobody enters any more.
func (l *live) ended(now time.Time) []string {
	firsts := l.people.Firsts()
	if e := l.ending.Load(); e != nil && e.firsts == firsts && !now.Before(e.from) && (e.until.IsZero() || now.Before(e.until)) {
		return e.experiments
	}
	e := &ending{from: now, firsts: firsts}
	e.experiments, e.until = l.snapshot.Ended(now, l.people.FirstIn)
	l.ending.Store(e)
	return e.experiments
}

// configurationUnread is the answer of what needs to know which database it works with.
func configurationUnread() error {
	return Errorf(KindUnavailable, "not_ready", "the configuration has not been read from the database yet")
}

func (l *live) version() int64 { return l.configuration.Version }

func (l *live) secret() [sha256.Size]byte { return sha256.Sum256(l.configuration.Secret) }

// installation tells a database from others. One that was restored from a backup is the same.
func (l *live) installation() string {
	sum := sha256.Sum256(append([]byte("perennial installation "), l.configuration.Secret...))
	return hex.EncodeToString(sum[:8])
}

// retire drops from memory the enrolments in experiments that are over. Whoever was in one
// keeps the key that it gave them.
func (l *live) retire() {
	var over []string
	for _, key := range l.configuration.Over {
		over = append(over, string(key), string(key.comparison()))
	}
	l.people.Retire(over...)
}

// newLive builds what assignment reads of a configuration. It answers an error for one that
// could give wrong answers.
func newLive(c *Configuration) (*live, error) {
	l := &live{
		configuration: c,
		keys:          make(map[[sha256.Size]byte]*Key, len(c.Keys)),
		startedAt:     make(map[ExperimentKey]time.Time, len(c.Live)),
	}
	for i := range c.Keys {
		l.keys[c.Keys[i].Hash] = &c.Keys[i]
	}
	p := snapshot.Picture{Version: c.Version}
	layers := make(map[LayerKey]string, len(c.Layers))
	for _, layer := range c.Layers {
		layers[layer.Key] = layer.Salt
	}
	named := map[ExperimentKey]*Experiment{}
	for i := range c.Live {
		x := &c.Live[i]
		named[x.Key] = x
		if x.StartedAt != nil {
			l.startedAt[x.Key] = *x.StartedAt
		}
		if x.Assignment != AssignedByEngine {
			continue
		}
		picture, err := x.picture(layers[x.Layer])
		if err != nil {
			return nil, err
		}
		p.Experiments = append(p.Experiments, picture)
	}
	for i := range c.Promoted {
		l.startedAt[c.Promoted[i].Key.comparison()] = c.Promoted[i].Promotion.PromotedAt
	}
	for i := range c.Drafts {
		named[c.Drafts[i].Key] = &c.Drafts[i]
	}
	origin := c.addPromotions(&p)
	c.addTouchpoints(&p, origin)
	for _, o := range c.Overrides {
		if x := named[o.Experiment]; x != nil {
			p.Overrides = append(p.Overrides, x.override(o))
		}
	}
	picture, err := snapshot.New(p)
	if err != nil {
		return nil, err
	}
	l.snapshot = picture
	return l, nil
}

// addTouchpoints adds the touchpoints, and holdouts with a content for each of them: a
// touchpoint that is younger than the holdout serves what it had before any promotion.
func (c *Configuration) addTouchpoints(p *snapshot.Picture, origin map[TouchpointKey]json.RawMessage) {
	for _, t := range c.Touchpoints {
		p.Touchpoints = append(p.Touchpoints, snapshot.Touchpoint{
			Key: string(t.Key), Channel: string(t.Channel), Content: t.Content,
			PromotedBy: string(t.PromotedBy), PromotedVariant: string(t.PromotedVariant),
		})
	}
	for _, h := range c.Holdouts {
		contents := make(map[string]json.RawMessage, len(c.Touchpoints))
		for _, t := range c.Touchpoints {
			content := t.Content
			if own, ok := origin[t.Key]; ok {
				content = own
			}
			if then, ok := h.Contents[t.Key]; ok {
				content = then
			}
			contents[string(t.Key)] = content
		}
		p.Holdouts = append(p.Holdouts, snapshot.Holdout{
			Key: string(h.Key), Salt: h.Salt, Share: h.Parts, CreatedAt: h.CreatedAt, Contents: contents,
		})
	}
}

// addPromotions adds the promotions in force. One whose content somebody has replaced at a
// touchpoint since is over there. It answers what each touchpoint served before the oldest.
func (c *Configuration) addPromotions(p *snapshot.Picture) (origin map[TouchpointKey]json.RawMessage) {
	promoted := make(map[ExperimentKey]*PromotedExperiment, len(c.Promoted))
	for i := range c.Promoted {
		x := &c.Promoted[i]
		promoted[x.Key] = x
	}
	standing := map[ExperimentKey]map[TouchpointKey]bool{}
	origin = map[TouchpointKey]json.RawMessage{}
	for _, t := range c.Touchpoints {
		key := t.PromotedBy
		for range len(c.Promoted) + len(c.Covering) { // down to what nobody promoted
			x := promoted[key]
			if x == nil {
				key = c.Covering[key][t.Key]
				continue
			}
			if standing[key] == nil {
				standing[key] = map[TouchpointKey]bool{}
			}
			standing[key][t.Key] = true
			before := x.Promotion.Before[t.Key]
			origin[t.Key], key = before.Content, before.PromotedBy
		}
	}
	for i := range c.Promoted {
		x := &c.Promoted[i]
		picture := x.picture(c.Winners)
		kept := picture.Touchpoints[:0]
		for _, key := range picture.Touchpoints {
			if _, replaced := picture.Before[key]; replaced && !standing[x.Key][TouchpointKey(key)] {
				delete(picture.Before, key)
				continue
			}
			kept = append(kept, key)
		}
		picture.Touchpoints = kept
		p.Promotions = append(p.Promotions, picture)
	}
	return origin
}

// picture is the experiment as assignment sees it.
func (x *Experiment) picture(layerSalt string) (snapshot.Experiment, error) {
	who, err := audience.Compile(x.Audience)
	if err != nil {
		return snapshot.Experiment{}, err
	}
	p := snapshot.Experiment{
		Key: string(x.Key), Version: x.Version, Salt: x.Salt, LayerSalt: layerSalt, Slots: x.Slots,
		Paused: x.Status == StatusPaused, MaxDays: x.Policy.MaxDays, Audience: who, Variants: x.arms(),
	}
	for _, t := range x.Touchpoints {
		p.Touchpoints = append(p.Touchpoints, string(t))
	}
	return p, nil
}

// arms are the variants as assignment sees them. One stopped for harm serves control's
// content and stays an arm.
func (x *Experiment) arms() (arms []snapshot.Variant) {
	control := x.Control()
	for _, v := range x.Variants {
		content := v.Content
		if x.isStopped(v.Key) {
			content = control.Content
		}
		arms = append(arms, snapshot.Variant{Key: string(v.Key), Weight: v.Weight, Content: rawContent(content)})
	}
	return arms
}

func (x *Experiment) override(o Override) snapshot.Override {
	p := snapshot.Override{Experiment: string(x.Key), Version: x.Version, Customer: string(o.Customer)}
	for _, t := range x.Touchpoints {
		p.Touchpoints = append(p.Touchpoints, string(t))
	}
	if v, ok := x.Variant(o.Variant); ok {
		p.Variant = snapshot.Variant{Key: string(v.Key), Weight: v.Weight, Content: rawContent(v.Content)}
	}
	return p
}
