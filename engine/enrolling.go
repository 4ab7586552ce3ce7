package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/perennial-engine/perennial/engine/people"
)

// A Journal keeps records on this machine's disk until they have been shipped.
type Journal interface {
	// Append answers once the records are on the disk. On an error none of them is there.
	Append(ctx context.Context, records ...[]byte) error
	// Ship hands at most limit of the oldest records to take, and drops them once take has
	// answered nil.
	Ship(ctx context.Context, limit int, take func(ctx context.Context, records [][]byte) error) (n int, err error)
	// Replay hands over every record that has not been shipped.
	Replay(fn func(record []byte) error) error
	// Pending is the number of records that have not been shipped, and since when the oldest waits.
	Pending() (records int64, oldest time.Time)
}

// noJournal is the journal of a process that answers no assignments.
type noJournal struct{}

func (noJournal) Append(context.Context, ...[]byte) error {
	return errors.New("this process keeps no journal")
}

func (noJournal) Ship(context.Context, int, func(context.Context, [][]byte) error) (int, error) {
	return 0, nil
}
func (noJournal) Replay(func([]byte) error) error { return nil }
func (noJournal) Pending() (int64, time.Time)     { return 0, time.Time{} }

// journalled is an enrolment as the journal keeps it.
type journalled struct {
	Customer      CustomerID    `json:"customer"`
	Experiment    ExperimentKey `json:"experiment"`
	Variant       VariantKey    `json:"variant"`
	AssignmentKey string        `json:"key"`
	EnrolledAt    time.Time     `json:"at"`
	Channel       Channel       `json:"channel"`
	Touchpoint    TouchpointKey `json:"touchpoint"`
	KnownUpTo     int64         `json:"known_up_to"`
	Installation  string        `json:"installation"` // that of the database it is for; empty: not known
}

func journalledOf(r *Enrolment, installation string) journalled {
	return journalled{
		r.Customer, r.Experiment, r.Variant, r.AssignmentKey, r.EnrolledAt, r.Channel, r.Touchpoint, r.KnownUpTo, installation,
	}
}

// belongs answers an error for a record that waits for another database: there it would be
// lost, and here it would be a stranger.
func (r *journalled) belongs(installation string) error {
	if r.Installation != "" && r.Installation != installation {
		return errors.New("the enrolments that wait in this server's state are for another database:" +
			" start a server with this --state on that one, or choose another --state here")
	}
	return nil
}

func (r *journalled) enrolment() Enrolment {
	return Enrolment{
		Customer: r.Customer, Experiment: r.Experiment, Variant: r.Variant, AssignmentKey: r.AssignmentKey,
		EnrolledAt: r.EnrolledAt, Channel: r.Channel, Touchpoint: r.Touchpoint, KnownUpTo: r.KnownUpTo,
	}
}

// enrol records enrolments before the answer goes out: in the journal on this machine's
// disk, whatever the database does. A journal that cannot be written never changes the
// answer: the enrolments are counted as unrecorded, and their customers are tried again at
// their next contact.
func (e *Engine) enrol(ctx context.Context, enrolments []Enrolment) {
	if len(enrolments) == 0 {
		return
	}
	live := e.live.Load()
	records, installation := make([][]byte, len(enrolments)), live.installation()
	for i := range enrolments {
		record, err := json.Marshal(journalledOf(&enrolments[i], installation))
		if err != nil {
			e.unrecordedFor(ctx, enrolments, err)
			return
		}
		records[i] = record
	}
	// Not bound to the request: a client that goes away is enrolled all the same.
	if err := e.journal.Append(context.WithoutCancel(ctx), records...); err != nil {
		e.unrecordedFor(ctx, enrolments, err)
		return
	}
	live = e.live.Load()
	for i := range enrolments {
		live.people.Enrol(enrolments[i].known())
	}
	select {
	case e.toShip <- struct{}{}:
	default: // the shipper has been told already
	}
}

// known is the enrolment as memory keeps it.
func (r *Enrolment) known() people.Enrolment {
	return people.Enrolment{
		Customer: string(r.Customer), Experiment: string(r.Experiment), Variant: string(r.Variant),
		Key: r.AssignmentKey, At: r.EnrolledAt,
	}
}

