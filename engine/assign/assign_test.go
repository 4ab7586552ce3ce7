package assign_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/perennial-engine/perennial/engine/assign"
)

type draw struct {
	Salt  string `json:"salt"`
	ID    string `json:"id"`
	U32   uint32 `json:"u32"`
	Slot  int    `json:"slot"`
	Picks []int  `json:"picks"`
}

type vectors struct {
	Weights [][]int `json:"weights"`
	Draws   []draw  `json:"draws"`
}

// frozen are the vectors that every implementation must reproduce; their source is named
// in the file.
func frozen(t *testing.T) vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Draws) < 50 {
		t.Fatalf("only %d vectors", len(v.Draws))
	}
	return v
}

func TestFrozenVectors(t *testing.T) {
	v := frozen(t)
	for _, want := range v.Draws {
		got := draw{
			Salt: want.Salt, ID: want.ID, U32: assign.U32(want.Salt, want.ID), Slot: assign.Slot(want.Salt, want.ID),
		}
		for _, weights := range v.Weights {
			got.Picks = append(got.Picks, assign.Pick(want.Salt, want.ID, weights))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-vector +got):\n%s", want.ID, diff)
		}
	}
}

// javascript is the contract's arithmetic as a page or an app would write it.
const javascript = `
const {createHash} = require("crypto");
const v = JSON.parse(require("fs").readFileSync("testdata/vectors.json", "utf8"));
const scaled = (u, n) => Number(BigInt(u) * BigInt(n) >> 32n);
const draws = v.draws.map(({salt, id}) => {
  const u32 = createHash("sha256").update(salt + ":" + id, "utf8").digest().readUInt32BE(0);
  const picks = v.weights.map(w => {
    let target = scaled(u32, w.reduce((a, b) => a + b));
    return w.findIndex(x => target < x || (target -= x, false));
  });
  return {salt, id, u32, slot: scaled(u32, 10000), picks};
});
process.stdout.write(JSON.stringify({weights: v.weights, draws}));`

func TestJavaScriptAgrees(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED, NOT PASSED: there is no node on this machine, so JavaScript was not compared with the vectors")
	}
	command := exec.CommandContext(t.Context(), node, "-e", javascript)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	var got vectors
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(frozen(t), got); diff != "" {
		t.Errorf("JavaScript differs (-vector +node):\n%s", diff)
	}
}

const salt = "5c1e0f7b9a3d48264be0a17c93f6d2e8"

// key names customers as apps do, by counting: the hardest case for a bad hash.
func key(i int) string { return fmt.Sprintf("customer-%d", i) }

