// Package pgtest gives tests databases of a real PostgreSQL server.
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
//
//	func TestOrders(t *testing.T) {
//		db, err := sql.Open("postgres", pgtest.Database(t))
//		…
//
// Each test process starts one private cluster (package pglocal) when its first test asks for a database, or uses the server
// that PERENNIAL_TEST_DATABASE_URL names. The schema is migrated once per process, into a template; a test's database is a
// copy of it, the test's own, dropped at its end. Tests may run in parallel, and so may test processes on one server.
//
// Where no server can be had, the tests fail: a green run that skipped them would be a lie.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// Run runs the tests of a package and stops the server afterwards; call it from TestMain. A package without it works too, but
// leaves its temporary folder to be swept by a later test process.
func Run(m *testing.M) int {
	code := m.Run()
	if err := shared.close(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "pgtest:", err)
		return max(code, 1)
	}
	return code
}

// Database returns the address, for lib/pq, of a fresh database with all migrations applied. It is the test's own and is
// dropped when the test ends.
func Database(tb testing.TB) string {
	tb.Helper()
	s := open(tb)
	template, err := s.template()
	if err != nil {
		tb.Fatalf("pgtest: make the template: %v", err)
	}
	return fresh(tb, s, template)
}

// Empty is Database without the migrations.
func Empty(tb testing.TB) string {
	tb.Helper()
	return fresh(tb, open(tb), "template0")
}

func open(tb testing.TB) *server {
	tb.Helper()
	s, err := shared.open()
	if err != nil {
		tb.Fatalf("pgtest: no PostgreSQL to test with: %v", err)
	}
	return s
}

func fresh(tb testing.TB, s *server, template string) string {
	tb.Helper()
	name, err := s.create(tb.Context(), template)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return s.dsn(name)
}
