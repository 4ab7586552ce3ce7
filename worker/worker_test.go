package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/robfig/cron/v3"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/worker"
)

// diary stands for the engine: it writes down when each job began, in minutes and seconds
// since the start, and does what the test says. A slot has one run, as the engine rules.
type diary struct {
	begin time.Time
	do    func(ctx context.Context, name string) error
	mu    sync.Mutex
	began map[string][]string
	last  map[string]*engine.JobRun
}

func newDiary(do func(ctx context.Context, name string) error) *diary {
	return &diary{begin: time.Now(), do: do, began: map[string][]string{}, last: map[string]*engine.JobRun{}}
}

func (d *diary) RunDue(ctx context.Context, name string) (int, error) {
	if err := d.begins(name); err != nil {
		return 0, err
	}
	return 1, d.do(ctx, name)
}

func (d *diary) begins(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	jobs, now := engine.ScheduledJobs(), time.Now()
	job := jobs[slices.IndexFunc(jobs, func(j engine.Job) bool { return j.Name == name })]
	slot := now.Truncate(job.Every)
	if err := engine.CheckSlot(d.last[name], slot, now); err != nil {
		return err
	}
	d.last[name] = &engine.JobRun{Slot: &slot, FinishedAt: &now}
	d.began[name] = append(d.began[name], now.Sub(d.begin).String())
	return nil
}

func (d *diary) of(name string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.began[name])
}

func nothing(context.Context, string) error { return nil }

// levels counts log records by level.
type levels struct {
	slog.Handler
	mu    sync.Mutex
	count map[slog.Level]int
}

func newLevels() *levels { return &levels{Handler: slog.DiscardHandler, count: map[slog.Level]int{}} }

func (l *levels) Enabled(context.Context, slog.Level) bool { return true }

func (l *levels) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count[r.Level]++
	return nil
}

func (l *levels) errors() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count[slog.LevelError]
}

// start runs a worker in the present bubble of time; stop ends it and answers its result
// and how long its end took.
func start(t *testing.T, d *diary, log slog.Handler, grace time.Duration) (stop func() (time.Duration, error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx, d, slog.New(log), grace) }()
	return func() (time.Duration, error) {
		asked := time.Now()
		cancel()
		err := <-ended
		return time.Since(asked), err
	}
}

// Slots are of the interval's length; people are told the schedule. They must agree.
func TestSchedulesAgreeWithIntervals(t *testing.T) {
	for _, job := range engine.ScheduledJobs() {
		schedule, err := cron.ParseStandard(job.Schedule)
		if err != nil {
			t.Fatal(err)
		}
		for _, now := range []time.Time{
			time.Date(2026, 3, 1, 12, 34, 56, 0, time.UTC), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC),
		} {
			want := now.Truncate(job.Every).Add(job.Every)
			if strings.HasPrefix(job.Schedule, "@every") { // from whenever the worker began
				want = now.Add(job.Every)
			}
			if got := schedule.Next(now); !got.Equal(want) {
				t.Errorf("%s after %v: %v by its schedule, %v by its interval", job.Name, now, got, want)
			}
		}
	}
}

// A bubble of time begins at midnight UTC.
func TestSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(nothing)
		stop := start(t, d, newLevels(), time.Second)
		time.Sleep(10*time.Minute + 30*time.Second)
		if took, err := stop(); err != nil || took != 0 {
			t.Errorf("idle, the end took %v: %v", took, err)
		}
		// At once those whose slot has had no run: here all, since none has ever run.
		every := []string{"0s", "1m0s", "2m0s", "3m0s", "4m0s", "5m0s", "6m0s", "7m0s", "8m0s", "9m0s", "10m0s"}
		for name, want := range map[string][]string{"measure": every, "analyze": {"0s", "5m0s", "10m0s"}, "decide": every, "recompute": {"0s"}} {
			if diff := cmp.Diff(want, d.of(name)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		// Once stopped, nothing is started any more.
		time.Sleep(10 * time.Minute)
		if n := len(d.of("measure")); n != 11 {
			t.Errorf("%d runs, 11 before the end", n)
		}
	})
}

