package stats_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/perennial-engine/perennial/stats"
)

// goldenDir is the folder of golden files: PERENNIAL_GOLDEN_DIR, also relative to the
// project's root, or our copy of the public ones.
func goldenDir() string {
	dir := os.Getenv("PERENNIAL_GOLDEN_DIR")
	if dir == "" {
		return filepath.Join("testdata", "golden")
	}
	fromRoot := filepath.Join("..", dir)
	if _, err := os.Stat(fromRoot); err == nil && !filepath.IsAbs(dir) {
		return fromRoot
	}
	return dir
}

type goldenFile struct {
	Family string       `json:"family"`
	Schema int          `json:"schema"`
	NCases int          `json:"n_cases"`
	Cases  []goldenCase `json:"cases"`
}

type goldenCase struct {
	Name      string          `json:"name"`
	Method    string          `json:"method"`
	Inputs    map[string]any  `json:"inputs"`
	Expected  any             `json:"expected"`
	Tolerance goldenTolerance `json:"tolerance"`
}

type goldenTolerance struct {
	Rel    float64 `json:"rel"`
	Abs    float64 `json:"abs"`
	Fields map[string]struct {
		Rel *float64 `json:"rel"`
		Abs *float64 `json:"abs"`
	} `json:"fields"`
}

// outputs are the named results of one method: float64, int, bool, string,
// slices of those, nested outputs; nil and NaN stand for null.
type outputs map[string]any

// goldenMethod runs one method on the inputs of a case. It returns outputs, or
// a bare number for methods whose expected value is one.
type goldenMethod func(in inputs) any

// goldenMethods are the methods of each family, each beside its kin in the
// golden_*_test.go files.
var goldenMethods = map[string]map[string]goldenMethod{
	"distributions":    distributionMethods,
	"moments":          momentMethods,
	"ttest":            meanMethods,
	"proportions":      proportionMethods,
	"relative_lift":    liftMethods,
	"srm":              ratioCheckMethods,
	"sequential_cs":    sequenceMethods,
	"noninferiority":   marginMethods,
	"multiplicity":     multiplicityMethods,
	"ratio":            ratioMethods,
	"cuped":            cupedMethods,
	"winsorize":        winsorizeMethods,
	"stratified":       stratifiedMethods,
	"cluster":          clusterMethods,
	"pipeline":         lookMethods,
	"power":            powerMethods,
	"meta":             metaMethods,
	"bayes_bandit":     bayesMethods,
	"group_sequential": groupMethods,
	"survival":         survivalMethods,
	"ltv":              ltvMethods,
	"clv":              clvMethods,
}

// TestGolden runs the public files, or those of another folder. Of the public
// ones there is a case for every method.
func TestGolden(t *testing.T) {
	exercised := runFolder(t, goldenDir())
	if os.Getenv("PERENNIAL_GOLDEN_DIR") != "" {
		return // another folder may hold other families
	}
	for family, methods := range goldenMethods {
		for method := range methods {
			if !exercised[family+"/"+method] {
				t.Errorf("no case of %s/%s", family, method)
			}
		}
	}
}

// TestGoldenOwn runs our own cases: parameters at the hard corners of the
// methods, computed independently of this package.
func TestGoldenOwn(t *testing.T) { runFolder(t, filepath.Join("testdata", "golden_own")) }

// runFolder runs every file of a folder and returns which family/method had a
// case.
func runFolder(t *testing.T, dir string) (exercised map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no golden files in %s", dir)
	}
	total := 0
	exercised = map[string]bool{}
	for _, path := range files {
		file := readGolden(t, path)
		ran := map[string]int{}
		t.Run(file.Family, func(t *testing.T) {
			for _, c := range file.Cases {
				t.Run(c.Name, func(t *testing.T) { runGolden(t, file.Family, c, ran) })
			}
		})
		n := 0
		counts := []string{}
		for _, m := range slices.Sorted(maps.Keys(ran)) {
			n += ran[m]
			exercised[file.Family+"/"+m] = true
			counts = append(counts, fmt.Sprintf("%s %d", m, ran[m]))
		}
		if n != len(file.Cases) || file.NCases != len(file.Cases) {
			t.Errorf("%s: ran %d of %d cases (file says %d)", file.Family, n, len(file.Cases), file.NCases)
		}
		total += n
		t.Logf("%-17s %4d: %s", file.Family, n, strings.Join(counts, ", "))
	}
	t.Logf("ran %d golden cases", total)
	return exercised
}

func readGolden(t *testing.T, path string) goldenFile {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file goldenFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if file.Schema != 1 {
		t.Fatalf("%s: schema %d, want 1", path, file.Schema)
	}
	return file
}

