package migrations_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"

	"github.com/perennial-engine/perennial/internal/pgtest"
	"github.com/perennial-engine/perennial/migrations"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// Every table is one of these two. A new one must be put in its place here, and then keeps
// the rules of its kind.
var (
	// ledger tables grow with customers and can be distributed by customer_id.
	ledger = []string{
		"customer_changes", "customers", "enrolments", "enrolments_superseded", "erased_ids", "erasures", "event_conflicts", "events",
		"exposure_conflicts", "exposures", "identities", "measures", "overrides",
	}
	// configuration tables stay small and are the same everywhere.
	configuration = []string{
		"api_keys", "audit", "audit_head", "configuration", "decisions", "deliveries", "delivery_attempts", "experiment_erasures", "experiments",
		"goose_db_version", "holdback_reports", "holdouts", "idempotency_keys", "ingest_position", "job_runs", "layers", "measure_cuts", "messages",
		"metrics", "past_tests", "promotions", "rates", "reports", "touchpoints", "unrecorded_enrolments", "webhooks",
	}
)

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// lines are the rows of a query of one text column, in order.
func lines(t *testing.T, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err is asked below
	all := []string{}
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSchemaRules(t *testing.T) {
	checkRules(t, open(t, pgtest.Database(t)))
}

func checkRules(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, complaint := range brokenRules(t, db) {
		t.Error(complaint)
	}
}

// brokenRules reads the catalogue, so that a rule holds for tables that are yet to be written.
func brokenRules(t *testing.T, db *sql.DB) (complaints []string) {
	t.Helper()
	none := func(rule, query string, args ...any) {
		for _, line := range lines(t, db, query, args...) {
			complaints = append(complaints, rule+": "+line)
		}
	}
	tables := lines(t, db, `
		SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`)
	want := slices.Sorted(slices.Values(slices.Concat(ledger, configuration)))
	if diff := cmp.Diff(want, tables); diff != "" {
		complaints = append(complaints, "say in this test whether a new table is ledger or configuration (-known +found):\n"+diff)
	}

	none("a ledger table needs customer_id text NOT NULL", `
		SELECT name FROM unnest($1::text[]) AS name WHERE NOT EXISTS (
			SELECT FROM pg_attribute
			WHERE attrelid = name::regclass AND attname = 'customer_id' AND atttypid = 'text'::regtype AND attnotnull)`,
		pq.Array(ledger))
	none("a ledger table needs a primary key", `
		SELECT name FROM unnest($1::text[]) AS name
		WHERE NOT EXISTS (SELECT FROM pg_index WHERE indrelid = name::regclass AND indisprimary)`, pq.Array(ledger))
	none("customer_id must come first in every unique index of a ledger table", `
		SELECT indexrelid::regclass::text FROM pg_index
		WHERE indrelid = ANY ($1::regclass[]) AND indisunique AND NOT EXISTS (
			SELECT FROM pg_attribute WHERE attrelid = indrelid AND attnum = indkey[0] AND attname = 'customer_id')`,
		pq.Array(ledger))
	none("a ledger table has no foreign key, from it or to it", `
		SELECT conrelid::regclass || '.' || conname FROM pg_constraint
		WHERE contype = 'f' AND (conrelid = ANY ($1::regclass[]) OR confrelid = ANY ($1::regclass[]))`, pq.Array(ledger))
	none("customer_id belongs to ledger tables", `
		SELECT attrelid::regclass::text FROM pg_attribute
		WHERE attname = 'customer_id' AND attrelid = ANY ($1::regclass[])`, pq.Array(configuration))

	// Rules of every table.
	none("no triggers", `
		SELECT tgrelid::regclass || '.' || tgname FROM pg_trigger
		WHERE NOT tgisinternal`)
	none("no rules that rewrite", `
		SELECT ev_class::regclass || '.' || rulename FROM pg_rewrite
		JOIN pg_class ON pg_class.oid = ev_class WHERE relnamespace = 'public'::regnamespace`)
	none("no serial and no identity column", `
		SELECT attrelid::regclass || '.' || attname FROM pg_attribute
		JOIN pg_class ON pg_class.oid = attrelid
		LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE relnamespace = 'public'::regnamespace AND relname <> 'goose_db_version' AND attnum > 0
			AND (attidentity <> '' OR pg_get_expr(adbin, adrelid) LIKE '%nextval(%')`)
	none("no time without a zone, and no float", `
		SELECT attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
		JOIN pg_class ON pg_class.oid = attrelid
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'goose_db_version'
			AND attnum > 0 AND NOT attisdropped
			AND atttypid::regtype::text IN ('timestamp without time zone', 'time without time zone', 'date',
				'real', 'double precision', 'money')`)
	return complaints
}

// Each numeric column refuses NaN and the infinities: it is asked, not read.
func TestNumericColumnsRefuseWhatIsNoNumber(t *testing.T) {
	db := open(t, pgtest.Database(t))
	columns := lines(t, db, `
		SELECT attrelid::regclass || '.' || attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
			AND atttypid = 'numeric'::regtype ORDER BY 1`)
	// A valid row of each table that has such a column, with the number to try.
	insert := map[string]string{
		"event_conflicts.value": `INSERT INTO event_conflicts (customer_id, id, type, occurred_at, value, digest, position)
			VALUES ('c1', gen_random_uuid()::text, 'order', now(), $1, '', 1)`,
		"rates.rate": `INSERT INTO rates (currency, valid_from, rate, position)
			VALUES (gen_random_uuid()::text, now(), $1, 1)`,
		"events.value": `INSERT INTO events (customer_id, id, type, occurred_at, value, digest, position)
			VALUES ('c1', gen_random_uuid()::text, 'order', now(), $1, '', 1)`,
		"measures.value": `INSERT INTO measures (customer_id, experiment, metric, value)
			VALUES ('c1', 'x', gen_random_uuid()::text, $1)`,
		"measures.x": `INSERT INTO measures (customer_id, experiment, metric, value, x)
			VALUES ('c1', 'x', gen_random_uuid()::text, 1, $1)`,
		"touchpoints.cost_amount": `INSERT INTO touchpoints
			(key, name, channel, stage, content, cost_amount, cost_currency, created_at, updated_at)
			VALUES (gen_random_uuid()::text, 'n', 'email', '', '{}', $1, 'EUR', now(), now())`,
	}
	for _, column := range columns {
		statement, ok := insert[column]
		if !ok {
			t.Errorf("%s is numeric and has no row to try here", column)
			continue
		}
		if _, err := db.ExecContext(t.Context(), statement, "12.5"); err != nil {
			t.Errorf("%s refuses 12.5: %v", column, err)
		}
		for _, value := range []string{"NaN", "Infinity", "-Infinity"} {
			_, err := db.ExecContext(t.Context(), statement, value)
			// 23514 is check_violation (PostgreSQL manual, appendix A).
			if e := pq.As(err); e == nil || e.Code != "23514" {
				t.Errorf("%s with %s: error %v, want a violated CHECK", column, value, err)
			}
		}
	}
	if len(columns) != len(insert) {
		t.Errorf("%d numeric columns, %d tried", len(columns), len(insert))
	}
}

// The rules are worth nothing if a bad table passes them.
func TestSchemaRulesBite(t *testing.T) {
	for _, tt := range []struct{ name, rule, statement string }{
		{"not classified", "say in this test", `CREATE TABLE visits (customer_id text PRIMARY KEY)`},
		{"unique without the customer", "must come first", `CREATE UNIQUE INDEX ON events (id)`},
		{"reference to the ledger", "no foreign key", `ALTER TABLE layers ADD c text REFERENCES customers (customer_id)`},
		{"customer in a configuration table", "belongs to ledger", `ALTER TABLE layers ADD customer_id text`},
		{"serial", "no serial", `ALTER TABLE layers ADD n bigserial`},
		{"identity", "no serial", `ALTER TABLE layers ADD n bigint GENERATED ALWAYS AS IDENTITY`},
		{"time without a zone", "no time without", `ALTER TABLE events ADD at timestamp`},
		{"float", "no float", `ALTER TABLE events ADD amount double precision`},
		{"no key", "needs a primary key", `ALTER TABLE measures DROP CONSTRAINT measures_pkey`},
		{"the customer has another type", "customer_id text NOT NULL", `ALTER TABLE events ALTER customer_id TYPE varchar`},
		{"trigger", "no triggers", `CREATE TRIGGER t BEFORE UPDATE ON events
			FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db := open(t, pgtest.Database(t))
			if _, err := db.ExecContext(t.Context(), tt.statement); err != nil {
				t.Fatal(err)
			}
			complaints := brokenRules(t, db)
			if !slices.ContainsFunc(complaints, func(c string) bool { return strings.Contains(c, tt.rule) }) {
				t.Errorf("no rule complained of it; complaints: %q", complaints)
			}
		})
	}
}

func TestUpTwiceAppliesNothing(t *testing.T) {
	db := open(t, pgtest.Empty(t))
	files := 0
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".sql") {
			files++
		}
	}
	for i, want := range []int{files, 0, 0} {
		if n, err := migrations.Up(t.Context(), db); err != nil || n != want {
			t.Fatalf("run %d applied %d (%v), want %d", i+1, n, err, want)
		}
	}
	checkRules(t, db)
}

func TestManyProcessesMigrateAtOnce(t *testing.T) {
	dsn := pgtest.Empty(t)
	const processes = 3
	applied, failures := make([]int, processes), make([]error, processes)
	var wait sync.WaitGroup
	for i := range processes {
		db := open(t, dsn) // each its own pool, as processes have
		wait.Go(func() { applied[i], failures[i] = migrations.Up(context.Background(), db) })
	}
	wait.Wait()
	total := 0
	for i := range processes {
		if failures[i] != nil {
			t.Errorf("process %d: %v", i, failures[i])
		}
		total += applied[i]
	}
	db := open(t, dsn)
	if n := lines(t, db, `SELECT count(*)::text FROM goose_db_version WHERE version_id > 0`); n[0] != fmt.Sprint(total) {
		t.Errorf("%s versions recorded, %d applied by the processes together", n[0], total)
	}
	checkRules(t, db)
}

// Down undoes everything and leaves nothing behind, and Up then works again.
func TestDownThenUp(t *testing.T) {
	db := open(t, pgtest.Database(t))
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	before := columns(t, db)
	if _, err := provider.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"goose_db_version"}, lines(t, db, `
		SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')`)); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
	if _, err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, columns(t, db)); diff != "" {
		t.Errorf("schema after down and up (-before +after):\n%s", diff)
	}
}

func columns(t *testing.T, db *sql.DB) []string {
	t.Helper()
	return lines(t, db, `
		SELECT attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute
		JOIN pg_class ON pg_class.oid = attrelid
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') AND attnum > 0 ORDER BY 1`)
}

// A fresh database has its one layer, with a salt of its own.
func TestSeeds(t *testing.T) {
	salts := map[string]bool{}
	for range 2 {
		db := open(t, pgtest.Empty(t))
		if _, err := migrations.Up(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		found := lines(t, db, `SELECT salt FROM layers WHERE key = 'default' AND salt ~ '^[0-9a-f]{32}$'`)
		if len(found) != 1 {
			t.Fatalf("layers with a salt of 32 hexadecimal digits: %v", found)
		}
		salts[found[0]] = true
	}
	if len(salts) != 2 {
		t.Error("two databases share the salt of their default layer")
	}
}
