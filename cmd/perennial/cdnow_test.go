package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/shopspring/decimal"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/pglocal"
)

// cdnow adds up what each customer of the file spent.
func cdnow(t *testing.T, path string) map[string]decimal.Decimal {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	spent := map[string]decimal.Decimal{}
	lines := bufio.NewScanner(unzipped)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 4 && f[0] != "customer_id" {
			spent[f[0]] = spent[f[0]].Add(decimal.RequireFromString(f[3]))
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return spent
}

// TestCDNOW imports every purchase of 23,570 customers of a CD shop in one command. Each
// customer's value is the file's to the cent, and two arms by hash, which nothing tells
// apart, differ by no more than chance.
func TestCDNOW(t *testing.T) {
	t.Parallel()
	file := dataFile(t, "CDNOW_master.txt.gz")
	spent := cdnow(t, file)
	cluster, err := pglocal.Start(t.Context(), pglocal.Options{Dir: t.TempDir(), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Stop(context.WithoutCancel(t.Context())) })
	config, err := pq.NewConfig(cluster.DSN("perennial"))
	if err != nil {
		t.Fatal(err)
	}
	socket := url.Values{"host": {config.Host}, "user": {config.User}, "sslmode": {"disable"}}
	up := startUp(t, t.TempDir(), "--database-url", "postgres:///"+config.Database+"?"+socket.Encode())

	orders := []string{
		"events", file, "--map", "customer=customer_id", "--map", "occurred_at=date", "--date-format", "YYYYMMDD",
		"--map", "value=dollar_value", "--set", "type=order", "--set", "currency=EUR",
	}
	// shared/data/README.md: 69,659 rows.
	if s := up.importFile(orders...); s.Accepted != 69_659 || s.Rejected != 0 {
		t.Fatalf("orders: %+v", s)
	}
	up.call("PUT", "/v1/metrics/value", `{"kind": "ltv", "events": ["order"], "window": {"from_day": 0, "to_day": 600}}`, 201, nil)
	up.call("POST", "/v1/experiments", `{
		"key": "aa", "assignment": "external",
		"variants": [{"key": "a", "control": true, "weight": 1}, {"key": "b", "weight": 1}],
		"metrics": {"primary": "value"}, "plan": {"method": "anytime"}}`, 201, nil)
	up.call("POST", "/v1/experiments/aa/start", "", 200, nil)
	type enrolment struct {
		Experiment string `json:"experiment"`
		Variant    string `json:"variant"`
		Customer   string `json:"customer"`
		EnrolledAt string `json:"enrolled_at"`
	}
	var enrolments []enrolment
	totals := map[engine.VariantKey]decimal.Decimal{}
	for customer, value := range spent {
		sum := sha256.Sum256([]byte("cdnow:" + customer))
		variant := []string{"a", "b"}[binary.BigEndian.Uint32(sum[:4])>>31]
		enrolments = append(enrolments, enrolment{"aa", variant, customer, "1997-01-01T00:00:00Z"})
		totals[engine.VariantKey(variant)] = totals[engine.VariantKey(variant)].Add(value)
	}
	for some := range slices.Chunk(enrolments, 10_000) {
		body, err := json.Marshal(map[string]any{"enrolments": some})
		if err != nil {
			t.Fatal(err)
		}
		up.call("POST", "/v1/enrolments", string(body), 200, nil)
	}
	var r engine.Report
	up.call("POST", "/v1/experiments/aa/reports", "", 201, &r)
	arms, comparisons := lines(t, &r, "value")
	for variant, total := range totals {
		if arms[variant].Total != total.StringFixed(2) {
			t.Errorf("arm %s spent %s, the file says %s", variant, arms[variant].Total, total.StringFixed(2))
		}
	}
	// From the file with Python's decimal: 11,653 customers of mean 105.0653 and error 1.9907, 11,917 of 107.0731
	// and 2.4176. The difference is 0.64 of its error, 3.1317.
	near(t, "mean of a", arms["a"].Mean, 105.0652767528, 1e-9)
	near(t, "error of a", arms["a"].StdError, 1.9906561683, 1e-9)
	near(t, "mean of b", arms["b"].Mean, 107.0730855081, 1e-9)
	near(t, "error of b", arms["b"].StdError, 2.4176001672, 1e-9)
	if z := *comparisons["b"].Difference / *comparisons["b"].Fixed.StdError; math.Abs(z) > 3 || !r.Health.OK {
		t.Errorf("arms that nothing tells apart differ by %.2f errors (health %+v)", z, r.Health)
	}

	db, err := sql.Open("postgres", cluster.DSN("perennial"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // nothing was left in it
	rows, err := db.QueryContext(t.Context(), `SELECT customer_id, value FROM measures WHERE experiment = 'aa'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is asked below
	for rows.Next() {
		var customer string
		var value decimal.Decimal
		if err := rows.Scan(&customer, &value); err != nil {
			t.Fatal(err)
		}
		if !value.Equal(spent[customer]) {
			t.Errorf("customer %s spent %s, the file says %s", customer, value, spent[customer])
		}
		delete(spent, customer)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for customer, value := range spent {
		if !value.IsZero() {
			t.Errorf("customer %s spent %s and has no measure", customer, value)
		}
	}
}
