package snapshot_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/audience"
	"github.com/perennial-engine/perennial/engine/people"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// enrolled is someone enrolled in a variant of a test under their own identifier.
func (c crowd) enrolled(customer, experiment, variant string, at time.Time) crowd {
	c.Enrol(people.Enrolment{Customer: customer, Experiment: experiment, Variant: variant, Key: customer, At: at})
	return c
}

func (c crowd) linked(a, b string) crowd {
	c.Link(a, b)
	return c
}

func forFrance(t *testing.T) *audience.Audience {
	t.Helper()
	a, err := audience.Compile(`customer.country == 'FR' && channel == 'email'`)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// With a person's history, in the order in which the reasons are looked at.
func TestReasonsOfAPerson(t *testing.T) {
	picture := func(change func(p *snapshot.Picture)) *snapshot.Snapshot {
		p := snapshot.Picture{
			Version: 7, Touchpoints: []snapshot.Touchpoint{mail()}, Experiments: []snapshot.Experiment{tone(assign.Slots{{0, 5000}})},
		}
		change(&p)
		return paint(t, p)
	}
	same := func(*snapshot.Picture) {}
	override := snapshot.Override{
		Experiment: "tone", Customer: "tester", Touchpoints: []string{"mail"},
		Variant: snapshot.Variant{Key: "warm", Content: map[string]json.RawMessage{"mail": content("warm")}},
	}
	holdout := snapshot.Holdout{
		Key: "all", Salt: "h", Share: assign.SlotCount, CreatedAt: noon,
		Contents: map[string]json.RawMessage{"mail": content("then")},
	}
	warm, control, outside := customer(t, 0, 5000, 1), customer(t, 0, 5000, 0), customer(t, 5000, 10_000, 1)
	isWarm := snapshot.Answer{Content: content("warm"), Experiment: "tone", Variant: "warm", Reason: snapshot.Assigned}
	for _, tt := range []struct {
		name     string
		snapshot *snapshot.Snapshot
		crowd    crowd
		customer string
		want     snapshot.Answer
	}{
		{
			"forced", picture(func(p *snapshot.Picture) {
				p.Overrides, p.Holdouts = []snapshot.Override{override}, []snapshot.Holdout{holdout}
			}), nobody(), "tester",
			snapshot.Answer{Content: content("warm"), Experiment: "tone", Variant: "warm", Reason: snapshot.Forced},
		},
		{
			"forced by another identifier of theirs", picture(func(p *snapshot.Picture) {
				p.Overrides = []snapshot.Override{override}
			}), nobody().linked("tester", "cookie:1"), "cookie:1",
			snapshot.Answer{Content: content("warm"), Experiment: "tone", Variant: "warm", Reason: snapshot.Forced},
		},
		{
			"held out, with the content of then", picture(func(p *snapshot.Picture) { p.Holdouts = []snapshot.Holdout{holdout} }),
			nobody(), warm,
			snapshot.Answer{Content: content("then"), Reason: snapshot.HeldOut},
		},
		{
			"enrolled before the holdout: not bound",
			picture(func(p *snapshot.Picture) { p.Holdouts = []snapshot.Holdout{holdout} }),
			nobody().enrolled(outside, "tone", "warm", noon.Add(-time.Microsecond)), outside, isWarm,
		},
		{
			"enrolled in another test at the creation of the holdout: bound",
			picture(func(p *snapshot.Picture) { p.Holdouts = []snapshot.Holdout{holdout} }),
			nobody().enrolled(outside, "old", "warm", noon), outside,
			snapshot.Answer{Content: content("then"), Reason: snapshot.HeldOut},
		},
		{
			"enrolled: traffic is not asked again", picture(same), nobody().enrolled(outside, "tone", "warm", noon), outside, isWarm,
		},
		{
			"enrolled: the audience is not asked again",
			picture(func(p *snapshot.Picture) { p.Experiments[0].Audience = forFrance(t) }),
			nobody().enrolled(control, "tone", "warm", noon), control, isWarm,
		},
		{
			"enrolled in a paused test", picture(func(p *snapshot.Picture) { p.Experiments[0].Paused = true }),
			nobody().enrolled(warm, "tone", "warm", noon), warm,
			snapshot.Answer{Content: content("own"), Experiment: "tone", Reason: snapshot.Paused},
		},
		{
			"enrolled under the identifier before the login", picture(same),
			nobody().enrolled("cookie:1", "tone", "warm", noon).linked("cookie:1", control), control, isWarm,
		},
		{
			"not enrolled, with the key of another test's enrolment", picture(same),
			nobody().enrolled(warm, "old", "x", noon).linked(warm, "a"), "a",
			snapshot.Answer{
				Content: content("warm"), Experiment: "tone", Variant: "warm", Reason: snapshot.Assigned, Enrol: true, Key: warm,
			},
		},
		{
			"not in the audience", picture(func(p *snapshot.Picture) { p.Experiments[0].Audience = forFrance(t) }),
			nobody(), warm,
			snapshot.Answer{Content: content("own"), Reason: snapshot.NotEligible},
		},
		{
			"in the audience", picture(func(p *snapshot.Picture) { p.Experiments[0].Audience = forFrance(t) }),
			crowd{people.New([32]byte{}), map[string]any{"country": "FR"}},
			warm,
			snapshot.Answer{
				Content: content("warm"), Experiment: "tone", Variant: "warm", Reason: snapshot.Assigned, Enrol: true, Key: warm,
			},
		},
		{
			"not in the audience of a test against a winner", picture(func(p *snapshot.Picture) {
				p.Experiments[0].Audience = forFrance(t)
				p.Touchpoints[0].PromotedBy, p.Touchpoints[0].PromotedVariant = "old", "bold"
			}), nobody(), warm,
			snapshot.Answer{Content: content("own"), Experiment: "old", Variant: "bold", Reason: snapshot.Promoted},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := tt.crowd.visit(tt.snapshot, "mail", tt.customer)
			if !ok {
				t.Fatal("no such touchpoint")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

// A winner is ramped up by ascending p = U32(salt + "/promotion", key) in ten-thousandths,
// as the contract has it: here 500 are held back, and the first step ends at 2,875.
func TestPromotion(t *testing.T) {
	const oldSalt = "00000000000000000000000000000009"
	promotion := snapshot.Promotion{
		Experiment: "old", Variant: "bold", Salt: oldSalt, Touchpoints: []string{"mail"},
		Before: map[string]snapshot.Served{"mail": {Content: content("before")}},
		Variants: []snapshot.Variant{
			{Key: "control", Weight: 1},
			{Key: "mild", Weight: 1, Content: map[string]json.RawMessage{"mail": content("mild")}},
			{Key: "bold", Weight: 1, Content: map[string]json.RawMessage{"mail": content("winner")}},
		},
		Holdback: 500, Reached: 2875,
	}
	winner := snapshot.Touchpoint{Key: "mail", Channel: "email", Content: content("winner"), PromotedBy: "old", PromotedVariant: "bold"}
	who := func(from, to int) string {
		for i := 0; ; i++ {
			key := fmt.Sprintf("p%d", i)
			if p := assign.Slot(oldSalt+"/promotion", key); p >= from && p < to {
				return key
			}
		}
	}
	full := promotion
	full.Reached = assign.SlotCount
	chained := promotion
	chained.Before = map[string]snapshot.Served{"mail": {Content: content("before"), PromotedBy: "older", PromotedVariant: "x"}}
	heldBack, early, late := who(0, 500), who(500, 2875), who(2875, 10_000)
	isPromoted := snapshot.Answer{Content: content("winner"), Experiment: "old", Variant: "bold", Reason: snapshot.Promoted}
	isHeldBack := snapshot.Answer{Content: content("before"), Experiment: "old", Reason: snapshot.HeldBack}
	next, paused := tone(all()), tone(all())
	paused.Paused = true
	inControl := func(c string) crowd { return nobody().enrolled(c, "tone", "control", noon) }
	asControl := func(text string) snapshot.Answer {
		return snapshot.Answer{Content: content(text), Experiment: "tone", Variant: "control", Reason: snapshot.Assigned}
	}
	isPaused := snapshot.Answer{Content: content("before"), Experiment: "tone", Reason: snapshot.Paused}
	for _, tt := range []struct {
		name      string
		promotion snapshot.Promotion
		test      *snapshot.Experiment
		crowd     crowd
		customer  string
		want      snapshot.Answer
	}{
		{"held back", promotion, nil, nobody(), heldBack, isHeldBack},
		{"the last one held back", promotion, nil, nobody(), who(499, 500), isHeldBack},
		{"the first one not held back", promotion, nil, nobody(), who(500, 501), isPromoted},
		{"reached by the first step", promotion, nil, nobody(), early, isPromoted},
		{"the last one reached", promotion, nil, nobody(), who(2874, 2875), isPromoted},
		{"not reached yet", promotion, nil, nobody(), late, snapshot.Answer{Content: content("before"), Reason: snapshot.Default}},
		{
			"not reached yet, an older winner stands", chained, nil, nobody(), late,
			snapshot.Answer{Content: content("before"), Experiment: "older", Variant: "x", Reason: snapshot.Promoted},
		},
		{"in the winning arm: never held back", promotion, nil, nobody().enrolled(heldBack, "old", "bold", noon), heldBack, isPromoted},
		{"in the winning arm: has it at once", promotion, nil, nobody().enrolled(late, "old", "bold", noon), late, isPromoted},
		{
			"in another arm, not reached yet: keeps it", promotion, nil, nobody().enrolled(late, "old", "mild", noon), late,
			snapshot.Answer{Content: content("mild"), Experiment: "old", Variant: "mild", Reason: snapshot.Assigned},
		},
		{"in another arm, held back", promotion, nil, nobody().enrolled(heldBack, "old", "mild", noon), heldBack, isHeldBack},
		{
			"another identifier: the key of the enrolment counts", promotion, nil,
			nobody().enrolled(late, "first", "x", noon).enrolled(heldBack, "old", "mild", noon.Add(time.Hour)).linked(late, heldBack),
			late, isHeldBack,
		},
		{"after the ramp", full, nil, nobody(), late, isPromoted},
		{"held back from a later test", full, &next, nobody(), heldBack, isHeldBack},
		{
			"in a later test after the ramp", full, &next, nobody().enrolled(late, "tone", "warm", noon), late,
			snapshot.Answer{Content: content("warm"), Experiment: "tone", Variant: "warm", Reason: snapshot.Assigned},
		},
		{"in an arm of another test without content, held back", promotion, &next, inControl(heldBack), heldBack, asControl("before")},
		{"in an arm of another test without content, reached", promotion, &next, inControl(early), early, asControl("winner")},
		{"in an arm of another test without content, not reached yet", promotion, &next, inControl(late), late, asControl("before")},
		{"in an arm of another test without content, after the ramp", full, &next, inControl(late), late, asControl("winner")},
		{"in a paused test, not reached yet", promotion, &paused, inControl(late), late, isPaused},
		{"a paused test has the slot, not reached yet", promotion, &paused, nobody(), late, isPaused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := snapshot.Picture{Version: 1, Touchpoints: []snapshot.Touchpoint{winner}, Promotions: []snapshot.Promotion{tt.promotion}}
			if tt.test != nil {
				p.Experiments = []snapshot.Experiment{*tt.test}
			}
			got, _ := tt.crowd.visit(paint(t, p), "mail", tt.customer)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPoisonedPartsAreRefused(t *testing.T) {
	holdout := snapshot.Holdout{Key: "h", Salt: "s", Share: 100, Contents: map[string]json.RawMessage{"mail": content("x")}}
	for _, tt := range []struct {
		name   string
		poison func(p *snapshot.Picture)
	}{
		{"a touchpoint twice", func(p *snapshot.Picture) { p.Touchpoints = append(p.Touchpoints, mail()) }},
		{"a holdout without salt", func(p *snapshot.Picture) { p.Holdouts[0].Salt = "" }},
		{"a holdout of more than everyone", func(p *snapshot.Picture) { p.Holdouts[0].Share = 10_001 }},
		{"a holdout without content", func(p *snapshot.Picture) { p.Holdouts[0].Contents = nil }},
		{"a promotion without salt", func(p *snapshot.Picture) { p.Promotions[0].Salt = "" }},
		{"a promotion that reaches less than it holds back", func(p *snapshot.Picture) { p.Promotions[0].Reached = 99 }},
		{"a promotion that reaches more than everyone", func(p *snapshot.Picture) { p.Promotions[0].Reached = 10_001 }},
		{"an override at an unknown touchpoint", func(p *snapshot.Picture) { p.Overrides[0].Touchpoints = []string{"web"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := snapshot.Picture{
				Version: 1, Touchpoints: []snapshot.Touchpoint{mail()}, Holdouts: []snapshot.Holdout{holdout},
				Promotions: []snapshot.Promotion{{Experiment: "old", Salt: "s", Holdback: 100, Reached: 200}},
				Overrides:  []snapshot.Override{{Experiment: "tone", Customer: "c", Touchpoints: []string{"mail"}}},
			}
			if _, err := snapshot.New(p); err != nil {
				t.Fatalf("before it was poisoned: %v", err)
			}
			tt.poison(&p)
			if s, err := snapshot.New(p); err == nil || s != nil {
				t.Errorf("it was not refused: %v", err)
			}
		})
	}
}

func BenchmarkAssign(b *testing.B) {
	p := snapshot.Picture{Version: 1}
	for i := range 50 {
		at, x := mail(), tone(all())
		at.Key = fmt.Sprintf("t%d", i)
		x.Key, x.Touchpoints = fmt.Sprintf("x%d", i), []string{at.Key}
		p.Touchpoints, p.Experiments = append(p.Touchpoints, at), append(p.Experiments, x)
	}
	s, err := snapshot.New(p)
	if err != nil {
		b.Fatal(err)
	}
	c := nobody()
	for i := range 100_000 {
		c.enrolled(fmt.Sprintf("c%d", i), "x7", "warm", noon)
	}
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i*101)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := c.visit(s, "t7", names[i%len(names)]); !ok {
			b.Fatal("no such touchpoint")
		}
	}
}

// Whom a promotion holds back enters no later test of its touchpoints, through none of the
// test's other touchpoints either.
func TestHeldBackOnEveryTouchpoint(t *testing.T) {
	web := snapshot.Touchpoint{Key: "web", Channel: "web", Content: content("web")}
	next := tone(all())
	next.Touchpoints = []string{"mail", "web"}
	s := paint(t, snapshot.Picture{
		Version: 1, Touchpoints: []snapshot.Touchpoint{mail(), web}, Experiments: []snapshot.Experiment{next},
		Promotions: []snapshot.Promotion{{
			Experiment: "old", Variant: "bold", Salt: "s", Touchpoints: []string{"mail"},
			Before: map[string]snapshot.Served{"mail": {Content: content("before")}}, Holdback: 3000, Reached: assign.SlotCount,
		}},
	})
	for i := range 200 {
		customer := fmt.Sprintf("c%d", i)
		want := snapshot.Assigned
		if assign.Slot("s/promotion", customer) < 3000 {
			want = snapshot.NotEligible
		}
		if got, _ := nobody().visit(s, "web", customer); got.Reason != want {
			t.Errorf("%s on the other touchpoint: %s, want %s", customer, got.Reason, want)
		}
	}
}
