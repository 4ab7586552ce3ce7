package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/simulator"
)

// The play with simulated customers: a coffee shop asks whether its messages should go on
// counting down discounts or rather give advice. People click less on advice and are worth
// more to the shop afterwards.
const (
	shopCustomers = 12_000
	shopWeeks     = 10
	joiningDays   = 42 // then the last ones have just their four weeks left

	countdown = "countdown" // control
	advice    = "advice"
)

// behaviours are how customers really act. The effect is large enough to be promoted with
// some 98 of 100 seeds; where it is not, the demo says so.
var behaviours = map[string]simulator.Behaviour{
	countdown: {Orders: 1, Refunded: 0.12, Clicks: 0.18, MailCents: 1},
	advice:    {Orders: 1.17, Refunded: 0.08, Clicks: 0.13, MailCents: 3},
}

// shopPlaces are the touchpoints by channel.
var shopPlaces = map[simulator.Channel]string{
	simulator.Email: "newsletter", simulator.Web: "home-banner", simulator.Store: "till-slip",
}

var shopParts = []definition{
	{"/v1/touchpoints/newsletter", `{"name": "Weekly newsletter", "channel": "email", "stage": "loyalty",
		"content": {"text": "Only today: 10 % off!"}, "cost_per_contact": {"amount": "0.01", "currency": "EUR"}}`},
	{"/v1/touchpoints/home-banner", `{"name": "Banner of the shop", "channel": "web", "stage": "loyalty",
		"content": {"text": "03:59:12 left: 10 % off"}}`},
	{"/v1/touchpoints/till-slip", `{"name": "Slip at the till", "channel": "store", "stage": "loyalty",
		"content": {"text": "10 % off until midnight"}}`},
	{"/v1/metrics/value_28", `{"name": "Value in 28 days", "kind": "ltv",
		"events": ["order", "refund", "contact_cost"], "window": {"from_day": 0, "to_day": 28}}`},
	{"/v1/metrics/retained_28", `{"name": "Orders again in weeks 3 and 4", "kind": "retention",
		"events": ["order"], "window": {"from_day": 14, "to_day": 28}}`},
	{"/v1/metrics/bought_28", `{"name": "Orders in 28 days", "kind": "conversion",
		"events": ["order"], "window": {"from_day": 0, "to_day": 28}}`},
	{"/v1/metrics/clicked_7", `{"name": "Clicks in 7 days", "kind": "click",
		"events": ["click"], "window": {"from_day": 0, "to_day": 7}}`},
}

const shopTest = `{
	"key": "advice-or-countdown", "name": "Advice instead of a countdown", "objective": "retention",
	"hypothesis": "Advice gets fewer clicks than a countdown, and makes better customers",
	"touchpoints": ["newsletter", "home-banner", "till-slip"],
	"variants": [
		{"key": "countdown", "control": true, "weight": 1},
		{"key": "advice", "weight": 1, "content": {
			"newsletter":  {"text": "How to brew what you bought"},
			"home-banner": {"text": "Your beans, three recipes"},
			"till-slip":   {"text": "Ask us how to brew it"}}}],
	"metrics": {"primary": "value_28", "secondary": ["bought_28"], "diagnostics": ["clicked_7"],
		"guardrails": [{"metric": "retained_28", "margin": 0.1}]},
	"plan": {"method": "anytime", "alpha": 0.05, "planned_customers": 6000},
	"policy": {"mode": "auto", "min_days": 28, "max_days": 42, "min_customers": 500}}`

// A trueEffect is what the simulation was made to do, by arm.
type trueEffect struct {
	Control   simulator.Truth `json:"control"`
	Treatment simulator.Truth `json:"treatment"`
	ValueLift float64         `json:"value_lift"`
	ClickLift float64         `json:"click_lift"`
}

// Difference is the true difference in value.
func (t *trueEffect) Difference() float64 { return t.Treatment.Value - t.Control.Value }

func shopTruth() *trueEffect {
	control, treatment := behaviours[countdown].Truth(), behaviours[advice].Truth()
	return &trueEffect{
		Control: control, Treatment: treatment,
		ValueLift: treatment.Value/control.Value - 1, ClickLift: treatment.Clicked/control.Clicked - 1,
	}
}

