package stats_test

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/perennial-engine/perennial/stats"
	"github.com/perennial-engine/perennial/stats/clv"
	"github.com/perennial-engine/perennial/stats/survival"
)

// The tests of this file reproduce published results on public data, which lies
// beside the project and is not part of it; its README names the sources.

// openData opens a data file, through gzip when its name says so. Where the
// folder is missing the test is skipped, but under CI that is a failure.
func openData(t *testing.T, name string) io.Reader {
	t.Helper()
	path := filepath.Join("..", "..", "shared", "data", name)
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing under CI", path)
		}
		t.Skipf("%s is missing", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	if !strings.HasSuffix(name, ".gz") {
		return f
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// table is a CSV file by column name.
func table(t *testing.T, name string) (rows [][]string, column map[string]int) {
	t.Helper()
	rows, err := csv.NewReader(openData(t, name)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column = map[string]int{}
	for i, h := range rows[0] {
		column[h] = i
	}
	return rows[1:], column
}

// fields reads a file of white-space separated columns.
func fields(t *testing.T, name string) [][]string {
	t.Helper()
	var rows [][]string
	s := bufio.NewScanner(openData(t, name))
	for s.Scan() {
		if f := strings.Fields(s.Text()); len(f) > 0 {
			rows = append(rows, f)
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// near checks a published number to the digits it was printed with.
func near(t *testing.T, what string, got, want, half float64) {
	t.Helper()
	if !(math.Abs(got-want) <= half) {
		t.Errorf("%s = %v, published %v", what, got, want)
	}
}

// Hillstrom's e-mail test of 2008; numbers of the data's README.
func TestHillstrom(t *testing.T) {
	rows, column := table(t, "hillstrom.csv.gz")
	spend := map[string][]float64{}
	pairs := map[string][2][]float64{}
	visits, conversions := map[string]float64{}, map[string]float64{}
	var all stats.PairMoments
	for _, r := range rows {
		arm := r[column["segment"]]
		v, h := number(t, r[column["spend"]]), number(t, r[column["history"]])
		spend[arm] = append(spend[arm], v)
		p := pairs[arm]
		pairs[arm] = [2][]float64{append(p[0], v), append(p[1], h)}
		visits[arm] += number(t, r[column["visit"]])
		conversions[arm] += number(t, r[column["conversion"]])
	}
	for _, want := range []struct {
		arm                       string
		n, visits, bought, spends float64
	}{
		{"Mens E-Mail", 21307, .182757, .012531, 1.422617},
		{"Womens E-Mail", 21387, .151400, .008837, 1.077202},
		{"No E-Mail", 21306, .106167, .005726, .652789},
	} {
		n := float64(len(spend[want.arm]))
		near(t, want.arm+" customers", n, want.n, 0)
		near(t, want.arm+" visits", visits[want.arm]/n, want.visits, 5e-7)
		near(t, want.arm+" conversions", conversions[want.arm]/n, want.bought, 5e-7)
		near(t, want.arm+" spend", stats.FromValues(spend[want.arm]).Mean, want.spends, 5e-7)
		all = all.Add(stats.FromPairs(pairs[want.arm][0], pairs[want.arm][1]))
	}
	near(t, "correlation of history with spend", all.Corr(), .02, 5e-3)
	none := stats.FromValues(spend["No E-Mail"])
	for _, want := range []struct {
		arm                      string
		diff, tStat, p, se, prec float64
	}{
		{"Mens E-Mail", .769827, 5.30014, 1.16e-7, .145247, 5e-10},
		{"Womens E-Mail", .424412, 3.25637, .001129, .130333, 5e-7},
	} {
		c := stats.Welch(none, stats.FromValues(spend[want.arm]), stats.Test{Level: 0.95})
		near(t, want.arm+" difference", c.Diff, want.diff, 5e-7)
		near(t, want.arm+" t", c.Stat, want.tStat, 5e-6)
		near(t, want.arm+" p", c.P, want.p, want.prec)
		near(t, want.arm+" se", c.SE, want.se, 5e-7)
		// History hardly predicts spend: the adjustment gains next to nothing.
		a := stats.Cuped(stats.FromPairs(pairs["No E-Mail"][0], pairs["No E-Mail"][1]),
			stats.FromPairs(pairs[want.arm][0], pairs[want.arm][1]), stats.Test{Level: 0.95})
		near(t, want.arm+" variance ratio", a.VarianceRatio, 1, 0.005)
	}
}

// Cookie Cats, a game whose first gate moved; numbers of the data's README.
func TestCookieCats(t *testing.T) {
	rows, column := table(t, "cookie_cats.csv.gz")
	day1, day7 := map[string]stats.Count{}, map[string]stats.Count{}
	most := 0.0
	for _, r := range rows {
		most = max(most, number(t, r[column["sum_gamerounds"]]))
		for name, day := range map[string]map[string]stats.Count{"retention_1": day1, "retention_7": day7} {
			c := day[r[column["version"]]]
			c.N++
			if strings.EqualFold(r[column[name]], "true") {
				c.Successes++
			}
			day[r[column["version"]]] = c
		}
	}
	near(t, "most rounds", most, 49854, 0)
	near(t, "players", float64(len(rows)), 90189, 0)
	for _, want := range []struct {
		day      map[string]stats.Count
		arm      string
		retained stats.Count
		share    float64
	}{
		{day1, "gate_30", stats.Count{Successes: 20034, N: 44700}, .448188},
		{day1, "gate_40", stats.Count{Successes: 20119, N: 45489}, .442283},
		{day7, "gate_30", stats.Count{Successes: 8502, N: 44700}, .190201},
		{day7, "gate_40", stats.Count{Successes: 8279, N: 45489}, .182000},
	} {
		got := want.day[want.arm]
		if got != want.retained {
			t.Errorf("%s: %+v, want %+v", want.arm, got, want.retained)
		}
		near(t, want.arm+" share", stats.Wilson(got, 0.95).Estimate, want.share, 5e-7)
	}
	one := stats.ProportionZPooled(day1["gate_30"], day1["gate_40"])
	near(t, "day 1 z", one.Stat, -1.7841, 5e-5)
	near(t, "day 1 p", one.P, .0744, 5e-5)
	seven := stats.ProportionZPooled(day7["gate_30"], day7["gate_40"])
	near(t, "day 7 z", seven.Stat, -3.1644, 5e-5)
	near(t, "day 7 p", seven.P, .001554, 5e-7)
	split := stats.SampleRatioChi2([]int64{day1["gate_30"].N, day1["gate_40"].N}, []float64{1, 1})
	near(t, "split chi2", split.Chi2, 6.9024, 5e-5)
	near(t, "split p", split.P, .008608, 5e-7)
}

// Rossi's released prisoners: R's survdiff gives 3.84 on financial aid.
func TestRossi(t *testing.T) {
	rows, column := table(t, "rossi.csv")
	var times [2][]float64
	var events [2][]bool
	for _, r := range rows {
		aid := int(number(t, r[column["fin"]]))
		times[aid] = append(times[aid], number(t, r[column["week"]]))
		events[aid] = append(events[aid], r[column["arrest"]] == "1")
	}
	near(t, "prisoners", float64(len(rows)), 432, 0)
	none, _ := survival.FromTimes(times[0], events[0])
	aid, _ := survival.FromTimes(times[1], events[1])
	near(t, "log-rank", survival.LogRank([]survival.Table{none, aid}, 0).Chi2, 3.83757, 5e-6)
	p, _ := none.At(52)
	near(t, "S(52) without aid", p.Survival, .6944, 5e-5)
	p, _ = aid.At(52)
	near(t, "S(52) with aid", p.Survival, .7778, 5e-5)
}

// Gehan's leukaemia trial: log-rank 16.79, medians 8 and 23.
func TestGehan(t *testing.T) {
	var times [2][]float64
	var events [2][]bool
	for _, r := range fields(t, "gehan.dat") {
		arm := int(number(t, r[0])) - 1
		times[arm] = append(times[arm], number(t, r[1]))
		events[arm] = append(events[arm], r[2] == "1")
	}
	near(t, "patients", float64(len(times[0])+len(times[1])), 42, 0)
	placebo, _ := survival.FromTimes(times[0], events[0])
	drug, _ := survival.FromTimes(times[1], events[1])
	near(t, "log-rank", survival.LogRank([]survival.Table{placebo, drug}, 0).Chi2, 16.79, 5e-3)
	near(t, "placebo median", survival.KaplanMeier(placebo, survival.LogLog, 0.95).Median, 8, 0)
	near(t, "drug median", survival.KaplanMeier(drug, survival.LogLog, 0.95).Median, 23, 0)
}

// cdnow reads the 1/10 sample as the papers do: weeks are days/7, orders of one
// day count once, calibration ends on 1997-09-30.
func cdnow(t *testing.T) (customers []clv.Customer, spends []clv.Spend, holdout int) {
	t.Helper()
	end := time.Date(1997, 9, 30, 0, 0, 0, 0, time.UTC)
	type order struct {
		day   time.Time
		money float64
	}
	byID := map[string][]order{}
	var ids []string
	for _, r := range fields(t, "CDNOW_sample.txt.gz") {
		day, err := time.Parse("20060102", r[2])
		if err != nil {
			t.Fatal(err)
		}
		if byID[r[1]] == nil {
			ids = append(ids, r[1])
		}
		orders := byID[r[1]]
		i := slices.IndexFunc(orders, func(o order) bool { return o.day.Equal(day) })
		if i < 0 {
			orders = append(orders, order{day: day})
			i = len(orders) - 1
		}
		orders[i].money += number(t, r[4])
		byID[r[1]] = orders
	}
	weeks := func(from, to time.Time) float64 { return to.Sub(from).Hours() / 24 / 7 }
	for _, id := range ids {
		orders := byID[id]
		slices.SortFunc(orders, func(a, b order) int { return a.day.Compare(b.day) })
		first := orders[0].day
		c := clv.Customer{Age: weeks(first, end)}
		money := 0.0
		for _, o := range orders[1:] {
			if o.day.After(end) {
				holdout++
				continue
			}
			c.X++
			c.Recency = weeks(first, o.day)
			money += o.money
		}
		customers = append(customers, c)
		s := clv.Spend{X: c.X}
		if c.X > 0 {
			s.Mean = money / c.X
		}
		spends = append(spends, s)
	}
	return customers, spends, holdout
}

// The whole of CDNOW, of which the sample is a tenth.
func TestCDNOWMaster(t *testing.T) {
	rows := fields(t, "CDNOW_master.txt.gz")
	customers, free := map[string]bool{}, 0
	for _, r := range rows[1:] { // a header line
		customers[r[0]] = true
		if number(t, r[3]) == 0 {
			free++
		}
	}
	near(t, "customers", float64(len(customers)), 23570, 0)
	near(t, "orders", float64(len(rows)-1), 69659, 0)
	near(t, "orders of 0.00", float64(free), 80, 0)
}

// The summary of the sample, in weeks and money of two digits: the figures of the
// data's README, to theirs.
func TestCDNOWSummary(t *testing.T) {
	rows, column := table(t, "cdnow_customers_summary.csv")
	customers := make([]clv.Customer, len(rows))
	for i, r := range rows {
		customers[i] = clv.Customer{
			X: number(t, r[column["frequency"]]), Recency: number(t, r[column["recency"]]), Age: number(t, r[column["T"]]),
		}
	}
	m, fit := clv.FitBGNBD(customers)
	near(t, "BG/NBD LL", fit.LogLik, -9582.43, 5e-3)
	near(t, "r", m.R, .2426, 5e-5)
	near(t, "alpha", m.Alpha, 4.4135, 5e-5)
	near(t, "a", m.A, .7929, 5e-5)
	near(t, "b", m.B, 2.4258, 5e-5)
	p, fit := clv.FitParetoNBD(customers)
	near(t, "Pareto/NBD LL", fit.LogLik, -9594.97, 5e-3)
	near(t, "r", p.R, .5533, 5e-5)
	near(t, "alpha", p.Alpha, 10.5776, 5e-5)
	near(t, "s", p.S, .6062, 5e-5)
	near(t, "beta", p.Beta, 11.6679, 5e-5)

	in := inputs{t, map[string]any{"data_file": "data/cdnow_summary.csv"}} // with the money
	x, mean := in.column("x"), in.column("m")
	spends, repeaters := make([]clv.Spend, len(x)), 0
	for i := range x {
		spends[i] = clv.Spend{X: x[i], Mean: mean[i]}
		if x[i] > 0 {
			repeaters++
		}
	}
	near(t, "repeaters", float64(repeaters), 946, 0)
	g, _ := clv.FitGammaGamma(spends)
	near(t, "p", g.P, 6.2488, 5e-5)
	near(t, "q", g.Q, 3.7446, 5e-5)
	near(t, "v", g.V, 15.4477, 5e-5)
}

// CDNOW from the days themselves, as Fader, Hardie, Lee 2005 and Fader & Hardie
// notes 009 and 025 print it.
func TestCDNOW(t *testing.T) {
	customers, spends, holdout := cdnow(t)
	if len(customers) != 2357 || holdout != 1882 {
		t.Fatalf("%d customers with %d purchases after the calibration, want 2357 and 1882", len(customers), holdout)
	}
	m, fit := clv.FitBGNBD(customers)
	near(t, "BG/NBD LL", fit.LogLik, -9582.43, 5e-3)
	near(t, "r", m.R, .243, 5e-4)
	near(t, "alpha", m.Alpha, 4.414, 5e-4)
	near(t, "a", m.A, .793, 5e-4)
	near(t, "b", m.B, 2.426, 5e-4)
	next, _ := m.ExpectedNext(clv.Customer{X: 2, Recency: 30.43, Age: 38.86}, 39)
	near(t, "E[Y(39)]", next, 1.226, 5e-4)
	predicted := 0.0
	for _, c := range customers {
		e, _ := m.ExpectedNext(c, 39)
		predicted += e
	}
	near(t, "predicted purchases", predicted, 1653, 0.5)
	p, fit := clv.FitParetoNBD(customers)
	near(t, "Pareto/NBD LL", fit.LogLik, -9594.98, 5e-3)
	near(t, "r", p.R, .553, 5e-4)
	near(t, "alpha", p.Alpha, 10.578, 5e-4)
	near(t, "s", p.S, .606, 5e-4)
	near(t, "beta", p.Beta, 11.669, 5e-4)
	g, _ := clv.FitGammaGamma(spends)
	near(t, "p", g.P, 6.25, 5e-3)
	near(t, "q", g.Q, 3.74, 5e-3)
	near(t, "v", g.V, 15.44, 5e-3)
}

// Donations of a public radio station: Fader, Hardie, Shang 2010.
func TestDonations(t *testing.T) {
	rows, column := table(t, "bgbb_donations.csv")
	var histories []clv.Opportunities
	var donors []float64
	for _, r := range rows {
		integer := func(name string) int { return int(number(t, r[column[name]])) }
		histories = append(histories, clv.Opportunities{X: integer("frequency"), Last: integer("recency"), N: integer("periods")})
		donors = append(donors, number(t, r[column["weights"]]))
	}
	near(t, "donors", stats.Sum(donors), 11104, 0)
	m, fit := clv.FitBGBB(histories, donors)
	near(t, "LL", fit.LogLik, -33225.58, 5e-3)
	near(t, "alpha", m.Alpha, 1.2035, 5e-5)
	near(t, "beta", m.Beta, .7497, 5e-5)
	near(t, "gamma", m.Gamma, .6567, 5e-5)
	near(t, "delta", m.Delta, 2.7834, 5e-5)
}

// A contractual cohort: Fader & Hardie 2007, "High End", seven years.
func TestContractualCohort(t *testing.T) {
	rows, column := table(t, "high_end_survival.csv")
	var alive []float64
	for _, r := range rows {
		alive = append(alive, 1000*number(t, r[column["survival"]]))
	}
	m, _ := clv.FitShiftedBetaGeometric(alive)
	near(t, "alpha", m.Alpha, .6681, 5e-5)
	near(t, "beta", m.Beta, 3.8061, 5e-5)
	for i, want := range []float64{.460, .436, .414, .395, .378} {
		s, _ := m.Survival(8 + i)
		near(t, "survival", s, want, 5e-4)
	}
}
