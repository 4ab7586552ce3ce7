package snapshot_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/people"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

const (
	layerSalt = "00000000000000000000000000000001"
	salt      = "00000000000000000000000000000002"
)

func content(text string) json.RawMessage { return json.RawMessage(`{"text":"` + text + `"}`) }

func mail() snapshot.Touchpoint {
	return snapshot.Touchpoint{Key: "mail", Channel: "email", Content: content("own")}
}

func all() assign.Slots { return assign.Slots{{0, assign.SlotCount}} }

// tone is a running test on the touchpoint mail with the given slots.
func tone(slots assign.Slots) snapshot.Experiment {
	return snapshot.Experiment{
		Key: "tone", Salt: salt, LayerSalt: layerSalt, Slots: slots, Touchpoints: []string{"mail"},
		Variants: []snapshot.Variant{
			{Key: "control", Weight: 1},
			{Key: "warm", Weight: 1, Content: map[string]json.RawMessage{"mail": content("warm")}},
		},
	}
}

func build(t *testing.T, touchpoints []snapshot.Touchpoint, experiments ...snapshot.Experiment) *snapshot.Snapshot {
	t.Helper()
	return paint(t, snapshot.Picture{Version: 7, Touchpoints: touchpoints, Experiments: experiments})
}

func paint(t *testing.T, p snapshot.Picture) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// crowd is who is known; attributes are those of everyone.
type crowd struct {
	*people.Registry
	attributes map[string]any
}

func nobody() crowd { return crowd{Registry: people.New([32]byte{})} }

// visit asks what someone gets at the touchpoint mail.
func (c crowd) visit(s *snapshot.Snapshot, touchpoint, identifier string) (snapshot.Answer, bool) {
	person := c.Find(identifier)
	return s.Assign(touchpoint, &snapshot.Customer{
		Identifier: identifier, Person: person, Know: knowledge{c, identifier},
	})
}

type knowledge struct {
	crowd
	identifier string
}

func (k knowledge) Attributes() map[string]any { return k.attributes }

func (k knowledge) Is(identifier string) bool {
	own, other := k.Find(k.identifier), k.Find(identifier)
	return own.Root() == other.Root()
}

func (k knowledge) KeyIn(experiment string) string { return k.Registry.KeyIn(k.identifier, experiment) }

// customer finds one whose slot and variant are as wanted.
func customer(t *testing.T, slotFrom, slotTo, variant int) string {
	t.Helper()
	for i := range 100_000 {
		key := fmt.Sprintf("c%d", i)
		slot := assign.Slot(layerSalt, key)
		if slot >= slotFrom && slot < slotTo && assign.Pick(salt, key, []int{1, 1}) == variant {
			return key
		}
	}
	t.Fatal("no such customer among 100,000")
	return ""
}

