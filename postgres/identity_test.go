package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/engine"
)

// peopleModel is what the ledger should hold of people with several identifiers, in memory
// and obviously right. Everything is kept under the identifier it was sent with; who a row
// belongs to and what counts is worked out when it is asked.
type peopleModel struct {
	links      [][2]string
	events     []engine.Event // in the order in which they were sent
	enrolments []sentEnrolment
	attributes []sentAttribute
}

type sentEnrolment struct {
	engine.Enrolment
	kept bool
}

type sentAttribute struct {
	customer, key string
	value, order  int
}

// person is the smallest identifier that can be reached from one over links.
func (m *peopleModel) person(id string) string {
	reached := map[string]bool{id: true}
	for grown := true; grown; {
		grown = false
		for _, l := range m.links {
			if reached[l[0]] != reached[l[1]] {
				reached[l[0]], reached[l[1]], grown = true, true, true
			}
		}
	}
	return slices.Min(slices.Collect(maps.Keys(reached)))
}

func (m *peopleModel) addEvent(e engine.Event) engine.RowStatus {
	standing, ok := m.event(m.person(string(e.Customer)), e.ID)
	switch {
	case !ok:
		m.events = append(m.events, e)
		return accepted
	case slices.Equal(standing.Digest(), e.Digest()):
		return duplicate
	}
	return conflict
}

// event is the first ingested one of a person and id.
func (m *peopleModel) event(person, id string) (first engine.Event, ok bool) {
	for _, e := range m.events {
		if m.person(string(e.Customer)) == person && e.ID == id {
			return e, true
		}
	}
	return first, ok
}

func (m *peopleModel) addEnrolment(e engine.Enrolment) engine.RowStatus {
	status, first := accepted, true
	for i := range m.enrolments {
		other := &m.enrolments[i]
		if m.person(string(other.Customer)) != m.person(string(e.Customer)) || other.Experiment != e.Experiment {
			continue
		}
		if other.AssignmentKey == e.AssignmentKey && other.Variant == e.Variant {
			status = duplicate
		}
		first = first && earlier(&e, &other.Enrolment)
	}
	if first {
		status = accepted // it counts from now on
	}
	m.enrolments = append(m.enrolments, sentEnrolment{e, status == accepted})
	return status
}

// earlier: of two enrolments of a person in one experiment the first counts.
func earlier(a, b *engine.Enrolment) bool {
	return cmp.Or(a.EnrolledAt.Compare(b.EnrolledAt), strings.Compare(a.AssignmentKey, b.AssignmentKey),
		strings.Compare(string(a.Variant), string(b.Variant))) < 0
}

