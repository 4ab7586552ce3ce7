package postgres

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/journal"
	"github.com/perennial-engine/perennial/internal/lastgood"
)

// A server has an engine and a folder of its own, as in production.
type server struct {
	*engine.Engine
	dir     string
	journal *journal.Journal
}

type pictureFile lastgood.File

func (p pictureFile) Save(write func(io.Writer) error) error { return lastgood.File(p).Save(write) }

func (p pictureFile) Load(read func(io.Reader) error) error {
	_, err := lastgood.File(p).Load(func(body io.Reader, _ int64) error { return read(body) })
	return err
}

// startServer starts a server in a folder; without the database it serves its last picture.
func startServer(t *testing.T, s *Store, c *clock, dir string, seed byte) *server {
	t.Helper()
	kept, err := journal.Open(filepath.Join(dir, "journal"), journal.Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() })
	return &server{engine.New(engine.Config{
		Store: s, Journal: kept, Pictures: pictureFile{Dir: dir, Name: "picture", Version: 1, MaxBytes: 1 << 30},
		Now: c.Now, Random: newRandomness(seed), Log: slog.New(slog.DiscardHandler), Reporting: "EUR",
	}), dir, kept}
}

func (s *server) tick(t *testing.T) {
	t.Helper()
	for _, step := range []func() error{
		func() error { return s.Refresh(t.Context()) },
		func() error { return s.Follow(t.Context()) },
		func() error { return s.Flush(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// meet assigns a customer at the touchpoint mail.
func (s *server) meet(t *testing.T, customer engine.CustomerID) engine.Assigned {
	t.Helper()
	return must(s.Assign(t.Context(), engine.AssignRequest{Touchpoint: "mail", Customers: []engine.CustomerID{customer}, Record: true}))(t)[0]
}

// key is what a server would draw a customer with.
func (s *server) key(t *testing.T, customer engine.CustomerID) string {
	t.Helper()
	return must(s.Lookup())(t).Visitor(customer, nil).Key()
}

// onDisk are the files of a server in which the word is.
func (s *server) onDisk(t *testing.T, word string) (files []string) {
	t.Helper()
	if err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(word)) {
			files = append(files, filepath.Base(path))
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

// Two servers know a person: linked, enrolled, with attributes and a forced variant, in
// memory, in the pictures and in the journals. After an erasure by one of them both have
// forgotten, on disk too, and what waited in a journal brings nobody back. Who comes back is
// a new customer on both.
func TestEveryServerForgets(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	dirs := []string{t.TempDir(), t.TempDir()}
	a, b := startServer(t, s, c, dirs[0], 1), startServer(t, s, c, dirs[1], 2)
	a.tick(t)
	catalogue(t, a.Engine)
	x := spec("test")
	x.Audience = "customer.alias != 'nobody'"
	running(t, a.Engine, x)
	const person, cookie = engine.CustomerID(needle + "-z"), engine.CustomerID(needle + "-cookie")
	for _, customer := range []engine.CustomerID{person, "other", cookie} {
		must(a.PutCustomer(t.Context(), engine.Customer{
			ID: customer, Attributes: engine.Attributes{"alias": []byte(`"` + customer + `"`)},
		}))(t)
	}
	b.tick(t)
	a.tick(t)
	if got := a.meet(t, person); got.Reason != "assigned" {
		t.Fatalf("%+v", got)
	}
	a.meet(t, "other")
	must(a.LinkIdentities(t.Context(), person, []engine.CustomerID{cookie}))(t)
	must(a.PutOverride(t.Context(), engine.Override{Experiment: "test", Customer: cookie, Variant: "warm"}))(t)
	for _, server := range []*server{a, b} {
		server.tick(t)
		for range 2 { // the newest picture and the one before
			c.Set(c.Now().Add(time.Minute))
			must(a.PutCustomer(t.Context(), engine.Customer{ID: "other"}))(t)
			server.tick(t)
			if err := server.SavePicture(); err != nil {
				t.Fatal(err)
			}
		}
		if server.key(t, cookie) != string(person) {
			t.Fatal("the server does not know the person")
		}
	}
	// On b they are in a second test, which only b's journal knows.
	y := spec("second")
	y.Touchpoints, y.Variants[1].Content = []engine.TouchpointKey{"web"}, map[engine.TouchpointKey]json.RawMessage{"web": content("warm")}
	running(t, a.Engine, y)
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	must(b.Assign(t.Context(), engine.AssignRequest{Touchpoint: "web", Customers: []engine.CustomerID{cookie}, Record: true}))(t)
	if waiting, _ := b.Waiting(); waiting != 1 {
		t.Fatalf("%d enrolments wait in b's journal, want 1", waiting)
	}
	for _, server := range []*server{a, b} {
		if len(server.onDisk(t, needle)) < 2 {
			t.Fatalf("the folder does not hold the person in both pictures: %v", server.onDisk(t, needle))
		}
	}

	if err := a.Erase(t.Context(), cookie); err != nil {
		t.Fatal(err)
	}
	b.tick(t)
	c.Set(c.Now().Add(time.Minute)) // for the journals to begin new files
	for _, server := range []*server{a, b} {
		server.tick(t)
		if files := server.onDisk(t, needle); len(files) > 0 {
			t.Errorf("%s: traces on disk in %v", server.dir, files)
		}
		for _, customer := range []engine.CustomerID{person, cookie} {
			if key := server.key(t, customer); key != string(customer) {
				t.Errorf("%s is still drawn as %s", customer, key)
			}
			if server.knows(t, customer) {
				t.Errorf("%s is still known", customer)
			}
		}
		if !server.knows(t, "other") {
			t.Error("another customer was forgotten")
		}
	}
	if left := traces(t, s, needle); len(left) > 0 {
		t.Errorf("traces are left in %v", left)
	}

	// Who comes back is new: nothing is known that the audience asks for.
	if got := b.meet(t, person); got.Reason != "not_eligible" {
		t.Errorf("back on b: %+v", got)
	}
	must(a.PutCustomer(t.Context(), engine.Customer{ID: person, Attributes: engine.Attributes{"alias": []byte(`"back"`)}}))(t)
	b.tick(t)
	got := b.meet(t, person)
	b.tick(t)
	a.tick(t)
	if got.Reason != "assigned" || !a.knows(t, person) || a.knows(t, cookie) {
		t.Errorf("back on b they are %q; known to a: %v", got.Reason, a.knows(t, person))
	}
	if n := count(t, s, `SELECT count(*) FROM enrolments WHERE customer_id = $1`, person); n != 1 {
		t.Errorf("%d enrolments of who came back, want 1", n)
	}
}

// knows reports whether a server's memory has attributes or an enrolment of a customer.
func (s *server) knows(t *testing.T, customer engine.CustomerID) bool {
	t.Helper()
	lookup := must(s.Lookup())(t)
	who := lookup.Visitor(customer, nil)
	answer, _ := lookup.Meet("mail", who)
	return who.Attributes()["alias"] != nil || answer.Reason == "forced" || answer.Reason == "assigned" && !answer.Enrol
}

// A server that was away while somebody was erased, and starts with a picture and a journal
// of before, forgets as it comes back.
func TestAServerThatWasAwayForgets(t *testing.T) {
	s, c := newStore(t), &clock{at: start}
	dirs := []string{t.TempDir(), t.TempDir()}
	a, b := startServer(t, s, c, dirs[0], 1), startServer(t, s, c, dirs[1], 2)
	a.tick(t)
	catalogue(t, a.Engine)
	running(t, a.Engine, spec("test"))
	const person, cookie = engine.CustomerID(needle + "-z"), engine.CustomerID(needle + "-cookie")
	must(a.LinkIdentities(t.Context(), person, []engine.CustomerID{cookie}))(t)
	b.tick(t)
	b.meet(t, person)
	if err := b.SavePicture(); err != nil {
		t.Fatal(err)
	}
	if err := b.journal.Close(); err != nil { // with the enrolment in it
		t.Fatal(err)
	}
	a.tick(t)
	if err := a.Erase(t.Context(), person); err != nil {
		t.Fatal(err)
	}
	again := startServer(t, s, c, dirs[1], 3)
	if err := again.LoadPicture(); err != nil {
		t.Fatal(err)
	}
	if !again.knows(t, person) || again.key(t, person) != string(cookie) {
		t.Fatal("the picture does not hold the person")
	}
	again.tick(t)
	c.Set(c.Now().Add(time.Minute))
	again.tick(t)
	if again.knows(t, person) || again.key(t, person) != string(person) {
		t.Error("the person is still known")
	}
	if files := again.onDisk(t, needle); len(files) > 0 {
		t.Errorf("traces on disk in %v", files)
	}
	if left := traces(t, s, needle); len(left) > 0 {
		t.Errorf("traces are left in %v", left)
	}
}
