package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A slotStore keeps the records of jobs, and counts for each slot the runs that went to their
// end. Nothing is done in them.
type slotStore struct {
	Store

	last  map[string]*JobRun
	ended map[string]map[time.Time]int
	dies  bool // the next run's process is killed
}

func newSlotStore() *slotStore {
	return &slotStore{last: map[string]*JobRun{}, ended: map[string]map[time.Time]int{}}
}

func (s *slotStore) RunExclusively(_ context.Context, job string, slot *time.Time, clock func() time.Time, _ func(context.Context) (int, error)) (bool, error) {
	now, last := clock(), s.last[job]
	run := &JobRun{StartedAt: now, Slot: slot, FinishedAt: &now}
	switch {
	case slot != nil:
		if err := CheckSlot(last, *slot, now); err != nil {
			return false, err
		}
	case last != nil:
		run.Slot = last.Slot
	}
	s.last[job] = run
	if s.dies {
		run.FinishedAt, s.dies = nil, false
		return false, context.Canceled
	}
	if slot != nil {
		if s.ended[job] == nil {
			s.ended[job] = map[time.Time]int{}
		}
		s.ended[job][*slot]++
	}
	return true, nil
}

func (s *slotStore) JobRuns(context.Context) (map[string]JobRun, error) {
	runs := map[string]JobRun{}
	for name, run := range s.last {
		runs[name] = *run
	}
	return runs, nil
}

// A crew is workers with a clock each, which are off from the true time.
type crew struct {
	store    *slotStore
	at       time.Time
	off      []time.Duration
	engines  []*Engine
	furthest map[string]time.Time // slot that any clock has been in when the job was asked for
}

func newCrew(workers int) *crew {
	c := &crew{store: newSlotStore(), at: began, off: make([]time.Duration, workers), furthest: map[string]time.Time{}}
	for i := range workers {
		now := func() time.Time { return c.at.Add(c.off[i]) }
		c.engines = append(c.engines, New(Config{Store: c.store, Now: now, Log: slog.New(slog.DiscardHandler), Reporting: "EUR"}))
	}
	return c
}

// ask lets a worker ask for a job, and answers what is wrong with what followed: it runs for the
// slot that the worker's clock is in exactly when no clock has been as far.
func (c *crew) ask(worker int, job Job) error {
	slot := c.at.Add(c.off[worker]).UTC().Truncate(job.Every)
	_, err := c.engines[worker].RunDue(context.Background(), job.Name)
	ran, due := err == nil, slot.After(c.furthest[job.Name])
	if n := c.store.ended[job.Name][slot]; ran != due || n > 1 || (due && n != 1) {
		return fmt.Errorf("%s asked for in the slot of %v, the furthest so far %v: ran %v, %d runs of the slot (%w)",
			job.Name, slot, c.furthest[job.Name], ran, n, err)
	}
	if due {
		c.furthest[job.Name] = slot
	}
	return nil
}

