package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/journal"
	"github.com/perennial-engine/perennial/internal/pgtest"
	"github.com/perennial-engine/perennial/postgres"
)

// A fullDisk is a journal that takes nothing.
type fullDisk struct{ engine.Journal }

var errFull = errors.New("no space left on device")

func (fullDisk) Append(context.Context, ...[]byte) error { return errFull }
func (fullDisk) Replay(func([]byte) error) error         { return nil }
func (fullDisk) Pending() (int64, time.Time)             { return 0, time.Time{} }
func (fullDisk) Ship(context.Context, int, func(context.Context, [][]byte) error) (int, error) {
	return 0, nil
}

// memory is a picture file in memory.
type memory struct{ last []byte }

func (m *memory) Save(write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	m.last = b.Bytes()
	return nil
}

func (m *memory) Load(read func(io.Reader) error) error { return read(bytes.NewReader(m.last)) }

// beside is another process on the same database.
func (s *system) beside(dsn string, journal engine.Journal, pictures engine.Pictures) *engine.Engine {
	s.t.Helper()
	store, err := postgres.Open(dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = store.Close() })
	return engine.New(engine.Config{
		Store: store, Journal: journal, Pictures: pictures, Now: s.now, Random: strings.NewReader(""),
		Log: slog.New(slog.DiscardHandler), Reporting: "EUR",
	})
}

