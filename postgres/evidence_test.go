package postgres

import (
	"fmt"
	"testing"

	"github.com/perennial-engine/perennial/engine"
)

// The variants that the engine gave out are those that the database computes again; one that
// somebody wrote is found, once and for all, and so is what was lost.
func TestEvidence(t *testing.T) {
	s := newStore(t)
	c := &clock{at: start}
	e := newEngine(t, s, c, 1)
	catalogue(t, e)
	three := spec("tone")
	three.Variants = append(three.Variants, engine.Variant{Key: "bold", Weight: 3})
	x := running(t, e, three)
	for i := range 50 {
		must(e.Assign(t.Context(), engine.AssignRequest{
			Touchpoint: "mail", Customers: []engine.CustomerID{engine.CustomerID(fmt.Sprintf("customer-%d", i))}, Record: true,
		}))(t)
	}
	if err := e.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut := int64(count(t, s, `SELECT value FROM ingest_position`))
	c.Set(start.Add(day))
	evidence := func(since int64) *engine.Evidence {
		upTo := int64(count(t, s, `SELECT value FROM ingest_position`))
		return must(s.Evidence(t.Context(), x, engine.Span{AsOf: c.Now(), Since: since, UpTo: upTo}))(t)
	}
	got := evidence(0)
	if got.Enrolments != 50 || got.Mismatched != 0 || got.Several != 0 || got.Lost != 0 {
		t.Errorf("after 50 assignments: %+v", got)
	}
	if len(got.Days) != 1 || got.Days[0] != (engine.ChannelDay{Channel: "email", Day: start.Truncate(day), Enrolled: 50}) {
		t.Errorf("channels and days: %+v", got.Days)
	}
	exec(t, s, `INSERT INTO exposures (customer_id, id, touchpoint, occurred_at, digest, position)
		VALUES ('customer-7', 'e', 'mail', $1, '', 0), ('customer-8', 'e', 'elsewhere', $1, '', 0)`, start.Add(day/2))
	exec(t, s, `UPDATE enrolments SET variant = CASE variant WHEN 'bold' THEN 'warm' ELSE 'bold' END WHERE customer_id = 'customer-7'`)
	exec(t, s, `INSERT INTO enrolments_superseded (customer_id, experiment, variant, assignment_key, enrolled_at, channel, touchpoint, position, superseded_at)
		SELECT customer_id, experiment, 'another', assignment_key, enrolled_at, channel, touchpoint, position, position FROM enrolments WHERE customer_id = 'customer-7'`)
	exec(t, s, `INSERT INTO unrecorded_enrolments VALUES ('tone', 3, $1)`, start)
	got = evidence(0)
	if got.Enrolments != 50 || got.Mismatched != 1 || got.Days[0].Exposed != 1 || got.Several != 1 || got.Lost != 3 || !got.LostAt.Equal(start) {
		t.Errorf("with one of everything: %+v", got)
	}
	if got := evidence(cut); got.Enrolments != 0 || got.Mismatched != 0 {
		t.Errorf("nothing came in since: %+v", got)
	}
	if n := run(t, e, "analyze"); n != 1 {
		t.Fatalf("%d looks", n)
	}
	r := must(e.LatestReport(t.Context(), "tone"))(t)
	if r.Verdict.Action != engine.ActionFixHealth || r.Health.OK {
		t.Errorf("a look at these data: %+v", r.Verdict)
	}
	// It is found again until it is put right.
	exec(t, s, `UPDATE enrolments SET variant = CASE variant WHEN 'bold' THEN 'warm' ELSE 'bold' END WHERE customer_id = 'customer-7'`)
	exec(t, s, `DELETE FROM enrolments_superseded`)
	exec(t, s, `DELETE FROM unrecorded_enrolments`)
	asked := must(e.Analyze(t.Context(), "tone", engine.ReportQuery{}))(t)
	if !asked.Health.OK {
		t.Errorf("put right: %+v", asked.Health)
	}
}
