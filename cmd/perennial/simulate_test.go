package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/perennial-engine/perennial/cmd/perennial/playing"
)

// simulated runs a simulation and answers its JSON document.
func simulated(t *testing.T, args ...string) playing.Result {
	t.Helper()
	got := perennial(t, nil, "", append([]string{"simulate", "--json"}, args...)...)
	var r playing.Result
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != exitDone || got.stderr != "" {
		t.Fatalf("exit code %d, %v, standard output %q, standard error %q", got.code, err, got.stdout, got.stderr)
	}
	return r
}

func TestSimulateJSON(t *testing.T) {
	args := []string{"simulate", "--json", "--tests", "20", "--looks", "10", "--customers", "500", "--method", "anytime", "--seed", "5"}
	got := perennial(t, nil, "", args...)
	var fields map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &fields); err != nil {
		t.Fatalf("%v: %s%s", err, got.stdout, got.stderr)
	}
	for _, name := range []string{
		"tests", "looks", "method", "promoted", "false_promotion_rate", "interval", "power", "median_days_to_decision", "seed",
	} {
		if _, ok := fields[name]; !ok {
			t.Errorf("the answer has no %s:\n%s", name, got.stdout)
		}
	}
	if again := perennial(t, nil, "", args...); again.stdout != got.stdout {
		t.Errorf("the same seed gives\n%s\nand then\n%s", got.stdout, again.stdout)
	}
	text := perennial(t, nil, "", append([]string{"simulate"}, args[2:]...)...).stdout
	for _, part := range []string{"20 tests of scenario aa by anytime, 10 looks, 500 customers", "false promotions", "95 % interval"} {
		if !strings.Contains(text, part) {
			t.Errorf("the text has no %q:\n%s", part, text)
		}
	}
}

func TestSimulateWrongUsage(t *testing.T) {
	file := writeFile(t, "orders.csv", "card,date,total\na,2026-01-01T00:00:00Z,10\n")
	tests := []struct {
		name   string
		args   []string
		code   int
		stderr string
	}{
		{"scenario", []string{"--scenario", "bb"}, exitUsage, `scenario "bb" is not one of aa, effect, harm, programme`},
		{"method", []string{"--method", "guess"}, exitUsage, `method "guess" is not one of anytime, group_sequential, fixed, naive`},
		{"tests", []string{"--tests", "0"}, exitUsage, "tests must be 1 to"},
		{"argument", []string{"orders.csv"}, exitUsage, "unknown command"},
		{"unmapped file", []string{"--data", file}, exitUsage, "customer is missing"},
		{"no file", []string{"--data", file + ".gone"}, exitFailed, "no such file"},
		{"a file of one customer", []string{
			"--data", file, "--map", "customer=card", "--set", "type=order", "--map", "occurred_at=date",
			"--map", "value=total", "--set", "currency=EUR",
		}, exitFailed, "too few customers"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := perennial(t, nil, "", append([]string{"simulate"}, test.args...)...)
			if got.code != test.code || !strings.Contains(got.stderr, test.stderr) || got.stdout != "" {
				t.Errorf("exit code %d, standard error %q, want %d and %q", got.code, got.stderr, test.code, test.stderr)
			}
		})
	}
}

// TestReadLog: customers enter with their first event, in the order of time, whatever the
// order of the file; who is not seen for the horizon is left out.
func TestReadLog(t *testing.T) {
	file := writeFile(t, "orders.csv", `card,date,total,currency
b,2026-01-04T00:00:00Z,5,EUR
a,2026-01-03T12:00:00Z,-2.5,EUR
a,2026-01-02T00:00:00Z,10.01,EUR
late,2026-01-05T00:00:01Z,1,EUR
b,2026-01-12T00:00:00Z,,
`)
	a := &app{}
	options := importOptions{mapping: mapping{
		Map: []string{"customer=card", "occurred_at=date", "value=total", "currency=currency"}, Set: []string{"type=order"},
		DateFormat: dateRFC3339,
	}}
	got, err := a.readLog(file, options, 7)
	if err != nil {
		t.Fatal(err)
	}
	want := []playing.Customer{
		{ID: "a", Enters: 0, Orders: []playing.Order{{Age: 0, Amount: 100_100}, {Age: 1.5, Amount: -25_000}}},
		{ID: "b", Enters: 2, Orders: []playing.Order{{Age: 0, Amount: 50_000}, {Age: 8, Amount: 0}}},
	}
	if diff := cmp.Diff(want, got.Customers, cmp.AllowUnexported(playing.Order{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, bad := range []string{"b,yesterday,5,EUR", "b,2026-01-04T00:00:00Z,much,EUR", "b,2026-01-04T00:00:00Z,5,USD"} {
		file := writeFile(t, "bad.csv", "card,date,total,currency\na,2026-01-02T00:00:00Z,1,EUR\n"+bad+"\n")
		if _, err := a.readLog(file, options, 7); err == nil || !strings.Contains(err.Error(), "row 2: ") {
			t.Errorf("%s: error %v, want one about row 2", bad, err)
		}
	}
}

// TestSimulateCDNOW plays tests on real customers: nothing is found where there is nothing,
// and what is put in is.
func TestSimulateCDNOW(t *testing.T) {
	args := []string{
		"--data", dataFile(t, "CDNOW_master.txt.gz"), "--map", "customer=customer_id", "--map", "occurred_at=date",
		"--date-format", "YYYYMMDD", "--set", "type=order", "--map", "value=dollar_value", "--set", "currency=USD", "--tests", "60",
	}
	for _, method := range []string{"anytime", "group_sequential"} {
		r := simulated(t, append(args, "--method", method)...)
		if limit := 0.05 + 4*0.028; *r.ErrorRate > limit || r.Undecided > 0 { // 0.028: √(0.05·0.95/60)
			t.Errorf("%s: error rate %v, want at most %v; %d undecided", method, *r.ErrorRate, limit, r.Undecided)
		}
		if want := 23_570 / 2; r.PlannedCustomers != want { // shared/data/README.md: 23,570 customers
			t.Errorf("%d customers planned per arm, want %d", r.PlannedCustomers, want)
		}
	}
	// The spread is about 1.7 times the mean: an effect of a fifth is 9 standard errors.
	if r := simulated(t, append(args, "--scenario", "effect", "--effect", "0.2")...); *r.Power < 0.95 {
		t.Errorf("power %v, want nearly 1", *r.Power)
	}
	if r := simulated(t, append(args, "--scenario", "harm", "--effect", "0.1")...); *r.HarmStopped < 0.95 {
		t.Errorf("%v of the harmful arms stopped, want nearly all", *r.HarmStopped)
	}
}
