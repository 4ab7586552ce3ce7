package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/engine"
)

const (
	accepted  = engine.RowAccepted
	duplicate = engine.RowDuplicate
	conflict  = engine.RowConflict
)

func TestEventStatuses(t *testing.T) {
	s := newStore(t)
	other := order("c1", "o1", "10", start)
	other.Channel = "store"
	for _, tt := range []struct {
		name   string
		events []engine.Event
		want   []engine.RowStatus
	}{
		{"new", []engine.Event{order("c1", "o1", "10", start)}, []engine.RowStatus{accepted}},
		{"the same again", []engine.Event{order("c1", "o1", "10", start)}, []engine.RowStatus{duplicate}},
		{"the same value in other digits", []engine.Event{order("c1", "o1", "10.00", start)}, []engine.RowStatus{duplicate}},
		{"another value", []engine.Event{order("c1", "o1", "10.01", start)}, []engine.RowStatus{conflict}},
		{"another channel", []engine.Event{other}, []engine.RowStatus{conflict}},
		{"another time", []engine.Event{order("c1", "o1", "10", start.Add(time.Microsecond))}, []engine.RowStatus{conflict}},
		{"another person may use the id", []engine.Event{order("c2", "o1", "10", start)}, []engine.RowStatus{accepted}},
		{
			"twice in one batch, and once otherwise",
			[]engine.Event{order("c3", "o1", "1", start), order("c3", "o1", "1", start), order("c3", "o1", "2", start)},
			[]engine.RowStatus{accepted, duplicate, conflict},
		},
		{
			"old and new together",
			[]engine.Event{order("c1", "o1", "10", start), order("c1", "o2", "1", start), order("c1", "o1", "11", start)},
			[]engine.RowStatus{duplicate, accepted, conflict},
		},
		{"nothing", nil, []engine.RowStatus{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, insert(t, s, tt.events...)); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
	if n := count(t, s, `SELECT count(*) FROM events`); n != 4 {
		t.Errorf("%d events in the ledger, want 4", n)
	}
	if n := count(t, s, `SELECT count(*) FROM events WHERE customer_id = 'c1' AND id = 'o1' AND value = 10 AND channel IS NULL`); n != 1 {
		t.Error("the first event of an id does not stand")
	}
}

// An event comes back as it went in, text and digits.
func TestEventsAreStoredExactly(t *testing.T) {
	s := newStore(t)
	e := engine.Event{
		Customer: "Åsa 顧客\"'\\{},", ID: "o;1", Type: "order", OccurredAt: start.Add(123456 * time.Microsecond),
		Value: amount("-999999999999.123456789012"), Currency: "EUR", Channel: "web", Touchpoint: "mail",
		Properties: json.RawMessage(`{"a":[1.10,"x, {y}"],"b":null}`),
	}
	insert(t, s, e)
	if n := count(t, s, `
		SELECT count(*) FROM events WHERE customer_id = $1 AND id = $2 AND type = 'order'
			AND occurred_at = '2026-03-01 10:00:00.123456Z' AND CAST(value AS text) = '-999999999999.123456789012'
			AND currency = 'EUR' AND channel = 'web' AND touchpoint = 'mail' AND CAST(properties AS text) = $3`,
		string(e.Customer), e.ID, string(e.Properties)); n != 1 {
		t.Error("the event was changed on its way")
	}
}

// Positions are in the order of commits: whoever reads everything up to the newest
// position never finds a row with a lower one later.
func TestPositionsAreInCommitOrder(t *testing.T) {
	s := newStore(t)
	const writers, batches = 6, 25
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			for i := range batches {
				if _, err := s.InsertEvents(context.Background(),
					[]engine.Event{order(fmt.Sprintf("c%d", w), fmt.Sprint(i), "1", start)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		known, highest := 0, int64(0)
		for {
			// What was up to the highest position stays as many as it was.
			var row struct {
				Before  int   `db:"before"`
				Total   int   `db:"total"`
				Highest int64 `db:"highest"`
			}
			if err := s.bulk.Get(&row, `
				SELECT count(*) FILTER (WHERE position <= $1) AS before, count(*) AS total,
					coalesce(max(position), 0) AS highest FROM events`, highest); err != nil {
				t.Error(err)
				return
			}
			if row.Before != known {
				t.Errorf("%d rows up to position %d, %d before", row.Before, highest, known)
				return
			}
			known, highest = row.Total, row.Highest
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	wait.Wait()
	close(stop)
	watcher.Wait()
	if n := count(t, s, `SELECT count(*) - count(DISTINCT position) FROM events`); n != 0 {
		t.Errorf("%d rows share their position with another", n)
	}
}

func TestEnrolmentStatuses(t *testing.T) {
	s := newStore(t)
	e := func(customer, variant string) engine.Enrolment {
		return engine.Enrolment{
			Customer: engine.CustomerID(customer), Experiment: "x", Variant: engine.VariantKey(variant), EnrolledAt: start,
		}
	}
	for _, tt := range []struct {
		name  string
		batch []engine.Enrolment
		want  []engine.RowStatus
	}{
		{"new", []engine.Enrolment{e("a", "warm")}, []engine.RowStatus{accepted}},
		{"again", []engine.Enrolment{e("a", "warm")}, []engine.RowStatus{duplicate}},
		{"another variant", []engine.Enrolment{e("a", "control")}, []engine.RowStatus{accepted}},
		{
			"old, new and repeated",
			[]engine.Enrolment{e("a", "warm"), e("b", "control"), e("b", "warm")},
			[]engine.RowStatus{duplicate, accepted, accepted},
		},
		{"all known", []engine.Enrolment{e("b", "control"), e("a", "control")}, []engine.RowStatus{duplicate, duplicate}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := must(s.InsertEnrolments(t.Context(), tt.batch))(t)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
	if n := count(t, s, `SELECT count(*) FROM enrolments WHERE variant = 'control' AND contaminated`); n != 2 {
		t.Errorf("%d customers of two in both variants are contaminated, by the first of them", n)
	}
}

// A customer who comes back is enrolled already: that contact waits for nobody's batch.
func TestKnownCustomersDoNotWaitForTheLedger(t *testing.T) {
	s := newStore(t)
	enrol(t, s, "x", "warm", start, "a")
	position := count(t, s, `SELECT value FROM ingest_position`)
	tx := must(s.bulk.Beginx())(t)
	defer tx.Rollback() //nolint:errcheck // the lock is all that it is for
	if _, err := nextPosition(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	enrol(t, s, "x", "warm", start, "a")
	if n := count(t, s, `SELECT value FROM ingest_position`); n != position {
		t.Error("an enrolment that was there took a position")
	}
}

func TestExposuresEnrolInTheSameTransaction(t *testing.T) {
	s := newStore(t)
	entry := engine.Enrolment{Customer: "a", Experiment: "x", Variant: "warm", AssignmentKey: "a", EnrolledAt: start}
	x := engine.Exposure{ID: "e1", Customer: "a", Touchpoint: "mail", OccurredAt: start, Enrols: []engine.Enrolment{entry}}
	for i, want := range []engine.RowStatus{accepted, duplicate} {
		got := must(s.InsertExposures(t.Context(), []engine.Exposure{x}))(t)
		if len(got) != 1 || got[0] != want {
			t.Fatalf("exposure %d: %v, want %v", i, got, want)
		}
	}
	// What is rejected enrols nobody.
	elsewhere := entry
	elsewhere.Experiment = "y"
	x.OccurredAt, x.Enrols = start.Add(time.Hour), []engine.Enrolment{elsewhere}
	if got := must(s.InsertExposures(t.Context(), []engine.Exposure{x}))(t); got[0] != conflict {
		t.Errorf("another time under the id: %v, want a conflict", got)
	}
	// Of several in one batch the earliest enrols, wherever it stands.
	var late, early engine.Enrolment
	late, early = entry, entry
	late.Customer, early.Customer, late.EnrolledAt = "c", "c", start.Add(time.Hour)
	must(s.InsertExposures(t.Context(), []engine.Exposure{
		{ID: "late", Customer: "c", Touchpoint: "mail", OccurredAt: late.EnrolledAt, Enrols: []engine.Enrolment{late}},
		{ID: "early", Customer: "c", Touchpoint: "mail", OccurredAt: start, Enrols: []engine.Enrolment{early}},
	}))(t)
	if n := count(t, s, `SELECT count(*) FROM enrolments WHERE customer_id = 'c' AND enrolled_at = $1`, start); n != 1 {
		t.Error("the later of two exposures enrolled")
	}
	// A batch that cannot be stored enrols nobody: NUL is no text for PostgreSQL.
	entry.Customer = "b"
	bad := engine.Exposure{ID: "e2", Customer: "b\x00", Touchpoint: "mail", OccurredAt: start, Enrols: []engine.Enrolment{entry}}
	if _, err := s.InsertExposures(t.Context(), []engine.Exposure{bad}); err == nil {
		t.Error("NUL was stored")
	}
	if n := count(t, s, `SELECT count(*) FROM enrolments`); n != 2 {
		t.Errorf("%d enrolments, want 2", n)
	}
}

func TestMergeCustomers(t *testing.T) {
	s := newStore(t)
	c := func(id, attributes string) engine.Customer {
		customer := engine.Customer{ID: engine.CustomerID(id)}
		if err := json.Unmarshal([]byte(attributes), &customer.Attributes); err != nil {
			t.Fatal(err)
		}
		return customer
	}
	for _, tt := range []struct {
		name    string
		batch   []engine.Customer
		created int
		want    map[engine.CustomerID]string
	}{
		{
			"repeats are merged in the batch's order",
			[]engine.Customer{c("a", `{"x": 1, "y": 1}`), c("b", `{}`), c("a", `{"x": 2}`), c("a", `{"z": "é"}`)},
			2,
			map[engine.CustomerID]string{"a": `{"x": 2, "y": 1, "z": "é"}`, "b": `{}`},
		},
		{
			"known ones keep what is not named, and null is a value",
			[]engine.Customer{c("a", `{"y": null}`), c("c", `{"x": 9007199254740993}`)},
			1,
			map[engine.CustomerID]string{"a": `{"x": 2, "y": null, "z": "é"}`, "c": `{"x": 9007199254740993}`},
		},
		{"nothing to add", []engine.Customer{c("b", `{}`)}, 0, map[engine.CustomerID]string{"b": `{}`}},
		{"nobody", nil, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			created := must(s.MergeCustomers(t.Context(), tt.batch, start))(t)
			if created != tt.created {
				t.Errorf("%d new customers, want %d", created, tt.created)
			}
			for id, text := range tt.want {
				var want, got map[string]json.RawMessage
				if err := json.Unmarshal([]byte(text), &want); err != nil {
					t.Fatal(err)
				}
				got = must(s.Customer(t.Context(), id))(t).Attributes
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", id, diff)
				}
			}
		})
	}
}

// Batches of the same customers in opposite orders do not lock each other out.
func TestMergingTheSameCustomersAtOnce(t *testing.T) {
	s := newStore(t)
	var forwards, backwards []engine.Customer
	for i := range 200 {
		forwards = append(forwards, engine.Customer{ID: engine.CustomerID(fmt.Sprint("c", i)), Attributes: engine.Attributes{"f": json.RawMessage(`1`)}})
		backwards = append(backwards, engine.Customer{ID: engine.CustomerID(fmt.Sprint("c", 199-i)), Attributes: engine.Attributes{"b": json.RawMessage(`1`)}})
	}
	var wait sync.WaitGroup
	for _, batch := range [][]engine.Customer{forwards, backwards, forwards, backwards} {
		wait.Go(func() {
			for range 5 {
				if _, err := s.MergeCustomers(context.Background(), batch, start); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if n := count(t, s, `SELECT count(*) FROM customers WHERE attributes = '{"f": 1, "b": 1}'`); n != 200 {
		t.Errorf("%d of 200 customers have both attributes", n)
	}
}

func TestCustomer(t *testing.T) {
	s := newStore(t)
	if _, err := s.Customer(t.Context(), "nobody"); err != nil {
		kindOf(t, err, engine.KindNotFound, "not_found")
	} else {
		t.Error("a customer never seen was found")
	}
	insert(t, s, order("a", "o2", "1", start.Add(time.Hour)), order("a", "o1", "1", start))
	enrol(t, s, "second", "warm", start.Add(time.Hour), "a")
	enrol(t, s, "first", "control", start, "a")
	got := must(s.Customer(t.Context(), "a"))(t)
	if got.FirstSeen == nil || !got.FirstSeen.Equal(start) {
		t.Errorf("first seen %v, want %v", got.FirstSeen, start)
	}
	if len(got.Enrolments) != 2 || got.Enrolments[0].Experiment != "first" || got.Enrolments[1].Variant != "warm" {
		t.Errorf("enrolments %+v, want first and second in order of time", got.Enrolments)
	}
}
