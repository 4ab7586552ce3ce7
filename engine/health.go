package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/perennial-engine/perennial/stats"
)

// ratioConcentration and ratioThreshold are those of docs/methods/sample-ratio.md and the contract.
const (
	ratioConcentration = 10_000
	ratioThreshold     = 0.001
)

// mostSeveral is the share of customers above which several variants, or contamination, are
// no longer taken for the noise of shared devices.
const mostSeveral = 0.01

// lossFor is how long an enrolment that could not be recorded keeps a test from deciding.
const lossFor = 24 * time.Hour

// checkHealth puts every question to the data. All must be answered well before anything is
// decided, but for contamination, which makes promotion wait for a person.
func (c *caseFile) checkHealth(totals *Totals, customers map[VariantKey]int64, s sitting) Health {
	ratio := c.checkRatio(customers, s.last)
	h := Health{OK: true, Checks: []Check{
		ratio, c.checkSeveral(customers, s.evidence), c.checkContamination(totals, customers, s.last),
		c.checkHash(s), c.checkFreshness(totals, s), c.checkMaturity(totals),
	}}
	c.healthy = true
	for i := range h.Checks {
		check := &h.Checks[i]
		h.OK = h.OK && check.OK
		switch {
		case check.OK:
		case check.Check == "contamination":
			c.contaminated = check.Detail
		default:
			c.healthy = false
			c.unhealthy = append(c.unhealthy, Reason{Code: "unhealthy", Detail: check.Check + ": " + check.Detail})
		}
	}
	return h
}

// checkRatio compares the enrolled customers with the weights.
func (c *caseFile) checkRatio(customers map[VariantKey]int64, last *Report) Check {
	check := Check{Check: "sample_ratio"}
	other := c.split(&check, customers, last)
	if c.plan.Method == MethodFixed {
		check.Detail = fmt.Sprintf("chi² test of the split, one look; the sequential p is %s", pText(other))
	} else {
		check.Detail = fmt.Sprintf("sequential test of the split, valid at every look; the chi² p is %s", pText(other))
	}
	if !check.OK {
		check.Detail = fmt.Sprintf("the customers per arm do not fit the weights (p = %s, below %g): "+
			"find out where customers are lost before you trust any number; %s", pText(*check.PValue), ratioThreshold, check.Detail)
	}
	return check
}

// split tests whether counts by variant fit the weights: by chi² for a fixed plan, else by the
// sequential test, whose p-value is the least so far. It answers the other p-value.
func (c *caseFile) split(check *Check, counts map[VariantKey]int64, last *Report) (other float64) {
	n := make([]int64, len(c.experiment.Variants))
	weights := make([]float64, len(n))
	for i, v := range c.experiment.Variants {
		n[i], weights[i] = counts[v.Key], float64(v.Weight)
	}
	p, other := stats.SampleRatioChi2(n, weights).P, stats.SampleRatioSequential(n, weights, ratioConcentration).P
	if c.plan.Method != MethodFixed {
		p, other = other, p
		if last != nil {
			if before := last.Health.p(check.Check); before != nil {
				p = min(p, *before)
			}
		}
	}
	threshold := ratioThreshold
	check.PValue, check.Threshold = number(p), &threshold
	check.OK = check.PValue == nil || *check.PValue >= threshold
	return other
}

// checkSeveral: an identifier that was enrolled in several variants. Two servers never do that
// to one; imports can.
func (c *caseFile) checkSeveral(customers map[VariantKey]int64, e *Evidence) Check {
	check := Check{Check: "multiple_variants", OK: true, Detail: "no identifier was enrolled in several variants"}
	if e == nil || e.Several == 0 {
		return check
	}
	share := float64(e.Several) / float64(max(sumOf(customers), 1))
	check.OK = share <= mostSeveral
	check.Detail = fmt.Sprintf("%d identifiers, %.2g %% of the customers, were enrolled in several variants", e.Several, 100*share)
	if !check.OK {
		check.Detail += fmt.Sprintf(", more than %g %%: the arms are not what they are called", 100*mostSeveral)
	}
	return check
}

// checkContamination: customers who met another variant under another identifier.
func (c *caseFile) checkContamination(totals *Totals, customers map[VariantKey]int64, last *Report) Check {
	check := Check{Check: "contamination"}
	met := totals.part(func(contaminated bool, _ string) bool { return contaminated }).customers(c.experiment)
	other := c.split(&check, met, last)
	all, n := sumOf(customers), sumOf(met)
	share := float64(n) / float64(max(all, 1))
	check.Detail = fmt.Sprintf("%d of %d customers, %.2g %%, met several variants under different identifiers", n, all, 100*share)
	switch {
	case !check.OK:
		check.Detail += fmt.Sprintf(", and not in proportion to the arms (p = %s): look at who is linked before you promote", pText(*check.PValue))
	case share > mostSeveral:
		check.OK = false
		check.Detail += fmt.Sprintf(", more than %g %%: look at the result without them before you promote", 100*mostSeveral)
	case n > 0:
		check.Detail += fmt.Sprintf(", in proportion to the arms (by the other test p = %s)", pText(other))
	}
	return check
}