// playShop plays the test with simulated customers.
func (d *demo) playShop(ctx context.Context) error {
	start := d.stage.end.AddDate(0, 0, -7*shopWeeks)
	d.stage.set(start)
	d.result.Seed, d.result.TrueEffect = &d.options.seed, shopTruth()
	d.opening(fmt.Sprintf("virtual: %d weeks from %s until now pass in seconds", shopWeeks, start.Format("2 January 2006")))
	d.tellTruth()
	d.story.chapter("The test")
	if err := d.define(ctx, shopParts, shopTest); err != nil {
		return err
	}
	d.story.say(`  "Advice instead of a countdown", half and half, on e-mail, web and store
  decides    value_28: orders − refunds − what the e-mails cost, over 28 days
  guards     retained_28: orders again in weeks 3–4, must not fall by a tenth
  is shown   clicked_7: clicks within 7 days; by design they can never decide
  The engine looks every day, and may: its intervals hold at all looks together.`)

	people := simulator.New(rand.NewPCG(d.options.seed, 0), shopCustomers, joiningDays)
	days := newDays(d, start, people)
	if err := days.play(ctx); err != nil {
		return err
	}
	if err := d.conclude(ctx, shopPlaces[simulator.Email]); err != nil {
		return err
	}
	return d.tellShopEnd(ctx, days.fewerClicks)
}

func (d *demo) tellTruth() {
	t := d.result.TrueEffect
	row := func(name, format string, scale, control, treatment float64) []string {
		return []string{
			name, fmt.Sprintf(format, scale*control), "→", fmt.Sprintf(format, scale*treatment),
			fmt.Sprintf("%+.1f %%", 100*(treatment/control-1)),
		}
	}
	d.story.say("")
	d.story.tell("", "The %s customers are simulated (seed %d), so the truth is known: to you, and not to the engine. With %q instead of %q",
		formatCount(shopCustomers), d.options.seed, advice, countdown)
	d.story.table([][]string{
		row("a customer's value in 28 days", "%.2f EUR", 1, t.Control.Value, t.Treatment.Value),
		row("share who click within 7 days", "%.1f %%", 100, t.Control.Clicked, t.Treatment.Clicked),
	})
}

// tellShopEnd prints the report and what it means.
func (d *demo) tellShopEnd(ctx context.Context, fewerClicks int) error {
	d.story.chapter("The decision")
	d.decided()
	_, clicks, err := d.metric("clicked_7", advice)
	if err != nil {
		return err
	}
	m, value, err := d.metric("value_28", advice)
	if err != nil {
		return err
	}
	u := unitOf(m)
	truth := d.result.TrueEffect.Difference()
	d.story.say("")
	if clicks.Difference != nil && *clicks.Difference < 0 {
		d.story.tell("", "Clicks point the other way: %s gets %s points (%s).", advice,
			points.format(clicks.Difference, true), points.interval(clicks.Interval))
	}
	if fewerClicks > 0 {
		d.story.tell("", "Who decides by clicks would have dropped it on day %d, when nobody's value was known yet. "+
			"Here clicks are shown, and never decide.", fewerClicks)
	}
	if value.Difference != nil {
		d.story.say("")
		d.story.tell("", "The true effect on value is %s EUR a customer; found were %s (%s). %s.",
			u.format(&truth, true), u.format(value.Difference, true), u.interval(value.Interval), covers(value.Interval, truth))
	}
	if d.result.Decision != nil && d.result.Decision.Action == string(engine.ActionPromote) {
		d.story.tell("", "At the moment of a promotion an estimate tends to be high; the interval allows for that.")
	} else {
		d.story.say("")
		d.story.tell("", "With about one seed in fifty the better variant is not proved within the ten weeks: this is one. "+
			"Without proof nothing changes.")
	}
	d.story.chapter("What everybody gets from now on")
	if err := d.tellPlaces(ctx, newcomer); err != nil {
		return err
	}
	d.story.chapter("The report it was decided on")
	return writeReport(d.story.w, *d.result.Report, d.story.width)
}

// covers says whether the interval holds the truth: 95 of 100 do, at all looks together.
func covers(interval [2]*float64, truth float64) string {
	low, high := math.Inf(-1), math.Inf(1)
	if interval[0] != nil {
		low = *interval[0]
	}
	if interval[1] != nil {
		high = *interval[1]
	}
	if low <= truth && truth <= high {
		return "The interval holds the truth"
	}
	return "This time the interval misses the truth, as one in twenty may"
}

// tellPlaces shows what a customer gets at the three touchpoints.
func (d *demo) tellPlaces(ctx context.Context, customer string) error {
	rows := [][]string{}
	for _, channel := range []simulator.Channel{simulator.Email, simulator.Web, simulator.Store} {
		answer, err := d.assign(ctx, customer, shopPlaces[channel], true)
		if err != nil {
			return err
		}
		rows = append(rows, []string{
			customer, string(channel), answer.Touchpoint, strconv.Quote(answer.show()),
			cmp.Or(answer.Variant, "no variant") + " (" + answer.Reason + ")",
		})
	}
	d.story.table(rows)
	return nil
}
