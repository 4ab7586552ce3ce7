package snapshot

import (
	"encoding/json"
	"time"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/engine/people"
)

// A Customer is who asks, as memory knows them.
type Customer struct {
	Identifier string
	Person     people.Person
	Know       Knowledge
	Now        time.Time // of the contact

	drawn [4]draw // slots drawn so far: touchpoints share layers and holdouts
	draws int
}

type draw struct {
	salt string
	slot int
}

// slot is the slot of the customer's key in a layer or holdout.
func (c *Customer) slot(salt string) int {
	for i := range c.drawn[:min(c.draws, len(c.drawn))] {
		if c.drawn[i].salt == salt {
			return c.drawn[i].slot
		}
	}
	slot := assign.Slot(salt, c.Person.Key())
	c.drawn[c.draws%len(c.drawn)] = draw{salt, slot}
	c.draws++
	return slot
}

// Knowledge answers what is asked only here and there.
type Knowledge interface {
	// Attributes are the customer's, stored and sent, for an audience.
	Attributes() map[string]any
	// Is reports whether another identifier names the same person.
	Is(identifier string) bool
	// KeyIn is the assignment key of the person's enrolment in an experiment.
	KeyIn(experiment string) string
	// FirstIn is the time of anybody's first enrolment in an experiment.
	FirstIn(experiment string) (at time.Time, ok bool)
}

// Assign answers what a customer gets at a touchpoint; ok is false when there is no such
// touchpoint. The first that applies:
//
//   - a forced variant;
//   - a holdout, which binds who had no enrolment before it;
//   - the test the customer is enrolled in: neither traffic nor audience is asked again;
//   - the holdback of a promotion, which keeps who it holds out of later tests;
//   - a running test with the customer's slot, if they are in its audience;
//   - a promoted winner, once its ramp has reached the customer;
//   - the touchpoint's own content.
//
// A running test comes before a promotion, so that the next test on a touchpoint can
// assign (docs/adr/0007).
func (s *Snapshot) Assign(touchpoint string, c *Customer) (answer Answer, ok bool) {
	at, ok := s.touchpoints[touchpoint]
	if !ok {
		return Answer{}, false
	}
	if answer, ok := at.override(c); ok {
		return answer, true
	}
	for i := range at.holdouts {
		if h := &at.holdouts[i]; h.binds(c) {
			return Answer{Content: h.content, Reason: HeldOut}, true
		}
	}
	if x, variant := at.enrolled(&c.Person); x != nil {
		return x.serve(at, c, variant), true
	}
	for _, p := range at.promotions {
		if answer, ok := p.holdsBack(at, c); ok {
			answer.Compared = at.compares(c)
			return answer, true
		}
	}
	reason := Default
	if len(at.tests) > 0 {
		answer, found := at.enter(c)
		if found && answer.Reason != NotEligible {
			return answer, true
		}
		reason = NotInTraffic
		if found {
			reason = NotEligible
		}
	}
	answer = at.own(c, reason)
	answer.Compared = at.compares(c)
	return answer, true
}

func (at *place) override(c *Customer) (Answer, bool) {
	for i, customer := range at.forcedTo {
		if customer == c.Identifier || (c.Person.Linked() && c.Know.Is(customer)) {
			return at.forced[i], true
		}
	}
	return Answer{}, false
}

func (h *holdout) binds(c *Customer) bool {
	if c.slot(h.salt) >= h.share {
		return false
	}
	first, enrolled := c.Person.First()
	return !enrolled || !first.Before(h.createdAt)
}

// enrolled finds the test of this touchpoint that the person is in; of several, which a
// link can bring about, the one entered first.
func (at *place) enrolled(p *people.Person) (found *test, variant string) {
	if _, ever := p.First(); !ever {
		return nil, ""
	}
	var since time.Time
	for _, x := range at.tests {
		if arm, at, ok := p.Enrolled(x.Key); ok && (found == nil || at.Before(since)) {
			found, variant, since = x, arm, at
		}
	}
	return found, variant
}

// serve is what a customer in an arm of the test gets here.
func (x *test) serve(at *place, c *Customer, variant string) Answer {
	answer := Answer{Experiment: x.Key, Version: x.Version, Reason: Paused}
	if !x.Paused {
		answer.Variant, answer.Reason = variant, Assigned
		for i := range x.Variants {
			if x.Variants[i].Key == variant {
				answer.Content = x.Variants[i].Content[at.Key]
			}
		}
	}
	if answer.Content == nil {
		answer.Content = at.content(c)
	}
	return answer
}

// content is the touchpoint's own for the customer: a winner that was promoted meanwhile
// comes to those in another test, too, only as its ramp and its holdback let it.
func (at *place) content(c *Customer) json.RawMessage {
	for _, p := range at.promotions {
		if answer, ok := p.holdsBack(at, c); ok {
			return answer.Content
		}
	}
	return at.own(c, Default).Content
}

// enter is what the test with the customer's slot says to who is in none yet; found is
// false when no test has the slot, or its enrolment is over.
func (at *place) enter(c *Customer) (answer Answer, found bool) {
	key := c.Person.Key()
	slot := c.slot(at.tests[0].LayerSalt)
	for _, x := range at.tests {
		if !x.Slots.Contains(slot) || x.ended(c) {
			continue
		}
		switch {
		case x.Paused:
			return x.serve(at, c, ""), true
		case x.heldBack(c), x.Audience != nil && !x.Audience.Matches(c.Know.Attributes(), at.Channel):
			return Answer{Reason: NotEligible}, true
		}
		answer := x.serve(at, c, x.Variants[assign.Pick(x.Salt, key, x.weights)].Key)
		answer.Enrol, answer.Key = true, key
		return answer, true
	}
	return Answer{}, false
}

