package engine

import (
	"math"
	"slices"

	"github.com/perennial-engine/perennial/stats"
)

// A family is the comparisons that are corrected together.
type family struct {
	role  Role
	tests []*assessment
}

// judgeFamily compares treatments with control, corrects, and gives each comparison the
// interval at the error that the correction grants it: at each look by itself the interval
// excludes 0 exactly when the correction rejects.
func (j judge) judgeFamily(f family) {
	var open []*assessment
	for _, t := range f.tests {
		t.alpha = j.plan.Alpha
		t.contrast = j.compare(t.metric.Key, t.control, t.treatment, t.alpha)
		t.alone = t.p
		// At later looks the p-value of a sequence is the least so far.
		if t.previousP != nil && (math.IsNaN(t.p) || *t.previousP < t.p) && j.plan.Method == MethodAnytime {
			t.p = *t.previousP
		}
		if t.comparable(j) {
			open = append(open, t)
		}
	}
	if f.role == RoleSecondary {
		j.discoveries(f, open)
		return
	}
	j.holm(open)
}

// comparable: there is a p-value, or will be.
func (t *assessment) comparable(j judge) bool {
	if j.plan.Method == MethodGroupSequential {
		return t.warning == stats.NoWarning
	}
	return !math.IsNaN(t.p)
}

// rejects: at this error there is a difference.
func (j judge) rejects(t *assessment, alpha float64) bool {
	if j.plan.Method == MethodGroupSequential {
		return math.Abs(t.difference) >= j.boundary(t.metric.Key, alpha)*t.se
	}
	return t.p <= alpha
}

// holm corrects for any wrong rejection: it rejects the strongest comparison at alpha over the
// number of those left, as long as there is one.
func (j judge) holm(open []*assessment) {
	for len(open) > 0 {
		alpha := j.plan.Alpha / float64(len(open))
		i := j.strongest(open, alpha)
		t := open[i]
		if !j.rejects(t, alpha) {
			break
		}
		t.rejected = true
		j.settle(t, alpha)
		open = slices.Delete(slices.Clone(open), i, i+1)
	}
	for _, t := range open {
		j.settle(t, j.plan.Alpha/float64(len(open)))
	}
}

// strongest is the index of the comparison that is the furthest from no difference.
func (j judge) strongest(open []*assessment, alpha float64) (best int) {
	weakness := func(t *assessment) float64 {
		if j.plan.Method == MethodGroupSequential {
			return j.boundary(t.metric.Key, alpha) * t.se / math.Abs(t.difference)
		}
		return t.p
	}
	for i := range open {
		if weakness(open[i]) < weakness(open[best]) {
			best = i
		}
	}
	return best
}

// settle gives the comparison the interval at error alpha.
func (j judge) settle(t *assessment, alpha float64) {
	t.alpha = alpha
	t.interval = j.compare(t.metric.Key, t.control, t.treatment, alpha).interval
}

// discoveries corrects for the share of wrong rejections, by Benjamini and Hochberg. Of
// sequences it takes the p-values of this look by itself: they are the inverse of e-values, for
// which the correction holds whatever the metrics have to do with each other.
func (j judge) discoveries(f family, open []*assessment) {
	j.addP(f)
	rejected := 0
	for _, t := range f.tests {
		if t.rejected = t.adjusted <= j.plan.Alpha; t.rejected {
			rejected++
		}
	}
	for _, t := range open {
		j.settle(t, j.plan.Alpha*float64(max(rejected, 1))/float64(len(open)))
	}
}

// addP adds the p-values and the adjusted ones.
func (j judge) addP(f family) {
	method, p := stats.Holm, make([]float64, len(f.tests))
	for i, t := range f.tests {
		if j.plan.Method == MethodGroupSequential && t.warning == stats.NoWarning && math.IsNaN(t.p) {
			t.p = j.repeatedP(t.metric.Key, t.difference/t.se)
			t.alone = t.p
		}
		p[i] = t.p
		if f.role == RoleSecondary {
			method, p[i] = stats.BenjaminiHochberg, t.alone
		}
	}
	for i, adjusted := range stats.Adjust(p, method) {
		f.tests[i].adjusted = adjusted
	}
}