// checkHash: the variants of enrolments made by the engine, computed again from their keys.
func (c *caseFile) checkHash(s sitting) Check {
	check := Check{Check: "assignment_hash", OK: true}
	switch e := s.evidence; {
	case c.experiment.Assignment == AssignedElsewhere:
		check.Detail = "the variants were given elsewhere: there is nothing to compute again"
	case e == nil || e.Enrolments == 0:
		check.Detail = "every variant was the one that its key hashes to; nobody was enrolled since"
	case e.Mismatched == 0:
		check.Detail = fmt.Sprintf("every variant is the one that its key hashes to; new ones computed again: %d", e.Enrolments)
	default:
		check.OK = false
		check.Detail = fmt.Sprintf("%d of %d customers have another variant than their key hashes to: "+
			"find out who wrote these enrolments before you trust any number", e.Mismatched, e.Enrolments)
	}
	if s.evidence != nil {
		check.Detail += lossText(s.evidence.Days)
	}
	return check
}

// lossText says how many of the customers enrolled lately were seen to meet a touchpoint of the
// test, by channel, and on which day the fewest.
func lossText(days []ChannelDay) string {
	type seen struct{ enrolled, exposed int64 }
	channels, names := map[Channel]seen{}, []Channel{}
	var worst *ChannelDay
	for i := range days {
		d := &days[i]
		if !slices.Contains(names, d.Channel) {
			names = append(names, d.Channel)
		}
		sum := channels[d.Channel]
		channels[d.Channel] = seen{sum.enrolled + d.Enrolled, sum.exposed + d.Exposed}
		if worst == nil || d.Exposed*worst.Enrolled < worst.Exposed*d.Enrolled {
			worst = d
		}
	}
	var parts []string
	for _, name := range names {
		if sum := channels[name]; sum.exposed > 0 {
			parts = append(parts, fmt.Sprintf("%.1f %% on %s", 100*float64(sum.exposed)/float64(sum.enrolled), cmp.Or(string(name), "no channel")))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("; of those enrolled, %s were seen to meet it (fewest: %d of %d on %s, %s)",
		strings.Join(parts, ", "), worst.Exposed, worst.Enrolled, cmp.Or(string(worst.Channel), "no channel"), worst.Day.Format(time.DateOnly))
}

// checkFreshness: no enrolment was lost of late; and where customers have matured in every
// arm, one of them at least has done what the primary measures. Else the events have not been
// sent yet, and nothing is decided.
func (c *caseFile) checkFreshness(totals *Totals, s sitting) Check {
	check := Check{Check: "data_freshness", OK: true, Detail: "events of the primary metrics have come in"}
	if e := s.evidence; e != nil && e.Lost > 0 {
		if e.LostAt.After(s.asOf.Add(-lossFor)) {
			check.OK = false
			check.Detail = fmt.Sprintf("%d enrolments were answered and could not be recorded, the last on %s: the arms are not complete",
				e.Lost, e.LostAt.UTC().Format("2006-01-02 15:04 UTC"))
			return check
		}
		check.Detail += fmt.Sprintf("; %d enrolments were lost up to %s", e.Lost, e.LostAt.UTC().Format("2006-01-02 15:04 UTC"))
	}
	for i, key := range c.experiment.Metrics.Primary {
		matured, active := int64(0), int64(0)
		for i := range totals.Values {
			if v := &totals.Values[i]; v.Metric == key {
				matured += v.Mature
				active += v.NonZero
			}
		}
		metric := &c.experiment.Frozen[i]
		switch {
		case matured == 0:
			check.Detail = "no customer has matured yet"
		case active == 0 && metric.Kind != KindSurvival: // nobody may have churned yet
			check.OK = false
			check.Detail = fmt.Sprintf("%s: none of %d matured customers has an event of %s: have the events been sent?",
				key, matured, strings.Join(metric.Events, ", "))
			return check
		}
	}
	return check
}

// checkMaturity tells how far customers have matured. A young test is not unhealthy: its
// verdict waits.
func (c *caseFile) checkMaturity(totals *Totals) Check {
	var parts []string
	for i, key := range c.experiment.Metrics.Primary {
		parts = append(parts, fmt.Sprintf("%s: %d of %d customers have been followed for its %d days",
			key, totals.mature(key), sumOf(totals.customers(c.experiment)), c.experiment.Frozen[i].Window.ToDay))
	}
	return Check{Check: "maturity", OK: true, Detail: strings.Join(parts, "; ")}
}

func (h *Health) p(check string) *float64 {
	for i := range h.Checks {
		if h.Checks[i].Check == check {
			return h.Checks[i].PValue
		}
	}
	return nil
}

// passed: the check was made and all was well.
func (h *Health) passed(check string) bool {
	return slices.ContainsFunc(h.Checks, func(c Check) bool { return c.Check == check && c.OK })
}

func pText(p float64) string {
	if math.IsNaN(p) {
		return "unknown"
	}
	return fmt.Sprintf("%.4g", p)
}
