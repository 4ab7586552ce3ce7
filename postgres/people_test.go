package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

func linked(t *testing.T, s *Store, identifiers ...engine.CustomerID) *engine.Person {
	t.Helper()
	return must(s.LinkIdentities(t.Context(), identifiers))(t)
}

func enrolment(customer, variant string, at time.Time) engine.Enrolment {
	return engine.Enrolment{
		Customer: engine.CustomerID(customer), Experiment: "x", Variant: engine.VariantKey(variant), AssignmentKey: customer,
		EnrolledAt: at, Channel: "web", Touchpoint: "mail",
	}
}

// A table that holds rows of customers either moves with a link, or is one that says who is
// who, or is measured again.
func TestALinkLeavesNothingBehind(t *testing.T) {
	s := newStore(t)
	for _, c := range []string{"a", "b"} {
		insert(t, s, order(c, "o1", "1"+fmt.Sprint(len(c)), start), order(c, "o2", fmt.Sprint(c[0]), start))
		must(s.InsertExposures(t.Context(), []engine.Exposure{{ID: "e", Customer: engine.CustomerID(c), Touchpoint: engine.TouchpointKey(c), OccurredAt: start}}))(t)
		must(s.InsertEnrolments(t.Context(), []engine.Enrolment{enrolment(c, c, start)}))(t)
		must(s.MergeCustomers(t.Context(), []engine.Customer{{ID: engine.CustomerID(c)}}, start))(t)
	}
	linked(t, s, "a", "b") // makes conflicts and a superseded enrolment
	linked(t, s, "a", "A") // moves them
	var tables []string
	if err := s.bulk.Select(&tables, `
		SELECT CAST(attrelid AS regclass) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attname = 'customer_id' ORDER BY 1`); err != nil {
		t.Fatal(err)
	}
	// An override names its customer by any identifier, which the link does not change.
	stay := []string{"customer_changes", "erased_ids", "erasures", "identities", "measures", "overrides"}
	for _, table := range tables {
		if slices.Contains(stay, table) {
			continue
		}
		if n := count(t, s, `SELECT count(*) FROM `+table+` WHERE customer_id = 'A'`); n == 0 {
			t.Errorf("%s: nothing was moved: move it, or say in this test why not", table)
		}
		if n := count(t, s, `SELECT count(*) FROM `+table+` WHERE customer_id <> 'A'`); n != 0 {
			t.Errorf("%s: %d rows were left behind", table, n)
		}
	}
	if n := count(t, s, `SELECT count(*) FROM customer_changes WHERE position = (SELECT value FROM ingest_position)`); n != 2 {
		t.Errorf("%d customers to measure again after the second link, want A and a", n)
	}
}

// Rows keep the positions they were ingested at, so a report as of a data cut finds them.
func TestALinkKeepsPositions(t *testing.T) {
	s := newStore(t)
	insert(t, s, order("b", "o1", "1", start))
	must(s.InsertEnrolments(t.Context(), []engine.Enrolment{enrolment("b", "warm", start)}))(t)
	linked(t, s, "b", "a")
	if n := count(t, s, `SELECT count(*) FROM events WHERE customer_id = 'a' AND position = 1`); n != 1 {
		t.Error("the event has another position")
	}
	if n := count(t, s, `SELECT count(*) FROM enrolments WHERE customer_id = 'a' AND assignment_key = 'b' AND position = 1001`); n != 1 {
		t.Error("the enrolment has another position or key")
	}
}

// Of two bodies of one id that came in by one transaction the first in the batch counts,
// whichever sorts first by identifier or digest.
func TestTheFirstOfABatchCountsAfterALink(t *testing.T) {
	for _, customers := range [][]string{{"a", "b"}, {"b", "a"}} {
		for _, values := range [][]string{{"1", "2"}, {"2", "1"}} {
			t.Run(fmt.Sprint(customers, values), func(t *testing.T) {
				s := newStore(t)
				var exposures []engine.Exposure
				for i, c := range customers {
					exposures = append(exposures, engine.Exposure{ID: "e", Customer: engine.CustomerID(c), Touchpoint: engine.TouchpointKey(values[i]), OccurredAt: start})
				}
				insert(t, s, order(customers[0], "o", values[0], start), order(customers[1], "o", values[1], start))
				must(s.InsertExposures(t.Context(), exposures))(t)
				linked(t, s, "b", "a")
				if n := count(t, s, `SELECT value FROM events`); fmt.Sprint(n) != values[0] {
					t.Errorf("the event of %d counts, want the first sent, of %s", n, values[0])
				}
				if n := count(t, s, `SELECT CAST(touchpoint AS integer) FROM exposures`); fmt.Sprint(n) != values[0] {
					t.Errorf("the exposure to %d counts, want the first sent, to %s", n, values[0])
				}
			})
		}
	}
}

