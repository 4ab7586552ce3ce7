// Package perennial holds no code: only the tests of the house itself. See docs/architecture.md.
package perennial_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/perennial-engine/perennial"

// A pkg is what `go list` says of a package, without its tests.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
	Standard   bool
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Deps,Standard", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// inModule reports whether path is room, or a package in it.
func in(room, path string) bool {
	return path == module+"/"+room || strings.HasPrefix(path, module+"/"+room+"/")
}

// TestImportArrows holds the house together: imports point down, adapters never sideways,
// also through a third package.
func TestImportArrows(t *testing.T) {
	rooms := []string{"cmd", "api", "worker", "postgres", "migrations", "engine", "stats", "internal", "web"}
	// What a room may import of the module, itself apart.
	allowed := map[string][]string{
		"cmd":        {"api", "worker", "postgres", "migrations", "engine", "stats", "internal", "web"},
		"api":        {"engine", "stats"},
		"web":        {"engine", "stats"},
		"worker":     {"engine", "stats"},
		"postgres":   {"engine", "stats", "migrations"},
		"migrations": {},
		"engine":     {"stats"},
		"stats":      {},
		"internal":   {"migrations"},
	}
	// What a room must not reach, not even through others.
	adapters := []string{
		"net/http", "database/sql", "github.com/gin-gonic/gin", "github.com/jmoiron/sqlx", "github.com/lib/pq",
		"github.com/robfig/cron/v3", "github.com/spf13/cobra", "github.com/pressly/goose/v3",
	}
	never := map[string][]string{
		"engine": adapters,
		"stats":  append(slices.Clone(adapters), "log/slog", "context", "os"),
		"api":    {"github.com/lib/pq", "github.com/jmoiron/sqlx", "github.com/robfig/cron/v3"},
		"worker": {"github.com/gin-gonic/gin", "github.com/lib/pq", "github.com/jmoiron/sqlx"},
	}
	seen := map[string]bool{}
	for _, p := range packages(t) {
		if p.ImportPath == module {
			continue
		}
		room, _, _ := strings.Cut(strings.TrimPrefix(p.ImportPath, module+"/"), "/")
		if !slices.Contains(rooms, room) {
			t.Errorf("%s: the house has no room %q (docs/architecture.md; a new one needs a decision record)", p.ImportPath, room)
			continue
		}
		seen[room] = true
		for _, path := range p.Imports {
			for _, other := range rooms {
				if other != room && in(other, path) && !slices.Contains(allowed[room], other) {
					t.Errorf("%s imports %s: %s must not know %s", p.ImportPath, path, room, other)
				}
			}
		}
		for _, path := range never[room] {
			// What gonum and the like import is theirs; what counts is the module's own reach.
			if slices.Contains(p.Imports, path) || reaches(t, p, path) {
				t.Errorf("%s reaches %s", p.ImportPath, path)
			}
		}
	}
	for _, room := range []string{"cmd", "api", "worker", "postgres", "migrations", "engine", "stats", "internal"} {
		if !seen[room] {
			t.Errorf("no package in %s was checked", room)
		}
	}
}

// reaches reports whether p depends on an adapter module in any way. The standard library
// is judged by direct imports only: much of it imports much of it.
func reaches(t *testing.T, p pkg, path string) bool {
	t.Helper()
	return strings.Contains(path, ".") && slices.Contains(p.Deps, path)
}

// TestLeaves: the packages below engine, and stats, can be read without it, and only audiences know CEL.
func TestLeaves(t *testing.T) {
	checked := 0
	isCEL := func(path string) bool {
		return strings.HasPrefix(path, "cel.dev/") || strings.HasPrefix(path, "github.com/google/cel-go")
	}
	for _, p := range packages(t) {
		audience := p.ImportPath == module+"/engine/audience"
		if !audience && slices.ContainsFunc(p.Imports, isCEL) {
			t.Errorf("%s imports CEL, which belongs in engine/audience", p.ImportPath)
		}
		leaf := in("stats", p.ImportPath) || strings.HasPrefix(p.ImportPath, module+"/engine/")
		if !leaf {
			continue
		}
		checked++
		for _, path := range p.Imports {
			standard := !strings.Contains(strings.Split(path, "/")[0], ".")
			fine := standard || strings.HasPrefix(path, "gonum.org/v1/gonum/") || in("stats", path) || strings.HasPrefix(path, module+"/engine/") ||
				(audience && isCEL(path))
			if !fine {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
	}
	if checked < 4 {
		t.Errorf("checked %d leaves, want at least 4", checked)
	}
}

// eachFile calls fn for every Go file of the module that is not a test.
func eachFile(t *testing.T, root string, mode parser.Mode, fn func(path string, set *token.FileSet, f *ast.File)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, mode)
		if err != nil {
			return err
		}
		files++
		fn(path, set, f)
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%s: %d files, %v", root, files, err)
	}
}

// TestEveryPackageHasADoc: a package says what it is for.
func TestEveryPackageHasADoc(t *testing.T) {
	documented := map[string]bool{}
	eachFile(t, ".", parser.ParseComments|parser.PackageClauseOnly, func(path string, _ *token.FileSet, f *ast.File) {
		dir := filepath.Dir(path)
		documented[dir] = documented[dir] || (f.Doc != nil && len(f.Doc.Text()) > 40)
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package in %s has no comment that says what it is for", dir)
		}
	}
}

var sqlWords = regexp.MustCompile(`(?i)\b(select|insert|update|delete|from|where|values|create|drop)\b`)

// TestNoValueGluedIntoSQL: values travel as parameters, never inside the text. The linter
// bans formatting in postgres; here adding to a literal is refused.
func TestNoValueGluedIntoSQL(t *testing.T) {
	for _, root := range []string{"postgres", "migrations"} {
		eachFile(t, root, 0, func(_ string, set *token.FileSet, f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				sum, ok := n.(*ast.BinaryExpr)
				if !ok || sum.Op != token.ADD {
					return true
				}
				literal := func(e ast.Expr) bool { l, ok := e.(*ast.BasicLit); return ok && l.Kind == token.STRING }
				text := func(e ast.Expr) string {
					if l, ok := e.(*ast.BasicLit); ok {
						return l.Value
					}
					return ""
				}
				if literal(sum.X) != literal(sum.Y) && sqlWords.MatchString(text(sum.X)+" "+text(sum.Y)) {
					t.Errorf("%s: something is added to the text of a statement", set.Position(sum.Pos()))
				}
				return true
			})
		})
	}
}

// TestWritesNeedATransaction: outside a transaction the driver may send a statement twice
// after a lost reply, so postgres executes nothing on a pool.
func TestWritesNeedATransaction(t *testing.T) {
	checked := 0
	eachFile(t, "postgres", 0, func(_ string, set *token.FileSet, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if strings.HasPrefix(method.Sel.Name, "Exec") || strings.HasPrefix(method.Sel.Name, "MustExec") {
				checked++
				on := method.X
				if statement, ok := on.(*ast.CallExpr); ok { // tx.StmtxContext(…).ExecContext
					if of, ok := statement.Fun.(*ast.SelectorExpr); ok && of.Sel.Name == "StmtxContext" {
						on = of.X
					}
				}
				if on, ok := on.(*ast.Ident); !ok || on.Name != "tx" {
					t.Errorf("%s: a write outside a transaction", set.Position(call.Pos()))
				}
			}
			return true
		})
	})
	if checked == 0 {
		t.Error("no write was checked")
	}
}
