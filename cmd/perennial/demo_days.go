package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/simulator"
)

// days plays the shop's customers day by day: who is due asks the engine what to see, does
// what customers do who saw that, and the shop tells the engine.
type days struct {
	*demo
	start   time.Time
	people  []simulator.Customer
	variant []string    // of each, once met
	agenda  [][]moment  // what is still to come, by day, the next first
	events  []demoEvent // of the day

	met, contacts int
	broken        int // contacts that got another variant than before
	fewerClicks   int // the day, from 1, when advice surely got fewer and no value was known; 0: none
}

// demoEvent is an event as the API takes it.
type demoEvent struct {
	ID         string    `json:"id"`
	Customer   string    `json:"customer"`
	Type       string    `json:"type"`
	OccurredAt time.Time `json:"occurred_at"`
	Value      string    `json:"value,omitempty"`
	Currency   string    `json:"currency,omitempty"`
	Channel    string    `json:"channel"`
	Touchpoint string    `json:"touchpoint"`
}

const oneDay = 24 * time.Hour

// A moment is an act of a customer, by their number.
type moment struct {
	simulator.Act
	customer int
}

func (m moment) compare(other moment) int {
	return cmp.Or(cmp.Compare(m.At, other.At), cmp.Compare(m.Kind, other.Kind), cmp.Compare(m.customer, other.customer))
}

func newDays(d *demo, start time.Time, people []simulator.Customer) *days {
	p := &days{
		demo: d, start: start, people: people, variant: make([]string, len(people)), agenda: make([][]moment, 7*shopWeeks),
	}
	for i, c := range people {
		p.plan(moment{simulator.Act{At: c.Joins, Kind: simulator.Contact, Channel: c.Channel}, i})
	}
	return p
}

// plan puts a moment on the agenda of its day; what comes after the weeks never comes.
func (p *days) plan(m moment) {
	if day := int(m.At / oneDay); day < len(p.agenda) {
		i, _ := slices.BinarySearchFunc(p.agenda[day], m, moment.compare)
		p.agenda[day] = slices.Insert(p.agenda[day], i, m)
	}
}

// next takes the next moment before a time off the agenda of a day.
func (p *days) next(day int, before time.Duration) (m moment, ok bool) {
	if due := p.agenda[day]; len(due) > 0 && due[0].At < before {
		p.agenda[day] = due[1:]
		return due[0], true
	}
	return moment{}, false
}

// play plays until the engine has decided, or the weeks are over.
func (p *days) play(ctx context.Context) error {
	for day := range p.agenda {
		if err := p.playDay(ctx, day); err != nil {
			return err
		}
		decisions, err := p.runJobs(ctx)
		if err != nil {
			return err
		}
		if day == 0 {
			if err := p.tellCustomer(ctx); err != nil {
				return err
			}
			p.tellHead()
		}
		if decisions > 0 || (day+1)%7 == 0 {
			if err := p.tellProgress(ctx, day, decisions > 0); err != nil {
				return err
			}
		}
		if decisions > 0 {
			break
		}
	}
	if p.broken > 0 {
		return fmt.Errorf("%d of %d contacts got another variant than the customer had before", p.broken, p.contacts)
	}
	p.story.say("")
	p.story.tell("", "%s contacts on three channels: each of the %s customers saw one variant everywhere.",
		formatCount(int64(p.contacts)), formatCount(int64(p.met)))
	return nil
}

// playDay plays one day: the e-mails go out as it begins, then people come as they like;
// what they did is sent in one batch as it ends.
func (p *days) playDay(ctx context.Context, day int) error {
	begin := time.Duration(day) * oneDay
	p.stage.set(p.start.Add(begin))
	if err := p.mail(ctx, day, begin); err != nil {
		return err
	}
	for m, ok := p.next(day, begin+oneDay); ok; m, ok = p.next(day, begin+oneDay) {
		if m.Kind != simulator.Contact {
			p.note(m)
			continue
		}
		p.stage.set(p.start.Add(m.At))
		// Who is enrolled already need not be recorded again; the answer is the same.
		answer, err := p.assign(ctx, p.people[m.customer].ID, shopPlaces[m.Channel], p.variant[m.customer] == "")
		if err != nil {
			return err
		}
		p.meet(m, answer.Variant)
	}
	p.stage.set(p.start.Add(begin + oneDay))
	return p.send(ctx)
}

// mail asks for the send list of the day in one request.
func (p *days) mail(ctx context.Context, day int, begin time.Duration) error {
	var due []moment
	var list []string
	for m, ok := p.next(day, begin+1); ok; m, ok = p.next(day, begin+1) {
		due, list = append(due, m), append(list, p.people[m.customer].ID)
	}
	if len(list) == 0 {
		return nil
	}
	body := map[string]any{"customers": list, "touchpoint": shopPlaces[simulator.Email]}
	var answer struct{ Assignments []demoAssignment }
	if err := p.post(ctx, "/v1/assignments", body, &answer); err != nil {
		return err
	}
	if len(answer.Assignments) != len(list) {
		return fmt.Errorf("%d customers were asked for, %d answered", len(list), len(answer.Assignments))
	}
	for i, m := range due {
		p.meet(m, answer.Assignments[i].Variant)
	}
	return nil
}

// meet is a customer who sees a variant. From the first time on they live accordingly.
func (p *days) meet(m moment, variant string) {
	p.contacts++
	c := p.people[m.customer]
	switch p.variant[m.customer] {
	case variant:
		p.note(m)
	case "":
		p.met++
		p.variant[m.customer] = variant
		life := c.Life(behaviours[variant])
		p.note(moment{life[0], m.customer}) // this contact
		for _, act := range life[1:] {
			p.plan(moment{act, m.customer})
		}
	default:
		p.broken++
	}
}

var eventTypes = map[simulator.Kind]string{
	simulator.Contact: "contact_cost", simulator.Click: "click", simulator.Order: "order", simulator.Refund: "refund",
}

// note writes down what the engine is to be told of an act. A contact that cost nothing is
// not worth an event.
func (p *days) note(m moment) {
	if m.Kind == simulator.Contact && m.Cents == 0 {
		return
	}
	c := p.people[m.customer]
	event := demoEvent{
		ID:       eventTypes[m.Kind] + "-" + c.ID + "-" + strconv.FormatInt(m.At.Milliseconds(), 36),
		Customer: c.ID, Type: eventTypes[m.Kind], OccurredAt: p.start.Add(m.At),
		Channel: string(m.Channel), Touchpoint: shopPlaces[m.Channel],
	}
	if m.Cents != 0 {
		event.Value, event.Currency = decimal.New(m.Cents, -2).String(), "EUR"
	}
	p.events = append(p.events, event)
}

// send tells the engine the events of the day.
func (p *days) send(ctx context.Context) error {
	for len(p.events) > 0 {
		batch := p.events[:min(len(p.events), engine.MaxBatch)]
		var r receipt
		if err := p.post(ctx, "/v1/events", map[string]any{"events": batch}, &r); err != nil {
			return err
		}
		if r.Accepted != len(batch) {
			return fmt.Errorf("of %d events %d were accepted, %d duplicates, %d rejected", len(batch), r.Accepted, r.Duplicates, r.Rejected)
		}
		p.events = p.events[len(batch):]
	}
	return nil
}

// tellCustomer shows that a customer gets one variant everywhere.
func (p *days) tellCustomer(ctx context.Context) error {
	for i, variant := range p.variant {
		if variant == advice {
			p.story.chapter("One customer, three channels")
			return p.tellPlaces(ctx, p.people[i].ID)
		}
	}
	return nil
}
