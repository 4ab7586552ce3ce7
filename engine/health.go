package engine

import (
	"fmt"
	"math"
	"strings"

	"github.com/perennial-engine/perennial/stats"
)

// ratioConcentration and ratioThreshold are those of docs/methods/sample-ratio.md and the contract.
const (
	ratioConcentration = 10_000
	ratioThreshold     = 0.001
)

// checkHealth compares the enrolled customers with the weights.
func (c *caseFile) checkHealth(totals *Totals, customers map[VariantKey]int64, last *Report) Health {
	x := c.experiment
	counts := make([]int64, len(x.Variants))
	weights := make([]float64, len(x.Variants))
	for i, v := range x.Variants {
		counts[i], weights[i] = customers[v.Key], float64(v.Weight)
	}
	chi2 := stats.SampleRatioChi2(counts, weights)
	evidence := stats.SampleRatioSequential(counts, weights, ratioConcentration)
	threshold := ratioThreshold
	check := Check{Check: "sample_ratio", Threshold: &threshold}
	if x.Plan.Method == MethodFixed {
		check.PValue = number(chi2.P)
		check.Detail = fmt.Sprintf("chi² test of the split, one look; the sequential p is %s", pText(evidence.P))
	} else {
		p := evidence.P
		if last != nil {
			if before := last.Health.p("sample_ratio"); before != nil {
				p = min(p, *before)
			}
		}
		check.PValue = number(p)
		check.Detail = fmt.Sprintf("sequential test of the split, valid at every look; the chi² p is %s", pText(chi2.P))
	}
	check.OK = check.PValue == nil || *check.PValue >= threshold
	fresh := c.checkFreshness(totals)
	c.healthy = check.OK && fresh.OK
	switch {
	case !check.OK:
		c.unhealthy = fmt.Sprintf("the customers per arm do not fit the weights (p = %s, below %g): "+
			"find out where customers are lost before you trust any number", pText(*check.PValue), threshold)
	case !fresh.OK:
		c.unhealthy = fresh.Detail
	}
	return Health{OK: c.healthy, Checks: []Check{check, fresh}}
}

// checkFreshness: customers have matured in every arm and not one of them has done what
// the primary measures. Then the events have not been sent yet, and nothing is decided.
func (c *caseFile) checkFreshness(totals *Totals) Check {
	check := Check{Check: "data_freshness", OK: true, Detail: "events of the primary metrics have come in"}
	for i, key := range c.experiment.Metrics.Primary {
		matured, active := int64(0), int64(0)
		for _, v := range totals.Values {
			if v.Metric == key {
				matured += v.Mature
				active += v.NonZero
			}
		}
		switch {
		case matured == 0:
			check.Detail = "no customer has matured yet"
		case active == 0:
			check.OK = false
			check.Detail = fmt.Sprintf("%s: none of %d matured customers has an event of %s: have the events been sent?",
				key, matured, strings.Join(c.experiment.Frozen[i].Events, ", "))
			return check
		}
	}
	return check
}

func (h *Health) p(check string) *float64 {
	for i := range h.Checks {
		if h.Checks[i].Check == check {
			return h.Checks[i].PValue
		}
	}
	return nil
}

func pText(p float64) string {
	if math.IsNaN(p) {
		return "unknown"
	}
	return fmt.Sprintf("%.4g", p)
}
