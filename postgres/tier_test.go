package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/engine"
)

// tiers are those that the model's persons have by their events before a time of their own;
// a person without a time does not take part.
func (m *ledgerModel) tiers(before map[engine.CustomerID]time.Time) map[engine.CustomerID]engine.Tier {
	values, bought := map[engine.CustomerID]*big.Rat{}, map[engine.CustomerID]bool{}
	for key, e := range m.events {
		person := engine.CustomerID(key.Customer)
		if until, takesPart := before[person]; !takesPart || e.Value == nil || !e.OccurredAt.Before(until) {
			continue
		}
		if values[person] == nil {
			values[person] = new(big.Rat)
		}
		values[person].Add(values[person], m.worth([]engine.Event{e.Event}, nil, 0))
		bought[person] = bought[person] || !strings.HasSuffix(e.Type, "_cost")
	}
	maps.DeleteFunc(values, func(person engine.CustomerID, _ *big.Rat) bool { return !bought[person] })
	sorted := slices.SortedFunc(maps.Values(values), (*big.Rat).Cmp)
	// R: quantile(x, q, type = 7) is x[j] + (h - j) (x[j+1] - x[j]) at h = 1 + (n - 1) q, j = floor(h).
	quantile := func(tenths int) *big.Rat {
		at := (len(sorted) - 1) * tenths
		next := sorted[min(at/10+1, len(sorted)-1)]
		step := new(big.Rat).Sub(next, sorted[at/10])
		return step.Mul(step, big.NewRat(int64(at%10), 10)).Add(step, sorted[at/10])
	}
	tiers := map[engine.CustomerID]engine.Tier{}
	for person, value := range values {
		tiers[person] = "low"
		if value.Cmp(quantile(5)) > 0 {
			tiers[person] = "medium"
		}
		if value.Cmp(quantile(8)) > 0 {
			tiers[person] = "high"
		}
	}
	return tiers
}

// storedTiers are the attributes of all who have one.
func storedTiers(t *testing.T, s *Store) map[engine.CustomerID]engine.Tier {
	t.Helper()
	var rows []tierRow
	if err := s.bulk.Select(&rows, `SELECT customer_id, attributes ->> 'ltv_tier' AS tier FROM customers WHERE attributes ->> 'ltv_tier' <> ''`); err != nil {
		t.Fatal(err)
	}
	stored := map[engine.CustomerID]engine.Tier{}
	for _, r := range rows {
		stored[engine.CustomerID(r.Customer)] = engine.Tier(r.Tier)
	}
	return stored
}

// tierValues tie, cancel each other out and differ by a trifle.
var tierValues = []string{"0", "1", "1.0", "2", "2.5", "-1", "-2", "0.000000000001", "1000000000000", "49.90"}

