package people

import (
	"strings"
	"time"
)

// An arm is a variant of an experiment. Arms are few and stay.
type arm struct {
	experiment, variant string
	aside               bool // an enrolment in it counts in this experiment and nowhere else
}

func newArm(experiment, variant string) arm {
	return arm{experiment, variant, strings.Contains(experiment, "/")}
}

// none is the arm of an enrolment whose experiment was retired.
const none = 0

// An armTable numbers arms in the order in which they came.
type armTable struct {
	arms    []arm // never changed, only appended to: a Person reads it without a lock
	gone    []bool
	numbers map[arm]uint32
	retired map[string]bool  // experiments
	first   map[string]int64 // when anybody entered an experiment first, in microseconds since 1970
	firsts  int              // changes of first
}

func newArmTable() armTable {
	return armTable{
		arms: make([]arm, 1), gone: make([]bool, 1),
		numbers: map[arm]uint32{}, retired: map[string]bool{}, first: map[string]int64{},
	}
}

// number is the number of an arm, none when its experiment was retired.
func (t *armTable) number(a arm) uint32 {
	if t.retired[a.experiment] {
		return none
	}
	n, ok := t.numbers[a]
	if !ok {
		n = narrow(len(t.arms))
		t.arms, t.gone = append(t.arms, a), append(t.gone, false)
		t.numbers[a] = n
	}
	return n
}

// aside reports whether a row counts in its own experiment only.
func (t *armTable) aside(row *served) bool { return t.arms[row.arm&^more].aside }

// enter is told of an enrolment, once or again.
func (t *armTable) enter(row *served) {
	if row.arm == none || t.gone[row.arm] {
		return
	}
	experiment := t.arms[row.arm].experiment
	if first, some := t.first[experiment]; !some || row.at < first {
		t.first[experiment] = row.at
		t.firsts++
	}
}

// retire marks an experiment and reports whether it had arms.
func (t *armTable) retire(experiment string) (had bool) {
	t.retired[experiment] = true
	if _, some := t.first[experiment]; some {
		delete(t.first, experiment)
		t.firsts++
	}
	for n, a := range t.arms {
		if n != none && a.experiment == experiment {
			t.gone[n], had = true, true
			delete(t.numbers, a)
		}
	}
	return had
}

// FirstIn is the time of the earliest enrolment in an experiment that was ever known; ok is
// false without any, and once the experiment was retired.
func (r *Registry) FirstIn(experiment string) (at time.Time, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	first, ok := r.arms.first[experiment]
	return time.UnixMicro(first).UTC(), ok
}

// Firsts is another number whenever an answer of FirstIn is another.
func (r *Registry) Firsts() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.arms.firsts
}
