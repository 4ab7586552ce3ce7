package simulation_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/simulation"
)

// TestTables plays the tables of the reference and compares. The small form, the
// default, is for every day; the large one is
//
//	make simulate
func TestTables(t *testing.T) {
	b := newBook(t)
	tables := []struct {
		name string
		play func(*book)
	}{
		{"AA", tableAA},
		{"Unequal", tableUnequal},
		{"Power", tablePower},
		{"Guard", tableGuard},
		{"Overrun", tableOverrun},
		{"Accrual", tableAccrual},
		{"Family", tableFamily},
		{"Split", tableSplit},
		{"Coverage", tableCoverage},
		{"Panel", tablePanel},
		{"History", tableHistory},
	}
	if *flagWrite {
		cdnow(t) // rather now than after an hour
	}
	for i, table := range tables {
		t.Run(table.name, func(t *testing.T) {
			b.begin(t, fmt.Sprintf("%d of %d", i+1, len(tables)))
			table.play(b)
		})
	}
	b.begin(t, "")
	b.close()
}

var (
	obf    = stats.Spending{Family: stats.OBrienFlemingLike}
	pocock = stats.Spending{Family: stats.PocockLike}
	hsd    = stats.Spending{Family: stats.HwangShihDeCani, Param: -4}
)

// The plans, whose boundaries are computed once.
var (
	gsOBF    = simulation.GroupSequential("GS OBF", obf)
	gsPocock = simulation.GroupSequential("GS Pocock", pocock)
	gsHSD    = simulation.GroupSequential("GS HSD(-4)", hsd)
)

var (
	payers100 = simulation.BurnIn{Payers: 100}
	// equalRule and unequalRule are the burn-in of the reference, section 3.4.
	equalRule   = simulation.BurnIn{Looks: 7, Payers: 100}
	unequalRule = simulation.BurnIn{Looks: 7, Payers: 400}
)

func rejected(r simulation.Result) simulation.Figure { return r.Reject }
func shipped(r simulation.Result) simulation.Figure  { return r.Ship }
func harmed(r simulation.Result) simulation.Figure   { return r.Harm }

func figures(results []simulation.Result, of func(simulation.Result) simulation.Figure) []simulation.Figure {
	f := make([]simulation.Figure, len(results))
	for i, r := range results {
		f[i] = of(r)
	}
	return f
}

func names(methods []simulation.Method) []string {
	n := make([]string, len(methods))
	for i, m := range methods {
		n[i] = m.Name
	}
	return n
}

// methodsAA ends with what an engine does, with the burn-in that the split asks for.
func methodsAA(rule simulation.BurnIn) []simulation.Method {
	return []simulation.Method{
		simulation.Naive(), simulation.BonferroniLooks(),
		gsOBF, gsPocock,
		simulation.Sequence("CS at N", 1), simulation.Sequence("CS at N/4", 0.25), simulation.SequenceAt("CS at 5000", 5000),
		simulation.FinalLook(),
		gsOBF.Named("GS by the rules").Guarded(rule),
		simulation.Sequence("CS at N by the rules", 1).Guarded(rule),
		simulation.Sequence("CS at N/4 by the rules", 0.25).Guarded(rule),
	}
}

type rowAA struct {
	name     string
	value    simulation.Value
	looks    int
	perLook  [2]int
	fraction int
}

