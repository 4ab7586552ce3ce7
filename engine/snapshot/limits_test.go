package snapshot_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/audience"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// at is a customer who draws exactly this slot with a salt.
func at(salt string, slot int) string {
	return customerWhere(func(key string) bool { return assign.Slot(salt, key) == slot })
}

// The contract: a holdout binds who draws below its share of 10,000.
func TestTheLimitOfAHoldout(t *testing.T) {
	holdout := snapshot.Holdout{Key: "h", Salt: "h", Share: 500, Contents: map[string]json.RawMessage{"mail": content("then")}}
	s := paint(t, snapshot.Picture{Version: 1, Touchpoints: []snapshot.Touchpoint{mail()}, Holdouts: []snapshot.Holdout{holdout}})
	for slot, want := range map[int]snapshot.Reason{0: snapshot.HeldOut, 499: snapshot.HeldOut, 500: snapshot.Default, 9999: snapshot.Default} {
		if got, _ := nobody().visit(s, "mail", at("h", slot)); got.Reason != want {
			t.Errorf("slot %d: %s, want %s", slot, got.Reason, want)
		}
	}
}

// The contract: p below the holdback keeps the content from before and is in no later test on those
// touchpoints; the ramp brings the winner to the others by ascending p; the rest keeps what it had.
// Those held back are compared with all others.
func TestTheLimitsOfAPromotion(t *testing.T) {
	promotion := compared() // holds back 500 and has reached 2,875
	promotion.Touchpoints = []string{"mail"}
	winner := snapshot.Touchpoint{Key: "mail", Channel: "email", Content: content("bold"), PromotedBy: "old", PromotedVariant: "bold"}
	web := snapshot.Touchpoint{Key: "web", Channel: "web", Content: content("web")}
	next := tone(all())
	next.Touchpoints = []string{"mail", "web"}
	p := snapshot.Picture{Version: 1, Touchpoints: []snapshot.Touchpoint{winner, web}, Promotions: []snapshot.Promotion{promotion}}
	before := paint(t, p)
	p.Experiments = []snapshot.Experiment{next}
	during := paint(t, p)
	for _, tt := range []struct {
		p        int
		reason   snapshot.Reason
		content  string
		arm      string
		nextTest snapshot.Reason // at another touchpoint of a later test
	}{
		{0, snapshot.HeldBack, "before", snapshot.HeldBackArm, snapshot.NotEligible},
		{499, snapshot.HeldBack, "before", snapshot.HeldBackArm, snapshot.NotEligible},
		{500, snapshot.Promoted, "bold", snapshot.PromotedArm, snapshot.Assigned},
		{2874, snapshot.Promoted, "bold", snapshot.PromotedArm, snapshot.Assigned},
		{2875, snapshot.Default, "before", snapshot.PromotedArm, snapshot.Assigned},
		{9999, snapshot.Default, "before", snapshot.PromotedArm, snapshot.Assigned},
	} {
		t.Run(fmt.Sprint(tt.p), func(t *testing.T) {
			key := at("s/promotion", tt.p)
			got, _ := nobody().visit(before, "mail", key)
			if got.Reason != tt.reason || string(got.Content) != string(content(tt.content)) {
				t.Errorf("%s %s, want %s %s", got.Reason, got.Content, tt.reason, tt.content)
			}
			if len(got.Compared) != 1 || got.Compared[0].Arm != tt.arm {
				t.Errorf("compared as %v, want %s", got.Compared, tt.arm)
			}
			if got, _ := nobody().visit(during, "web", key); got.Reason != tt.nextTest {
				t.Errorf("in a later test %s, want %s", got.Reason, tt.nextTest)
			}
		})
	}
}

// Each holdout and layer draws by its own salt, however many there are and in whichever order one
// customer meets them.
func TestEveryDrawHasItsSalt(t *testing.T) {
	p := snapshot.Picture{Version: 1, Touchpoints: []snapshot.Touchpoint{mail()}, Experiments: []snapshot.Experiment{tone(assign.Slots{{0, 5000}})}}
	for i := range 6 {
		name := fmt.Sprint("h", i)
		p.Holdouts = append(p.Holdouts, snapshot.Holdout{
			Key: name, Salt: name, Share: 1000, Contents: map[string]json.RawMessage{"mail": content("then")},
		})
	}
	s := paint(t, p)
	for i := range 1000 {
		key := fmt.Sprint("c", i)
		want := snapshot.NotInTraffic
		if assign.Slot(layerSalt, key) < 5000 {
			want = snapshot.Assigned
		}
		for _, h := range p.Holdouts {
			if assign.Slot(h.Salt, key) < h.Share {
				want = snapshot.HeldOut
			}
		}
		known := nobody()
		customer := &snapshot.Customer{Identifier: key, Person: known.Find(key), Know: knowledge{known, key}}
		for range 2 {
			if got, _ := s.Assign("mail", customer); got.Reason != want {
				t.Fatalf("%s: %s, want %s", key, got.Reason, want)
			}
		}
	}
}