func runGolden(t *testing.T, family string, c goldenCase, ran map[string]int) {
	t.Helper()
	method, ok := goldenMethods[family][c.Method]
	if !ok {
		t.Fatalf("unknown method %s/%s", family, c.Method)
	}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("panic: %v", p) // and on to the next case
		}
	}()
	got := method(inputs{t, c.Inputs})
	cmp := goldenCompare{t: t, family: family, method: c.Method, tol: c.Tolerance}
	cmp.value("expected", c.Expected, got)
	ran[c.Method]++
}

// goldenCompare compares results with the rules of the golden README.
type goldenCompare struct {
	t              *testing.T
	family, method string
	tol            goldenTolerance
}

func (g goldenCompare) value(key string, want, got any) {
	g.t.Helper()
	switch w := want.(type) {
	case nil:
		if f, ok := got.(float64); got != nil && (!ok || !math.IsNaN(f)) {
			g.t.Errorf("%s = %v, want null", key, got)
		}
	case map[string]any:
		o, ok := got.(outputs)
		if !ok {
			g.t.Errorf("%s = %v, want an object", key, got)
			return
		}
		for _, k := range slices.Sorted(maps.Keys(w)) {
			v, ok := o[k]
			if !ok {
				g.t.Errorf("no field %s", k)
				continue
			}
			g.value(k, w[k], v)
		}
	case []any:
		list := toList(got)
		if len(list) != len(w) {
			g.t.Errorf("%s has %d elements, want %d", key, len(list), len(w))
			return
		}
		for i := range w {
			g.value(key, w[i], list[i])
		}
	case json.Number:
		g.number(key, w, got)
	case string:
		if f, ok := specialFloat(w); ok {
			if g.cannotStop(key, f, got) {
				return
			}
			if x, isFloat := got.(float64); !isFloat || !(x == f || math.IsNaN(x) && math.IsNaN(f)) {
				g.t.Errorf("%s = %v, want %s", key, got, w)
			}
			return
		}
		if got != w {
			g.t.Errorf("%s = %v, want %q", key, got, w)
		}
	default:
		if got != want {
			g.t.Errorf("%s = %v, want %v", key, got, want)
		}
	}
}

func (g goldenCompare) number(key string, want json.Number, got any) {
	g.t.Helper()
	w, err := want.Float64()
	if err != nil {
		g.t.Fatal(err)
	}
	if i, ok := got.(int); ok {
		if float64(i) != w {
			g.t.Errorf("%s = %d, want %s", key, i, want)
		}
		return
	}
	x, ok := got.(float64)
	if !ok {
		g.t.Errorf("%s = %v, want %s", key, got, want)
		return
	}
	// Two rules of the README, for every case they apply to.
	if g.cannotStop(key, w, got) {
		return
	}
	if strings.HasPrefix(g.method, "fit_") && key == "loglik" {
		if !(x >= w-1e-6) {
			g.t.Errorf("loglik = %v, want at least %v", x, w)
		}
		return
	}
	rel, abs := g.tol.Rel, g.tol.Abs
	if f, ok := g.tol.Fields[key]; ok {
		if f.Rel != nil {
			rel = *f.Rel
		}
		if f.Abs != nil {
			abs = *f.Abs
		}
	}
	if !(math.Abs(x-w) <= abs+rel*math.Abs(w)) {
		g.t.Errorf("%s = %.17g, want %.17g (off by %.2g relative)", key, x, w, math.Abs(x-w)/math.Abs(w))
	}
}

// cannotStop reports whether want and got are boundaries beyond 8 on the same
// side: all of these are alike.
func (g goldenCompare) cannotStop(key string, want float64, got any) bool {
	x, ok := got.(float64)
	return ok && g.family == "group_sequential" && slices.Contains([]string{"bounds", "upper", "lower"}, key) &&
		math.Abs(want) > 8 && math.Abs(x) > 8 && (want > 0) == (x > 0)
}

func specialFloat(s string) (float64, bool) {
	switch s {
	case "Inf":
		return math.Inf(1), true
	case "-Inf":
		return math.Inf(-1), true
	case "NaN":
		return math.NaN(), true
	}
	return 0, false
}

func toList(v any) []any {
	switch s := v.(type) {
	case []any:
		return s
	case []float64:
		return anys(s)
	case []int:
		return anys(s)
	case []bool:
		return anys(s)
	case []string:
		return anys(s)
	case []outputs:
		return anys(s)
	case [][]float64:
		return anys(s)
	}
	return nil
}

func anys[T any](s []T) []any {
	out := make([]any, len(s))
	for i, v := range s {
		out[i] = v
	}
	return out
}

// status maps a warning to the status codes of the golden files, which know
// fewer of them.
func status(w stats.Warning) string {
	if w == stats.NoWarning {
		return "ok"
	}
	if w == stats.TooFewCustomers || w == stats.ZeroVariance || w == stats.NoEvents {
		return "degenerate"
	}
	if w == stats.BeyondFollowUp {
		return "tau_beyond_follow_up"
	}
	return w.String()
}
