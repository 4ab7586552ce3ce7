package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/perennial-engine/perennial/engine"
)

// personsOf answers whose the identifiers are, as far as they are linked.
func personsOf(ctx context.Context, tx *sqlx.Tx, identifiers []string) (map[string]string, error) {
	var rows []struct {
		Identifier string `db:"customer_id"`
		Person     string `db:"person"`
	}
	if err := tx.SelectContext(ctx, &rows, `
		SELECT identities.customer_id, identities.person FROM identities
		JOIN unnest(CAST($1 AS text[])) AS sent (customer_id) ON sent.customer_id = identities.customer_id`,
		pq.Array(identifiers)); err != nil {
		return nil, err
	}
	people := make(map[string]string, len(rows))
	for _, r := range rows {
		people[r.Identifier] = r.Person
	}
	return people, nil
}

// identifiersOf answers all identifiers of a person in order of their bytes.
func identifiersOf(ctx context.Context, tx *sqlx.Tx, person string) ([]engine.CustomerID, error) {
	var all []engine.CustomerID
	if err := tx.SelectContext(ctx, &all, `
		SELECT customer_id FROM identities WHERE person = $1 ORDER BY customer_id COLLATE "C"`, person); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		all = []engine.CustomerID{engine.CustomerID(person)}
	}
	return all, nil
}

// LinkIdentities implements engine.Identities. The whole link is one transaction under the
// ledger's lock: links at once happen one after the other, and one that was cut off can be
// sent again.
func (s *Store) LinkIdentities(ctx context.Context, identifiers []engine.CustomerID) (person *engine.Person, err error) {
	err = s.inTx(ctx, s.bulk, func(tx *sqlx.Tx) error {
		person, err = link(ctx, tx, texts[string](identifiers))
		return err
	})
	return person, err
}

func link(ctx context.Context, tx *sqlx.Tx, identifiers []string) (*engine.Person, error) {
	// Most links say what is known, as people come back: they need not queue for the lock.
	people, err := personsOf(ctx, tx, identifiers)
	if err != nil {
		return nil, err
	}
	root, one := onePerson(identifiers, people)
	if !one {
		return newLink(ctx, tx, identifiers)
	}
	p := &engine.Person{ID: engine.CustomerID(root)}
	p.Identifiers, err = identifiersOf(ctx, tx, root)
	return p, err
}

// onePerson answers whose the identifiers are, and whether all are one person's already.
func onePerson(identifiers []string, people map[string]string) (root string, one bool) {
	for i, id := range identifiers {
		person := cmp.Or(people[id], id)
		if i > 0 && person != root {
			return "", false
		}
		root = person
	}
	return root, true
}

func newLink(ctx context.Context, tx *sqlx.Tx, identifiers []string) (*engine.Person, error) {
	position, err := nextPosition(ctx, tx)
	if err != nil {
		return nil, err
	}
	people, err := personsOf(ctx, tx, identifiers)
	if err != nil {
		return nil, err
	}
	// Those who turn out to be one person, and all their identifiers.
	before := map[string]bool{}
	for _, id := range identifiers {
		before[cmp.Or(people[id], id)] = true
	}
	var members []string
	if err := tx.SelectContext(ctx, &members, `SELECT customer_id FROM identities WHERE person = ANY ($1)`,
		pq.Array(slices.Collect(maps.Keys(before)))); err != nil {
		return nil, err
	}
	members = slices.Compact(slices.Sorted(slices.Values(slices.Concat(members, identifiers))))
	root := members[0] // Go compares strings by their bytes
	before[root] = true
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO identities AS old (customer_id, person, position)
		SELECT customer_id, $2, $3 FROM unnest(CAST($1 AS text[])) AS member (customer_id)
		ON CONFLICT (customer_id) DO UPDATE SET person = excluded.person, position = excluded.position
			WHERE old.person <> excluded.person`, pq.Array(members), root, position); err != nil {
		return nil, err
	}
	m := move{from: slices.Sorted(maps.Keys(before)), to: root, position: position}
	if err := m.run(ctx, tx); err != nil {
		return nil, err
	}
	p := &engine.Person{ID: engine.CustomerID(root), Conflicts: conflictsOf(m.conflicts)}
	for _, id := range members {
		p.Identifiers = append(p.Identifiers, engine.CustomerID(id))
	}
	return p, nil
}
