package simulation_test

import (
	"bufio"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/ltv"
	"github.com/perennial-engine/perennial/stats/simulation"
)

// cdnow reads the purchases of 23,570 customers of a shop, which lie beside the
// project. A customer enrols with the first purchase; those of later days are the
// history. Where the file is missing the test is skipped, but under CI, and where
// the tables are to be written, that is a failure.
func cdnow(t *testing.T) simulation.History {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", "CDNOW_master.txt.gz")
	f, err := os.Open(path)
	if os.IsNotExist(err) && os.Getenv("CI") == "" && !*flagWrite {
		t.Skipf("%s is missing", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var h simulation.History
	var first int
	opening := time.Date(1997, 1, 1, 0, 0, 0, 0, time.UTC)
	s := bufio.NewScanner(z)
	s.Scan() // a header line
	for s.Scan() {
		row := strings.Fields(s.Text()) // customer, date, CDs, dollars, sorted by both
		date, err := time.Parse("20060102", row[1])
		if err != nil {
			t.Fatal(err)
		}
		money, err := strconv.ParseFloat(row[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		day := int(date.Sub(opening).Hours() / 24)
		if n := len(h.Keys); n == 0 || h.Keys[n-1] != row[0] {
			first = day
			h.Keys = append(h.Keys, row[0])
			h.Entry = append(h.Entry, day)
		}
		// What is bought on the day of the first purchase brought the customer.
		if day > first && day < historyDays {
			h.Purchases = append(h.Purchases, ltv.Purchase{Customer: len(h.Keys) - 1, Age: float64(day - first), Amount: money})
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	if len(h.Keys) != 23570 || slices.Max(h.Entry) != 83 {
		t.Fatalf("%d customers who enrolled by day %d, want 23570 by day 83", len(h.Keys), slices.Max(h.Entry))
	}
	return h
}

// historyDays is the number of days from the opening until the last customer, who
// enrolled on day 83, completes 28 days.
const historyDays = 84 + 28

// replay watches the value of a history over 28 days from the enrolment.
func replay(h simulation.History, weights ...int) simulation.Replay {
	return simulation.Replay{
		History: h, Pick: assign.Pick, Weights: weights,
		Accrual: simulation.Accrual{Days: historyDays, Window: 28, Outcome: simulation.Matured},
	}
}

// payerQuantile is the p-quantile of what those spend within the window who spend
// anything, to be used as a cap.
func payerQuantile(h simulation.History, window, p float64) float64 {
	value := make([]float64, len(h.Keys))
	for _, bought := range h.Purchases {
		if bought.Age < window {
			value[bought.Customer] += bought.Amount
		}
	}
	return stats.PooledCaps([][]float64{value}, 0, p, true).Upper
}

func tableHistory(b *book) {
	h := cdnow(b.t)
	capAt := payerQuantile(h, 28, 0.99)
	b.historyAlike(h, capAt)
	b.historyPulled(h)
	b.historyLifted(h, capAt)
	b.historyFamily(h)
	b.historySplit(h)
}

// historyFraction is the part of the runs that a history gets, each of which costs as
// much as ten others.
func (b *book) historyFraction() int {
	if b.long() {
		return 5
	}
	return 6
}

// historyAlike has no treatment.
func (b *book) historyAlike(h simulation.History, capAt float64) {
	b.t.Helper()
	methods := func(rule simulation.BurnIn) []simulation.Method {
		return append([]simulation.Method{simulation.Naive()}, methodsUnequal(rule)...)
	}
	b.table("CDNOW's customers, arms by hash, no effect: runs with any rejection in 84 daily looks at matured value, %",
		"control : treatment, cap", append(names(methods(equalRule)), "ships of CS by the rules", "ships of GS by the rules"))
	for _, weights := range [][]int{{1, 1}, {4, 1}, {1, 4}, {1, 9}} {
		rule := unequalRule
		if weights[0] == weights[1] {
			rule = equalRule
		}
		for _, limit := range []float64{0, capAt} {
			if !b.long() && (limit == 0 || weights[0] != 4) {
				continue
			}
			scenario := replay(h, weights...)
			scenario.Cap = limit
			name := strconv.Itoa(weights[0]) + " : " + strconv.Itoa(weights[1])
			if limit > 0 {
				name += ", p99 of payers"
			}
			results := b.play(scenario, methods(rule), b.historyFraction())
			open, planned := results[7], results[8]
			b.row(name, append(figures(results, rejected), open.Ship, planned.Ship), reference{}, percent)
			goal := "(b)"
			if weights[0] == weights[1] {
				goal = "(a)"
			} else {
				b.atMost("(b) ships", "CDNOW "+name+", "+open.Method, open.Ship, 0.03)
				b.atMost("(b) ships", "CDNOW "+name+", "+planned.Method, planned.Ship, 0.03)
			}
			b.atMost(goal+" planned", "CDNOW "+name+", "+planned.Method, planned.Reject, 0.055)
			b.atMost(goal+" open-ended", "CDNOW "+name+", "+open.Method, open.Reject, 0.025)
		}
	}
}

// historyPulled makes the treatment buy earlier, and nothing else.
func (b *book) historyPulled(h simulation.History) {
	b.t.Helper()
	methods := []simulation.Method{
		simulation.Naive(), simulation.Sequence("CS at N", 1), gsOBF, simulation.FinalLook(),
	}
	b.table("CDNOW's customers, arms by hash, the value over 28 days unchanged, daily looks: runs with any rejection, %",
		"injected, outcome", append(names(methods), "ships of CS", "ships of GS"))
	for _, row := range []struct {
		name    string
		pull    float64
		outcome simulation.Outcome
	}{
		{"nothing, value to date", 0, simulation.ToDate},
		{"purchases at half their age, value to date", 0.5, simulation.ToDate},
		{"purchases at half their age, matured value", 0.5, simulation.Matured},
	} {
		scenario := replay(h, 1, 1)
		scenario.Pull, scenario.Outcome = row.pull, row.outcome
		results := b.play(scenario, methods, b.historyFraction())
		cs, gs := results[1], results[2]
		b.row(row.name, append(figures(results, rejected), cs.Ship, gs.Ship), reference{}, percent)
		if row.outcome == simulation.Matured {
			b.atMost("(c) ships", "CDNOW, "+row.name+", "+cs.Method, cs.Ship, 0.025)
			b.atMost("(c) ships", "CDNOW, "+row.name+", "+gs.Method, gs.Ship, 0.025)
		}
	}
}

// historyLifted makes the treatment spend more.
func (b *book) historyLifted(h simulation.History, capAt float64) {
	b.t.Helper()
	b.table("CDNOW's customers, arms by hash, capped at p99 of payers, treatment made to spend more, by the rules: power and coverage at the stop, %",
		"injected, control : treatment", []string{
			"power, final look", "power, GS OBF", "power, CS at N", "coverage, GS OBF repeated", "coverage, CS at N", "coverage, naive z",
		})
	for _, row := range []struct {
		name    string
		lift    float64
		weights []int
		rule    simulation.BurnIn
	}{
		{"nothing, 1 : 1", 0, []int{1, 1}, equalRule},
		{"+15 %, 1 : 1", 0.15, []int{1, 1}, equalRule},
		{"+30 %, 4 : 1", 0.3, []int{4, 1}, unequalRule},
		{"+30 %, 1 : 4", 0.3, []int{1, 4}, unequalRule},
	} {
		if !b.long() && row.weights[0] != row.weights[1] {
			continue
		}
		scenario := replay(h, row.weights...)
		scenario.Cap, scenario.Lift = capAt, row.lift
		r := b.play(scenario, []simulation.Method{
			simulation.FinalLook().Guarded(row.rule), gsOBF.Guarded(row.rule),
			simulation.Sequence("CS at N", 1).Guarded(row.rule), simulation.Naive().After(row.rule),
		}, b.historyFraction())
		b.row(row.name, []simulation.Figure{r[0].Ship, r[1].Ship, r[2].Ship, r[1].Covered, r[2].Covered, r[3].Covered}, reference{}, percent)
		b.atLeast("(g)", "CDNOW "+row.name+", GS OBF, repeated", r[1].Covered, 0.94)
		b.atLeast("(g)", "CDNOW "+row.name+", CS at N", r[2].Covered, 0.94)
	}
}

// historyFamily has three treatments that do nothing and three metrics.
func (b *book) historyFamily(h simulation.History) {
	b.t.Helper()
	b.table("CDNOW's customers, arms by hash, 3 treatments without effect in money, orders and buyers, 30 looks: runs with a false rejection, %",
		"cap of money", columnsFamily)
	f := simulation.ReplayFamily{Replay: replay(h, 1, 1, 1, 1), Looks: 30}
	f.Cap = payerQuantile(h, 28, 0.99)
	r := f.Run(*flagRuns/b.historyFraction(), b.nextSeed())
	b.row("p99 of payers", figuresFamily(r), reference{}, percent)
	b.atMost("(d)", "CDNOW, 3 treatments x 3 metrics, CS with Holm", r.SequenceHolm, 0.05)
	b.atMost("(d)", "CDNOW, 3 treatments x 3 metrics, GS with Holm", r.PlannedHolm, 0.05)
}

// historySplit checks the counts that the hash gives.
func (b *book) historySplit(h simulation.History) {
	b.t.Helper()
	b.table("CDNOW's customers, arms by hash, daily looks at the counts of 84 days: runs with an alarm, %", "planned split",
		[]string{"chi² at each look", "sequential"})
	for _, weights := range [][]int{{1, 1}, {9, 1}} {
		s := simulation.ReplaySplit{Replay: replay(h, weights...), Alpha: 0.001, Concentration: 10000}
		r := s.Run(*flagRuns/b.historyFraction(), b.nextSeed())
		name := strconv.Itoa(weights[0]) + " : " + strconv.Itoa(weights[1]) + ", alpha 0.001"
		b.row(name, []simulation.Figure{r.Chi2, r.Sequential}, reference{}, percent)
		b.atMost("(e)", "CDNOW "+name, r.Sequential, 0.002)
	}
}
