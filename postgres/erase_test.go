package postgres

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"github.com/perennial-engine/perennial/engine"
)

const erasedRow = engine.RowErased

// needle and its like are the identifiers of the person who is erased: no text but theirs
// contains the word.
const needle = "needle"

// traces are the tables in which the word is anywhere, as text or in bytes.
func traces(t *testing.T, s *Store, word string) (tables []string) {
	t.Helper()
	var all []string
	if err := s.bulk.Select(&all, `
		SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`); err != nil {
		t.Fatal(err)
	}
	for _, table := range all {
		if count(t, s, `SELECT count(*) FROM `+table+` AS r WHERE r::text LIKE $1 OR r::text LIKE $2`,
			"%"+word+"%", "%"+hex.EncodeToString([]byte(word))+"%") > 0 {
			tables = append(tables, table)
		}
	}
	return tables
}

// fill has a row of this customer in every table that names customers.
func fill(t *testing.T, s *Store, x *engine.Experiment, name string) {
	t.Helper()
	a, b, root := name+"-2", name+"-3", name+"-1"
	for i, c := range []string{a, b} {
		insert(t, s, order(c, "o1", fmt.Sprint(i+1), start.Add(time.Hour)), order(c, fmt.Sprint("own", i), "1", start.Add(time.Hour)))
		must(s.InsertExposures(t.Context(), []engine.Exposure{
			{ID: "e", Customer: engine.CustomerID(c), Touchpoint: "mail", OccurredAt: start.Add(time.Duration(i) * time.Hour)},
		}))(t)
		must(s.InsertEnrolments(t.Context(), []engine.Enrolment{enrolment(c, "warm", start.Add(time.Duration(i)*time.Minute))}))(t)
		must(s.MergeCustomers(t.Context(), []engine.Customer{
			{ID: engine.CustomerID(c), Attributes: engine.Attributes{"alias": []byte(`"` + c + `"`)}},
		}, start))(t)
		must(s.PutOverride(t.Context(), engine.Override{Experiment: x.Key, Customer: engine.CustomerID(c), Variant: "warm"}, 10, start))(t)
	}
	linked(t, s, engine.CustomerID(a), engine.CustomerID(b)) // makes conflicts and a superseded enrolment
	linked(t, s, engine.CustomerID(b), engine.CustomerID(root))
	must(s.Measure(t.Context(), x))(t)
}

