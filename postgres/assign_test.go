package postgres

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine/assign"
)

type sqlDraw struct {
	Salt string `db:"salt" json:"salt"`
	ID   string `db:"id" json:"id"`
	U32  uint32 `db:"u32" json:"u32"`
	Slot int    `db:"slot" json:"slot"`
	Pick int    `db:"pick" json:"-"`
}

// drawInSQL is the contract's arithmetic as an analyst would write it.
func drawInSQL(t *testing.T, s *Store, salts, ids []string, weights []int) []sqlDraw {
	t.Helper()
	var draws []sqlDraw
	if err := s.bulk.SelectContext(t.Context(), &draws, `
		WITH drawn AS (
			SELECT n, salt, id, CAST(CAST('x' || left(encode(sha256(convert_to(salt || ':' || id, 'UTF8')), 'hex'), 8)
				AS bit(32)) AS bigint) & 4294967295 AS u32
			FROM unnest(CAST($1 AS text[]), CAST($2 AS text[])) WITH ORDINALITY AS pair (salt, id, n)
		), weight AS (
			SELECT ordinality - 1 AS i, sum(w) OVER (ORDER BY ordinality) AS upto, sum(w) OVER () AS total
			FROM unnest(CAST($3 AS bigint[])) WITH ORDINALITY AS listed (w, ordinality)
		)
		SELECT salt, id, u32, (u32 * 10000) >> 32 AS slot,
			(SELECT min(i) FROM weight WHERE (u32 * CAST(total AS bigint)) >> 32 < upto) AS pick
		FROM drawn ORDER BY n`, pq.Array(salts), pq.Array(ids), pq.Array(weights)); err != nil {
		t.Fatal(err)
	}
	return draws
}

// Any database can reproduce an assignment: PostgreSQL's own sha256 agrees with the frozen
// vectors and with the engine.
func TestAssignmentInSQL(t *testing.T) {
	s := newStore(t)
	text, err := os.ReadFile("../engine/assign/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Weights [][]int `json:"weights"`
		Draws   []struct {
			sqlDraw
			Picks []int `json:"picks"`
		} `json:"draws"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	var salts, ids []string
	for _, d := range vectors.Draws {
		salts, ids = append(salts, d.Salt), append(ids, d.ID)
	}
	for w, weights := range vectors.Weights {
		var want []sqlDraw
		for _, d := range vectors.Draws {
			d.Pick = d.Picks[w]
			want = append(want, d.sqlDraw)
		}
		if diff := cmp.Diff(want, drawInSQL(t, s, salts, ids, weights)); diff != "" {
			t.Errorf("weights %v (-vector +SQL):\n%s", weights, diff)
		}
	}

	random := rand.New(rand.NewPCG(1, 2))
	var want []sqlDraw
	salts, ids = nil, nil
	weights := []int{3, 1, 999_983}
	for i := range 5000 {
		salt, id := fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64()), fmt.Sprintf("c%d-é", i)
		salts, ids = append(salts, salt), append(ids, id)
		want = append(want, sqlDraw{salt, id, assign.U32(salt, id), assign.Slot(salt, id), assign.Pick(salt, id, weights)})
	}
	if diff := cmp.Diff(want, drawInSQL(t, s, salts, ids, weights)); diff != "" {
		t.Errorf("random ids (-Go +SQL):\n%s", diff)
	}
}