// Two tests may own slots side by side, whichever stands first.
func TestSlotsSideBySide(t *testing.T) {
	low, high := assign.Slots{{0, 5000}}, assign.Slots{{5000, 10_000}}
	for _, slots := range [][2]assign.Slots{{low, high}, {high, low}} {
		first, second := tone(slots[0]), tone(slots[1])
		second.Key, second.Salt = "other", "0000000000000000000000000000000a"
		build(t, []snapshot.Touchpoint{mail()}, first, second)
	}
}

// The attributes to be loaded are those that any audience names, each once and sorted.
func TestAttributesOfAllAudiences(t *testing.T) {
	var tests []snapshot.Experiment
	for i, expression := range []string{"customer.tier == 'high' && customer.country == 'FR'", "", "customer.age > 18.0 || customer.country == 'DE'"} {
		x := tone(assign.Slots{{1000 * i, 1000 * (i + 1)}})
		x.Key = fmt.Sprint("x", i)
		var err error
		if x.Audience, err = audience.Compile(expression); err != nil {
			t.Fatal(err)
		}
		tests = append(tests, x)
	}
	if got := build(t, []snapshot.Touchpoint{mail()}, tests...).Attributes(); !slices.Equal(got, []string{"age", "country", "tier"}) {
		t.Errorf("attributes %v", got)
	}
}

// Compared are those whom no running test has a slot for; a paused one keeps its slots, and one
// whose audience they are not in does not take them (docs/promotion.md).
func TestComparedBesideATest(t *testing.T) {
	french, err := audience.Compile("customer.country == 'FR'")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		country  string
		paused   bool
		compared bool
	}{
		{"in the audience", "FR", false, false},
		{"not in the audience", "DE", false, true},
		{"not in the audience of a paused test", "DE", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			promotion, x := compared(), tone(all())
			promotion.Touchpoints = []string{"mail"}
			x.Audience, x.Paused = french, tt.paused
			s := paint(t, snapshot.Picture{
				Version: 1, Touchpoints: []snapshot.Touchpoint{mail()}, Experiments: []snapshot.Experiment{x}, Promotions: []snapshot.Promotion{promotion},
			})
			who := nobody()
			who.attributes = map[string]any{"country": tt.country}
			// One who is held back: the others are in the test or, while it is paused, get nothing of the promotion.
			got, _ := who.visit(s, "mail", at("s/promotion", 499))
			if got.Reason != snapshot.HeldBack || (len(got.Compared) == 1) != tt.compared {
				t.Errorf("%s, compared as %v", got.Reason, got.Compared)
			}
		})
	}
}

// Enrolment in a test is over max_days after the first one in it, to the nanosecond; it has no
// end without a limit, and none that is known before somebody is in it.
func TestEndsOfEnrolment(t *testing.T) {
	const day = 24 * time.Hour
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	var experiments []snapshot.Experiment
	for i, x := range []struct {
		key     string
		maxDays int
	}{{"short", 14}, {"long", 28}, {"endless", 0}, {"empty", 14}} {
		test := tone(assign.Slots{{i, i + 1}})
		test.Key, test.MaxDays = x.key, x.maxDays
		experiments = append(experiments, test)
	}
	s := build(t, []snapshot.Touchpoint{mail()}, experiments...)
	firstIn := func(experiment string) (time.Time, bool) { return start, experiment != "empty" }
	for _, tt := range []struct {
		after time.Duration
		want  []string
		until time.Time
	}{
		{0, nil, start.Add(14 * day)},
		{14*day - 1, nil, start.Add(14 * day)},
		{14 * day, []string{"short"}, start.Add(28 * day)},
		{28*day - 1, []string{"short"}, start.Add(28 * day)},
		{28 * day, []string{"short", "long"}, time.Time{}},
	} {
		got, until := s.Ended(start.Add(tt.after), firstIn)
		if diff := cmp.Diff(tt.want, got); diff != "" || !until.Equal(tt.until) {
			t.Errorf("after %s: until %s, want %s; (-want +got):\n%s", tt.after, until, tt.until, diff)
		}
	}
}