func (e *Engine) unrecordedFor(ctx context.Context, enrolments []Enrolment, cause error) {
	total := e.unrecorded.Add(int64(len(enrolments)))
	e.missing.Lock()
	defer e.missing.Unlock()
	for i := range enrolments {
		e.missing.from[enrolments[i].Experiment.test()]++
	}
	e.log.ErrorContext(ctx, "enrolments not recorded: the journal cannot be written", "enrolments", len(enrolments), "total", total, "error", cause)
}

// Unrecorded is the number of enrolments that were answered and could not be recorded.
func (e *Engine) Unrecorded() int64 { return e.unrecorded.Load() }

// Waiting is the number of enrolments on this machine's disk that the database does not
// have yet, and since when the oldest waits.
func (e *Engine) Waiting() (enrolments int64, oldest time.Time) { return e.journal.Pending() }

// Flush ships the enrolments that wait to the database, where each counts once however
// often it is sent. What cannot be shipped now goes on waiting.
func (e *Engine) Flush(ctx context.Context) error {
	for {
		n, err := e.journal.Ship(ctx, transactionRows, e.ship)
		if err != nil {
			return err
		}
		if n == 0 {
			return e.tellMissing(ctx)
		}
	}
}

// settleTimeout bounds how long a reader waits for enrolments that wait.
const settleTimeout = 5 * time.Second

// settle ships the enrolments that wait, so that what is read next shows what this process
// has answered. What cannot be shipped now, or not in time, shows later.
func (e *Engine) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	waiting, _ := e.journal.Pending()
	for waiting > 0 {
		n, err := e.journal.Ship(ctx, transactionRows, e.ship)
		if err != nil || n == 0 {
			return // the shipper, which tries again, says so
		}
		waiting -= int64(n)
	}
}

// ship takes records of the journal to the database, once it is known which that is.
func (e *Engine) ship(ctx context.Context, records [][]byte) error {
	known := e.live.Load()
	if known == nil || known.stored {
		return configurationUnread()
	}
	installation := known.installation()
	enrolments := make([]Enrolment, 0, len(records))
	for _, record := range records {
		var r journalled
		if err := json.Unmarshal(record, &r); err != nil {
			e.log.ErrorContext(ctx, "a record of the journal is not an enrolment; skipped", "error", err)
			continue
		}
		if err := r.belongs(installation); err != nil {
			return err
		}
		enrolments = append(enrolments, r.enrolment())
	}
	if len(enrolments) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, shipTimeout)
	defer cancel()
	statuses, err := e.store.InsertEnrolments(ctx, enrolments)
	if err != nil {
		return err
	}
	var late []string
	for i, status := range statuses {
		if status == RowErased {
			late = append(late, string(enrolments[i].Customer), enrolments[i].AssignmentKey)
		}
	}
	if len(late) == 0 {
		return nil
	}
	// They were erased before this server knew, and entered its memory again meanwhile.
	live := e.live.Load()
	live.people.Forget(late...)
	e.following.Lock()
	defer e.following.Unlock()
	return e.replacePictures()
}

// shipTimeout says that shipping waits for the database as a request does, not as an import:
// a connection that has gone silent is given up in seconds.
const shipTimeout = 2 * time.Second

// tellMissing writes down which tests lack enrolments, for their reports to say so.
func (e *Engine) tellMissing(ctx context.Context) error {
	e.missing.Lock()
	from := maps.Clone(e.missing.from)
	clear(e.missing.from)
	e.missing.Unlock()
	if len(from) == 0 {
		return nil
	}
	err := e.store.AddUnrecorded(ctx, from, e.now())
	if err != nil {
		e.missing.Lock()
		for experiment, n := range from {
			e.missing.from[experiment] += n
		}
		e.missing.Unlock()
	}
	return err
}

// recall takes the enrolments that wait in the journal into memory, at start.
func (e *Engine) recall(live *live) error {
	installation := live.installation()
	return e.journal.Replay(func(record []byte) error {
		var r journalled
		if err := json.Unmarshal(record, &r); err != nil {
			return nil //nolint:nilerr // it is skipped, and said so, when it is shipped
		}
		if err := r.belongs(installation); err != nil {
			return err
		}
		enrolment := r.enrolment()
		live.people.Enrol(enrolment.known())
		return nil
	})
}
