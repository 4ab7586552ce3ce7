package postgres

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// InsertEnrolments implements engine.Ledger. For an assignment, which waits for it with a
// short deadline, it is a hot one; an import queues behind other batches.
func (s *Store) InsertEnrolments(ctx context.Context, enrolments []engine.Enrolment) (statuses []engine.RowStatus, err error) {
	pool, hot := s.bulk, false
	if deadline, ok := ctx.Deadline(); ok && deadline.Sub(now()) < hotLimits.silence {
		pool, hot = s.hot, true
	}
	known := false
	if err := s.inTx(ctx, pool, func(tx *sqlx.Tx) error {
		// Most contacts are of customers who are enrolled already: they need not queue for
		// the ledger's lock.
		seats, err := loadSeats(ctx, tx, enrolments)
		if err != nil {
			return err
		}
		statuses = seats.addAll(enrolments)
		if known = seats.unchanged(); known || !hot {
			return nil
		}
		position, err := nextPosition(ctx, tx)
		if err != nil {
			return err
		}
		statuses, err = insertKnown(ctx, tx, enrolments, block{first: position})
		return err
	}); err != nil {
		return nil, err
	}
	if known || hot {
		return statuses, nil
	}
	return s.enrolments.put(ctx, enrolments)
}

// insertKnown takes in the enrolments of all but erased customers.
var insertKnown = exceptErased(insertEnrolments, traceOfEnrolment)

func insertEnrolments(ctx context.Context, tx *sqlx.Tx, enrolments []engine.Enrolment, at block) ([]engine.RowStatus, error) {
	s, err := loadSeats(ctx, tx, enrolments)
	if err != nil {
		return nil, err
	}
	statuses := s.addAll(enrolments)
	if s.unchanged() {
		return statuses, nil
	}
	return statuses, s.write(ctx, tx, at.first)
}

type enrolmentRow struct {
	Customer      string    `db:"customer_id"`
	Experiment    string    `db:"experiment"`
	Variant       string    `db:"variant"`
	AssignmentKey string    `db:"assignment_key"`
	EnrolledAt    time.Time `db:"enrolled_at"`
	Channel       string    `db:"channel"`
	Touchpoint    string    `db:"touchpoint"`
	Position      int64     `db:"position"`
	Contaminated  bool      `db:"contaminated"`
	Superseded    bool      `db:"superseded"`
}

func (r *enrolmentRow) enrolment() engine.Enrolment {
	return engine.Enrolment{
		Customer: engine.CustomerID(r.Customer), Experiment: engine.ExperimentKey(r.Experiment),
		Variant: engine.VariantKey(r.Variant), AssignmentKey: r.AssignmentKey, EnrolledAt: r.EnrolledAt,
		Channel: engine.Channel(r.Channel), Touchpoint: engine.TouchpointKey(r.Touchpoint), Contaminated: r.Contaminated,
	}
}

func enrolmentsOf(rows []enrolmentRow) []engine.Enrolment {
	var all []engine.Enrolment
	for i := range rows {
		all = append(all, rows[i].enrolment())
	}
	return all
}

// before orders a person's enrolments in one experiment: the first one counts.
func (r *enrolmentRow) before(other *enrolmentRow) bool {
	return cmp.Or(r.EnrolledAt.Compare(other.EnrolledAt), strings.Compare(r.AssignmentKey, other.AssignmentKey),
		strings.Compare(r.Variant, other.Variant)) < 0
}

// sameAs: they differ in their time at most, and the earlier counts.
func (r *enrolmentRow) sameAs(other *enrolmentRow) bool {
	return r.AssignmentKey == other.AssignmentKey && r.Variant == other.Variant
}

// A seat is one person's place in one experiment: who sits there, and who is superseded.
type seat struct {
	current *enrolmentRow // counts
	stored  *enrolmentRow // counts as far as the database knows
	others  []*enrolmentRow
	added   []*enrolmentRow // of others, those the database does not know
}

type seatKey struct{ customer, experiment string }

// seats are those that a batch of enrolments concerns.
type seats struct {
	people map[string]string // by identifier, as far as linked
	at     map[seatKey]*seat
}

func (s *seats) key(e *engine.Enrolment) seatKey {
	return seatKey{cmp.Or(s.people[string(e.Customer)], string(e.Customer)), string(e.Experiment)}
}

func loadSeats(ctx context.Context, tx *sqlx.Tx, enrolments []engine.Enrolment) (*seats, error) {
	s := &seats{at: map[seatKey]*seat{}}
	var sent []string
	for i := range enrolments {
		sent = append(sent, string(enrolments[i].Customer))
	}
	var err error
	if s.people, err = personsOf(ctx, tx, sent); err != nil {
		return nil, err
	}
	var customers, experiments []string
	for i := range enrolments {
		key := s.key(&enrolments[i])
		if s.at[key] == nil {
			s.at[key] = &seat{}
			customers, experiments = append(customers, key.customer), append(experiments, key.experiment)
		}
	}
	var rows []enrolmentRow
	if err := tx.SelectContext(ctx, &rows, `
		WITH asked AS (
			SELECT customer_id, experiment FROM unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS a (customer_id, experiment)
		)
		SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position,
			contaminated, false AS superseded
		FROM enrolments JOIN asked USING (customer_id, experiment)
		UNION ALL
		SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position,
			false, true
		FROM enrolments_superseded JOIN asked USING (customer_id, experiment)`,
		pq.Array(customers), pq.Array(experiments)); err != nil {
		return nil, err
	}
	for i := range rows {
		r := &rows[i]
		place := s.at[seatKey{r.Customer, r.Experiment}]
		if r.Superseded {
			place.others = append(place.others, r)
		} else {
			place.current, place.stored = r, r
		}
	}
	return s, nil
}