// Every table that names customers holds the person before and nobody of them after, and no
// other table ever did. Others keep what they had.
func TestAnErasureLeavesNothingBehind(t *testing.T) {
	s := newStore(t)
	x := ltv("x", 0, 9, 0)
	fill(t, s, x, needle)
	fill(t, s, x, "other")
	var tables []string
	if err := s.bulk.Select(&tables, `
		SELECT relname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attname = 'customer_id' ORDER BY 1`); err != nil {
		t.Fatal(err)
	}
	// These hold hashes, and only of erased customers.
	hashed := []string{"erased_ids", "erasures"}
	named := slices.DeleteFunc(slices.Clone(tables), func(table string) bool { return slices.Contains(hashed, table) })
	if diff := cmp.Diff(named, traces(t, s, needle)); diff != "" {
		t.Fatalf("a table of customers needs a row in this test, which the erasure deletes (-tables +filled):\n%s", diff)
	}
	exported := map[string]bool{}
	if err := s.ExportCustomer(t.Context(), needle+"-2", func(table string, row json.RawMessage) error {
		exported[table] = true
		if strings.Contains(string(row), "other") {
			t.Errorf("%s: another customer's row is exported: %s", table, row)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(named, slices.Sorted(maps.Keys(exported))); diff != "" {
		t.Errorf("the export leaves tables out (-tables +exported):\n%s", diff)
	}
	others := map[string]int{}
	for _, table := range named {
		others[table] = count(t, s, `SELECT count(*) FROM `+table+` WHERE customer_id LIKE 'other%'`)
	}
	version := count(t, s, `SELECT version FROM configuration`)

	if err := s.Erase(t.Context(), needle+"-3", start); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, s, needle); len(left) > 0 {
		t.Errorf("traces are left in %v", left)
	}
	for table, rows := range others {
		if n := count(t, s, `SELECT count(*) FROM `+table+` WHERE customer_id LIKE 'other%'`); n != rows || n == 0 {
			t.Errorf("%s: %d rows of another customer, want %d", table, n, rows)
		}
	}
	// The two events with an id of their own and the one that counted of the shared id; an
	// exposure; two enrolments.
	if n := count(t, s, `SELECT count(*) FROM erased_ids`); n != 3+1+2 {
		t.Errorf("%d hashes are kept, want 6", n)
	}
	if n := count(t, s, `SELECT count(*) FROM erasures`); n != 3 {
		t.Errorf("%d identifiers for the other servers, want 3", n)
	}
	if n := count(t, s, `SELECT version FROM configuration`); n <= version {
		t.Error("forced variants went and the configuration has no new version")
	}
	if n := count(t, s, `SELECT count(*) FROM audit WHERE action = 'customer.erase' AND detail = '{"identifiers":3}'`); n != 1 {
		t.Error("the audit log does not say that a person of three identifiers was erased")
	}
	if _, err := s.Customer(t.Context(), needle+"-1"); engine.KindOf(err) != engine.KindNotFound {
		t.Errorf("the customer is still known: %v", err)
	}
	// Again, and of somebody who was never there, it is the same.
	for _, identifier := range []engine.CustomerID{needle + "-1", "never seen"} {
		if err := s.Erase(t.Context(), identifier, start); err != nil {
			t.Errorf("%s: %v", identifier, err)
		}
	}
}

// What an erased person had is not taken in again under any of their identifiers; what is
// new is of a new customer, and so is what others have under the same ids.
func TestWhatWasErasedDoesNotCountAgain(t *testing.T) {
	s := newStore(t)
	exposure := func(c, id string) engine.Exposure {
		entry := enrolment(c, "warm", start)
		entry.Experiment, entry.KnownUpTo = "seen", math.MaxInt64
		return engine.Exposure{ID: id, Customer: engine.CustomerID(c), Touchpoint: "mail", OccurredAt: start, Enrols: []engine.Enrolment{entry}}
	}
	external := func(c string, at time.Time) engine.Enrolment {
		entry := enrolment(c, "warm", at)
		entry.KnownUpTo = math.MaxInt64
		return entry
	}
	linked(t, s, "a", "b")
	insert(t, s, order("a", "o1", "1", start), order("b", "o2", "2", start))
	must(s.InsertExposures(t.Context(), []engine.Exposure{exposure("b", "e1")}))(t)
	must(s.InsertEnrolments(t.Context(), []engine.Enrolment{external("b", start)}))(t)
	if err := s.Erase(t.Context(), "b", start); err != nil {
		t.Fatal(err)
	}

	got := insert(t, s, order("b", "o1", "1", start), order("c", "o1", "1", start), order("a", "o2", "3", start),
		order("a", "o3", "5", start), order("a", "o3", "5", start))
	if diff := cmp.Diff([]engine.RowStatus{erasedRow, accepted, erasedRow, accepted, duplicate}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	got = must(s.InsertExposures(t.Context(), []engine.Exposure{exposure("a", "e1"), exposure("c", "e1"), exposure("b", "o1")}))(t)
	if diff := cmp.Diff([]engine.RowStatus{erasedRow, accepted, accepted}, got); diff != "" {
		t.Errorf("exposures (-want +got):\n%s", diff)
	}
	got = must(s.InsertEnrolments(t.Context(), []engine.Enrolment{external("b", start), external("b", start.Add(time.Hour)), external("c", start)}))(t)
	if diff := cmp.Diff([]engine.RowStatus{erasedRow, accepted, accepted}, got); diff != "" {
		t.Errorf("enrolments (-want +got):\n%s", diff)
	}
	if n := count(t, s, `SELECT count(*) FROM events WHERE customer_id = 'a' AND id = 'o3'`) +
		count(t, s, `SELECT count(*) FROM enrolments WHERE customer_id IN ('b', 'c')`); n != 1+3 {
		t.Errorf("%d rows of new customers, want an event, b's later enrolment and c's two", n)
	}
	// They are erased as one that has both: what came first is still known.
	linked(t, s, "a", "c")
	if err := s.Erase(t.Context(), "c", start); err != nil {
		t.Fatal(err)
	}
	got = insert(t, s, order("a", "o1", "1", start), order("b", "o2", "2", start), order("c", "o3", "5", start), order("b", "o3", "5", start))
	if diff := cmp.Diff([]engine.RowStatus{erasedRow, erasedRow, erasedRow, accepted}, got); diff != "" {
		t.Errorf("events after the second erasure (-want +got):\n%s", diff)
	}
}

// The first erasure of all, which ends while rows wait for the ledger's lock, is known to them:
// to those that wait alone and to those in lanes.
func TestRowsKnowTheErasureTheyWaitedFor(t *testing.T) {
	for name, rows := range map[string]int{"alone": 1, "in lanes": laneRows + 1} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			var events []engine.Event
			for i := range rows {
				events = append(events, order("a", fmt.Sprint("o", i), "1", start))
			}
			insert(t, s, events...)
			lock := held(t, s)
			erased := make(chan error, 1)
			go func() { erased <- s.Erase(context.Background(), "a", start) }()
			untilOneWaits(t, s)
			again := queued(t.Context(), t, s, events...)
			release(t, s, lock)
			if err := <-erased; err != nil {
				t.Fatal(err)
			}
			if again.err != nil || slices.ContainsFunc(again.statuses, func(r engine.RowStatus) bool { return r != erasedRow }) {
				t.Errorf("statuses %v (%v), want them erased", again.statuses, again.err)
			}
			if n := count(t, s, `SELECT count(*) FROM events`); n != 0 {
				t.Errorf("%d events of the erased customer", n)
			}
		})
	}
}

