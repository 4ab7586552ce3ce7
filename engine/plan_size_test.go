package engine

import (
	"math"
	"testing"
)

// The textbook size is (z₁₋α/₂ + z₀.₈)² · 2 sd²/δ² an arm: with sd 50 and δ 5 % of 40,
// 7.848880 · 1250 = 9811.1 (z = 1.959964 and .841621). A group-sequential plan takes
// 1.0495815824757655 times as many (inflation/obf30 of stats/testdata/golden/group_sequential.json),
// a confidence sequence 1.72 times. Two treatments halve alpha: z = 2.241403, 9.505036 · 1250.
func TestSizeOfAPlan(t *testing.T) {
	ltv := Metric{Key: "ltv", Kind: KindLTV, Direction: Increase, Window: &Window{ToDay: 7}}
	stay := Metric{Key: "stay", Kind: KindRetention, Direction: Increase, Window: &Window{ToDay: 7}}
	for _, tt := range []struct {
		name   string
		change func(q *SizeQuery)
		metric Metric
		past   ArmTotal
		want   int64 // an arm; 0: it cannot be planned
	}{
		{"one look", func(*SizeQuery) {}, ltv, sums("ltv", "", 1000, 40, 50, 1000), 9812},
		{"group-sequential", func(q *SizeQuery) { q.Plan.Method = MethodGroupSequential }, ltv, sums("ltv", "", 1000, 40, 50, 1000), 10298},
		{"a sequence", func(q *SizeQuery) { q.Plan.Method = MethodAnytime }, ltv, sums("ltv", "", 1000, 40, 50, 1000), 16876},
		{"three arms", func(q *SizeQuery) { q.Weights = []int{1, 1, 1} }, ltv, sums("ltv", "", 1000, 40, 50, 1000), 11882},
		// Of 9811.1/2 · (1 + 1/4) in control, 5 times as many in all: 15330.
		{"one to four", func(q *SizeQuery) { q.Weights = []int{1, 4} }, ltv, sums("ltv", "", 1000, 40, 50, 1000), 15330},
		// p = .2 and .21: (.16 + .1659)/.01² · 7.848880 = 25579.5.
		{"shares", func(*SizeQuery) {}, stay, shares("stay", "", 100_000, 20_000), 25580},
		{"one guardrail", func(q *SizeQuery) { q.Guardrails = 1 }, ltv, sums("ltv", "", 1000, 40, 50, 1000), 13135}, // power .9: z = 1.281552
		{"too little history", func(*SizeQuery) {}, ltv, sums("ltv", "", 99, 40, 50, 99), 0},
		{"no spread", func(*SizeQuery) {}, ltv, sums("ltv", "", 1000, 40, 0, 1000), 0},
		{"nothing happens", func(*SizeQuery) {}, stay, shares("stay", "", 1000, 0), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := SizeQuery{Weights: []int{1, 1}, Primaries: 1, Plan: DefaultPlan()}
			q.Plan.Method, q.Plan.MinEffect = MethodFixed, 0.05
			tt.change(&q)
			s := &Size{}
			err := s.solve(q, &tt.metric, tt.past)
			if tt.want == 0 {
				if codeOf(err) != "plan_needs_history" {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.CustomersPerArm != tt.want || s.Customers != tt.want*int64(len(q.Weights)) {
				t.Errorf("%d customers an arm, %d in all, want %d an arm", s.CustomersPerArm, s.Customers, tt.want)
			}
		})
	}
}

// A covariate that explains half of the variance halves the size.
func TestSizeWithACovariate(t *testing.T) {
	var y, x []float64
	for i := range 400 { // y = x + e, of equal variance, uncorrelated
		a, b := float64(i%2*20), float64(i/2%2*20)
		y, x = append(y, 20+a+b), append(x, a)
	}
	past := totalOf("ltv", "", y, x)
	m := Metric{Key: "ltv", Kind: KindLTV, Direction: Increase, Window: &Window{ToDay: 7}}
	q := SizeQuery{Weights: []int{1, 1}, Primaries: 1, Plan: DefaultPlan()}
	q.Plan.MinEffect = 0.01
	var sizes [2]Size
	for i, covariate := range []bool{false, true} {
		q.Plan.Covariate = covariate
		if err := sizes[i].solve(q, &m, past); err != nil {
			t.Fatal(err)
		}
	}
	if ratio := float64(sizes[1].Customers) / float64(sizes[0].Customers); math.Abs(ratio-0.5) > 0.01 {
		t.Errorf("%d customers with a covariate, %d without", sizes[1].Customers, sizes[0].Customers)
	}
}
