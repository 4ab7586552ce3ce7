package people

import (
	"bytes"
	stdcmp "cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var (
	secret      = [32]byte{1, 2, 3}
	day         = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	experiments = []string{"tone", "offer", "price", "tone-2", "tone/holdback"}
	// Some identifiers are the beginning of others; one has the greatest length.
	identifiers = []string{
		"a", "aa", "b", "ba", "c", "card:991", "cookie:1", "cookie:12", "d\x00", "d", "é", "\xff", "z",
		strings.Repeat("m", 255), strings.Repeat("m", 256), "p", "q", "r", "s", "t",
	}
)

// enrolment is one of a customer in an experiment, some microseconds after day.
func enrolment(customer, experiment, variant, key string, after int) Enrolment {
	return Enrolment{Customer: customer, Experiment: experiment, Variant: variant, Key: key, At: day.Add(time.Duration(after) * time.Microsecond)}
}

func drawEnrolment(t *rapid.T) Enrolment {
	e := enrolment(
		rapid.SampledFrom(identifiers).Draw(t, "customer"), rapid.SampledFrom(experiments).Draw(t, "experiment"),
		rapid.SampledFrom([]string{"control", "warm"}).Draw(t, "variant"), "", rapid.IntRange(-3, 3).Draw(t, "after"))
	e.Key = e.Customer
	if rapid.IntRange(0, 3).Draw(t, "other key") == 0 {
		e.Key = rapid.SampledFrom(identifiers).Draw(t, "key")
	}
	return e
}

func compare(t interface{ Fatalf(string, ...any) }, r *Registry, want func(identifier string) view) {
	for _, identifier := range identifiers {
		if diff := cmp.Diff(want(identifier), see(r, identifier), cmpopts.IgnoreUnexported(view{})); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", identifier, diff)
		}
	}
}

// roundTrip writes a registry and reads it into one of so many shards.
func roundTrip(t interface{ Fatal(...any) }, r *Registry, shards int) *Registry {
	var file bytes.Buffer
	n, err := r.WriteTo(&file)
	if err != nil || n != int64(file.Len()) {
		t.Fatal("written", n, "of", file.Len(), err)
	}
	back, err := sized(secret, shards).read(&file)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// What the registry shows is what the facts say, whatever came in which order, and also
// after a file.
func TestRegistryFollowsTheFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, m := sized(secret, rapid.SampledFrom([]int{1, 4}).Draw(t, "shards")), newModel()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 12).Draw(t, "step") {
			case 0, 1, 2:
				customer := rapid.SampledFrom(identifiers).Draw(t, "customer")
				others := rapid.SliceOfN(rapid.SampledFrom(identifiers), 0, 3).Draw(t, "others")
				r.Link(customer, others...)
				m.link(customer, others...)
			case 3, 4:
				customer := rapid.SampledFrom(identifiers).Draw(t, "erased")
				r.Forget(customer)
				m.forget(customer)
			case 5:
				if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
					experiment := rapid.SampledFrom(experiments).Draw(t, "retired")
					r.Retire(experiment)
					m.retired[experiment] = true
				}
			case 6:
				r = roundTrip(t, r, rapid.SampledFrom([]int{1, 4}).Draw(t, "shards of the copy"))
			default:
				e := drawEnrolment(t)
				if got, want := r.Enrol(e), m.enrol(e); got != want {
					t.Fatalf("%+v recorded: %v, want %v", e, got, want)
				}
			}
			compare(t, r, m.see)
			if got, want := r.Stats(), m.stats(); got != want {
				t.Fatalf("stats %+v, want %+v", got, want)
			}
		}
	})
}