// A server that had not heard of an erasure when it enrolled brings nobody back.
func TestWhatWasEnrolledInIgnoranceIsDropped(t *testing.T) {
	s := newStore(t)
	at := func(c, key string, knownUpTo int64) engine.Enrolment {
		entry := enrolment(c, "warm", start)
		entry.AssignmentKey, entry.KnownUpTo = key, knownUpTo
		return entry
	}
	if err := s.Erase(t.Context(), "a", start); err != nil {
		t.Fatal(err)
	}
	erased := int64(count(t, s, `SELECT position FROM erasures`))
	got := must(s.InsertEnrolments(t.Context(), []engine.Enrolment{
		at("a", "a", erased-1), at("b", "a", erased-1), at("c", "c", erased-1),
	}))(t)
	if diff := cmp.Diff([]engine.RowStatus{erasedRow, erasedRow, accepted}, got); diff != "" {
		t.Errorf("before it knew (-want +got):\n%s", diff)
	}
	entry := at("a", "a", erased-1)
	must(s.InsertExposures(t.Context(), []engine.Exposure{{ID: "e", Customer: "a", Touchpoint: "mail", OccurredAt: start, Enrols: []engine.Enrolment{entry}}}))(t)
	if n := count(t, s, `SELECT count(*) FROM enrolments`); n != 1 {
		t.Errorf("%d enrolments, want that of c", n)
	}
	if got := must(s.InsertEnrolments(t.Context(), []engine.Enrolment{at("a", "a", erased)}))(t); got[0] != accepted {
		t.Errorf("after it knew: %v", got)
	}
}

// Reports are computed without the erased from then on, and say so where it matters.
func TestAnErasureRestates(t *testing.T) {
	s := newStore(t)
	x, y := ltv("x", 0, 2, 0), ltv("y", 0, 2, 0)
	enrol(t, s, x.Key, "warm", start, "a", "b")
	enrol(t, s, y.Key, "warm", start, "b")
	insert(t, s, order("a", "o", "5", start.Add(time.Hour)), order("b", "o", "7", start.Add(time.Hour)))
	view := engine.View{AsOf: start.Add(3 * day)}
	before := must(s.Totals(t.Context(), x, view))(t)
	must(s.Totals(t.Context(), y, view))(t)
	if err := s.Erase(t.Context(), "a", start); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, `SELECT count(*) FROM measures`); n != 2 {
		t.Errorf("%d measures, want b's in both tests", n)
	}
	after := must(s.Totals(t.Context(), x, view))(t)
	if got := after.Values[0]; got.Mature != 1 || got.Sum.String() != "7" || after.Arms[0].Customers != 1 {
		t.Errorf("totals %+v of %+v, want b's 7", got, after.Arms)
	}
	view.DataCut = &before.DataCut
	if got := must(s.Totals(t.Context(), x, view))(t); !got.Restated || got.Values[0].Sum.String() != "7" {
		t.Errorf("as known before: restated %v, %+v", got.Restated, got.Values)
	}
	if got := must(s.Totals(t.Context(), y, view))(t); got.Restated {
		t.Error("restated, and nobody of this test was erased")
	}
	if _, differences, err := s.Recompute(t.Context(), x); differences != 0 || err != nil {
		t.Errorf("%d measures differ from a recomputation (%v)", differences, err)
	}
	// A process that ends between the erasure and its measures leaves them to the next measuring.
	exec(t, s, `INSERT INTO measures (customer_id, experiment, metric, value) VALUES ('a', 'x', 'ltv', 5)`)
	insert(t, s, order("b", "o2", "1", start.Add(time.Hour)))
	exec(t, s, `UPDATE measure_cuts SET position = 1`)
	must(s.Measure(t.Context(), x))(t)
	if n := count(t, s, `SELECT count(*) FROM measures WHERE customer_id = 'a'`); n != 0 {
		t.Error("the measures of an erased customer were left")
	}
}