func rowsAA() []rowAA {
	even := [2]int{100, 100}
	lognormal := func(sd, zeros, capAt float64) simulation.Value {
		v := simulation.Value{LogSD: sd, Zeros: zeros}
		if capAt > 0 {
			v.Cap = simulation.PayerQuantile(sd, capAt)
		}
		return v
	}
	return []rowAA{
		{"normal", simulation.Value{}, 30, even, 1},
		{"normal", simulation.Value{}, 60, even, 1},
		{"lognormal sd1.5", lognormal(1.5, 0, 0), 30, even, 1},
		{"lognormal sd1.5", lognormal(1.5, 0, 0), 60, even, 1},
		{"lognormal sd2 (skew 414)", lognormal(2, 0, 0), 60, even, 1},
		{"zero-infl 90%, ln 1.5", lognormal(1.5, 0.9, 0), 30, even, 1},
		{"zero-infl 90%, ln 1.5", lognormal(1.5, 0.9, 0), 60, even, 1},
		{"zero-infl 97%, ln 1.5", lognormal(1.5, 0.97, 0), 60, even, 1},
		{"zero-infl 97%, ln 1.5, small 20/day", lognormal(1.5, 0.97, 0), 60, [2]int{20, 20}, 1},
		{"zero-infl 90%, ln 1.5, 500/day", lognormal(1.5, 0.9, 0), 60, [2]int{500, 500}, 2},
		{"zero-infl 90%, ln 2, 500/day", lognormal(2, 0.9, 0), 60, [2]int{500, 500}, 2},
		{"zero-infl 90%, ln 2, cap p99.9 of payers", lognormal(2, 0.9, 0.999), 60, even, 1},
		{"zero-infl 90%, ln 2, uncapped", lognormal(2, 0.9, 0), 60, even, 1},
		{"zero-infl 90%, ln 2, 90/10 split", lognormal(2, 0.9, 0), 60, [2]int{180, 20}, 1},
		{"zero-infl 90%, ln 2, 90/10 split, cap p99 of payers", lognormal(2, 0.9, 0.99), 60, [2]int{180, 20}, 1},
	}
}

func (r rowAA) full() string {
	return fmt.Sprintf("%s, %d looks of %d/%d", r.name, r.looks, r.perLook[0], r.perLook[1])
}

func (r rowAA) trial() simulation.Trial {
	return simulation.Trial{Control: r.value, Treatment: r.value, PerLook: r.perLook, Looks: r.looks}
}

func tableAA(b *book) {
	b.table("No effect: runs with any rejection, %", "customers, looks of control/treatment", names(methodsAA(equalRule)))
	for _, row := range rowsAA() {
		rule := equalRule
		if row.perLook[0] != row.perLook[1] {
			rule = unequalRule
		}
		results := b.play(row.trial(), methodsAA(rule), row.fraction)
		b.row(row.full(), figures(results, rejected), referenceAA[row.full()], percent)
		if row.perLook[0] != row.perLook[1] {
			continue
		}
		for _, i := range []int{2, 8} {
			b.atMost("(a) planned", row.full()+", "+results[i].Method, results[i].Reject, 0.055)
		}
		for _, i := range []int{4, 5, 6, 9, 10} {
			b.atMost("(a) open-ended", row.full()+", "+results[i].Method, results[i].Reject, 0.025)
		}
	}
}

func methodsUnequal(rule simulation.BurnIn) []simulation.Method {
	cs, gs := simulation.Sequence("CS", 1), gsOBF
	return []simulation.Method{
		cs.Named("CS Welch"),
		cs.Named("CS se_d, ≥100 payers").Guarded(payers100),
		gs.Named("GS Welch, ≥100 payers").After(payers100),
		gs.Named("GS se_d, ≥100 payers").Guarded(payers100),
		simulation.FinalLook().Named("final look, Welch"),
		simulation.FinalLook().Named("final look, se_d").Guarded(simulation.BurnIn{}),
		cs.Named("CS by the rules").Guarded(rule),
		gs.Named("GS by the rules").Guarded(rule),
	}
}

func tableUnequal(b *book) {
	kinds := []struct {
		name  string
		value simulation.Value
		quick bool
	}{
		{"ln1.5", simulation.Value{LogSD: 1.5, Zeros: 0.9}, false},
		{"ln1.5 cap p99 payers", simulation.Value{LogSD: 1.5, Zeros: 0.9, Cap: simulation.PayerQuantile(1.5, 0.99)}, false},
		{"ln2", simulation.Value{LogSD: 2, Zeros: 0.9}, true},
		{"ln2 cap p99 payers", simulation.Value{LogSD: 2, Zeros: 0.9, Cap: simulation.PayerQuantile(2, 0.99)}, true},
		{"ln2 cap p95 payers", simulation.Value{LogSD: 2, Zeros: 0.9, Cap: simulation.PayerQuantile(2, 0.95)}, false},
	}
	methods := methodsUnequal(unequalRule)
	b.table("No effect, unequal arms, 90 % zeros, 60 looks: runs with any rejection, %",
		"per look control/treatment, payers", append(names(methods), "ships of CS by the rules", "ships of GS by the rules",
			"ships of GS se_d, ≥100 payers"))
	for _, perLook := range [][2]int{{160, 40}, {180, 20}, {20, 180}, {900, 100}, {100, 900}, {200, 800}, {1800, 200}} {
		fraction := 1
		if perLook[0]+perLook[1] > 500 {
			fraction = 2
		}
		for _, kind := range kinds {
			if !b.long() && (!kind.quick || perLook[0]+perLook[1] > 1000) {
				continue
			}
			row := rowAA{kind.name, kind.value, 60, perLook, fraction}
			name := fmt.Sprintf("%d/%d, %s", perLook[0], perLook[1], kind.name)
			results := b.play(row.trial(), methods, fraction)
			open, planned := results[6], results[7]
			shares := append(figures(results, rejected), open.Ship, planned.Ship, results[3].Ship)
			b.row(name, shares, referenceUnequal[name], percent)
			b.atMost("(b) planned", name+" by the rules", planned.Reject, 0.055)
			b.atMost("(b) planned, 100 payers do", name, results[3].Reject, 0.055)
			b.atMost("(b) open-ended", name+" by the rules", open.Reject, 0.025)
			b.atMost("(b) open-ended, 100 payers do", name, results[1].Reject, 0.025)
			for _, r := range []simulation.Result{results[1], results[3], open, planned} {
				b.atMost("(b) ships", name+", "+r.Method, r.Ship, 0.03)
			}
		}
	}
}

