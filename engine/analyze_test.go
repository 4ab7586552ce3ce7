package engine

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A pastStore has two arms stopped for harm, decided a day apart and carried out an hour later.
type pastStore struct{ Store }

func (pastStore) Decisions(context.Context, ExperimentKey, Page) ([]Decision, error) {
	stop := func(v VariantKey, day int) Decision {
		decided := began.Add(time.Duration(24*day) * time.Hour)
		applied := decided.Add(time.Hour)
		return Decision{ID: string(v), Action: ActionStopHarm, Variant: v, DecidedAt: decided, AppliedAt: &applied}
	}
	return []Decision{stop("calm", 2), stop("bold", 1)}, nil
}

// A report as of a time knows the arms that were stopped by then: not the one that its own
// look is about to stop.
func TestStoppedThen(t *testing.T) {
	e := New(Config{Store: pastStore{}, Now: func() time.Time { return began.AddDate(0, 0, 9) }, Reporting: "EUR"})
	for _, tt := range []struct {
		name  string
		hours int
		want  []VariantKey
	}{
		{"before any", 1, []VariantKey{}},
		{"as of the first look that stops one", 24, []VariantKey{}},
		{"carried out", 25, []VariantKey{"bold"}},
		{"as of the second look", 48, []VariantKey{"bold"}},
		{"both", 49, []VariantKey{"bold", "calm"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := &Experiment{Stopped: []VariantKey{"bold", "calm"}}
			if err := e.stoppedThen(t.Context(), x, began.Add(time.Duration(tt.hours)*time.Hour)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, x.Stopped); diff != "" {
				t.Errorf("stopped (-want +got):\n%s", diff)
			}
		})
	}
}