// KeyIn is the key of the enrolment that serves an experiment; without one, the person's.
func TestKeyIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, m := sized(secret, 4), newModel()
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "link") {
				a, b := rapid.SampledFrom(identifiers).Draw(t, "a"), rapid.SampledFrom(identifiers).Draw(t, "b")
				r.Link(a, b)
				m.link(a, b)
				continue
			}
			e := drawEnrolment(t)
			r.Enrol(e)
			m.enrol(e)
		}
		if rapid.Bool().Draw(t, "retire") {
			r.Retire("tone")
			m.retired["tone"] = true
		}
		for _, identifier := range identifiers {
			person := m.see(identifier)
			for _, experiment := range experiments {
				want := stdcmp.Or(person.keyOf(experiment), person.Key)
				if got := r.KeyIn(identifier, experiment); got != want {
					t.Fatalf("%q in %s: key %q, want %q", identifier, experiment, got, want)
				}
			}
		}
	})
}

// Links, enrolments and retirements end in the same state in any order.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var steps []func(r *Registry)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch e := drawEnrolment(t); rapid.IntRange(0, 6).Draw(t, "step") {
			case 0, 1, 2:
				steps = append(steps, func(r *Registry) { r.Link(e.Customer, e.Key, e.Variant) })
			case 3:
				steps = append(steps, func(r *Registry) { r.Retire(e.Experiment) })
			default:
				steps = append(steps, func(r *Registry) { r.Enrol(e) })
			}
		}
		one, other := sized(secret, 4), sized(secret, 1)
		for _, step := range steps {
			step(one)
		}
		for _, step := range rapid.Permutation(steps).Draw(t, "order") {
			step(other)
		}
		compare(t, other, func(identifier string) view { return see(one, identifier) })
		if one.Stats() != other.Stats() {
			t.Fatalf("stats %+v and %+v", one.Stats(), other.Stats())
		}
	})
}