// Whatever comes in, in whatever order: the stored tiers are those of an exact computation,
// only those that changed are written, and reports divide by the tiers of before enrolment,
// the same ones when they are computed again.
func TestTiersEqualAnExactComputation(t *testing.T) {
	s := newStore(t)
	if err := s.FixReportingCurrency(t.Context(), "EUR"); err != nil {
		t.Fatal(err)
	}
	identifiers := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		run++
		emptyLedger(t, s)
		exec(t, s, `DELETE FROM rates`)
		x := ltv(engine.ExperimentKey(fmt.Sprint("x", run)), 0, 2, rapid.IntRange(0, 4).Draw(rt, "max_days"))
		x.Frozen = append(x.Frozen, engine.Metric{
			Key: "stay", Kind: engine.KindSurvival, InactivityDays: 1, Window: &engine.Window{ToDay: 2},
		})
		model := newLedgerModel()
		customer := func() engine.CustomerID {
			return engine.CustomerID(rapid.SampledFrom(identifiers).Draw(rt, "customer"))
		}
		write := func() {
			everybody := map[engine.CustomerID]time.Time{}
			for _, id := range identifiers {
				everybody[model.personOf(engine.CustomerID(id))] = start.Add(1000 * day)
			}
			before, want := storedTiers(t, s), model.tiers(everybody)
			differ := 0
			for person := range everybody {
				if before[person] != want[person] {
					differ++
				}
			}
			changed, err := s.WriteTiers(ctx, start)
			if err != nil || changed != differ {
				rt.Fatalf("%d changed (%v), want %d", changed, err, differ)
			}
			if diff := cmp.Diff(want, storedTiers(t, s)); diff != "" {
				rt.Fatalf("stored tiers (-exact +stored):\n%s", diff)
			}
		}
		type earlier struct {
			view engine.View
			arms []engine.ArmCount
		}
		var reports []earlier
		report := func() {
			v := engine.View{AsOf: genTime(rt, "as of"), Segment: engine.SegmentTier}
			got, err := s.Totals(ctx, x, v)
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(model.arms(x, v.AsOf), sortedArms(got.Arms)); diff != "" {
				rt.Fatalf("segments as of %v (-exact +totals):\n%s", v.AsOf, diff)
			}
			for _, a := range got.Arms { // each metric is divided alike
				for _, m := range x.Frozen {
					if !slices.ContainsFunc(got.Values, func(v engine.ArmTotal) bool {
						return v.Metric == m.Key && v.Variant == a.Variant && v.Segment == a.Segment && v.Mature <= a.Customers
					}) {
						rt.Fatalf("no totals of %s among %+v", m.Key, a)
					}
				}
			}
			v.DataCut = &got.DataCut
			reports = append(reports, earlier{v, sortedArms(got.Arms)})
		}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0, 1, 2, 3:
				var batch []engine.Event
				for range rapid.IntRange(1, 6).Draw(rt, "events") {
					e := genEvent(rt, "")
					e.Customer, e.ID = customer(), fmt.Sprint("e", rapid.IntRange(0, 20).Draw(rt, "id"))
					if e.Value != nil {
						e.Value = amount(rapid.SampledFrom(tierValues).Draw(rt, "value"))
					}
					if e.Currency != "USD" || model.rate(e.OccurredAt) != nil {
						batch = append(batch, e)
						model.addEvent(e)
					}
				}
				if _, err := s.InsertEvents(ctx, batch); err != nil {
					rt.Fatal(err)
				}
			case 4, 5:
				c := customer()
				e := engine.Enrolment{
					Customer: c, AssignmentKey: string(c), Experiment: x.Key, EnrolledAt: genTime(rt, "enrolled"),
					Variant: rapid.SampledFrom([]engine.VariantKey{"control", "warm"}).Draw(rt, "variant"),
				}
				model.addEnrolment(e)
				if _, err := s.InsertEnrolments(ctx, []engine.Enrolment{e}); err != nil {
					rt.Fatal(err)
				}
			case 6:
				date, rate := start.Truncate(day).AddDate(0, 0, rapid.IntRange(-2, 9).Draw(rt, "date")), rapid.SampledFrom([]string{"0.9", "1.1"}).Draw(rt, "rate")
				putRate(rt, s, date, rate)
				model.rates[date], _ = new(big.Rat).SetString(rate)
			case 7:
				link := []engine.CustomerID{customer(), customer()}
				if model.personOf(link[0]) != model.personOf(link[1]) {
					if _, err := s.LinkIdentities(ctx, link); err != nil {
						rt.Fatal(err)
					}
					model.link(link, int64(count(t, s, `SELECT value FROM ingest_position`)))
				}
			case 8:
				report()
			default:
				write()
			}
		}
		write()
		report()
		for _, r := range reports {
			again, err := s.Totals(ctx, x, r.view)
			if err != nil {
				rt.Fatal(err)
			}
			if diff := cmp.Diff(r.arms, sortedArms(again.Arms)); diff != "" && !again.Restated {
				rt.Fatalf("segments at cut %d, computed again (-then +now):\n%s", *r.view.DataCut, diff)
			}
		}
	})
}

