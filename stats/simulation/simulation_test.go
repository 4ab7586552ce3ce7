package simulation

import (
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/perennial-engine/perennial/engine/assign"
	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/ltv"
)

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// TestSameOnAnyNumberOfCores: runs have their own sources and are added in order.
func TestSameOnAnyNumberOfCores(t *testing.T) {
	trial := Trial{
		Control: Value{LogSD: 1.5, Zeros: 0.9}, Treatment: Value{LogSD: 1.5, Zeros: 0.9, Lift: 0.5},
		PerLook: [2]int{50, 50}, Looks: 10,
	}
	family := Family{Treatments: 2, Metrics: 2, Looks: 5, MetricCorrelation: 0.4}
	play := func(cores int) []any {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
		methods := []Method{Naive(), Sequence("CS", 1).Guarded(BurnIn{Payers: 10}), GroupSequential("GS", stats.Spending{})}
		split := Split{PerDay: 100, Days: 5, Treated: 0.6, Alpha: 0.01, Concentration: 1000}
		panel := Panel{Control: trial.Control, Treatment: trial.Treatment, Memory: 0.5, PerLook: [2]int{50, 50}, Looks: 3}
		shown := []Shown{{Truth: 1, Interval: func(c, t Seen, _ float64) stats.Interval {
			return stats.Welch(c.Value.Y(), t.Value.Y(), stats.Test{Level: 0.5}).CI
		}}}
		h := history()
		return []any{
			Run(trial, methods, 50, 3), family.Run(50, 3), split.Run(50, 3), panel.Run(shown, 5, 50, 3),
			Run(h, methods, 50, 3), ReplayFamily{h, 5}.Run(50, 3), ReplaySplit{h, 0.01, 1000}.Run(50, 3),
		}
	}
	if diff := cmp.Diff(play(1), play(5), cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("one core and five differ:\n%s", diff)
	}
}

func TestValueMean(t *testing.T) {
	for name, v := range map[string]Value{
		"normal":       {Shift: 0.5},
		"lognormal":    {LogSD: 1},
		"with zeros":   {LogSD: 1, Zeros: 0.6},
		"capped, lift": {LogSD: 1.5, Zeros: 0.5, Cap: PayerQuantile(1.5, 0.95), Lift: 0.3},
	} {
		t.Run(name, func(t *testing.T) {
			m, payers := v.group(source(1), 200_000)
			if z := (m.Mean - v.Mean()) / m.SE(); math.Abs(z) > 4 {
				t.Errorf("mean %v, drawn %v ± %v", v.Mean(), m.Mean, m.SE())
			}
			share := NewRate(int(payers), int(m.N))
			if math.Abs(share.Value-(1-v.Zeros)) > 4*share.SE+1e-12 {
				t.Errorf("payers %v, want %v", share, 1-v.Zeros)
			}
		})
	}
}

func TestApart(t *testing.T) {
	none, some := NewRate(0, 100), NewRate(30, 100)
	if got := none.Apart(some); !(got < -4) {
		t.Errorf("0 of 100 against 30 of 100: %v", got)
	}
	if got := NewRate(0, 100).Apart(NewRate(2, 20000)); math.Abs(got) > 1 {
		t.Errorf("0 of 100 against 2 of 20000: %v", got)
	}
}

// TestToDate compares the running sums with moments over the customers' values.
func TestToDate(t *testing.T) {
	a := Accrual{PerArm: 40, Entry: 5, Days: 12, Window: 4, Rate: 0.5, Shape: 0.5, LogSD: 1}
	c := a.enrol(source(2))
	got := a.toDate(c)
	for day := range a.Days {
		var values []float64
		index := map[int]int{}
		for i, entry := range c.entry {
			if entry <= day {
				index[i] = len(values)
				values = append(values, 0)
			}
		}
		for _, p := range c.purchases {
			if float64(c.entry[p.Customer])+p.Age < float64(day+1) {
				values[index[p.Customer]] += p.Amount
			}
		}
		if diff := cmp.Diff(stats.FromValues(values), got[day].Moments, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
			t.Errorf("day %d: %s", day, diff)
		}
	}
}