// designEffect is the mean of Z at the end of a single look with power 80 %.
var designEffect = stats.NormalISF(0.025) + stats.NormalISF(0.2)

// normalTrial has 30 looks of 100/100 normal customers whose final Z has mean z.
func normalTrial(looks int, z float64) simulation.Trial {
	return simulation.Trial{
		Treatment: simulation.Value{Shift: z * math.Sqrt(2/(100*float64(looks)))},
		PerLook:   [2]int{100, 100}, Looks: looks,
	}
}

func tablePower(b *book) {
	for _, size := range []struct {
		name   string
		factor float64
	}{{"effect of the design", 1}, {"1.5 times the effect", 1.5}} {
		trial := normalTrial(30, size.factor*designEffect)
		methods := []simulation.Method{
			simulation.FinalLook(), gsOBF, gsPocock,
			gsHSD, simulation.Sequence("CS at N/2", 0.5), simulation.Sequence("CS at N", 1),
			simulation.MSPRT("mSPRT, τ of the design", normalTrial(30, designEffect).Effect()),
		}
		results := b.play(trial, methods, 1)
		ref := referencePower[size.name]
		b.table("Power, "+size.name+" (a fixed test has 80 % at that of the design), 30 looks", "figure", names(methods))
		b.row("power, %", figures(results, shipped), ref[0], percent)
		b.row("mean share of N", figures(results, func(r simulation.Result) simulation.Figure { return r.Sample }), ref[1], number)
		b.row("estimate over truth when shipped",
			figures(results, func(r simulation.Result) simulation.Figure { return r.Exaggeration }), ref[2], number)
		if size.factor == 1 {
			b.atLeast("(f) planned", "normal, GS OBF", results[1].Ship, 0.77)
			b.atLeast("(f) open-ended", "normal, CS at N", results[5].Ship, 0.49)
		}
	}
	// The customers that bring a method back to 80 %.
	b.table("Power at the inflated N of the reference, %", "method", []string{"power"})
	for _, m := range []struct {
		method simulation.Method
		factor float64
	}{{gsOBF, 1.055}, {simulation.Sequence("CS at N", 1), 1.723}} {
		results := b.play(normalTrial(30, math.Sqrt(m.factor)*designEffect), []simulation.Method{m.method}, 1)
		b.row(fmt.Sprintf("%s, N times %g", m.method.Name, m.factor), figures(results, shipped),
			reference{runs: 40000, shares: []float64{0.8}}, percent)
	}
}

