package snapshot_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/people"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// compared is a promotion of mail that holds back 500 of 10,000 by the salt "s" and compares.
func compared() snapshot.Promotion {
	return snapshot.Promotion{
		Experiment: "old", Variant: "bold", Salt: "s", Touchpoints: []string{"mail", "web"},
		Before:   map[string]snapshot.Served{"mail": {Content: content("before")}},
		Holdback: 500, Reached: 2875, Comparison: "old/holdback",
	}
}

// between is a customer whose p is in a range, by the salt of a promotion.
func between(salt string, from, to int) string {
	return customerWhere(func(key string) bool {
		p := assign.Slot(salt+"/promotion", key)
		return p >= from && p < to
	})
}

func customerWhere(is func(key string) bool) string {
	for i := 0; ; i++ {
		if key := fmt.Sprintf("p%d", i); is(key) {
			return key
		}
	}
}

// Who meets a promotion first after it was made is compared: on the side of their p, wherever
// the ramp is, once, and only where no later test would take in those who are not held back.
func TestCompared(t *testing.T) {
	web := snapshot.Touchpoint{Key: "web", Channel: "web", Content: content("web")}
	held, early, late := between("s", 0, 500), between("s", 500, 2875), between("s", 2875, 10_000)
	entry := func(key, arm string) []snapshot.Entry { return []snapshot.Entry{{"old/holdback", arm, key}} }
	next := tone(assign.Slots{{0, 5000}})
	inside := func(from, to int) string {
		return customerWhere(func(key string) bool {
			p := assign.Slot("s/promotion", key)
			return p >= from && p < to && assign.Slot(next.LayerSalt, key) < 5000
		})
	}
	outside := customerWhere(func(key string) bool {
		return assign.Slot("s/promotion", key) < 500 && assign.Slot(next.LayerSalt, key) >= 5000
	})
	none := func(p *snapshot.Picture) { p.Promotions[0].Comparison = "" }
	test := func(change func(x *snapshot.Experiment)) func(*snapshot.Picture) {
		return func(p *snapshot.Picture) {
			x := next
			change(&x)
			p.Experiments = []snapshot.Experiment{x}
		}
	}
	same := func(*snapshot.Picture) {}
	as := func(*snapshot.Experiment) {}
	second := func(p *snapshot.Picture) {
		newer := compared()
		newer.Experiment, newer.Salt, newer.Comparison = "newer", "n", "newer/holdback"
		p.Promotions = append(p.Promotions, newer)
	}
	both := customerWhere(func(key string) bool {
		return assign.Slot("s/promotion", key) >= 500 && assign.Slot("n/promotion", key) < 500
	})
	for _, tt := range []struct {
		name       string
		change     func(p *snapshot.Picture)
		crowd      crowd
		touchpoint string
		customer   string
		want       []snapshot.Entry
	}{
		{"held back", same, nobody(), "mail", held, entry(held, "held_back")},
		{"reached", same, nobody(), "mail", early, entry(early, "promoted")},
		{"not reached yet", same, nobody(), "mail", late, entry(late, "promoted")},
		{"nothing was replaced there", same, nobody(), "web", held, nil},
		{"no comparison", none, nobody(), "mail", held, nil},
		{"known already", same, nobody().enrolled(held, "old/holdback", "held_back", noon), "mail", held, nil},
		{"known under another identifier", same, nobody().enrolled("a", "old/holdback", "promoted", noon).linked("a", held), "mail", held, nil},
		{"in the test before", same, nobody().enrolled(held, "old", "mild", noon), "mail", held, nil},
		{"in the winning arm", same, nobody().enrolled(late, "old", "bold", noon), "mail", late, nil},
		{"held back from a running test's slot", test(as), nobody(), "mail", inside(0, 500), nil},
		{"in a running test", test(as), nobody(), "mail", inside(500, 10_000), nil},
		{"held back, beside a running test's slots", test(as), nobody(), "mail", outside, entry(outside, "held_back")},
		{"held back from a paused test's slot", test(func(x *snapshot.Experiment) { x.Paused = true }), nobody(), "mail", inside(0, 500), nil},
		{
			"held back, in the slot of a test but not its audience", test(func(x *snapshot.Experiment) { x.Audience = forFrance(t) }),
			nobody(), "mail", inside(0, 500), entry(inside(0, 500), "held_back"),
		},
		{
			"in the slot of a test but not its audience", test(func(x *snapshot.Experiment) { x.Audience = forFrance(t) }),
			nobody(), "mail", inside(500, 2875), entry(inside(500, 2875), "promoted"),
		},
		{"held back from the older of two", second, nobody(), "mail", held, entry(held, "held_back")},
		{
			"held back from the newer of two", second, nobody(), "mail", both,
			[]snapshot.Entry{{"old/holdback", "promoted", both}, {"newer/holdback", "held_back", both}},
		},
		{
			"held out", func(p *snapshot.Picture) {
				p.Holdouts = []snapshot.Holdout{{
					Key: "all", Salt: "h", Share: assign.SlotCount, CreatedAt: noon,
					Contents: map[string]json.RawMessage{"mail": content("then"), "web": content("then")},
				}}
			}, nobody(), "mail", held, nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := snapshot.Picture{
				Version: 1, Touchpoints: []snapshot.Touchpoint{mail(), web}, Promotions: []snapshot.Promotion{compared()},
			}
			tt.change(&p)
			got, _ := tt.crowd.visit(paint(t, p), tt.touchpoint, tt.customer)
			if diff := cmp.Diff(tt.want, got.Compared); diff != "" {
				t.Errorf("compared (-want +got):\n%s", diff)
			}
		})
	}
}