// dump is what the tables should hold, without positions.
func (m *peopleModel) dump() []string {
	var lines []string
	for _, id := range modelIdentifiers {
		for _, other := range modelIdentifiers {
			if other != id && m.person(other) == m.person(id) {
				lines = append(lines, fmt.Sprintf("identity %s of %s", id, m.person(id)))
				break
			}
		}
	}
	for _, e := range m.events {
		person := m.person(string(e.Customer))
		first, _ := m.event(person, e.ID)
		kind := "event"
		if !slices.Equal(first.Digest(), e.Digest()) {
			kind = "conflict"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s", kind, person, e.ID, e.Value))
	}
	first := map[string]engine.Enrolment{} // by person and experiment
	variants := map[string]map[engine.VariantKey]bool{}
	for _, e := range m.enrolments {
		where := m.person(string(e.Customer)) + " " + string(e.Experiment)
		standing, ok := first[where]
		if !ok || earlier(&e.Enrolment, &standing) {
			first[where] = e.Enrolment
		}
		if variants[where] == nil {
			variants[where] = map[engine.VariantKey]bool{}
		}
		variants[where][e.Variant] = true
	}
	for where, e := range first {
		lines = append(lines, fmt.Sprintf("enrolment %s %s %s %s %t", where, e.Variant, e.AssignmentKey,
			e.EnrolledAt.Format(time.RFC3339), len(variants[where]) > 1))
	}
	newest := map[string]sentAttribute{}
	for _, a := range m.attributes {
		where := m.person(a.customer) + " " + a.key
		if standing, ok := newest[where]; !ok || a.order > standing.order {
			newest[where] = a
		}
	}
	for where, a := range newest {
		lines = append(lines, fmt.Sprintf("attribute %s %d", where, a.value))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// dumpPeople is the same of the database.
func dumpPeople(t *testing.T, s *Store) []string {
	t.Helper()
	var lines []string
	if err := s.bulk.Select(&lines, `
		SELECT 'identity ' || customer_id || ' of ' || person FROM identities
		UNION ALL SELECT 'event ' || customer_id || ' ' || id || ' ' || value FROM events
		UNION ALL SELECT 'conflict ' || customer_id || ' ' || id || ' ' || value FROM event_conflicts
		UNION ALL SELECT 'enrolment ' || customer_id || ' ' || experiment || ' ' || variant || ' ' || assignment_key || ' '
			|| to_char(enrolled_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ' ' || contaminated FROM enrolments
		UNION ALL SELECT 'attribute ' || customer_id || ' ' || key || ' ' || value FROM customers, jsonb_each(attributes)`); err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// dumpAll is every ledger table but for positions, and for what only says when to measure.
func dumpAll(t *testing.T, s *Store) []string {
	t.Helper()
	lines := dumpPeople(t, s)
	var rest []string
	if err := s.bulk.Select(&rest, `
		SELECT 'exposure ' || customer_id || ' ' || id || ' ' || touchpoint || ' ' || occurred_at FROM exposures
		UNION ALL SELECT 'exposure conflict ' || customer_id || ' ' || id || ' ' || touchpoint || ' ' || occurred_at
			FROM exposure_conflicts
		UNION ALL SELECT 'superseded ' || customer_id || ' ' || experiment || ' ' || variant || ' ' || assignment_key || ' '
			|| enrolled_at FROM enrolments_superseded
		UNION ALL SELECT 'times ' || customer_id || ' ' || attribute_times || ' ' || created_at || ' ' || updated_at FROM customers`); err != nil {
		t.Fatal(err)
	}
	lines = append(lines, rest...)
	slices.Sort(lines)
	return lines
}

// emptyLedger makes room for the next run of a property.
func emptyLedger(t *testing.T, s *Store) {
	t.Helper()
	for _, table := range []string{
		`DELETE FROM identities`, `DELETE FROM customer_changes`, `DELETE FROM events`, `DELETE FROM event_conflicts`,
		`DELETE FROM exposures`, `DELETE FROM exposure_conflicts`, `DELETE FROM enrolments`,
		`DELETE FROM enrolments_superseded`, `DELETE FROM customers`,
	} {
		exec(t, s, table)
	}
}

// modelIdentifiers sort in another way in most languages than by their bytes.
var modelIdentifiers = []string{"B", "Z:1", "_", "a", "aa", "b", "~", "é"}

func genIdentifier(t *rapid.T, label string) string {
	return rapid.SampledFrom(modelIdentifiers).Draw(t, label)
}

// genEnrolment has a variant that hangs on its key, as a hash would have it.
func genEnrolment(t *rapid.T) engine.Enrolment {
	key := genIdentifier(t, "key")
	return engine.Enrolment{
		Customer: engine.CustomerID(key), Experiment: rapid.SampledFrom([]engine.ExperimentKey{"x", "y"}).Draw(t, "experiment"),
		Variant: []engine.VariantKey{"control", "warm"}[int(key[0])%2], AssignmentKey: key,
		EnrolledAt: start.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "hour")) * time.Hour),
	}
}

// Whatever is sent under whatever identifier, before and after links in chains and circles:
// the ledger holds what a computation over everything says.
func TestPeopleEqualAnExactComputation(t *testing.T) {
	s := newStore(t)
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		emptyLedger(t, s)
		m := &peopleModel{}
		for order := range rapid.IntRange(1, 16).Draw(rt, "steps") {
			switch rapid.IntRange(0, 6).Draw(rt, "step") {
			case 0, 1:
				var batch []engine.Event
				var want []engine.RowStatus
				for range rapid.IntRange(1, 3).Draw(rt, "events") {
					e := genModelEvent(rt)
					batch, want = append(batch, e), append(want, m.addEvent(e))
				}
				got, err := s.InsertEvents(ctx, batch)
				if err != nil || !slices.Equal(got, want) {
					rt.Fatalf("statuses of events %v (%v), want %v", got, err, want)
				}
			case 2, 3:
				var batch []engine.Enrolment
				var want []engine.RowStatus
				for range rapid.IntRange(1, 3).Draw(rt, "enrolments") {
					e := genEnrolment(rt)
					batch, want = append(batch, e), append(want, m.addEnrolment(e))
				}
				got, err := s.InsertEnrolments(ctx, batch)
				if err != nil || !slices.Equal(got, want) {
					rt.Fatalf("statuses of enrolments %v (%v), want %v", got, err, want)
				}
			case 4:
				a := sentAttribute{genIdentifier(rt, "customer"), rapid.SampledFrom([]string{"k", "l"}).Draw(rt, "attribute"), order, order}
				m.attributes = append(m.attributes, a)
				if _, err := s.MergeCustomers(ctx, []engine.Customer{{
					ID: engine.CustomerID(a.customer), Attributes: engine.Attributes{a.key: json.RawMessage(fmt.Sprint(a.value))},
				}}, start.Add(time.Duration(order)*time.Second)); err != nil {
					rt.Fatal(err)
				}
			default:
				ids := rapid.SliceOfN(rapid.SampledFrom(modelIdentifiers), 2, 3).Draw(rt, "link")
				var customers []engine.CustomerID
				for _, id := range ids {
					m.links = append(m.links, [2]string{ids[0], id})
					customers = append(customers, engine.CustomerID(id))
				}
				p, err := s.LinkIdentities(ctx, customers)
				if err != nil || string(p.ID) != m.person(ids[0]) {
					rt.Fatalf("linked to %v (%v), want %s", p, err, m.person(ids[0]))
				}
			}
		}
		if diff := gocmp.Diff(m.dump(), dumpPeople(t, s)); diff != "" {
			rt.Fatalf("the ledger (-exact +ledger):\n%s", diff)
		}
	})
}