// Whoever measures while somebody is erased does not bring their measures back.
func TestErasingWhileMeasuring(t *testing.T) {
	s := newStore(t)
	x := ltv("x", 0, 2, 0)
	enrol(t, s, x.Key, "warm", start, "a")
	must(s.Measure(t.Context(), x))(t)
	insert(t, s, order("a", "o", "5", start.Add(time.Hour)))
	done := make(chan error)
	if err := s.inPicture(t.Context(), func(tx *sqlx.Tx) error {
		if _, _, err := measure(t.Context(), tx, x); err != nil {
			return err
		}
		go func() { done <- s.Erase(context.Background(), "a", start) }()
		for waiting := 0; waiting == 0; {
			waiting = count(t, s, `SELECT count(*) FROM pg_stat_activity
				WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE measure_cuts%' AND datname = current_database()`)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if left := traces(t, s, "a\t"); len(left) > 0 || count(t, s, `SELECT count(*) FROM measures`) != 0 {
		t.Error("the measures came back")
	}
	// One that began before the erasure and writes after it begins again.
	enrol(t, s, x.Key, "warm", start, "b")
	insert(t, s, order("b", "o", "5", start.Add(time.Hour)))
	erased := false
	if err := s.inPicture(t.Context(), func(tx *sqlx.Tx) error {
		if _, err := tx.Exec(`SELECT value FROM ingest_position`); err != nil { // the picture is taken
			return err
		}
		if !erased {
			erased = true
			if err := s.Erase(t.Context(), "b", start); err != nil {
				return err
			}
		}
		_, _, err := measure(t.Context(), tx, x)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, `SELECT count(*) FROM measures`); n != 0 {
		t.Error("a measuring that had begun before wrote the measures of an erased customer")
	}
}

// A server learns whom to forget by a hash that only its secret can make.
func TestTheFeedOfErasures(t *testing.T) {
	s := newStore(t)
	enrol(t, s, "x", "warm", start, "a")
	linked(t, s, "a", needle)
	since := int64(count(t, s, `SELECT value FROM ingest_position`))
	if err := s.Erase(t.Context(), "a", start); err != nil {
		t.Fatal(err)
	}
	insert(t, s, order("z", "o", "1", start))
	newest := int64(count(t, s, `SELECT value FROM ingest_position`))
	var secret []byte
	if err := s.bulk.Get(&secret, `SELECT secret FROM configuration`); err != nil {
		t.Fatal(err)
	}
	as := engine.NewPseudonymizer(secret)
	for _, from := range []int64{0, since} {
		page, upTo, err := s.PeopleSince(t.Context(), from)
		if err != nil || upTo != newest {
			t.Fatalf("the page after %d ends at %d (%v)", from, upTo, err)
		}
		if len(page.Erased) != 2 || !slices.Contains(page.Erased, as.Digest("a")) || !slices.Contains(page.Erased, as.Digest(needle)) {
			t.Errorf("after %d: %v are erased, want both identifiers", from, page.Erased)
		}
		if len(page.Links)+len(page.Enrolments) != 0 {
			t.Errorf("after %d: %+v", from, page)
		}
	}
	if strings.Contains(as.Name(needle), needle) || as.Name("a") == as.Name(needle) {
		t.Error("a hash is no hash")
	}
}