// Who is compared keeps their side when they are linked to an identifier with another p.
func TestComparedKeepTheirSide(t *testing.T) {
	p := snapshot.Picture{Version: 1, Touchpoints: []snapshot.Touchpoint{mail()}, Promotions: []snapshot.Promotion{compared()}}
	side := func(prefix string, held bool) string {
		for i := 0; ; i++ {
			if key := fmt.Sprint(prefix, i); (assign.Slot("s/promotion", key) < 500) == held {
				return key
			}
		}
	}
	for _, tt := range []struct {
		name, arm string
		held      bool
		want      snapshot.Reason
	}{
		{"held back", "held_back", true, snapshot.HeldBack},
		{"not held back", "promoted", false, snapshot.Default},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, login := side("z", tt.held), side("a", !tt.held) // the smaller is the person's key from now on
			if !tt.held {
				first = customerWhere(func(key string) bool { return assign.Slot("s/promotion", key) >= 2875 })
			}
			c := nobody().enrolled(first, "old/holdback", tt.arm, noon).linked(first, login)
			if got, _ := c.visit(paint(t, p), "mail", first); got.Reason != tt.want || got.Compared != nil {
				t.Errorf("%s after the login as %s: %s (%v), want %s", first, login, got.Reason, got.Compared, tt.want)
			}
		})
	}
}

// The draw of a comparison's arms, with the held back first, is p: an analyst can compute
// either.
func TestComparisonIsDrawnByP(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held := rapid.IntRange(1, assign.SlotCount-1).Draw(t, "held")
		key := rapid.String().Draw(t, "key")
		arm := assign.Pick("s/promotion", key, []int{held, assign.SlotCount - held})
		if below := assign.Slot("s/promotion", key) < held; below != (arm == 0) {
			t.Fatalf("p of %q below %d: %v, arm %d", key, held, below, arm)
		}
	})
}

// A comparison is aside: it frees nobody from a holdout.
func TestComparisonIsNoEnrolmentBeforeAHoldout(t *testing.T) {
	s := paint(t, snapshot.Picture{
		Version: 1, Touchpoints: []snapshot.Touchpoint{mail()},
		Holdouts: []snapshot.Holdout{{
			Key: "all", Salt: "h", Share: assign.SlotCount, CreatedAt: noon, Contents: map[string]json.RawMessage{"mail": content("then")},
		}},
	})
	c := nobody()
	c.Enrol(people.Enrolment{Customer: "c", Experiment: "old/holdback", Variant: "promoted", Key: "c", At: noon.Add(-time.Hour)})
	if got, _ := c.visit(s, "mail", "c"); got.Reason != snapshot.HeldOut {
		t.Errorf("%s, want held out", got.Reason)
	}
}