// What a link answers names what it brought about, and sent again it does nothing.
func TestLinkAnswers(t *testing.T) {
	s := newStore(t)
	insert(t, s, order("b", "o1", "1.50", start))
	insert(t, s, order("c", "o1", "1.5", start), order("c", "o2", "3", start))
	insert(t, s, order("a", "o1", "2", start), order("a", "o2", "3", start))
	got := linked(t, s, "c", "b", "a")
	want := &engine.Person{
		ID: "a", Identifiers: []engine.CustomerID{"a", "b", "c"},
		Conflicts: []engine.IDConflict{{ID: "o1", Type: "order", OccurredAt: start, Value: amount("2"), Currency: "EUR"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the person (-want +got):\n%s", diff)
	}
	position := count(t, s, `SELECT value FROM ingest_position`)
	want.Conflicts = nil
	if diff := cmp.Diff(want, linked(t, s, "b", "a")); diff != "" {
		t.Errorf("sent again (-want +got):\n%s", diff)
	}
	if after := count(t, s, `SELECT value FROM ingest_position`); after != position {
		t.Error("a link that was known took a position")
	}
	c := must(s.Customer(t.Context(), "c"))(t)
	if c.ID != "a" || !slices.Equal(c.Identifiers, want.Identifiers) || len(c.IDConflicts) != 1 {
		t.Errorf("customer %+v", c)
	}
	// What is sent under any of them from now on is theirs.
	statuses := insert(t, s, order("b", "o2", "3", start), order("c", "o1", "2", start), order("c", "o3", "1", start))
	if diff := cmp.Diff([]engine.RowStatus{duplicate, conflict, accepted}, statuses); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if n := count(t, s, `SELECT CAST(100 * sum(value) AS integer) FROM events WHERE customer_id = 'a'`); n != 550 {
		t.Errorf("the person's events are worth %d hundredths, want 1.50 + 3 + 1", n)
	}
}

// While identifiers are linked, what comes in under them ends at the person.
func TestIngestingWhileLinking(t *testing.T) {
	s := newStore(t)
	const people, rows = 4, 12
	var wait sync.WaitGroup
	for p := range people {
		for _, side := range []string{"a", "b"} {
			wait.Go(func() {
				for i := range rows {
					customer := fmt.Sprint(side, p)
					if _, err := s.InsertEvents(context.Background(), []engine.Event{order(customer, fmt.Sprint(side, i), "1", start)}); err != nil {
						t.Error(err)
					}
					if _, err := s.InsertEnrolments(context.Background(), []engine.Enrolment{enrolment(customer, side, start.Add(time.Duration(i)*time.Hour))}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wait.Go(func() {
			if _, err := s.LinkIdentities(context.Background(), []engine.CustomerID{engine.CustomerID(fmt.Sprint("b", p)), engine.CustomerID(fmt.Sprint("a", p))}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := count(t, s, `SELECT count(*) FROM events WHERE customer_id LIKE 'a%'`); n != people*rows*2 {
		t.Errorf("%d events are with their persons, want %d", n, people*rows*2)
	}
	if n := count(t, s, `SELECT count(*) FROM enrolments WHERE customer_id LIKE 'a%' AND variant = 'a' AND contaminated`); n != people {
		t.Errorf("%d persons have the enrolment of their earlier key, want %d", n, people)
	}
}

// Journals of several servers arrive in any order: the earliest enrolment counts.
func TestEnrolmentsOutOfOrder(t *testing.T) {
	s := newStore(t)
	linked(t, s, "a", "b", "c")
	at := func(hour int) time.Time { return start.Add(time.Duration(hour) * time.Hour) }
	for _, tt := range []struct {
		name  string
		entry engine.Enrolment
		want  engine.RowStatus
		row   string // that counts: key, variant, hour, contaminated
		kept  int    // superseded
	}{
		{"first", enrolment("b", "warm", at(5)), accepted, "b warm 5 false", 0},
		{"later, the same key", enrolment("b", "warm", at(6)), duplicate, "b warm 5 false", 0},
		{"earlier, the same key", enrolment("b", "warm", at(4)), accepted, "b warm 4 false", 1},
		{"later, another key", enrolment("c", "warm", at(9)), accepted, "b warm 4 false", 2},
		{"the same again", enrolment("c", "warm", at(9)), duplicate, "b warm 4 false", 2},
		{"another variant of the same key", enrolment("b", "control", at(8)), accepted, "b warm 4 true", 3},
		{"at the same time, a smaller key", enrolment("a", "control", at(4)), accepted, "a control 4 true", 4},
		{"earlier than all", enrolment("c", "warm", at(3)), accepted, "c warm 3 true", 5},
		{"an earlier variant of the same key", enrolment("c", "control", at(1)), accepted, "c control 1 true", 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := must(s.InsertEnrolments(t.Context(), []engine.Enrolment{tt.entry}))(t)
			if !slices.Equal(got, []engine.RowStatus{tt.want}) {
				t.Errorf("status %v, want %v", got, tt.want)
			}
			var row string
			if err := s.bulk.Get(&row, `
				SELECT assignment_key || ' ' || variant || ' ' || extract(hour FROM enrolled_at) - 10 || ' ' || contaminated
				FROM enrolments WHERE customer_id = 'a'`); err != nil || row != tt.row {
				t.Errorf("%q counts (%v), want %q", row, err, tt.row)
			}
			if n := count(t, s, `SELECT count(*) FROM enrolments_superseded WHERE superseded_at > 0`); n != tt.kept {
				t.Errorf("%d superseded, want %d", n, tt.kept)
			}
		})
	}
}

// The pages from any position on say all that came after it, once the last is read.
func TestPeopleSince(t *testing.T) {
	s := newStore(t)
	for i := range 7 {
		enrol(t, s, "x", "warm", start, fmt.Sprintf("c%d", i), fmt.Sprintf("d%d", i))
	}
	half := count(t, s, `SELECT value FROM ingest_position`)
	for i := range 3 {
		linked(t, s, engine.CustomerID(fmt.Sprintf("d%d", i)), engine.CustomerID(fmt.Sprintf("c%d", i)))
	}
	insert(t, s, order("c0", "o1", "1", start))
	exec(t, s, `INSERT INTO erasures (customer_id, person, digest, position) VALUES ('gone', 'gone', substring(sha256('gone') FROM 1 FOR 16), $1)`, half+2)
	newest := int64(count(t, s, `SELECT value FROM ingest_position`))
	for _, tt := range []struct {
		name        string
		since       int64
		limit       int
		pages       int
		enrolled    string
		links, lost int
	}{
		{"everything at once", 0, 100, 1, "c0 c1 c2 c3 c4 c5 c6 d3 d4 d5 d6", 6, 1},
		{"everything in pages of less than a transaction", 0, 1, 11, "c0 c1 c2 c3 c4 c5 c6 d3 d4 d5 d6", 6, 1},
		{"everything in pages", 0, 5, 4, "c0 c1 c2 c3 c4 c5 c6 d3 d4 d5 d6", 6, 1},
		{"after the enrolments", int64(half), 100, 1, "c0 c1 c2", 6, 1},
		{"the newest", newest - 1, 100, 1, "", 0, 0},
		{"nothing new", newest, 100, 1, "", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			enrolled, links, lost, pages := map[string]bool{}, map[engine.IdentityLink]bool{}, 0, 0
			for since := tt.since; pages == 0 || since < newest; pages++ {
				var page *engine.People
				var upTo int64
				if err := s.inSnapshot(t.Context(), s.hot, func(tx *sqlx.Tx) (err error) {
					page, upTo, err = peopleSince(t.Context(), tx, since, tt.limit)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				if upTo <= since && since < newest {
					t.Fatalf("the page after %d ends at %d", since, upTo)
				}
				since = upTo
				for _, e := range page.Enrolments {
					enrolled[string(e.Customer)] = true
				}
				for _, l := range page.Links {
					links[l] = true
				}
				lost += len(page.Erased)
			}
			var names []string
			for name := range enrolled {
				names = append(names, name)
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != tt.enrolled || len(links) != tt.links || lost != tt.lost || pages != tt.pages {
				t.Errorf("enrolled %q, %d links, %d erased in %d pages, want %q, %d, %d in %d",
					got, len(links), lost, pages, tt.enrolled, tt.links, tt.lost, tt.pages)
			}
		})
	}
	all, upTo, err := s.PeopleSince(t.Context(), 0)
	if err != nil || upTo != newest {
		t.Fatalf("up to %d (%v), want %d", upTo, err, newest)
	}
	for _, l := range all.Links {
		if l.Person[0] != 'c' || l.Person[1] != l.Identifier[1] {
			t.Errorf("%s is %s", l.Identifier, l.Person)
		}
	}
}