// enrolled reports whether the person of an enrolment has one in that experiment already.
func (s *seats) enrolled(e *engine.Enrolment) bool { return s.at[s.key(e)].current != nil }

func (s *seats) addAll(enrolments []engine.Enrolment) []engine.RowStatus {
	statuses := make([]engine.RowStatus, len(enrolments))
	for i := range enrolments {
		statuses[i] = s.add(&enrolments[i])
	}
	return statuses
}

// add takes one enrolment in, in memory.
func (s *seats) add(e *engine.Enrolment) engine.RowStatus {
	key := s.key(e)
	place := s.at[key]
	r := &enrolmentRow{
		Customer: key.customer, Experiment: key.experiment, Variant: string(e.Variant), AssignmentKey: e.AssignmentKey,
		EnrolledAt: e.EnrolledAt.Truncate(time.Microsecond), Channel: string(e.Channel), Touchpoint: string(e.Touchpoint),
	}
	status := engine.RowAccepted
	for _, known := range append(place.others, place.current) {
		if known != nil && known.sameAs(r) {
			status = engine.RowDuplicate
		}
	}
	switch replaced := place.current; {
	case replaced == nil:
		place.current = r
	case r.before(replaced):
		place.current, status = r, engine.RowAccepted
		place.supersede(replaced)
		place.forget(r)
	case status == engine.RowAccepted:
		place.supersede(r)
	}
	return status
}

func (p *seat) supersede(r *enrolmentRow) {
	p.others, p.added = append(p.others, r), append(p.added, r)
}

// forget drops what is only of this batch and the same as r, which is earlier: it was never
// there. A seat keeps one enrolment of each key and variant and position.
func (p *seat) forget(r *enrolmentRow) {
	never := func(known *enrolmentRow) bool { return known.Position == 0 && known.sameAs(r) }
	p.others, p.added = slices.DeleteFunc(p.others, never), slices.DeleteFunc(p.added, never)
}

func (p *seat) contaminated() bool {
	for _, other := range p.others {
		if other.Variant != p.current.Variant {
			return true
		}
	}
	return false
}

// unchanged reports whether the database has all of it already.
func (s *seats) unchanged() bool {
	for _, place := range s.at {
		if place.current != place.stored || len(place.added) > 0 {
			return false
		}
	}
	return true
}

// write brings the database to what is in memory, with new rows at a position.
func (s *seats) write(ctx context.Context, tx *sqlx.Tx, position int64) error {
	var current, superseded []*enrolmentRow
	var customers, experiments []string // whose current row goes, or is written again
	for key, place := range s.at {
		if len(place.added) > 0 && place.stored != nil {
			customers, experiments = append(customers, key.customer), append(experiments, key.experiment)
		}
		if place.current != nil && (place.current != place.stored || len(place.added) > 0) {
			place.current.Contaminated = place.contaminated()
			current = append(current, place.current)
		}
		superseded = append(superseded, place.added...)
	}
	if len(customers) > 0 {
		if _, err := tx.ExecContext(ctx, `
			DELETE FROM enrolments USING unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS gone (customer_id, experiment)
			WHERE enrolments.customer_id = gone.customer_id AND enrolments.experiment = gone.experiment`,
			pq.Array(customers), pq.Array(experiments)); err != nil {
			return err
		}
	}
	if len(superseded) > 0 {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO enrolments_superseded (customer_id, experiment, variant, assignment_key, enrolled_at, channel,
				touchpoint, position, superseded_at)
			SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, $10
			FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS text[]),
				CAST($5 AS timestamptz[]), CAST($6 AS text[]), CAST($7 AS text[]), CAST($8 AS bigint[]), CAST($9 AS boolean[]))
				AS new (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, contaminated)
			ON CONFLICT DO NOTHING`,
			append(enrolmentColumns(superseded, position), position)...); err != nil {
			return err
		}
	}
	if len(current) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO enrolments (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint,
			position, contaminated)
		SELECT customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, contaminated
		FROM unnest(CAST($1 AS text[]), CAST($2 AS text[]), CAST($3 AS text[]), CAST($4 AS text[]),
			CAST($5 AS timestamptz[]), CAST($6 AS text[]), CAST($7 AS text[]), CAST($8 AS bigint[]), CAST($9 AS boolean[]))
			AS new (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, contaminated)`,
		enrolmentColumns(current, position)...)
	return err
}

// enrolmentColumns are the arguments of a statement that writes rows. A row that the
// database does not know yet is given the position.
func enrolmentColumns(rows []*enrolmentRow, position int64) []any {
	columns := make([][]string, 7)
	positions, contaminated := make([]int64, len(rows)), make([]bool, len(rows))
	for i, r := range rows {
		for c, value := range []string{
			r.Customer, r.Experiment, r.Variant, r.AssignmentKey, stamps(r.EnrolledAt), r.Channel, r.Touchpoint,
		} {
			columns[c] = append(columns[c], value)
		}
		positions[i], contaminated[i] = cmp.Or(r.Position, position), r.Contaminated
	}
	var all []any
	for _, column := range columns {
		all = append(all, pq.Array(column))
	}
	return append(all, pq.Array(positions), pq.Array(contaminated))
}