// Ten years of three workers whose clocks are set by up to a day forwards and backwards, off
// from the true time by at most a day: each job runs once for each slot that the first of the
// clocks comes to, and never again for one that it came to before.
func TestEveryJobOncePerSlot(t *testing.T) {
	const days = 3650
	r := rand.New(rand.NewPCG(3650, 24))
	c := newCrew(3)
	var forwards, backwards, runs int
	for end := began.AddDate(0, 0, days); c.at.Before(end); {
		c.at = c.at.Add(time.Duration(1+r.Int64N(int64(3*time.Hour/time.Second))) * time.Second)
		if r.IntN(20) == 0 {
			i, off := r.IntN(3), time.Duration(r.Int64N(int64(48*time.Hour)))-24*time.Hour
			if step := off - c.off[i]; step.Abs() <= 24*time.Hour {
				if c.off[i] = off; step > 0 {
					forwards++
				} else {
					backwards++
				}
			}
		}
		worker := r.IntN(3)
		for _, job := range ScheduledJobs() {
			if err := c.ask(worker, job); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, job := range ScheduledJobs() {
		n := len(c.store.ended[job.Name])
		runs += n
		if job.Every < 24*time.Hour && n < days {
			t.Errorf("%s ran %d times in %d days", job.Name, n, days)
		}
	}
	// Every Monday, and once for the week it began in.
	if n := len(c.store.ended["recompute"]); n < days/7 || n > days/7+2 {
		t.Errorf("recompute ran %d times in %d weeks", n, days/7)
	}
	if forwards < 1000 || backwards < 1000 {
		t.Errorf("the clocks were set %d times forwards and %d backwards: this proves little", forwards, backwards)
	}
	t.Logf("%d runs, clocks set %d times forwards and %d backwards", runs, forwards, backwards)
}

// Whatever the clocks do, in whatever order, and though runs die and people ask for some: each
// slot has one run that went to its end.
func TestSlotsWhateverTheClocksDo(t *testing.T) {
	jobs := ScheduledJobs()
	rapid.Check(t, func(t *rapid.T) {
		c := newCrew(rapid.IntRange(1, 4).Draw(t, "workers"))
		hour := rapid.Float64Range(-24, 24)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			worker := rapid.IntRange(0, len(c.off)-1).Draw(t, "worker")
			job := jobs[rapid.IntRange(0, len(jobs)-1).Draw(t, "job")]
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				c.at = c.at.Add(time.Duration(rapid.Float64Range(0, 200).Draw(t, "hours") * float64(time.Hour)))
			case 1:
				c.off[worker] = time.Duration(hour.Draw(t, "off") * float64(time.Hour))
			case 2:
				c.at = c.at.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "seconds")) * time.Second)
			case 3: // the run dies, if it is due, and is made up for
				c.store.dies = true
				_, err := c.engines[worker].RunDue(context.Background(), job.Name)
				c.store.dies = false
				if KindOf(err) == KindConflict {
					break
				}
				if err := c.ask(worker, job); err != nil {
					t.Fatal(err)
				}
			case 4: // a person asks, slot or no slot
				if _, err := c.engines[worker].RunJob(context.Background(), job.Name); err != nil {
					t.Fatal(err)
				}
			default:
				if err := c.ask(worker, job); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// A slot that is further ahead than clocks are ever set is one of a clock that was wrong: it
// stops nobody.
func TestASlotOfAWrongClockStopsNobody(t *testing.T) {
	c := newCrew(2)
	measure := ScheduledJobs()[0]
	run := func(worker int, off time.Duration, want bool) {
		t.Helper()
		c.off[worker] = off
		if _, err := c.engines[worker].RunDue(t.Context(), measure.Name); (err == nil) != want {
			t.Errorf("%v off: %v, want a run: %v", off, err, want)
		}
	}
	run(0, 10*365*24*time.Hour, true)
	run(1, 0, true)
	run(1, 0, false)
	run(0, 48*time.Hour, true)
	run(1, 0, false)
	run(0, 48*time.Hour+time.Minute, true)
	run(1, 0, true)
}

// While the slots ahead have had their runs, the next run is said to be after them.
func TestTheNextRun(t *testing.T) {
	c := newCrew(1)
	next := func() string {
		t.Helper()
		statuses, err := c.engines[0].JobStatuses(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return statuses[1].Next.Format("02 15:04")
	}
	ask := func() {
		t.Helper()
		if err := c.ask(0, ScheduledJobs()[1]); err != nil {
			t.Fatal(err)
		}
	}
	c.at = time.Date(2026, 3, 5, 12, 33, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		do   func()
		want string
	}{
		{"it has never run", func() {}, "05 12:35"},
		{"it has run", ask, "05 12:35"},
		{"the clock was set back", func() { c.off[0] = -24 * time.Hour }, "05 12:35"},
		{"it was asked for in vain", ask, "05 12:35"},
		{"the clock was set forward", func() { c.off[0] = 20 * time.Hour }, "06 08:35"},
		{"it has run for the slot come to", ask, "06 08:35"},
		{"and back", func() { c.off[0] = 0 }, "06 08:35"},
	} {
		if tt.do(); next() != tt.want {
			t.Errorf("%s: next %s, want %s", tt.name, next(), tt.want)
		}
	}
}
