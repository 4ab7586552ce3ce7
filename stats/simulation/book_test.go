package simulation_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/stats/simulation"
)

var (
	flagRuns  = flag.Int("sim.runs", 150, "runs per scenario; 20000 is the size of the reference")
	flagSeed  = flag.Uint64("sim.seed", 7, "seed of the first scenario")
	flagWrite = flag.Bool("sim.write", false, "write the tables into docs/methods/validation.md")
)

// page is where the tables are written to, between its two markers.
const page = "../../docs/methods/validation.md"

// agreement is how many combined Monte-Carlo standard errors two figures may
// differ by.
const agreement = 4

// book collects the tables and goals of one playing of everything.
type book struct {
	t      *testing.T
	text   strings.Builder
	worst  float64
	cells  int
	apart  int
	goals  []goal
	seed   uint64
	starts time.Time
	// part names the table being played, title its heading.
	part, title string
}

// begin turns to the next table, whose failures are those of t.
func (b *book) begin(t *testing.T, part string) {
	t.Helper()
	b.t, b.part = t, part
}

// progress says on one line of standard error what the large form has done.
func (b *book) progress(row string) {
	if b.long() {
		line := fmt.Sprintf("table %s, %.0f s: %s, %s", b.part, time.Since(b.starts).Seconds(), b.title, row)
		fmt.Fprintf(os.Stderr, "\r\033[K%.150s", line)
	}
}

func newBook(t *testing.T) *book {
	t.Helper()
	return &book{t: t, seed: *flagSeed, starts: time.Now()}
}

// long reports whether everything is played, also what is slow.
func (b *book) long() bool { return *flagRuns >= 5000 }

// cheapRuns are the runs of what costs little: the small form takes twice as many.
func (b *book) cheapRuns() int {
	if b.long() {
		return *flagRuns
	}
	return 2 * *flagRuns
}

// play runs a scenario with a fraction of the runs and the next seed.
func (b *book) play(s simulation.Scenario, methods []simulation.Method, fraction int) []simulation.Result {
	return simulation.Run(s, methods, *flagRuns/fraction, b.nextSeed())
}

func (b *book) nextSeed() uint64 {
	b.seed++
	return b.seed
}

// table starts a table.
func (b *book) table(title, first string, columns []string) {
	fmt.Fprintf(&b.text, "\n### %s\n\n| %s | runs | %s |\n|---|---|%s\n",
		title, first, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	b.title = title
}

// row adds a row and compares it with the reference, column by column as far as
// that goes.
func (b *book) row(name string, figures []simulation.Figure, ref reference, show func(simulation.Figure) string) {
	b.t.Helper()
	b.progress(name)
	fmt.Fprintf(&b.text, "| %s | %d |", name, figures[0].Runs)
	for i, f := range figures {
		text := show(f)
		if i < len(ref.shares) && !math.IsNaN(ref.shares[i]) {
			known := ref.figure(i, f)
			apart := f.Apart(known)
			b.cells++
			b.worst = max(b.worst, math.Abs(apart))
			text += " (" + show(known) + ")"
			if math.Abs(apart) > agreement {
				b.apart++
				text += " **≠**"
				b.t.Errorf("%s, column %d: %s, %.1f standard errors apart", name, i+1, text, apart)
			}
		}
		fmt.Fprintf(&b.text, " %s |", text)
	}
	b.text.WriteString("\n")
}

// figure returns column i of a reference row. Where that is a mean its error is not
// reported; it is then taken to be ours, at its number of runs.
func (r reference) figure(i int, ours simulation.Figure) simulation.Figure {
	p, n := r.shares[i], float64(r.runs)
	if r.means {
		return simulation.Figure{Value: p, SE: ours.SE * math.Sqrt(float64(ours.Runs)/n), Runs: r.runs}
	}
	return simulation.Figure{Value: p, SE: math.Sqrt(p * (1 - p) / n), Runs: r.runs}
}

func percent(f simulation.Figure) string {
	return fmt.Sprintf("%.2f±%.2f", 100*f.Value, 100*f.SE)
}

func number(f simulation.Figure) string { return fmt.Sprintf("%.3f±%.3f", f.Value, f.SE) }

// goal is one of section 7 of the reference: a figure that must not be above, or
// below, a limit by more than its Monte-Carlo error allows.
type goal struct {
	name, what string
	figure     simulation.Figure
	limit      float64
	atLeast    bool
}

// met reports whether the limit is kept, with two Monte-Carlo standard errors of
// room; four in the small form, whose runs are too few to judge by.
func (g goal) met(long bool) bool {
	room := 4 * (g.figure.SE + 1/float64(g.figure.Runs))
	if long {
		room = 2 * g.figure.SE
	}
	if g.atLeast {
		return g.figure.Value >= g.limit-room
	}
	return g.figure.Value <= g.limit+room
}

// atMost and atLeast record a goal.
func (b *book) atMost(name, what string, f simulation.Figure, limit float64) {
	b.goals = append(b.goals, goal{name, what, f, limit, false})
}

func (b *book) atLeast(name, what string, f simulation.Figure, limit float64) {
	b.goals = append(b.goals, goal{name, what, f, limit, true})
}

// closeGoals returns, per goal and limit, the scenario that comes nearest to
// missing it.
func (b *book) closeGoals() string {
	b.t.Helper()
	type kind struct {
		name    string
		limit   float64
		atLeast bool
	}
	var order []kind
	nearest := map[kind]goal{}
	count := map[kind]int{}
	for _, g := range b.goals {
		k := kind{g.name, g.limit, g.atLeast}
		if !g.met(b.long()) {
			b.t.Errorf("goal %s missed: %s %s", g.name, g.what, percent(g.figure))
		}
		count[k]++
		known, ok := nearest[k]
		if !ok {
			order = append(order, k)
		}
		if !ok || g.figure.Value > known.figure.Value != g.atLeast && g.figure.Value != known.figure.Value {
			nearest[k] = g
		}
	}
	slices.SortStableFunc(order, func(x, y kind) int { return strings.Compare(x.name, y.name) })
	var text strings.Builder
	text.WriteString("\n### Goals\n\n| goal | limit % | figures | nearest to missing it | measured % | runs | met |\n|---|---|---|---|---|---|---|\n")
	for _, k := range order {
		g, bound, verdict := nearest[k], "≤", "yes"
		if g.atLeast {
			bound = "≥"
		}
		if !g.met(b.long()) {
			verdict = "**no**"
		}
		fmt.Fprintf(&text, "| %s | %s %.1f | %d | %s | %s | %d | %s |\n",
			g.name, bound, 100*g.limit, count[k], g.what, percent(g.figure), g.figure.Runs, verdict)
	}
	return text.String()
}

// close prints the book, and writes it when asked to.
func (b *book) close() {
	b.t.Helper()
	text := b.closeGoals() +
		fmt.Sprintf("\n%d figures compared, %d more than %d standard errors apart, the furthest %.1f. Seed %d, %d runs.\n",
			b.cells, b.apart, agreement, b.worst, *flagSeed, *flagRuns) + b.text.String()
	b.t.Log(text)
	if !*flagWrite {
		return
	}
	const begin, end = "<!-- tables -->\n", "<!-- end of tables -->"
	old, err := os.ReadFile(page)
	if err != nil {
		b.t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		b.t.Fatalf("%s has no markers", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+text+"\n"+end+after), 0o644); err != nil {
		b.t.Fatal(err)
	}
}