// The zone of the machine changes nothing: a schedule at midnight is at midnight UTC.
func TestSchedulesAreInUTC(t *testing.T) {
	local := time.Local
	time.Local = time.FixedZone("elsewhere", int((5*time.Hour + 32*time.Minute + 30*time.Second).Seconds()))
	t.Cleanup(func() { time.Local = local })
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(nothing)
		stop := start(t, d, newLevels(), time.Second)
		time.Sleep(5*time.Minute + time.Second)
		if _, err := stop(); err != nil {
			t.Error(err)
		}
		// Every five minutes of a zone 32½ minutes off would begin at 2m30s.
		if diff := cmp.Diff([]string{"0s", "5m0s"}, d.of("analyze")); diff != "" {
			t.Errorf("analyze (-want +got):\n%s", diff)
		}
	})
}

func TestAPanicEndsOneRunAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLevels()
		d := newDiary(func(_ context.Context, name string) error {
			if name == "measure" {
				panic("defect")
			}
			return nil
		})
		stop := start(t, d, log, time.Second)
		time.Sleep(3*time.Minute + time.Second)
		if _, err := stop(); err != nil {
			t.Error(err)
		}
		if measures, decides := len(d.of("measure")), len(d.of("decide")); measures != 4 || decides != 4 {
			t.Errorf("%d and %d runs, want 4 and 4", measures, decides)
		}
		if n := log.errors(); n != 4 {
			t.Errorf("%d errors in the log, want one for each panic", n)
		}
	})
}

// A failure is logged; a job that another process runs is nothing to speak of.
func TestFailuresAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLevels()
		d := newDiary(func(_ context.Context, name string) error {
			if name == "measure" {
				return errors.New("broken")
			}
			return engine.Errorf(engine.KindConflict, "job_running", "another process is running it")
		})
		stop := start(t, d, log, time.Second)
		time.Sleep(2*time.Minute + time.Second)
		if _, err := stop(); err != nil {
			t.Error(err)
		}
		if n := log.errors(); n != 3 {
			t.Errorf("%d errors in the log, want the 3 of measure", n)
		}
	})
}

func TestALongRunIsNotOverlapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary(func(_ context.Context, name string) error {
			if name == "measure" {
				time.Sleep(150 * time.Second)
			}
			return nil
		})
		stop := start(t, d, newLevels(), time.Hour)
		time.Sleep(8*time.Minute + time.Second)
		if _, err := stop(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"0s", "3m0s", "6m0s"}, d.of("measure")); diff != "" {
			t.Errorf("a run of 2½ minutes (-want +got):\n%s", diff)
		}
		if n := len(d.of("decide")); n != 9 {
			t.Errorf("%d runs of another job, want 9", n)
		}
	})
}

func TestTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		job  func(ctx context.Context) error // begins 61 s before the end is asked for
		took time.Duration
		want string // of the error of Run
		cut  bool   // the job's context ended
	}{
		{"a job finishes within the grace", func(ctx context.Context) error {
			time.Sleep(66 * time.Second)
			return ctx.Err()
		}, 5 * time.Second, "", false},
		{"a job is cut off after the grace", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second)
			return ctx.Err()
		}, 11 * time.Second, "", true},
		{"a job that does not listen is left behind", func(ctx context.Context) error {
			time.Sleep(time.Hour)
			return ctx.Err()
		}, 20 * time.Second, "did not end", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				result := make(chan error, 1)
				d := newDiary(func(ctx context.Context, name string) error {
					if name != "measure" {
						return nil
					}
					err := tt.job(ctx)
					result <- err
					return err
				})
				stop := start(t, d, newLevels(), 10*time.Second)
				time.Sleep(61 * time.Second)
				took, err := stop()
				if took != tt.took {
					t.Errorf("the end took %v, want %v", took, tt.took)
				}
				if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("error %v, want one with %q", err, tt.want)
				}
				if err := <-result; errors.Is(err, context.Canceled) != tt.cut {
					t.Errorf("the job ended with %v; cut off: %v", err, tt.cut)
				}
			})
		})
	}
}