// ended reports whether the test's enrolment is over.
func (x *test) ended(c *Customer) bool {
	if x.MaxDays == 0 {
		return false
	}
	end, some := x.end(c.Know.FirstIn)
	return some && !c.Now.Before(end)
}

// end is when the test's enrolment ends; there is none before somebody is in it.
func (x *test) end(firstIn func(experiment string) (time.Time, bool)) (at time.Time, ok bool) {
	first, some := firstIn(x.Key)
	return first.Add(time.Duration(x.MaxDays) * 24 * time.Hour), some
}

// Ended are the tests that nobody enters any more, from now until the next one ends; a zero
// time: none of them will, by what firstIn knows.
func (s *Snapshot) Ended(now time.Time, firstIn func(experiment string) (time.Time, bool)) (experiments []string, until time.Time) {
	for _, x := range s.limited {
		end, some := x.end(firstIn)
		switch {
		case !some:
		case !now.Before(end):
			experiments = append(experiments, x.Key)
		case until.IsZero() || end.Before(until):
			until = end
		}
	}
	return experiments, until
}

// heldBack reports whether a promotion on one of the test's touchpoints, not only this one,
// keeps the customer out of it.
func (x *test) heldBack(c *Customer) bool {
	for _, p := range x.holdback {
		if n, _ := p.share(c); n >= 0 && n < p.Holdback {
			return true
		}
	}
	return false
}

// share is the customer's place in the order of the promotion, of 10,000. Who is in the
// winning arm has the winner already.
func (p *promotion) share(c *Customer) (n int, arm string) {
	key := c.Person.Key()
	arm, _, ok := c.Person.Enrolled(p.Experiment)
	switch {
	case ok && arm == p.Variant:
		return -1, arm
	case ok && c.Person.Linked():
		key = c.Know.KeyIn(p.Experiment)
	case c.Person.Linked() && p.Comparison != "":
		// Who is compared stays on their side, whatever they are linked to.
		if _, _, compared := c.Person.Enrolled(p.Comparison); compared {
			key = c.Know.KeyIn(p.Comparison)
		}
	}
	return assign.Slot(p.salt, key), arm
}

func (p *promotion) holdsBack(at *place, c *Customer) (Answer, bool) {
	if p.Holdback == 0 {
		return Answer{}, false
	}
	if n, _ := p.share(c); n < 0 || n >= p.Holdback {
		return Answer{}, false
	}
	answer := Answer{Content: at.Content, Experiment: p.Experiment, Version: p.Version, Reason: HeldBack}
	if before, ok := p.Before[at.Key]; ok {
		answer.Content = before.Content
	}
	return answer, true
}

// compares are the comparisons that this contact makes the customer part of: of those who
// meet a promotion first after it was made, the ones held back with all others, whether or
// not the ramp has come to them yet. On both sides they are left out whom a running test
// has a slot for, as later tests take in nobody who is held back.
func (at *place) compares(c *Customer) (entries []Entry) {
	for _, p := range at.promotions {
		if _, replaced := p.Before[at.Key]; p.Comparison == "" || !replaced {
			continue
		}
		n, arm := p.share(c)
		if _, _, known := c.Person.Enrolled(p.Comparison); !known && arm == "" && !at.takes(c) {
			entry := Entry{Comparison: p.Comparison, Arm: PromotedArm, Key: c.Person.Key()}
			if n < p.Holdback {
				entry.Arm = HeldBackArm
			}
			entries = append(entries, entry)
		}
		if n >= 0 && n < p.Holdback {
			break // from here on they meet no promotion
		}
	}
	return entries
}

// takes reports whether a test here has the customer's slot and would let them in, were they
// not held back.
func (at *place) takes(c *Customer) bool {
	for _, x := range at.tests {
		if x.Slots.Contains(c.slot(x.LayerSalt)) && !x.ended(c) {
			return x.Paused || x.Audience == nil || x.Audience.Matches(c.Know.Attributes(), at.Channel)
		}
	}
	return false
}

// own is what the touchpoint gives to who is in no test: its content, unless a winner is
// there that the ramp has not brought to them yet. reason is why they are in no test.
func (at *place) own(c *Customer, reason Reason) Answer {
	for _, p := range at.promotions {
		if p.Reached == assign.SlotCount {
			continue
		}
		n, arm := p.share(c)
		if n < p.Reached {
			continue
		}
		before, replaced := p.Before[at.Key]
		switch {
		case !replaced && arm == "":
			continue
		case !replaced: // the winner has no content here, and the arm they met may have one
			before = Served{Content: at.Content, PromotedBy: at.PromotedBy, PromotedVariant: at.PromotedVariant}
		}
		answer := Answer{Content: before.Content, Experiment: before.PromotedBy, Variant: before.PromotedVariant, Reason: reason}
		if before.PromotedBy != "" {
			answer.Reason = Promoted
		}
		for i := range p.Variants {
			// They keep the arm they met while the test ran.
			if v := &p.Variants[i]; v.Key == arm {
				answer.Experiment, answer.Version, answer.Variant, answer.Reason = p.Experiment, p.Version, arm, Assigned
				if content, ok := v.Content[at.Key]; ok {
					answer.Content = content
				}
			}
		}
		return answer
	}
	if at.PromotedBy != "" {
		return Answer{Content: at.Content, Experiment: at.PromotedBy, Variant: at.PromotedVariant, Reason: Promoted}
	}
	return Answer{Content: at.Content, Reason: reason}
}