func assign(t *testing.T, e *engine.Engine, customer string) engine.Assigned {
	t.Helper()
	answers, err := e.Assign(t.Context(), engine.AssignRequest{
		Touchpoint: "welcome-email", Customers: []engine.CustomerID{engine.CustomerID(customer)}, Record: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return answers[0]
}

// TestFullDisk: a journal that cannot be written changes no answer; what is missing is
// counted, told to the database, and tried again at the next contact.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := newSystemOn(t, dsn).catalogue()
	s.running(and(welcomeTone, object{"traffic": 1}))
	full := s.beside(dsn, fullDisk{}, nil)
	if err := full.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := s.post("/v1/assignments", `{"customer": "c1", "touchpoint": "welcome-email", "record": false}`).at("/variant")
	for n := range 3 {
		if got := assign(t, full, "c1"); got.Variant != want || got.Reason != "assigned" {
			t.Errorf("answer %+v, want variant %v", got, want)
		}
		if full.Unrecorded() != int64(n+1) {
			t.Errorf("%d unrecorded after %d contacts", full.Unrecorded(), n+1)
		}
	}
	if err := full.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.count(`SELECT count FROM unrecorded_enrolments WHERE experiment = 'welcome-tone'`); n != 3 {
		t.Errorf("the database was told of %d", n)
	}
	if n := s.count(`SELECT count(*) FROM enrolments`); n != 0 {
		t.Errorf("%d enrolments out of nothing", n)
	}
}

// TestPicture: a process that cannot reach the database serves the stored picture: the same
// variants, links, audiences with their attributes, and keys.
func TestPicture(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := newSystemOn(t, dsn).catalogue()
	s.running(and(welcomeTone, object{"traffic": 1, "audience": "customer.country == 'FR'"}))
	for i := range 50 {
		s.put(fmt.Sprintf("/v1/customers/c%d", i), `{"attributes": {"country": "FR"}}`).is(http.StatusCreated)
	}
	s.follow()
	variants := map[string]string{}
	for i := range 25 {
		customer := fmt.Sprintf("c%d", i)
		variants[customer] = fmt.Sprint(s.post("/v1/assignments", object{"customer": customer, "touchpoint": "welcome-email"}).at("/variant"))
		s.post("/v1/identities", object{"customer": customer, "identifiers": []string{"a-" + customer}}).is(http.StatusOK)
		variants["a-"+customer] = variants[customer]
	}
	file := &memory{}
	saver := s.beside(dsn, nil, file)
	for _, step := range []error{saver.Refresh(t.Context()), saver.Follow(t.Context()), saver.SavePicture()} {
		if step != nil {
			t.Fatal(step)
		}
	}
	alone := s.beside("postgres://nobody@127.0.0.1:1/none?sslmode=disable&connect_timeout=1", nil, file)
	if err := alone.LoadPicture(); err != nil {
		t.Fatal(err)
	}
	for customer, want := range variants {
		if got := assign(t, alone, customer); got.Variant != want || got.Enrol {
			t.Errorf("%s: %+v, want variant %s, enrolled already", customer, got, want)
		}
	}
	if got := assign(t, alone, "c30"); got.Reason != "assigned" {
		t.Errorf("whose attributes are known: %+v", got)
	}
	if got := assign(t, alone, "stranger"); got.Reason != "not_eligible" {
		t.Errorf("a stranger: %+v", got)
	}
	if _, err := alone.Authenticate(adminKey); err != nil {
		t.Error(err)
	}
}

// TestPictureOfAnotherTime: with the database there, its configuration counts. The picture's
// people stay only if they are of this database, and not of a later state of it.
func TestPictureOfAnotherTime(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := newSystemOn(t, dsn).catalogue()
	s.running(and(welcomeTone, object{"traffic": 1}))
	want := s.post("/v1/assignments", `{"customer": "c1", "touchpoint": "welcome-email"}`).at("/variant")
	file := &memory{}
	saver := s.beside(dsn, nil, file)
	for _, step := range []error{saver.Refresh(t.Context()), saver.Follow(t.Context()), saver.SavePicture()} {
		if step != nil {
			t.Fatal(step)
		}
	}
	start := func(dsn string) *engine.Engine {
		t.Helper()
		e := s.beside(dsn, nil, file)
		for _, step := range []error{e.LoadPicture(), e.Refresh(t.Context()), e.Follow(t.Context())} {
			if step != nil {
				t.Fatal(step)
			}
		}
		return e
	}
	s.post("/v1/experiments/welcome-tone/pause", nil).is(http.StatusOK)
	if got := assign(t, start(dsn), "c1"); got.Reason != "paused" {
		t.Errorf("a newer configuration does not count: %+v", got)
	}
	s.post("/v1/experiments/welcome-tone/resume", nil).is(http.StatusOK)
	if got := assign(t, start(dsn), "c1"); got.Variant != want || got.Enrol {
		t.Errorf("%+v, want %v, enrolled", got, want)
	}
	if _, err := s.db.Exec(`DELETE FROM enrolments; UPDATE ingest_position SET value = 0; UPDATE configuration SET version = 1`); err != nil {
		t.Fatal(err)
	}
	if got := assign(t, start(dsn), "c1"); !got.Enrol {
		t.Errorf("enrolled in a state that a backup does not have: %+v", got)
	}
	other := newSystem(t).catalogue()
	other.running(and(welcomeTone, object{"traffic": 1}))
	e := other.beside(pgtest.Database(t), nil, file)
	if err := errors.Join(e.LoadPicture(), e.Refresh(t.Context()), e.Follow(t.Context())); err != nil {
		t.Fatal(err)
	}
	if known := e.Vitals().Enrolled; known != 0 {
		t.Errorf("%d enrolled customers of another database", known)
	}
}

// TestJournalOfAnotherDatabase: enrolments that wait for one database never reach another,
// whether the server had a picture or not, and are there for their own afterwards.
func TestJournalOfAnotherDatabase(t *testing.T) {
	t.Parallel()
	own, foreign := pgtest.Database(t), pgtest.Database(t)
	s, other := newSystemOn(t, own).catalogue(), newSystemOn(t, foreign).catalogue()
	for _, system := range []*system{s, other} {
		system.running(and(welcomeTone, object{"traffic": 1}))
	}
	// The databases of tests are copies of one.
	if _, err := other.db.Exec(`UPDATE configuration SET secret = sha256('another')`); err != nil {
		t.Fatal(err)
	}
	kept, err := journal.Open(t.TempDir(), journal.Options{Now: s.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	file := &memory{}
	first := s.beside(own, kept, file)
	if err := errors.Join(first.Refresh(t.Context()), first.Follow(t.Context()), first.SavePicture()); err != nil {
		t.Fatal(err)
	}
	if got := assign(t, first, "c1"); !got.Enrol {
		t.Fatalf("%+v", got)
	}
	const want = "are for another database"
	bare := other.beside(foreign, kept, nil)
	if err := bare.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a start without a picture: %v", err)
	}
	pictured := other.beside(foreign, kept, file)
	if err := pictured.LoadPicture(); err != nil {
		t.Fatal(err)
	}
	if err := pictured.Flush(t.Context()); engine.KindOf(err) != engine.KindUnavailable {
		t.Errorf("shipped before it is known where to: %v", err)
	}
	if err := pictured.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a start with a picture: %v", err)
	}
	for _, e := range []*engine.Engine{bare, pictured} {
		if err := e.Flush(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("shipped: %v", err)
		}
	}
	if n := other.count(`SELECT count(*) FROM enrolments`); n != 0 {
		t.Errorf("%d enrolments of another database", n)
	}
	again := s.beside(own, kept, file)
	if err := errors.Join(again.LoadPicture(), again.Refresh(t.Context()), again.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := s.count(`SELECT count(*) FROM enrolments`); n != 1 {
		t.Errorf("%d enrolments in the own database, want the one that waited", n)
	}
}

// TestPoisonedPicture: a picture that could give wrong answers is refused, and counted.
func TestPoisonedPicture(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := newSystemOn(t, dsn).catalogue()
	s.running(welcomeTone)
	good := &memory{}
	saver := s.beside(dsn, nil, good)
	for _, step := range []error{saver.Refresh(t.Context()), saver.Follow(t.Context()), saver.SavePicture()} {
		if step != nil {
			t.Fatal(step)
		}
	}
	replaced := func(old, replacement string) []byte {
		size := int(uint64(good.last[7]) | uint64(good.last[6])<<8 | uint64(good.last[5])<<16)
		document := bytes.Replace(good.last[16:16+size], []byte(old), []byte(replacement), 1)
		if bytes.Equal(document, good.last[16:16+size]) || !json.Valid(document) {
			t.Fatalf("%s is not in the picture", old)
		}
		poisoned := bytes.Clone(good.last[:16])
		poisoned[5], poisoned[6], poisoned[7] = byte(len(document)>>16), byte(len(document)>>8), byte(len(document))
		return append(append(poisoned, document...), good.last[16+size:]...)
	}
	for name, picture := range map[string][]byte{
		"nothing":           {},
		"truncated":         good.last[:len(good.last)-1],
		"half":              good.last[:len(good.last)/2],
		"a size beyond":     append([]byte{255}, good.last[1:]...),
		"a weight of 0":     replaced(`"weight":1`, `"weight":0`),
		"a variant twice":   replaced(`"key":"warm"`, `"key":"control"`),
		"no salt":           replaced(`"Salt":"`, `"Salted":"`),
		"unknown audience":  replaced(`"audience":""`, `"audience":"oops"`),
		"a touchpoint gone": replaced(`"touchpoints":["welcome-email"`, `"touchpoints":["gone"`),
	} {
		t.Run(name, func(t *testing.T) {
			e := s.in(t).beside(dsn, nil, &memory{picture})
			if err := e.LoadPicture(); err == nil {
				t.Fatal("it was taken")
			}
			if e.Vitals().Refused != 1 {
				t.Errorf("%d refusals counted", e.Vitals().Refused)
			}
			if _, err := e.Assign(t.Context(), engine.AssignRequest{Touchpoint: "welcome-email"}); engine.KindOf(err) != engine.KindUnavailable {
				t.Errorf("it serves: %v", err)
			}
		})
	}
	e := s.beside(dsn, nil, good)
	if err := e.LoadPicture(); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// TestChangesAreToldAtOnce: another process shows a change although it polls only rarely.
func TestChangesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := newSystemOn(t, dsn).catalogue()
	other := s.beside(dsn, nil, nil)
	if err := other.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); other.KeepFresh(ctx, time.Hour) }()
	defer func() { stop(); <-ended }()
	deadline := time.Now().Add(time.Minute)
	for i := 0; ; i++ {
		// The first changes may come before it listens.
		key := fmt.Sprintf("new-%d", i)
		s.put("/v1/touchpoints/"+key, `{"channel": "web", "content": "new"}`).is(http.StatusCreated)
		for range 20 {
			_, err := other.Assign(t.Context(), engine.AssignRequest{
				Touchpoint: engine.TouchpointKey(key), Customers: []engine.CustomerID{"c"},
			})
			if err == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		if time.Now().After(deadline) {
			t.Fatal("no change was told of")
		}
	}
}