// arms counts the customers of a report by tier, contaminated ones apart.
func (m *ledgerModel) arms(x *engine.Experiment, asOf time.Time) []engine.ArmCount {
	enrolled, before := map[engine.CustomerID]engine.ArmCount{}, map[engine.CustomerID]time.Time{}
	var first time.Time
	for person := range m.enrolments {
		if e, _ := m.enrolled(person); first.IsZero() || e.EnrolledAt.Before(first) {
			first = e.EnrolledAt
		}
	}
	for person := range m.enrolments {
		e, contaminated := m.enrolled(person)
		if e.EnrolledAt.After(asOf) || (x.Policy.MaxDays > 0 && !e.EnrolledAt.Before(first.Add(time.Duration(x.Policy.MaxDays)*day))) {
			continue
		}
		before[person] = e.EnrolledAt
		enrolled[person] = engine.ArmCount{Variant: e.Variant, Contaminated: contaminated}
	}
	tiers, counts := m.tiers(before), map[engine.ArmCount]int64{}
	for person, a := range enrolled {
		if a.Segment = string(tiers[person]); a.Segment == "" {
			a.Segment = "none"
		}
		counts[a]++
	}
	var arms []engine.ArmCount
	for a, n := range counts {
		a.Customers = n
		arms = append(arms, a)
	}
	return sortedArms(arms)
}

func sortedArms(arms []engine.ArmCount) []engine.ArmCount {
	slices.SortFunc(arms, func(a, b engine.ArmCount) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return arms
}

func TestTierLimits(t *testing.T) {
	numbers := func(n int) (values []string) {
		for i := range n {
			values = append(values, fmt.Sprint(i+1))
		}
		return values
	}
	for _, tt := range []struct {
		name              string
		values            []string // of a customer each
		high, medium, low int
	}{
		// R 4.2: quantile(1:10, c(.5, .8), type = 7) is 5.5, 8.2; of 1:6 it is 3.5, 5; of 1:5 it is 3, 4.2.
		{"ten", numbers(10), 2, 3, 5},
		{"six: the fifth is at the limit", numbers(6), 1, 2, 3},
		{"five: the third is at the limit", numbers(5), 1, 1, 3},
		{"one", numbers(1), 0, 0, 1},
		{"two", numbers(2), 1, 0, 1},
		{"all the same", []string{"49.9", "49.90", "49.900"}, 0, 0, 3},
		{"losses", []string{"-3", "-2", "-1", "0"}, 1, 1, 2},
		{"nobody", nil, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			for i, v := range tt.values {
				insert(t, s, order(fmt.Sprint("c", i), "o", v, start))
			}
			if n := must(s.WriteTiers(t.Context(), start))(t); n != len(tt.values) {
				t.Errorf("%d changed, want %d", n, len(tt.values))
			}
			got := map[engine.Tier]int{}
			for _, tier := range storedTiers(t, s) {
				got[tier]++
			}
			if got["high"] != tt.high || got["medium"] != tt.medium || got["low"] != tt.low {
				t.Errorf("tiers %v, want %d high, %d medium, %d low", got, tt.high, tt.medium, tt.low)
			}
		})
	}
}

// Costs alone, events without a value and attributes alone make no tier.
func TestWhoHasNoTier(t *testing.T) {
	s := newStore(t)
	cost, visit := order("cost", "o", "-1", start), order("visit", "o", "0", start)
	cost.Type, visit.Type = "contact_cost", "visit"
	visit.Value, visit.Currency = nil, ""
	insert(t, s, cost, visit, order("buyer", "o", "1", start))
	must(s.MergeCustomers(t.Context(), []engine.Customer{{ID: "known"}}, start))(t)
	must(s.WriteTiers(t.Context(), start))(t)
	if diff := cmp.Diff(map[engine.CustomerID]engine.Tier{"buyer": "low"}, storedTiers(t, s)); diff != "" {
		t.Errorf("tiers (-want +got):\n%s", diff)
	}
	if n := count(t, s, `SELECT count(*) FROM customers`); n != 2 {
		t.Errorf("%d customers, want the one who has a tier and the one who was there", n)
	}
}