func TestReasons(t *testing.T) {
	promoted := mail()
	promoted.Content, promoted.PromotedBy, promoted.PromotedVariant = content("winner"), "old-test", "bold"
	paused := tone(all())
	paused.Paused = true
	lower := tone(assign.Slots{{0, 5000}})
	pausedLower := lower
	pausedLower.Paused = true
	// An arm stopped for harm serves control's content; the engine builds it so.
	stopped := tone(all())
	stopped.Variants = []snapshot.Variant{{Key: "control", Weight: 1}, {Key: "warm", Weight: 1}}

	warm := customer(t, 0, 5000, 1)
	control := customer(t, 0, 5000, 0)
	outside := customer(t, 5000, 10_000, 1)
	for _, tt := range []struct {
		name       string
		touchpoint snapshot.Touchpoint
		experiment *snapshot.Experiment
		customer   string
		want       snapshot.Answer
	}{
		{
			"no test and no winner", mail(), nil, warm,
			snapshot.Answer{Content: content("own"), Reason: snapshot.Default},
		},
		{
			"a winner and no test", promoted, nil, warm,
			snapshot.Answer{Content: content("winner"), Experiment: "old-test", Variant: "bold", Reason: snapshot.Promoted},
		},
		{
			"in the treatment", mail(), &lower, warm,
			snapshot.Answer{Content: content("warm"), Experiment: "tone", Variant: "warm", Reason: snapshot.Assigned, Enrol: true, Key: warm},
		},
		{
			"in control, which has no content of its own", mail(), &lower, control,
			snapshot.Answer{Content: content("own"), Experiment: "tone", Variant: "control", Reason: snapshot.Assigned, Enrol: true, Key: control},
		},
		{
			"in control of a test against a winner", promoted, &lower, control,
			snapshot.Answer{Content: content("winner"), Experiment: "tone", Variant: "control", Reason: snapshot.Assigned, Enrol: true, Key: control},
		},
		{
			"outside the traffic", mail(), &lower, outside,
			snapshot.Answer{Content: content("own"), Reason: snapshot.NotInTraffic},
		},
		{
			"outside the traffic of a test against a winner", promoted, &lower, outside,
			snapshot.Answer{Content: content("winner"), Experiment: "old-test", Variant: "bold", Reason: snapshot.Promoted},
		},
		{
			"paused: the touchpoint's content, nobody enrolled", mail(), &paused, warm,
			snapshot.Answer{Content: content("own"), Experiment: "tone", Reason: snapshot.Paused},
		},
		{
			"outside the traffic of a paused test", mail(), &pausedLower, outside,
			snapshot.Answer{Content: content("own"), Reason: snapshot.NotInTraffic},
		},
		{
			"in an arm that was stopped", mail(), &stopped, warm,
			snapshot.Answer{Content: content("own"), Experiment: "tone", Variant: "warm", Reason: snapshot.Assigned, Enrol: true, Key: warm},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var experiments []snapshot.Experiment
			if tt.experiment != nil {
				experiments = append(experiments, *tt.experiment)
			}
			s := build(t, []snapshot.Touchpoint{tt.touchpoint}, experiments...)
			got, ok := nobody().visit(s, "mail", tt.customer)
			if !ok {
				t.Fatal("no such touchpoint")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownTouchpoint(t *testing.T) {
	s := build(t, []snapshot.Touchpoint{mail()})
	if _, ok := nobody().visit(s, "web", "c1"); ok {
		t.Error("a touchpoint that is not there answered")
	}
	if _, ok := s.Touchpoint("web"); ok {
		t.Error("a touchpoint that is not there was found")
	}
	if at, ok := s.Touchpoint("mail"); !ok || at.Channel != "email" || s.Version() != 7 {
		t.Errorf("touchpoint %v of version %d", at, s.Version())
	}
}

// Two tests in one layer exclude each other, and one test answers alike on all its channels.
func TestTestsExcludeEachOtherAndSpanChannels(t *testing.T) {
	web := snapshot.Touchpoint{Key: "web", Channel: "web", Content: content("web")}
	first := tone(assign.Slots{{0, 5000}})
	first.Touchpoints = []string{"mail", "web"}
	second := tone(assign.Slots{{5000, 10_000}})
	second.Key, second.Salt = "other", "00000000000000000000000000000003"
	s := build(t, []snapshot.Touchpoint{mail(), web}, first, second)
	seen := map[string]int{}
	for i := range 2000 {
		key := fmt.Sprintf("c%d", i)
		onMail, _ := nobody().visit(s, "mail", key)
		onWeb, _ := nobody().visit(s, "web", key)
		seen[onMail.Experiment]++
		switch {
		case onMail.Experiment == "tone" && (onWeb.Experiment != "tone" || onWeb.Variant != onMail.Variant):
			t.Fatalf("%s has %s by mail and %s on the web", key, onMail.Variant, onWeb.Variant)
		case onMail.Experiment == "other" && onWeb.Reason != snapshot.NotInTraffic:
			t.Fatalf("%s is in the other test and %s on the web", key, onWeb.Reason)
		}
	}
	if seen["tone"] < 800 || seen["other"] < 800 || seen["tone"]+seen["other"] != 2000 {
		t.Errorf("customers per test: %v", seen)
	}
}

func TestPoisonedPicturesAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		poison func(x *snapshot.Experiment)
		want   string
	}{
		{"weight 0", func(x *snapshot.Experiment) { x.Variants[1].Weight = 0 }, "weight 0"},
		{"negative weight", func(x *snapshot.Experiment) { x.Variants[0].Weight = -1 }, "weight -1"},
		{"no variants", func(x *snapshot.Experiment) { x.Variants = nil }, "no variants"},
		{"no salt", func(x *snapshot.Experiment) { x.Salt = "" }, "no salt"},
		{"no salt of the layer", func(x *snapshot.Experiment) { x.LayerSalt = "" }, "no salt"},
		{"unknown touchpoint", func(x *snapshot.Experiment) { x.Touchpoints = []string{"web"} }, "unknown touchpoint web"},
		{"a variant twice", func(x *snapshot.Experiment) { x.Variants[1].Key = "control" }, "stands twice"},
		{"overlapping slots", func(x *snapshot.Experiment) { x.Slots = assign.Slots{{4999, 5000}} }, "overlap at mail"},
		{"another layer on the same touchpoint", func(x *snapshot.Experiment) { x.LayerSalt = "2" }, "overlap at mail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			poisoned := tone(assign.Slots{{5000, 10_000}})
			poisoned.Key = "poisoned"
			tt.poison(&poisoned)
			s, err := snapshot.New(snapshot.Picture{
				Version: 1, Touchpoints: []snapshot.Touchpoint{mail()},
				Experiments: []snapshot.Experiment{tone(assign.Slots{{0, 5000}}), poisoned},
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one about %q", err, tt.want)
			}
			if s != nil {
				t.Error("a picture came with the error")
			}
		})
	}
	// Overlapping slots are no poison where no touchpoint is shared.
	other := tone(all())
	other.Key, other.Touchpoints = "other", []string{"web"}
	build(t, []snapshot.Touchpoint{mail(), {Key: "web", Content: content("web")}}, tone(all()), other)
}

// A picture is read by many while others replace it: whoever holds one gets its answers,
// whole and unchanged. Run with -race.
func TestReadersNeverSeeAMixture(t *testing.T) {
	picture := func(version int) *snapshot.Snapshot {
		at := mail()
		at.Content = content(fmt.Sprintf("own-%d", version))
		x := tone(assign.Slots{{0, 5000}})
		x.Variants[1].Content["mail"] = content(fmt.Sprintf("warm-%d", version))
		s, err := snapshot.New(snapshot.Picture{
			Version: int64(version), Touchpoints: []snapshot.Touchpoint{at}, Experiments: []snapshot.Experiment{x},
		})
		if err != nil {
			t.Error(err)
		}
		return s
	}
	var live atomic.Pointer[snapshot.Snapshot]
	live.Store(picture(1))
	inside, outside := customer(t, 0, 5000, 1), customer(t, 5000, 10_000, 1)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 2000 {
				s := live.Load()
				a, _ := nobody().visit(s, "mail", inside)
				b, _ := nobody().visit(s, "mail", outside)
				if string(a.Content) != string(content(fmt.Sprintf("warm-%d", s.Version()))) ||
					string(b.Content) != string(content(fmt.Sprintf("own-%d", s.Version()))) {
					t.Errorf("version %d answered %s and %s", s.Version(), a.Content, b.Content)
					return
				}
			}
		})
	}
	for version := 2; version < 200; version++ {
		live.Store(picture(version))
	}
	readers.Wait()
}