func genModelEvent(t *rapid.T) engine.Event {
	return order(genIdentifier(t, "customer"), rapid.SampledFrom([]string{"o1", "o2"}).Draw(t, "id"),
		rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value"), start)
}

// The same links in any order, one after the other or at once, end in the same state.
func TestLinksInAnyOrderEndTheSame(t *testing.T) {
	s := newStore(t)
	ctx := context.Background()
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		anyone := func() engine.CustomerID { return engine.CustomerID(modelIdentifiers[r.IntN(len(modelIdentifiers))]) }
		var events []engine.Event
		var exposures []engine.Exposure
		var enrolments []engine.Enrolment
		var links [][]engine.CustomerID
		for range 8 {
			events = append(events, order(string(anyone()), fmt.Sprint("o", r.IntN(2)), fmt.Sprint(r.IntN(3)), start))
			exposures = append(exposures, engine.Exposure{
				ID: fmt.Sprint("e", r.IntN(2)), Customer: anyone(), Touchpoint: "mail", OccurredAt: start.Add(time.Duration(r.IntN(3)) * time.Hour),
			})
			key := anyone()
			enrolments = append(enrolments, engine.Enrolment{
				Customer: key, Experiment: "x", AssignmentKey: string(key), Variant: engine.VariantKey(fmt.Sprint("v", int(key[0])%2)),
				EnrolledAt: start.Add(time.Duration(r.IntN(3)) * time.Hour),
			})
			links = append(links, []engine.CustomerID{anyone(), anyone()})
		}
		var want []string
		for run := range 4 {
			emptyLedger(t, s)
			for i := range events {
				must(s.InsertEvents(ctx, events[i:i+1]))(t)
				must(s.InsertExposures(ctx, exposures[i:i+1]))(t)
				must(s.InsertEnrolments(ctx, enrolments[i:i+1]))(t)
				must(s.MergeCustomers(ctx, []engine.Customer{{
					ID: events[i].Customer, Attributes: engine.Attributes{fmt.Sprint("k", i%3): json.RawMessage(fmt.Sprint(i))},
				}}, start.Add(time.Duration(i)*time.Second)))(t)
			}
			r.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
			if run == 3 {
				var wait sync.WaitGroup
				for _, l := range links {
					wait.Go(func() {
						if _, err := s.LinkIdentities(ctx, l); err != nil {
							t.Error(err)
						}
					})
				}
				wait.Wait()
			}
			for _, l := range links {
				must(s.LinkIdentities(ctx, l))(t)
			}
			got := dumpAll(t, s)
			if run == 0 {
				want = got
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d: run %d ended otherwise (-first +this):\n%s", seed, run, diff)
			}
		}
	}
}