func TestPerson(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(r *Registry)
		ask  string
		want view
	}{
		{
			"nothing is known", func(*Registry) {}, "c42",
			view{Root: "c42", Key: "c42", Members: []string{"c42"}},
		},
		{
			"a link to oneself is none", func(r *Registry) { r.Link("c42", "c42") }, "c42",
			view{Root: "c42", Key: "c42", Members: []string{"c42"}},
		},
		{
			"no text and one of 257 bytes are no identifiers",
			func(r *Registry) {
				r.Link("c42", "", strings.Repeat("x", 257))
				r.Enrol(enrolment("c42", "tone", "warm", "", 0))
				r.Enrol(enrolment("", "tone", "warm", "c42", 0))
			}, "c42",
			view{Root: "c42", Key: "c42", Members: []string{"c42"}},
		},
		{
			"linked without enrolment: the smallest identifier, bytewise", func(r *Registry) { r.Link("c42", "é", "Zoe") }, "é",
			view{Root: "Zoe", Key: "Zoe", Members: []string{"Zoe", "c42", "é"}, Linked: true},
		},
		{
			"the variant and the key survive the login", func(r *Registry) {
				r.Enrol(enrolment("cookie:9f3a", "tone", "warm", "cookie:9f3a", 0))
				r.Link("c42", "cookie:9f3a")
			}, "c42",
			view{
				Root: "c42", Key: "cookie:9f3a", Members: []string{"c42", "cookie:9f3a"}, Linked: true, Enrolled: true, First: day,
				Serving: []Enrolment{{Experiment: "tone", Variant: "warm", At: day}},
			},
		},
		{
			"of two enrolments in one experiment the earlier serves", func(r *Registry) {
				r.Enrol(enrolment("c42", "tone", "control", "c42", 1))
				r.Enrol(enrolment("cookie:9f3a", "tone", "warm", "cookie:9f3a", 0))
				r.Link("c42", "cookie:9f3a")
			}, "c42",
			view{
				Root: "c42", Key: "cookie:9f3a", Members: []string{"c42", "cookie:9f3a"}, Linked: true, Enrolled: true, First: day,
				Serving: []Enrolment{{Experiment: "tone", Variant: "warm", At: day}},
			},
		},
		{
			"at the same microsecond the smaller key", func(r *Registry) {
				r.Enrol(Enrolment{Customer: "c42", Experiment: "tone", Variant: "control", Key: "c42", At: day.Add(999)})
				r.Enrol(enrolment("b", "tone", "warm", "b", 0))
				r.Link("c42", "b")
			}, "c42",
			view{
				Root: "b", Key: "b", Members: []string{"b", "c42"}, Linked: true, Enrolled: true, First: day,
				Serving: []Enrolment{{Experiment: "tone", Variant: "warm", At: day}},
			},
		},
		{
			"an enrolment under another key links, and serves as it was stored", func(r *Registry) {
				r.Enrol(enrolment("c42", "tone", "warm", "cookie:9f3a", 0))
			}, "c42",
			view{
				Root: "c42", Key: "cookie:9f3a", Members: []string{"c42", "cookie:9f3a"}, Linked: true, Enrolled: true, First: day,
				Serving: []Enrolment{{Experiment: "tone", Variant: "warm", At: day}},
			},
		},
		{
			"a retired experiment leaves its time and key", func(r *Registry) {
				r.Enrol(enrolment("cookie:9f3a", "tone", "warm", "cookie:9f3a", 0))
				r.Enrol(enrolment("c42", "offer", "control", "c42", 1))
				r.Retire("tone")
				r.Link("c42", "cookie:9f3a")
			}, "c42",
			view{
				Root: "c42", Key: "cookie:9f3a", Members: []string{"c42", "cookie:9f3a"}, Linked: true, Enrolled: true, First: day,
				Serving: []Enrolment{{Experiment: "offer", Variant: "control", At: day.Add(time.Microsecond)}},
			},
		},
		{
			"a retired experiment and another at the same time", func(r *Registry) {
				r.Retire("tone")
				r.Enrol(enrolment("c42", "offer", "control", "c42", 0))
				if r.Enrol(enrolment("c42", "tone", "warm", "c42", 0)) {
					r.Link("c42", "nothing was new")
				}
			}, "c42",
			view{
				Root: "c42", Key: "c42", Members: []string{"c42"}, Enrolled: true, First: day,
				Serving: []Enrolment{{Experiment: "offer", Variant: "control", At: day}},
			},
		},
		{
			"nothing stays of the erased", func(r *Registry) {
				r.Enrol(enrolment("cookie:9f3a", "tone", "warm", "cookie:9f3a", 0))
				r.Link("c42", "cookie:9f3a", "card:991")
				r.Forget("card:991")
			}, "c42",
			view{Root: "c42", Key: "c42", Members: []string{"c42"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := New(secret)
			tt.do(r)
			if diff := cmp.Diff(tt.want, see(r, tt.ask), cmpopts.IgnoreUnexported(view{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Of a chain, a star and random links of many, in any order, one person comes.
func TestManyIdentifiersOfOne(t *testing.T) {
	const n = 20_000
	name := func(i int) string { return fmt.Sprintf("id-%06d", i) }
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name  string
		other func(i int) int
	}{
		{"chain", func(i int) int { return i - 1 }},
		{"star", func(int) int { return 0 }},
		{"tree", func(i int) int { return random.IntN(i) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := New(secret)
			for _, i := range random.Perm(n) {
				if i > 0 {
					r.Link(name(i), name(tt.other(i)))
				}
			}
			if p := r.Find(name(n - 1)); p.Root() != name(0) {
				t.Errorf("root %s", p.Root())
			}
			if got := r.Members(name(7)); len(got) != n || !slices.IsSorted(got) {
				t.Errorf("%d members, sorted: %v", len(got), slices.IsSorted(got))
			}
			r.Forget(name(n / 2))
			if got := r.Stats(); got != (Stats{}) {
				t.Errorf("after the erasure %+v", got)
			}
		})
	}
}

// What is dropped and erased leaves space for what comes.
func TestSpaceIsUsedAgain(t *testing.T) {
	r := sized(secret, 1)
	for n := range 20 {
		for i := range 100 {
			r.Enrol(enrolment(fmt.Sprint("u", i), fmt.Sprint(n), "warm", fmt.Sprint("u", i), n))
			r.Link(fmt.Sprint("a", n, i), fmt.Sprint("b", n, i))
			r.Enrol(enrolment(fmt.Sprint("v", n, i), "tone", "warm", fmt.Sprint("v", n, i), n))
			r.Forget(fmt.Sprint("a", n, i), fmt.Sprint("v", n, i))
		}
	}
	s := &r.shards[0]
	if got, want := r.Stats(), (Stats{Enrolled: 100, Enrolments: 2000}); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
	if rows := len(s.ledger.rows); rows > 3300 {
		t.Errorf("%d rows for 2,000 enrolments", rows)
	}
	if len(s.linked.members) > 2 || len(s.people) > 2 || len(s.unlinked.entries) > 170 {
		t.Errorf("%d members, %d people, space for %d unlinked", len(s.linked.members), len(s.people), len(s.unlinked.entries))
	}
}

// Of two people who become one the larger keeps its place, whoever names it.
func TestTheSmallerIsRepointed(t *testing.T) {
	for _, link := range [][2]string{{"a", "x"}, {"x", "a"}} {
		r := New(secret)
		r.Link("x", "y", "z")
		r.Link("a", "b")
		m, _ := r.find("y")
		larger := r.member(m).owner
		r.Link(link[0], link[1])
		if got := r.member(m).owner; got != larger {
			t.Errorf("%v: place %d, want %d", link, got, larger)
		}
	}
}

// The text of an erased identifier leaves the memory of the registry, and no file holds
// the text of an identifier that is not linked.
func TestTexts(t *testing.T) {
	r := sized(secret, 1)
	r.Link("keep-1", "keep-2")
	r.Enrol(enrolment("alone", "tone", "warm", "alone", 0))
	r.Enrol(enrolment("gone-1", "tone", "warm", "gone-1", 0))
	r.Link("gone-2", "gone-1")
	r.Forget("gone-2")
	if text := r.shards[0].linked.texts.String(); strings.Contains(text, "gone") || !strings.Contains(text, "keep-2") {
		t.Errorf("texts %q", text)
	}
	var file bytes.Buffer
	if _, err := r.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	if s := file.String(); strings.Contains(s, "gone") || strings.Contains(s, "alone") || !strings.Contains(s, "keep-2") {
		t.Errorf("file %q", s)
	}
}

// A Person keeps what was known when it was found.
func TestPersonNeverChanges(t *testing.T) {
	r := sized(secret, 1)
	r.Enrol(enrolment("b", "tone", "warm", "b", 0))
	r.Link("b", "c")
	p := r.Find("c")
	r.Link("b", "a")
	r.Forget("a")
	for i := range 1000 {
		r.Enrol(enrolment(fmt.Sprint(i), "offer", "control", fmt.Sprint(i), i))
		r.Link(fmt.Sprint(i), fmt.Sprint(i+1))
	}
	r.Retire("tone")
	variant, at, ok := p.Enrolled("tone")
	if p.Root() != "b" || p.Key() != "b" || variant != "warm" || !at.Equal(day) || !ok {
		t.Errorf("%+v: %s at %v, %v", p, variant, at, ok)
	}
}

// Readers, writers and files at the same time. A file holds what was known when its
// write began, also of people who are moved meanwhile. Run with -race.
func TestAtTheSameTime(t *testing.T) {
	const n = 400
	name := func(i int) string { return fmt.Sprintf("id-%04d", i) }
	r := sized(secret, 16)
	for i := range n {
		r.Enrol(enrolment(name(i), "tone", fmt.Sprint(i%2), name(i), i))
	}
	var all sync.WaitGroup
	for w := range 2 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for _, i := range random.Perm(n - 1) {
				if i%4 != 3 { // people of four
					r.Link(name(i), name(i+1))
				}
				r.Enrol(enrolment(name(i), "offer", "control", name(i), i))
				r.Enrol(enrolment("passing", "price", "control", "passing", i))
				if w == 0 && i%40 == 0 {
					r.Forget("passing")
				}
			}
			r.Retire("price")
		})
	}
	for range 2 {
		all.Go(func() {
			for i := range 20 * n {
				p := r.Find(name(i % n))
				variant, _, ok := p.Enrolled("tone")
				first, _ := p.First()
				if i := int(first.Sub(day) / time.Microsecond); !ok || variant != fmt.Sprint(i%2) || p.Key() != name(i) {
					t.Errorf("%s is served %q of %v", name(i), variant, first)
					return
				}
				r.Members(name(i % n))
				r.Stats()
			}
		})
	}
	all.Go(func() {
		for range 20 {
			before := make([]Person, n)
			for i := range n {
				before[i] = r.Find(name(i))
			}
			var file bytes.Buffer
			if _, err := r.WriteTo(&file); errors.Is(err, ErrErased) {
				continue
			} else if err != nil {
				t.Error(err)
				return
			}
			back, err := Read(&file, secret)
			if err != nil {
				t.Error(err)
				return
			}
			for i, was := range before {
				p := back.Find(name(i))
				if _, _, ok := p.Enrolled("tone"); !ok || p.Root() > was.Root() || p.Key() > was.Key() {
					t.Errorf("%s had root %s and key %s, in the file %s and %s", name(i), was.Root(), was.Key(), p.Root(), p.Key())
				}
			}
		}
	})
	all.Wait()
	want := Stats{Linked: n, Enrolled: n / 4, Enrolments: n / 2}
	r.Forget("passing")
	if got := r.Stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// By the digest of any identifier the whole person goes, linked or not, and nobody else.
func TestForgetHashed(t *testing.T) {
	r := New(secret)
	for _, customer := range []string{"alone", "stays", "cookie:1", "cookie:2"} {
		r.Enrol(enrolment(customer, "tone", "warm", customer, 0))
	}
	r.Link("c42", "cookie:1", "card:991")
	r.Link("c43", "cookie:2")
	r.ForgetHashed(Hash(secret, "card:991"), r.Digest("alone"), Hash(secret, "never seen"), Hash([32]byte{9}, "stays"))
	for _, customer := range []string{"alone", "c42", "cookie:1", "card:991"} {
		if got := see(r, customer); got.Enrolled || got.Linked || got.Root != customer {
			t.Errorf("%s is still known: %+v", customer, got)
		}
	}
	if got, want := r.Stats(), (Stats{Linked: 2, Enrolled: 2, Enrolments: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// The first enrolment of anybody in an experiment is known in any order, and to who reads a
// file; a later one, one of another experiment and one of a retired one are not it.
func TestFirstIn(t *testing.T) {
	r := New(secret)
	r.Enrol(enrolment("c1", "tone", "warm", "c1", 1))
	r.Enrol(enrolment("c3", "tone", "warm", "c3", 3))
	r.Enrol(enrolment("c2", "tone", "control", "c2", 2))
	r.Enrol(enrolment("c0", "price", "low", "c0", 0))
	r.Enrol(enrolment("c1", "tone", "warm", "c1", 9))
	r.Link("c3", "c2")
	var file bytes.Buffer
	if _, err := r.WriteTo(&file); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&file, secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Registry{r, back} {
		if at, ok := r.FirstIn("tone"); !ok || !at.Equal(enrolment("", "", "", "", 1).At) {
			t.Errorf("first in tone: %v %t", at, ok)
		}
		if at, ok := r.FirstIn("none"); ok {
			t.Errorf("first in a test without anybody: %v", at)
		}
		before := r.Firsts()
		r.Enrol(enrolment("c4", "tone", "warm", "c4", 4))
		if r.Firsts() != before {
			t.Error("a later enrolment counts as another first")
		}
		r.Enrol(enrolment("c5", "tone", "control", "c5", 0))
		if at, _ := r.FirstIn("tone"); r.Firsts() == before || !at.Equal(enrolment("", "", "", "", 0).At) {
			t.Errorf("first in tone: %v after an earlier one", at)
		}
		before = r.Firsts()
		r.Retire("tone")
		r.Enrol(enrolment("c1", "price", "low", "c1", 5)) // its other row is of the retired test
		if at, ok := r.FirstIn("tone"); ok || r.Firsts() == before {
			t.Errorf("first in a retired test: %v", at)
		}
	}
}