// chi2 is Pearson's statistic of counts against equal expectations.
func chi2(counts []int, total int) float64 {
	expected := float64(total) / float64(len(counts))
	sum := 0.0
	for _, n := range counts {
		sum += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	return sum
}

// quantile is a χ² quantile so far out that only a fault reaches it, the upper 1e-9, by
// Wilson and Hilferty (1931) from the normal quantile 5.9978070 (R: qnorm(1e-9, lower=FALSE)).
func quantile(df int) float64 {
	d := float64(df)
	return d * math.Pow(1-2/(9*d)+5.9978070*math.Sqrt(2/(9*d)), 3)
}

func TestSlotsAreUniform(t *testing.T) {
	const n = 200_000
	counts := make([]int, 100)
	for i := range n {
		counts[assign.Slot(salt, key(i))/100]++
	}
	if x := chi2(counts, n); x > quantile(99) {
		t.Errorf("χ² of 100 hundreds of slots = %.1f, above the 1e-9 quantile %.1f", x, quantile(99))
	}
}

func TestSaltsAreIndependent(t *testing.T) {
	const n = 200_000
	for _, pair := range [][2]string{
		{salt, "5c1e0f7b9a3d48264be0a17c93f6d2e9"}, // one bit apart
		{salt, salt + "/promotion"},                // the draw of a promotion
	} {
		// The 5 × 5 table of quintiles under two salts: independence means 25 equal cells.
		cells := make([]int, 25)
		for i := range n {
			cells[assign.Slot(pair[0], key(i))/2000*5+assign.Slot(pair[1], key(i))/2000]++
		}
		if x := chi2(cells, n); x > quantile(24) {
			t.Errorf("χ² of the joint quintiles of %q and %q = %.1f, above %.1f", pair[0], pair[1], x, quantile(24))
		}
	}
}

func TestPickFollowsTheWeights(t *testing.T) {
	const n = 100_000
	weights := []int{1, 2, 7}
	counts := make([]int, 3)
	for i := range n {
		counts[assign.Pick(salt, key(i), weights)]++
	}
	x := 0.0
	for i, w := range weights {
		expected := float64(n) * float64(w) / 10
		x += (float64(counts[i]) - expected) * (float64(counts[i]) - expected) / expected
	}
	if x > quantile(2) {
		t.Errorf("counts %v for weights %v: χ² = %.1f, above %.1f", counts, weights, x, quantile(2))
	}
}

// From 50 % to 60 % nobody of the first half leaves, and the newcomers are exactly those
// of the added slots.
func TestMoreTrafficOnlyAddsASlice(t *testing.T) {
	half, ok := assign.Grow(nil, 5000)
	if !ok {
		t.Fatal("an empty layer is full")
	}
	more, ok := assign.Grow(half, 6000)
	if !ok {
		t.Fatal("a half empty layer is full")
	}
	if diff := cmp.Diff(assign.Slots{{0, 6000}}, more); diff != "" {
		t.Fatalf("slots (-want +got):\n%s", diff)
	}
	const n = 50_000
	added := 0
	for i := range n {
		slot := assign.Slot(salt, key(i))
		before, after := half.Contains(slot), more.Contains(slot)
		if before && !after {
			t.Fatalf("%s left", key(i))
		}
		if after && !before {
			added++
			if slot < 5000 || slot >= 6000 {
				t.Fatalf("%s came in through slot %d", key(i), slot)
			}
		}
	}
	// 10 % of n with standard deviation √(n·0.1·0.9) = 67; six of them.
	if math.Abs(float64(added)-0.1*n) > 6*67 {
		t.Errorf("%d of %d were added, not about a tenth", added, n)
	}
}

// genSets makes sets of slots as the engine would: by growing around others.
func genSets(t *rapid.T) (sets []assign.Slots) {
	for range rapid.IntRange(0, 5).Draw(t, "sets") {
		size := rapid.IntRange(1, 4000).Draw(t, "size")
		// Grow around some of the others only, so that free space is in pieces.
		around := sets[rapid.IntRange(0, len(sets)).Draw(t, "around"):]
		set, _ := assign.Grow(nil, min(size, assign.SlotCount), around...)
		sets = append(sets, set)
	}
	return sets
}

func members(s assign.Slots) map[int]bool {
	all := map[int]bool{}
	for _, r := range s {
		for slot := r[0]; slot < r[1]; slot++ {
			all[slot] = true
		}
	}
	return all
}

func TestGrowProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		taken := genSets(t)
		own, _ := assign.Grow(nil, rapid.IntRange(0, 3000).Draw(t, "own"), taken...)
		size := rapid.IntRange(1, assign.SlotCount).Draw(t, "size")
		grown, ok := assign.Grow(own, size, taken...)

		mine, before, used := members(grown), members(own), map[int]bool{}
		for _, set := range taken {
			for slot := range members(set) {
				used[slot] = true
			}
		}
		free := 0
		for slot := range assign.SlotCount {
			if !used[slot] && !before[slot] {
				free++
			}
		}
		if want := size <= own.Count()+free; ok != want {
			t.Fatalf("ok = %v with %d own, %d free, %d asked for", ok, own.Count(), free, size)
		}
		if ok && grown.Count() != max(size, own.Count()) {
			t.Fatalf("%d slots, %d asked for", grown.Count(), size)
		}
		if grown.Count() != len(mine) {
			t.Fatal("ranges overlap")
		}
		highest := -1
		for slot := range mine {
			if slot < 0 || slot >= assign.SlotCount {
				t.Fatalf("slot %d", slot)
			}
			if !before[slot] {
				if used[slot] {
					t.Fatalf("slot %d is another's", slot)
				}
				highest = max(highest, slot)
			}
		}
		for slot := range before {
			if !mine[slot] {
				t.Fatalf("slot %d of its own was lost", slot)
			}
		}
		for slot := range highest {
			if !mine[slot] && !used[slot] {
				t.Fatalf("slot %d is free and lower than the added %d", slot, highest)
			}
		}
		// Ascending, disjoint and as few ranges as can be.
		for i, r := range grown {
			if r[0] >= r[1] || (i > 0 && grown[i-1][1] >= r[0]) {
				t.Fatalf("ranges %v", grown)
			}
		}
		for slot := range assign.SlotCount {
			if grown.Contains(slot) != mine[slot] {
				t.Fatalf("Contains(%d) = %v", slot, grown.Contains(slot))
			}
		}
	})
}

func TestPickProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 1_000_000), 1, 20).Draw(t, "weights")
		salt, id := rapid.String().Draw(t, "salt"), rapid.String().Draw(t, "id")
		got := assign.Pick(salt, id, weights)
		// The variant is the one whose part of the cumulative weights holds the target.
		total := 0
		for _, w := range weights {
			total += w
		}
		target := int(uint64(assign.U32(salt, id)) * uint64(total) >> 32)
		from := 0
		for _, w := range weights[:got] {
			from += w
		}
		if target < from || target >= from+weights[got] {
			t.Fatalf("variant %d of %v for target %d", got, weights, target)
		}
		// Splitting a later weight moves nobody between the variants before it.
		if last := weights[len(weights)-1]; last > 1 {
			split := append(slices.Clone(weights[:len(weights)-1]), 1, last-1)
			if other := assign.Pick(salt, id, split); min(other, len(weights)-1) != got {
				t.Fatalf("split %v: variant %d was %d", split, other, got)
			}
		}
	})
}

// Salt and id are kept apart: the colon belongs to neither, so unlike pairs that join to
// one text are the only ones that meet, and salts (hexadecimal digits) hold no colon.
func TestSaltAndIDAreKeptApart(t *testing.T) {
	if assign.U32("ab", "c") == assign.U32("a", "bc") {
		t.Error("ab + c and a + bc draw alike")
	}
}

func FuzzPick(f *testing.F) {
	f.Add(salt, "c42", "1,1")
	f.Fuzz(func(t *testing.T, salt, id, text string) {
		var weights []int
		for part := range strings.SplitSeq(text, ",") {
			weights = append(weights, len(part)+1)
		}
		if got := assign.Pick(salt, id, weights); got < 0 || got >= len(weights) {
			t.Fatalf("variant %d of %d", got, len(weights))
		}
		if slot := assign.Slot(salt, id); slot < 0 || slot >= assign.SlotCount {
			t.Fatalf("slot %d", slot)
		}
	})
}