func tableGuard(b *book) {
	cs, gs := simulation.Sequence("CS", 1), gsOBF
	methods := []simulation.Method{
		cs.Named("CS Welch").After(payers100), cs.Named("CS se_d").Guarded(payers100),
		gs.Named("GS Welch").After(payers100), gs.Named("GS se_d").Guarded(payers100),
		cs.Named("CS se_d, ≥400").Guarded(unequalRule), gs.Named("GS se_d, ≥400").Guarded(unequalRule),
	}
	b.table("Power with the decision error, 30 looks, 90 % zeros, ln 1.5 capped at p99 of payers, ≥100 payers, %",
		"per look control/treatment", names(methods))
	for _, row := range []struct {
		perLook [2]int
		lift    float64
	}{
		{[2]int{500, 500}, 0.20},
		{[2]int{500, 500}, -0.18},
		{[2]int{900, 100}, 0.33},
		{[2]int{900, 100}, -0.30},
		{[2]int{100, 900}, 0.33},
		{[2]int{100, 900}, -0.30},
	} {
		control := simulation.Value{LogSD: 1.5, Zeros: 0.9, Cap: simulation.PayerQuantile(1.5, 0.99)}
		treatment := control
		treatment.Lift = row.lift
		name := fmt.Sprintf("%d/%d lift %+.0f%%", row.perLook[0], row.perLook[1], 100*row.lift)
		results := b.play(simulation.Trial{Control: control, Treatment: treatment, PerLook: row.perLook, Looks: 30}, methods, 4)
		right := shipped
		if row.lift < 0 {
			right = harmed
		}
		b.row(name, figures(results, right), referenceGuard[name], percent)
	}
}

func tableOverrun(b *book) {
	methods := []simulation.Method{
		gsOBF.Named("GS stopped at N"),
		simulation.GroupSequentialOverrun("GS carried on to 2N", obf),
		simulation.Sequence("CS at N, to 2N", 0.5),
	}
	stopped := b.play(normalTrial(30, 0), methods[:1], 1)
	overrun := b.play(normalTrial(60, 0), methods[1:], 1)
	b.table("No effect, planned 30 looks, carried on to 60: runs with any rejection, %", "customers", names(methods))
	b.row("normal", figures(append(stopped, overrun...), rejected), referenceOverrun, percent)
}

var columnsFamily = []string{"naive z", "naive z, Holm at each look", "CS", "CS, Holm", "GS OBF, Holm on repeated p"}

func figuresFamily(r simulation.FamilyResult) []simulation.Figure {
	return []simulation.Figure{r.Naive, r.NaiveHolm, r.Sequence, r.SequenceHolm, r.PlannedHolm}
}

func tableFamily(b *book) {
	b.table("Several treatments and metrics, 30 looks: runs with a false rejection, %", "family", columnsFamily)
	for _, f := range []simulation.Family{
		{Treatments: 1, Metrics: 1},
		{Treatments: 3, Metrics: 1},
		{Treatments: 1, Metrics: 5},
		{Treatments: 3, Metrics: 3},
		{Treatments: 4, Metrics: 5},
		{Treatments: 3, Metrics: 3, Real: 4},
		{Treatments: 4, Metrics: 5, Real: 10},
	} {
		f.Looks, f.MetricCorrelation, f.Drift = 30, 0.4, 2*designEffect
		name := fmt.Sprintf("%d treatments x %d metrics", f.Treatments, f.Metrics)
		if f.Real > 0 {
			name += fmt.Sprintf(", %d with twice the effect", f.Real)
		}
		r := f.Run(b.cheapRuns(), b.nextSeed())
		b.row(name, figuresFamily(r), referenceFamily[name], percent)
		if f.Treatments*f.Metrics >= 9 {
			b.atMost("(d)", name+", CS with Holm", r.SequenceHolm, 0.05)
			b.atMost("(d)", name+", GS with Holm", r.PlannedHolm, 0.05)
		}
	}
}

func tableSplit(b *book) {
	b.table("Sample ratio, 60 daily looks of 1,000: runs with an alarm, %", "split", []string{"chi² at each look", "sequential"})
	for _, row := range []struct {
		name    string
		treated float64
		alpha   float64
	}{{"planned split, alpha 0.01", 0.5, 0.01}, {"planned split, alpha 0.001", 0.5, 0.001}, {"51/49, alpha 0.001", 0.51, 0.001}} {
		s := simulation.Split{PerDay: 1000, Days: 60, Treated: row.treated, Alpha: row.alpha, Concentration: 10000}
		r := s.Run(b.cheapRuns(), b.nextSeed())
		b.row(row.name, []simulation.Figure{r.Chi2, r.Sequential}, referenceSplit[row.name], percent)
		if row.treated == 0.5 && row.alpha == 0.001 {
			b.atMost("(e)", "sequential, alpha 0.001", r.Sequential, 0.002)
		}
	}
}

// pilot returns the planned variance of the difference from an experiment of
// its own.
func pilot(s simulation.Scenario) float64 {
	return simulation.FinalVariance(s, rand.New(rand.NewPCG(1, 1)))
}
