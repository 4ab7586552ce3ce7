package people

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A model is the registry as a list of facts: everything is worked out anew from all of
// them when it is asked.
type model struct {
	links      [][2]string
	enrolments []Enrolment
	retired    map[string]bool
}

func newModel() *model { return &model{retired: map[string]bool{}} }

func (m *model) members(identifier string) []string {
	members := []string{identifier}
	for i := 0; i < len(members); i++ {
		for _, l := range m.links {
			for side := range l {
				if l[side] == members[i] && !slices.Contains(members, l[1-side]) {
					members = append(members, l[1-side])
				}
			}
		}
	}
	slices.Sort(members)
	return members
}

func (m *model) link(customer string, identifiers ...string) {
	for _, identifier := range identifiers {
		if identifier != customer {
			m.links = append(m.links, [2]string{customer, identifier})
		}
	}
}

// all are the enrolments of a person, in the order in which they count.
func (m *model) all(identifier string) []Enrolment {
	members := m.members(identifier)
	var all []Enrolment
	for _, e := range m.enrolments {
		if slices.Contains(members, e.Customer) {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b Enrolment) int {
		return cmp.Or(strings.Count(a.Experiment, "/")-strings.Count(b.Experiment, "/"), a.At.Compare(b.At), strings.Compare(a.Key, b.Key), strings.Compare(a.Variant, b.Variant))
	})
	return all
}

func (m *model) enrol(e Enrolment) (recorded bool) {
	m.link(e.Customer, e.Key)
	before := m.see(e.Customer)
	m.enrolments = append(m.enrolments, e)
	after := m.see(e.Customer)
	if m.retired[e.Experiment] && strings.Contains(e.Experiment, "/") {
		return false
	}
	if m.retired[e.Experiment] {
		return before.First != after.First || before.Enrolled && before.Key != after.Key || before.Enrolled != after.Enrolled
	}
	return !slices.Equal(before.Serving, after.Serving) || before.keyOf(e.Experiment) != after.keyOf(e.Experiment)
}

func (m *model) forget(identifier string) {
	members := m.members(identifier)
	m.links = slices.DeleteFunc(m.links, func(l [2]string) bool { return slices.Contains(members, l[0]) })
	m.enrolments = slices.DeleteFunc(m.enrolments, func(e Enrolment) bool { return slices.Contains(members, e.Customer) })
}

// A view is all that can be seen of a person.
type view struct {
	Root, Key string
	Members   []string
	Linked    bool
	Enrolled  bool
	First     time.Time
	Serving   []Enrolment

	keys map[string]string // by experiment, of the model only
}

func (v view) keyOf(experiment string) string { return v.keys[experiment] }

func (m *model) see(identifier string) view {
	v := view{Members: m.members(identifier), keys: map[string]string{}}
	v.Root, v.Linked = v.Members[0], len(v.Members) > 1
	v.Key = v.Root
	for i, e := range m.all(identifier) {
		if i == 0 && !strings.Contains(e.Experiment, "/") {
			v.Key, v.First, v.Enrolled = e.Key, e.At, true
		}
		if _, ok := v.keys[e.Experiment]; !ok && !m.retired[e.Experiment] {
			v.keys[e.Experiment] = e.Key
			v.Serving = append(v.Serving, Enrolment{Experiment: e.Experiment, Variant: e.Variant, At: e.At})
		}
	}
	order(v.Serving)
	return v
}

func order(serving []Enrolment) {
	slices.SortFunc(serving, func(a, b Enrolment) int { return strings.Compare(a.Experiment, b.Experiment) })
}

func (m *model) stats() Stats {
	var s Stats
	for _, identifier := range identifiers {
		v := m.see(identifier)
		if v.Linked {
			s.Linked++
		}
		if v.Root == identifier && (v.Enrolled || len(v.Serving) > 0) {
			s.Enrolled++
		}
		if v.Root == identifier {
			s.Enrolments += len(v.Serving)
		}
	}
	return s
}

// see is what the registry shows of a person.
func see(r *Registry, identifier string) view {
	p := r.Find(identifier)
	v := view{Root: p.Root(), Key: p.Key(), Linked: p.Linked(), Members: r.Members(identifier)}
	v.First, v.Enrolled = p.First()
	for e := range p.Enrolments {
		v.Serving = append(v.Serving, e)
		if variant, at, ok := p.Enrolled(e.Experiment); !ok || variant != e.Variant || !at.Equal(e.At) {
			v.Root = "Enrolled and Enrolments differ on " + e.Experiment
		}
	}
	order(v.Serving)
	return v
}