// A second run writes nothing, and one after a run that broke off what is missing. What else
// is known of the customers stands.
func TestOnlyTiersThatChangedAreWritten(t *testing.T) {
	s := newStore(t)
	var events []engine.Event
	for i := range 2500 {
		events = append(events, order(fmt.Sprintf("c%04d", i), "o", fmt.Sprint(i), start))
	}
	insert(t, s, events...)
	must(s.MergeCustomers(t.Context(), []engine.Customer{{ID: "c0000", Attributes: engine.Attributes{"country": []byte(`"FR"`)}}}, start))(t)
	for _, step := range []struct {
		name string
		do   func()
		want int
	}{
		{"first", func() {}, 2500},
		{"again", func() {}, 0},
		{"broken off", func() { exec(t, s, `DELETE FROM customers WHERE customer_id > 'c1999'`) }, 500},
		// The least becomes the greatest and moves both limits by one place.
		{"one customer", func() { insert(t, s, order("c0000", "more", "9999", start)) }, 3},
	} {
		step.do()
		if n := must(s.WriteTiers(t.Context(), start.Add(day)))(t); n != step.want {
			t.Errorf("%s: %d written, want %d", step.name, n, step.want)
		}
	}
	c := must(s.Customer(t.Context(), "c0000"))(t)
	if string(c.Attributes["country"]) != `"FR"` || c.Tier() != engine.TierHigh {
		t.Errorf("attributes %s", c.Attributes)
	}
	if n := count(t, s, `SELECT count(*) FROM customers WHERE customer_id = 'c0000' AND updated_at = $1`, start); n != 1 {
		t.Error("the tier changed when the client's attributes were written")
	}
}

