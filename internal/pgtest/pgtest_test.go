package pgtest_test

import (
	"database/sql"
	"os"
	"testing"

	"github.com/perennial-engine/perennial/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func TestDatabaseIsMigratedAndTheTestsOwn(t *testing.T) {
	for _, name := range []string{"a", "b", "c", "d"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := sql.Open("postgres", pgtest.Database(t))
			if err != nil {
				t.Fatal(err)
			}
			// Left open on purpose: dropping the database must not mind.
			var rows int
			if err := db.QueryRow(`SELECT count(*) FROM settings`).Scan(&rows); err != nil {
				t.Fatal(err)
			}
			if rows != 0 {
				t.Errorf("a fresh database has %d settings, want 0", rows)
			}
			if _, err := db.Exec(`INSERT INTO settings (name, value) VALUES ('name', $1)`, name); err != nil {
				t.Fatal(err)
			}
		})
	}
}