// Whatever the traffic, a customer is in the test exactly when the arithmetic says so.
func TestAssignFollowsTheArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots, _ := assign.Grow(nil, rapid.IntRange(1, assign.SlotCount).Draw(t, "size"))
		weights := rapid.SliceOfN(rapid.IntRange(1, 100), 2, 5).Draw(t, "weights")
		x := tone(slots)
		x.Variants = nil
		for i, w := range weights {
			x.Variants = append(x.Variants, snapshot.Variant{Key: fmt.Sprint(i), Weight: w})
		}
		s, err := snapshot.New(snapshot.Picture{
			Version: 1, Touchpoints: []snapshot.Touchpoint{mail()}, Experiments: []snapshot.Experiment{x},
		})
		if err != nil {
			t.Fatal(err)
		}
		key := rapid.StringN(1, 20, -1).Draw(t, "key")
		got, _ := nobody().visit(s, "mail", key)
		if in := slots.Contains(assign.Slot(layerSalt, key)); in != got.Enrol {
			t.Fatalf("in the slots: %v, enrolled: %v", in, got.Enrol)
		}
		if got.Enrol && got.Variant != fmt.Sprint(assign.Pick(salt, key, weights)) {
			t.Fatalf("variant %s of weights %v", got.Variant, weights)
		}
	})
}
