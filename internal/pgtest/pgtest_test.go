package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"
)

func TestMain(m *testing.M) { os.Exit(Run(m)) }

func connect(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func ask(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	var answer string
	if err := db.QueryRow(query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func do(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// databases are the names of all databases of a server.
func databases(t *testing.T, db *sql.DB) []string {
	t.Helper()
	return strings.Split(ask(t, db, `SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database`), " ")
}

func TestDatabaseIsMigratedAndTheTestsOwn(t *testing.T) {
	for i := range 6 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			db := connect(t, Database(t))
			if ask(t, db, `SELECT count(*) > 0 FROM goose_db_version WHERE version_id > 0`) != "true" {
				t.Error("no migration was applied")
			}
			do(t, db, `CREATE TABLE mine ()`) // fails when two tests share a database
		})
	}
}

func TestEmpty(t *testing.T) {
	db := connect(t, Empty(t))
	if got := ask(t, db, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`); got != "0" {
		t.Errorf("an empty database has %s tables", got)
	}
}

func TestDatabaseIsDroppedInSpiteOfConnections(t *testing.T) {
	var name string
	t.Run("test", func(t *testing.T) {
		dsn := Empty(t)
		db, err := sql.Open("postgres", dsn)
		if err != nil {
			t.Fatal(err)
		}
		name = ask(t, db, `SELECT current_database()`)
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(`CREATE TABLE unfinished ()`); err != nil {
			t.Fatal(err)
		}
		// Neither the transaction nor the pool is closed.
	})
	s, err := shared.open()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(databases(t, s.admin), name) {
		t.Errorf("the database %s is still there", name)
	}
}

// Two test processes on one PostgreSQL server that is named to them do not meet, and leave nothing behind.
func TestServerOfSomeoneElse(t *testing.T) {
	cluster, stop, err := startPrivate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	config, err := pq.NewConfig(cluster.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for form, address := range map[string]string{
		"key=value": cluster.DSN("postgres"),
		"URL":       "postgres://perennial@/postgres?sslmode=disable&host=" + url.QueryEscape(config.Host),
	} {
		t.Run(form, func(t *testing.T) {
			admin := connect(t, cluster.DSN("postgres"))
			before := databases(t, admin)
			var processes []*server
			for range 2 {
				s, err := start(t.Context(), address)
				if err != nil {
					t.Fatal(err)
				}
				processes = append(processes, s)
			}
			t.Run("tests", func(t *testing.T) {
				for _, s := range processes {
					template, err := s.template()
					if err != nil {
						t.Fatal(err)
					}
					do(t, connect(t, fresh(t, s, template)), `SELECT version_id FROM goose_db_version`)
				}
				if made := len(databases(t, admin)) - len(before); made != 4 {
					t.Errorf("%d databases were made, want two templates and two copies", made)
				}
			})
			for _, s := range processes {
				if err := s.close(context.Background()); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(before, databases(t, admin)); diff != "" {
				t.Errorf("left behind:\n%s", diff)
			}
		})
	}
}

func TestWithDatabase(t *testing.T) {
	for address, want := range map[string]string{
		"postgres://me:pw@db.test:6543/theirs?sslmode=disable":   "postgres://me:pw@db.test:6543/mine?sslmode=disable",
		"postgresql://db.test":                                   "postgresql://db.test/mine",
		"postgres://db.test/?dbname=theirs&application_name=a+b": "postgres://db.test/mine?application_name=a+b",
		"host=/tmp dbname=theirs sslmode=disable":                "host=/tmp dbname=theirs sslmode=disable dbname='mine'",
	} {
		if got := withDatabase(address, "mine"); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// again runs tests of this binary in a process of their own.
func again(t *testing.T, run string, env ...string) (output string, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run", run)
	cmd.Env = append(os.Environ(), env...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

func TestNoServerFailsTheTests(t *testing.T) {
	out, code := again(t, "^TestEmpty$", "PERENNIAL_TEST_DATABASE_URL=host=/nowhere sslmode=disable")
	if code != 1 || !strings.Contains(out, "--- FAIL: TestEmpty") || !strings.Contains(out, "no PostgreSQL to test with") {
		t.Errorf("exit code %d, output:\n%s", code, out)
	}
}

func TestNoServerIsStartedForTestsThatNeedNone(t *testing.T) {
	temp := t.TempDir()
	out, code := again(t, "^TestWithDatabase$", "TMPDIR="+temp, "PERENNIAL_TEST_DATABASE_URL=")
	if entries, _ := os.ReadDir(temp); code != 0 || len(entries) > 0 {
		t.Errorf("exit code %d, files %v, output:\n%s", code, entries, out)
	}
}

func TestRunLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	killed := filepath.Join(temp, folderPrefix+"99999999-1", "data") // no system gives this number
	if err := os.MkdirAll(killed, 0o700); err != nil {
		t.Fatal(err)
	}
	out, code := again(t, "^TestEmpty$", "TMPDIR="+temp, "PERENNIAL_TEST_DATABASE_URL=")
	if entries, _ := os.ReadDir(temp); code != 0 || len(entries) > 0 {
		t.Errorf("exit code %d, files %v, output:\n%s", code, entries, out)
	}
}
