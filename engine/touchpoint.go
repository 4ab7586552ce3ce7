package engine

import (
	"encoding/json"
	"slices"
	"time"
)

// A Touchpoint is a place where content can differ. Content is what a customer gets who
// is in no test there; a promoted winner replaces it.
type Touchpoint struct {
	Key            TouchpointKey
	Name           string
	Channel        Channel
	Stage          Stage
	Content        json.RawMessage
	PromotedBy     ExperimentKey // whose winner the content is, if any
	CostPerContact *Money
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

const (
	maxName    = 200
	maxContent = 64 << 10
)

// Validate checks a touchpoint by itself and fills in what may be left out.
func (t *Touchpoint) Validate() error {
	var v violations
	if !validKey(string(t.Key)) {
		v.add("/key", keyRule)
	}
	if t.Name == "" {
		t.Name = string(t.Key)
	} else if !validText(t.Name, maxName) {
		v.add("/name", textRule, maxName)
	}
	if !slices.Contains(Channels, t.Channel) {
		v.add("/channel", "%s", oneOf(Channels))
	}
	if t.Stage != "" && !slices.Contains(Stages, t.Stage) {
		v.add("/stage", "%s", oneOf(Stages))
	}
	if t.Content == nil {
		t.Content = json.RawMessage(`{}`)
	}
	checkContent(&v, "/content", t.Content)
	if c := t.CostPerContact; c != nil && c.Amount.IsNegative() {
		v.add("/cost_per_contact/amount", "must not be negative")
	}
	return v.err("touchpoint")
}

func checkContent(v *violations, pointer string, content json.RawMessage) {
	switch {
	case len(content) == 0 || content[0] == '[' || string(content) == "null":
		v.add(pointer, "must be an object, a string, a number or a boolean, not null and not an array")
	case len(content) > maxContent:
		v.add(pointer, "must be at most %d bytes", maxContent)
	}
}