// TestOutcomesAgreeAtTheEnd: when everyone has completed the window, matured and
// cumulative value are the same estimate.
func TestOutcomesAgreeAtTheEnd(t *testing.T) {
	a := Accrual{PerArm: 200, Entry: 5, Days: 12, Window: 4, Rate: 0.5, LogSD: 1, Pull: 0.5}
	last := func(o Outcome) Look {
		a.Outcome = o
		path := a.Path(source(3), nil)
		return path[len(path)-1]
	}
	matured, cumulative := last(Matured), last(Cumulative)
	if math.Abs(matured.Diff-cumulative.Diff) > 1e-12 || matured.N != cumulative.N {
		t.Errorf("matured %+v, cumulative %+v", matured, cumulative)
	}
	// The robust variance divides by n, not n-1.
	if ratio := matured.Errors.Welch / cumulative.Errors.Welch; math.Abs(ratio-1) > 1.0/200 {
		t.Errorf("errors %v and %v", matured.Errors.Welch, cumulative.Errors.Welch)
	}
}

// TestPullKeepsTheWindow: the value over the window does not change, so that the
// truth of the scenario is zero.
func TestPullKeepsTheWindow(t *testing.T) {
	a := Accrual{PerArm: 300, Entry: 3, Days: 20, Window: 7, Rate: 0.3, LogSD: 1}
	c := a.enrol(source(4))
	before := a.matured(c)
	early := a.toDate(c)
	c.hurry(7, 0.5)
	if diff := cmp.Diff(before, a.matured(c), cmp.AllowUnexported(arm{})); diff != "" {
		t.Error(diff)
	}
	if d := 4; a.toDate(c)[d].Mean <= early[d].Mean {
		t.Error("nothing was bought earlier")
	}
}

// TestStepDownIsHolm compares the boundaries of shares of the error with Holm's
// adjustment of the smallest repeated p-values, which are one-sided and doubled.
func TestStepDownIsHolm(t *testing.T) {
	f := Family{Treatments: 3, Metrics: 1, Looks: 4, Real: 2, Drift: 3}
	times := []float64{0.25, 0.5, 0.75, 1}
	upper := f.rules().planned
	rejections := 0
	for run := range uint64(25) {
		z := f.draw(source(run))
		p := make([]float64, len(z))
		for i := range z {
			p[i] = 1
			for k, x := range z[i] {
				once, w := stats.Plan{Alpha: alpha / 2, TwoSided: true, Times: times}.RepeatedP(k+1, math.Abs(x))
				if w != stats.NoWarning {
					t.Fatal(w)
				}
				p[i] = min(p[i], 2*once)
			}
		}
		adjusted, got := stats.Adjust(p, stats.Holm), stepDown(z, upper)
		for i := range z {
			if want := adjusted[i] <= alpha; got(i) != want {
				t.Errorf("run %d, comparison %d: adjusted p %v, rejected %v", run, i, adjusted[i], got(i))
			}
			if got(i) {
				rejections++
			}
		}
	}
	if rejections < 20 {
		t.Errorf("only %d rejections: nothing was compared", rejections)
	}
}

// TestStagewiseMirror: a stop below reports the mirror image of the stop above.
func TestStagewiseMirror(t *testing.T) {
	m := Stagewise("", stats.Spending{})
	path := []Look{{Share: 0.5}, {Share: 1}}
	up := m.report(path, 0, stats.Estimate{Value: 3.5, SE: 1})
	down := m.report(path, 0, stats.Estimate{Value: -3.5, SE: 1})
	want := stats.Interval{Lower: -up.Upper, Upper: -up.Lower}
	if down != want || !(up.Lower > 0) || !up.Contains(3.5) {
		t.Errorf("above %v, below %v", up, down)
	}
}

