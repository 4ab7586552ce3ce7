package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/perennial-engine/perennial/engine/audience"
)

// ChecklistLevel says how much an item of a start checklist matters.
type ChecklistLevel string

// The levels of an item.
const (
	LevelError   ChecklistLevel = "error"   // the experiment cannot start
	LevelWarning ChecklistLevel = "warning" // it can, and its maker should know
)

// A ChecklistItem is one thing that is missing or unwise about an experiment.
type ChecklistItem struct {
	Level   ChecklistLevel
	Code    string
	Pointer string // into the experiment; "" for the whole
	Detail  string
}

// A Checklist says what keeps an experiment from starting, and what would make it a poor test.
type Checklist struct {
	Ready bool // nothing keeps it from starting
	Items []ChecklistItem
}

// freshFor is how recent the newest event of a metric should be when a test starts.
const freshFor = 30 * 24 * time.Hour

// errRehearsed ends a change that was only tried.
var errRehearsed = errors.New("rehearsed")

// StartChecklist tries the start of a draft without starting it, and looks at what is
// known of its metrics and its audience.
func (e *Engine) StartChecklist(ctx context.Context, key ExperimentKey) (*Checklist, error) {
	x, err := e.store.Experiment(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := needStatus(x, "check the start of", StatusDraft); err != nil {
		return nil, err
	}
	list := &Checklist{}
	found, err := e.findSize(ctx, x)
	if err != nil {
		return nil, err
	}
	others, err := e.rehearse(ctx, key, found)
	switch kind := KindOf(err); {
	case err == nil:
		list.Ready = true
	case kind == KindInvalid || kind == KindConflict:
		list.refusal(err)
	default:
		return nil, err
	}
	list.design(x, others)
	list.size(x, found.size)
	if err := e.checkData(ctx, x, list); err != nil {
		return nil, err
	}
	return list, nil
}

// rehearse tries the start, and answers why it would be refused and the live experiments
// that share a touchpoint.
func (e *Engine) rehearse(ctx context.Context, key ExperimentKey, found foundSize) (others []Experiment, err error) {
	caps, err := e.findCaps(ctx, key)
	if err != nil {
		return nil, err
	}
	err = e.store.ChangeExperiment(ctx, key, func(c *Change) error {
		others = c.Others
		if err := e.begin(c, caps, found); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		err = nil
	}
	return others, err
}

func (l *Checklist) add(level ChecklistLevel, code, pointer, format string, args ...any) {
	l.Items = append(l.Items, ChecklistItem{level, code, pointer, fmt.Sprintf(format, args...)})
}

func (l *Checklist) warn(code, pointer, format string, args ...any) {
	l.add(LevelWarning, code, pointer, format, args...)
}

// refusal writes down why the start was refused.
func (l *Checklist) refusal(err error) {
	known, ok := errors.AsType[*Error](err)
	if !ok {
		l.add(LevelError, "invalid", "", "%s", err)
		return
	}
	for _, field := range known.Fields {
		l.add(LevelError, known.Code, field.Pointer, "%s", field.Detail)
	}
	if len(known.Fields) == 0 {
		l.add(LevelError, known.Code, "", "%s", known.Message)
	}
}

// size warns of a plan that takes more customers than come, and of one without a size.
func (l *Checklist) size(x *Experiment, s *Size) {
	switch {
	case x.Plan.PlannedCustomers > 0 || x.Plan.MinEffect == 0:
	case s == nil:
		l.warn("no_history", "/plan/planned_customers",
			"the ledger does not say how many customers the least effect takes: the plan goes by %d an arm unless you give planned_customers",
			max(defaultTuning, x.Policy.MinCustomers))
	case s.DaysToEnrol == nil:
		l.warn("too_few_customers", "/audience", "the plan takes %d customers, and nobody of the audience was seen in the last %d days", s.Customers, SeenDays)
	default:
		traffic, _ := x.Traffic.Float64()
		if days := *s.DaysToEnrol / traffic; x.Policy.MaxDays > 0 && days > float64(x.Policy.MaxDays) {
			l.warn("too_few_customers", "/plan/min_effect",
				"the plan takes %d customers; at %.4g a day and traffic %s they take %.0f days, longer than the %d of max_days: look for a larger effect, or wait longer",
				s.Customers, s.CustomersPerDay, x.Traffic, math.Ceil(days), x.Policy.MaxDays)
		}
	}
}

// design warns of what is unwise in the experiment itself.
func (l *Checklist) design(x *Experiment, others []Experiment) {
	if len(x.Metrics.Guardrails) == 0 {
		l.warn("no_guardrail", "/metrics/guardrails",
			"no guardrail: a winner may pay for its value with something nobody looks at, such as unsubscriptions or refunds")
	}
	if x.Plan.MinEffect == 0 {
		l.warn("no_min_effect", "/plan/min_effect",
			"no least effect worth having: the test cannot be sized, nor given up early when nothing is to be found")
	}
	if x.Hypothesis == "" {
		l.warn("no_hypothesis", "/hypothesis", "no hypothesis: write down what you expect and why, before you see the result")
	}
	total, control := 0, x.Control().Weight
	for _, w := range x.Weights() {
		total += w
	}
	for _, v := range x.Variants {
		// Of the two arms that are compared; beyond 70 to 30 skewed values need large arms.
		if smaller := min(v.Weight, control); !v.Control && 10*smaller < 3*(v.Weight+control) {
			l.warn("uneven_split", "/variants", "%s has %d of %d and control %d: an uneven split needs many more customers",
				v.Key, v.Weight, total, control)
		}
	}
	for i := range others {
		l.warn("overlap", "/touchpoints", "experiment %q is %s on a touchpoint of this one and shares its customers out with it",
			others[i].Key, others[i].Status)
	}
}

// checkData warns of metrics without fresh events, and of attributes never seen.
func (e *Engine) checkData(ctx context.Context, x *Experiment, list *Checklist) error {
	since := e.now().Add(-freshFor)
	for _, role := range x.Metrics.all() {
		m, err := e.store.Metric(ctx, role.key)
		if KindOf(err) == KindNotFound {
			continue // the rehearsal has said so
		}
		if err != nil {
			return err
		}
		seen, err := e.store.SeenEvents(ctx, m.Events, since)
		if err != nil {
			return err
		}
		if len(m.Events) > 0 && len(seen) == 0 {
			list.warn("stale_data", x.Metrics.pointer(role), "%s: no event of %s in the last 30 days: are they being sent?",
				m.Key, strings.Join(m.Events, ", "))
		}
		if role.role == RolePrimary && m.Window != nil && x.Policy.MaxDays > 0 && m.Window.ToDay > x.Policy.MaxDays {
			list.warn("immature_for_long", x.Metrics.pointer(role),
				"%s: customers mature after %d days, longer than the %d days of enrolment: the verdict comes about day %d",
				m.Key, m.Window.ToDay, x.Policy.MaxDays, x.Policy.MaxDays+m.Window.ToDay)
		}
	}
	who, err := audience.Compile(x.Audience)
	if err != nil || who == nil {
		return nil //nolint:nilerr // the rehearsal has said so
	}
	names := who.Attributes()
	seen, err := e.store.SeenAttributes(ctx, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.Contains(seen, name) {
			list.warn("unknown_attribute", "/audience",
				"no customer has an attribute %q yet: nobody is in the audience by it unless requests send it", name)
		}
	}
	return nil
}
