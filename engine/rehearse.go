package engine

import "time"

// Rehearse does to a running test of policy mode auto what the jobs analyze and decide would do
// at a time on these totals, without a database: simulations play tests with it. last is the
// last look, if any. It answers the report that would be stored, nil when there would be none;
// with a Look, and in x, is what was decided. Repeated p-values are left out.
//
// The engine needs no store and no clock for it.
func (e *Engine) Rehearse(x *Experiment, totals *Totals, now time.Time, last *Report) (*Report, error) {
	if totals.First == nil || x.nothingNew(totals, now, last) {
		return nil, nil
	}
	r, c := e.reportOn(x, totals, sitting{asOf: now, last: last, look: true, noP: true})
	r.ComputedAt = r.AsOf
	if c.watching() {
		return r, nil
	}
	if !c.due(r, last) {
		return nil, nil
	}
	decision, err := e.take(x, r, last)
	if err != nil || decision == nil || decision.Mode != ModeAuto {
		return r, err
	}
	return r, carryOut(&Change{Experiment: x, Pending: decision}, now)
}