// What a client writes stands, whatever the job finds and whoever is linked, until null is
// written. Of two tiers of the engine a link leaves one, and the next run writes the right one.
func TestATierOfAClientStands(t *testing.T) {
	s := newStore(t)
	client := func(customer, tier string) {
		t.Helper()
		must(s.MergeCustomers(t.Context(), []engine.Customer{
			{ID: engine.CustomerID(customer), Attributes: engine.Attributes{engine.AttributeTier: json.RawMessage(tier)}},
		}, start))(t)
	}
	for i := range 10 {
		insert(t, s, order(fmt.Sprint("c", i), fmt.Sprint("o", i), fmt.Sprint(10+i), start))
	}
	client("c9", `"platinum"`)
	for _, step := range []struct {
		name         string
		do           func()
		c8, c9, want string
	}{
		{"written before", func() {}, "c8", "c9", "high platinum"},
		{"written after", func() { client("c8", `"gold"`) }, "c8", "c9", "gold platinum"},
		{"null gives it back", func() { client("c9", `null`) }, "c8", "c9", "gold high"},
		{"no text", func() { client("c9", `7`) }, "c8", "c9", "gold "},
		{"linked", func() { linked(t, s, "c8", "a"); linked(t, s, "c0", "a") }, "c8", "c0", "gold gold"},
		{"both of the engine", func() { linked(t, s, "c6", "c1") }, "c6", "c1", "high high"}, // 16 + 11
	} {
		step.do()
		must(s.WriteTiers(t.Context(), start.Add(day)))(t)
		got := fmt.Sprint(must(s.Customer(t.Context(), engine.CustomerID(step.c8)))(t).Tier(), " ",
			must(s.Customer(t.Context(), engine.CustomerID(step.c9)))(t).Tier())
		if got != step.want {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
}

// Whoever was erased while a run was under way gets no tier by it, also when they came back.
func TestARunWritesNothingOfTheErased(t *testing.T) {
	s := newStore(t)
	insert(t, s, order(needle, "o", "1", start), order("back", "o", "1", start), order("other", "o", "1", start))
	cut := int64(count(t, s, `SELECT value FROM ingest_position`))
	for _, c := range []engine.CustomerID{needle, "back"} {
		if err := s.Erase(t.Context(), c, start); err != nil {
			t.Fatal(err)
		}
	}
	insert(t, s, order("back", "new", "1", start))
	page := []tierRow{{"back", "high"}, {needle, "high"}, {"other", "high"}}
	if n := must(s.keepTiers(t.Context(), page, cut, start))(t); n != 1 {
		t.Errorf("%d written, want the other's", n)
	}
	if diff := cmp.Diff(map[engine.CustomerID]engine.Tier{"other": "high"}, storedTiers(t, s)); diff != "" {
		t.Errorf("tiers (-want +got):\n%s", diff)
	}
	if left := traces(t, s, needle); len(left) > 0 {
		t.Errorf("traces are left in %v", left)
	}
}

// A server beside the one that ran the job knows the tiers with its next tick, of half a
// second, and an erasure takes them from both.
func TestAudiencesSeeTiers(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	a, b := startServer(t, s, c, t.TempDir(), 1), startServer(t, s, c, t.TempDir(), 2)
	catalogue(t, a.Engine)
	x := spec("test")
	x.Audience = "has(customer.ltv_tier) && customer.ltv_tier != 'low'"
	running(t, a.Engine, x)
	insert(t, s, order("poor", "o", "1", start), order("rich", "o", "2", start))
	b.tick(t)
	if got := b.meet(t, "rich"); got.Reason != "not_eligible" {
		t.Errorf("before the job: %+v", got)
	}
	if rows, err := a.RunJob(t.Context(), "tiers"); err != nil || rows != 2 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	b.tick(t)
	for _, server := range []*server{a, b} {
		for customer, want := range map[engine.CustomerID]string{"poor": "not_eligible", "rich": "assigned", "unknown": "not_eligible"} {
			if got := server.meet(t, customer); string(got.Reason) != want {
				t.Errorf("%s is %s, want %s", customer, got.Reason, want)
			}
		}
	}
	if err := a.Erase(t.Context(), "rich"); err != nil {
		t.Fatal(err)
	}
	b.tick(t)
	for _, server := range []*server{a, b} {
		if got := server.meet(t, "rich"); got.Reason != "not_eligible" {
			t.Errorf("erased: %+v", got)
		}
	}
}

// Reports divide by what was known, at their cut and before each enrolment, of their own
// customers: nothing else moves the limits.
func TestSegmentsByTier(t *testing.T) {
	ctx, before := t.Context(), start.Add(-time.Hour)
	dollars, cost := order("c1", "usd", "1", before), order("c3", "more", "-25", before)
	dollars.Currency, cost.Type = "USD", "media_cost"
	usd := func(rate string) engine.Rate {
		return engine.Rate{RateDay: engine.RateDay{Currency: "USD", Day: start.Truncate(day)}, Rate: *amount(rate)}
	}
	bought := func(customer string, at time.Time) func(*Store) error {
		return func(s *Store) error {
			_, err := s.InsertEvents(ctx, []engine.Event{order(customer, "more", "100", at)})
			return err
		}
	}
	boughtAndEnrolled := func(experiment engine.ExperimentKey, at time.Time) func(*Store) error {
		return func(s *Store) error {
			e := enrolment("else", "warm", at)
			e.Experiment = experiment
			_, err := s.InsertEnrolments(ctx, []engine.Enrolment{e})
			return errors.Join(bought("else", before)(s), err)
		}
	}
	// Of 5, 11, 12 and 30 the limits are 11.5 and 19.2; R 4.2: quantile(c(5, 11, 12, 30), c(.5, .8), type = 7).
	usual := "control high 1, control low 2, warm medium 1"
	for _, tt := range []struct {
		name      string
		more      func(*Store) error // comes in after a first report
		now, then string             // then: at that report's cut
		restated  bool
		asOf      time.Time
	}{
		{"nothing more", func(*Store) error { return nil }, usual, usual, false, start.Add(day)},
		{"bought at enrolment", bought("c1", start), usual, usual, false, start.Add(day)},
		// 5, 12, 30, 111: 21 and 62.4
		{"bought before, sent late", bought("c1", before), "control high 1, control low 1, control medium 1, warm low 1", usual, false, start.Add(day)},
		// 5, 5, 11, 12: 8 and 11.4
		{"costs", func(s *Store) error {
			_, err := s.InsertEvents(ctx, []engine.Event{cost})
			return err
		}, "control low 2, control medium 1, warm high 1", usual, false, start.Add(day)},
		// 5, 12, 30, 60: 21 and 42
		{"a rate that was wrong", func(s *Store) error {
			_, err := s.PutRates(ctx, []engine.Rate{usd("50")})
			return err
		}, "control high 1, control low 1, control medium 1, warm low 1", usual, false, start.Add(day)},
		{"without history", func(s *Store) error {
			_, err := s.InsertEnrolments(ctx, []engine.Enrolment{enrolment("new", "warm", start)})
			return err
		}, usual + ", warm none 1", usual, false, start.Add(day)},
		{"not enrolled", bought("else", before), usual, usual, false, start.Add(day)},
		{"enrolled later than the report", boughtAndEnrolled("x", start.Add(day+time.Microsecond)), usual, usual, false, start.Add(day)},
		{"enrolled after the end", boughtAndEnrolled("x", start.Add(2*day)), usual, usual, false, start.Add(9 * day)},
		{"of another test", boughtAndEnrolled("y", start), usual, usual, false, start.Add(day)},
		{"forced", func(s *Store) error {
			_, err := s.PutOverride(ctx, engine.Override{Experiment: "x", Customer: "else", Variant: "warm"}, 10, start)
			return errors.Join(boughtAndEnrolled("x", start)(s), err)
		}, usual, usual, false, start.Add(day)},
		{"today's tier", func(s *Store) error {
			_, err := s.WriteTiers(ctx, start)
			return err
		}, usual, usual, false, start.Add(day)},
		// 5, 23, 30: 23 and 27.2; one of the low is contaminated
		{"linked", func(s *Store) error {
			_, err := s.LinkIdentities(ctx, []engine.CustomerID{"c1", "c2"})
			return err
		}, "control high 1, control low 1, control low 1", "", true, start.Add(day)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			if err := s.FixReportingCurrency(t.Context(), "EUR"); err != nil {
				t.Fatal(err)
			}
			must(s.PutRates(t.Context(), []engine.Rate{usd("1")}))(t)
			insert(t, s, order("c1", "o1", "10", before), dollars, order("c2", "o2", "12", before), order("c3", "o3", "30", before), order("c4", "o4", "5", before))
			enrol(t, s, "x", "control", start, "c1", "c3", "c4")
			enrol(t, s, "x", "warm", start, "c2")
			x := ltv("x", 0, 9, 2)
			divided := func(cut *int64) (string, *engine.Totals) {
				got := must(s.Totals(t.Context(), x, engine.View{AsOf: tt.asOf, DataCut: cut, Segment: engine.SegmentTier}))(t)
				var parts []string
				for _, a := range got.Arms {
					parts = append(parts, fmt.Sprintf("%s %s %d", a.Variant, a.Segment, a.Customers))
				}
				slices.Sort(parts)
				return strings.Join(parts, ", "), got
			}
			_, first := divided(nil)
			if err := tt.more(s); err != nil {
				t.Fatal(err)
			}
			if got, _ := divided(nil); got != tt.now {
				t.Errorf("now %q, want %q", got, tt.now)
			}
			if got, again := divided(&first.DataCut); again.Restated != tt.restated || (got != tt.then && !again.Restated) {
				t.Errorf("at the cut %q (restated: %v), want %q", got, again.Restated, tt.then)
			}
		})
	}
}