// history has 200 customers of whom every third buys for 1, 2, 3 … a day later, and
// again too late.
func history() Replay {
	var h History
	for i := range 200 {
		h.Keys = append(h.Keys, strconv.Itoa(i))
		h.Entry = append(h.Entry, i/40)
		if i%3 == 0 {
			h.Purchases = append(h.Purchases, ltv.Purchase{Customer: i, Age: 1, Amount: float64(i/3 + 1)},
				ltv.Purchase{Customer: i, Age: 4, Amount: 1000})
		}
	}
	return Replay{
		History: h, Pick: assign.Pick, Weights: []int{3, 1},
		Accrual: Accrual{Days: 8, Window: 3, Outcome: Matured},
	}
}

// TestReplaySplits: every customer is in one arm with all that was bought, the arms
// have their shares, and another salt makes others.
func TestReplaySplits(t *testing.T) {
	h := history()
	first := h.split(source(1))
	if n := []int{len(first[0].entry), len(first[1].entry)}; n[0]+n[1] != 200 || n[1] < 30 || n[1] > 70 {
		t.Errorf("arms of %v customers", n)
	}
	var bought float64
	for _, c := range first {
		m := h.matured(c)[h.Days-1]
		bought += m.Mean * float64(m.N)
	}
	if want := 67.0 * 68 / 2; math.Abs(bought-want) > 1e-9 { // 1 + 2 + … + 67
		t.Errorf("the arms bought for %v, want %v", bought, want)
	}
	if diff := cmp.Diff(first, h.split(source(1)), cmp.AllowUnexported(cohort{})); diff != "" {
		t.Errorf("the same source, other arms:\n%s", diff)
	}
	if cmp.Equal(first, h.split(source(2)), cmp.AllowUnexported(cohort{})) {
		t.Error("another source, the same arms")
	}
}

func TestReplayEffect(t *testing.T) {
	h := history()
	if got := h.Effect(); got != 0 {
		t.Errorf("without a lift %v", got)
	}
	h.Lift = 0.5
	mean := 67.0 * 68 / 2 / 200
	if got := h.Effect(); math.Abs(got-0.5*mean) > 1e-12 {
		t.Errorf("effect %v, want %v", got, 0.5*mean)
	}
	// With a cap of 10, spends of 1 … 6 grow by half, 7 … 9 to the cap.
	h.Cap = 10
	if got, want := h.Effect(), (0.5*21+3+2+1)/200; math.Abs(got-want) > 1e-12 {
		t.Errorf("capped effect %v, want %v", got, want)
	}
}

func TestEqualShares(t *testing.T) {
	got := equalShares([]int{0, 5, 1, 0, 4, 10}, 4)
	if diff := cmp.Diff([]int{1, 4, 5, 5}, got); diff != "" {
		t.Error(diff)
	}
}

// TestPanelCounts: an interval that holds nothing, one that holds everything, and one
// that holds until the last look.
func TestPanelCounts(t *testing.T) {
	v := Value{LogSD: 1, Zeros: 0.5}
	always := func(lower, upper float64) func(c, t Seen, planned float64) stats.Interval {
		return func(Seen, Seen, float64) stats.Interval { return stats.Interval{Lower: lower, Upper: upper} }
	}
	shown := []Shown{
		{Truth: 3, Interval: always(0, 1)},
		{Truth: 3, Interval: always(2, 4)},
		{Truth: 3, Interval: func(c, t Seen, planned float64) stats.Interval {
			if float64(c.Value.N+t.Value.N) == planned {
				return stats.Interval{}
			}
			return stats.Interval{Lower: 2, Upper: 4}
		}},
		{Truth: v.Mean(), Interval: func(c, _ Seen, _ float64) stats.Interval {
			half := 5 * c.Value.Y().SE()
			return stats.Interval{Lower: c.Value.MeanY - half, Upper: c.Value.MeanY + half}
		}},
	}
	got := Panel{Control: v, Treatment: v, PerLook: [2]int{300, 100}, Looks: 3}.Run(shown, 10, 20, 1)
	for i, want := range []float64{0, 1, 0, 1} {
		if got[i].Value != want {
			t.Errorf("interval %d: %v, want %v", i, got[i], want)
		}
	}
}
