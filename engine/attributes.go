package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/perennial-engine/perennial/engine/people"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// attributeMemory holds the stored attributes that running audiences name, and no others.
// Customers with the same values share them, so that what a million customers cost is
// their names.
type attributeMemory struct {
	following sync.Mutex // held by who reads, until what names the attributes is shown
	mu        sync.RWMutex
	attributePicture
}

// attributePicture is what can be stored.
type attributePicture struct {
	names []string // of the attributes, sorted
	after AttributesAt
	sets  []attributeSet
	free  []int32              // sets of nobody
	index map[string]int32     // of a set, by its JSON
	who   map[CustomerID]int32 // set of a customer
}

type attributeSet struct {
	document  string
	values    map[string]any
	customers int // who have it
}

// of answers the attributes of a customer, nil without any. The map must not be changed.
func (m *attributeMemory) of(customer string) map[string]any {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if set, ok := m.who[CustomerID(customer)]; ok {
		return m.sets[set].values
	}
	return nil
}

// follow brings the memory up to date with what the audiences of a snapshot name.
func (m *attributeMemory) follow(ctx context.Context, store Ledger, audiences func() *snapshot.Snapshot) error {
	m.following.Lock()
	defer m.following.Unlock()
	return m.read(ctx, store, audiences().Attributes())
}

// read brings the memory up to date. When audiences name other attributes than before it
// begins anew, and answers from what it had until it is done. The caller holds following.
func (m *attributeMemory) read(ctx context.Context, store Ledger, names []string) error {
	m.mu.RLock()
	same, after := slices.Equal(m.names, names), m.after
	m.mu.RUnlock()
	if len(names) == 0 {
		if !same {
			m.take(attributePicture{})
		}
		return nil
	}
	next := attributePicture{names: names, index: map[string]int32{}, who: map[CustomerID]int32{}}
	if !same {
		after = AttributesAt{}
	}
	for {
		page, err := store.AttributesSince(ctx, names, after)
		if err != nil {
			return err
		}
		if same {
			m.mu.Lock()
			err = m.learn(page)
			m.mu.Unlock()
		} else {
			err = next.learn(page)
		}
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].At
	}
	if !same {
		m.take(next)
	}
	return nil
}

func (m *attributeMemory) take(p attributePicture) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attributePicture = p
}

// forget drops the customers whose identifiers have these digests.
func (m *attributeMemory) forget(registry *people.Registry, erased []people.Digest) {
	if len(erased) == 0 {
		return
	}
	digests := make(map[people.Digest]bool, len(erased))
	for _, d := range erased {
		digests[d] = true
	}
	named := func(customer CustomerID) bool { return digests[registry.Digest(string(customer))] }
	var gone []CustomerID
	m.mu.RLock()
	for customer := range m.who {
		if named(customer) {
			gone = append(gone, customer)
		}
	}
	m.mu.RUnlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, customer := range gone {
		m.drop(customer)
	}
	if named(m.after.Customer) {
		m.after.Customer = "" // those of one position may come again
	}
}

// drop takes the attributes of a customer away. Values that nobody else has go with them.
func (p *attributePicture) drop(customer CustomerID) {
	set, ok := p.who[customer]
	if !ok {
		return
	}
	delete(p.who, customer)
	s := &p.sets[set]
	if s.customers--; s.customers == 0 {
		p.release(set)
	}
}

// release empties a set that nobody has, for another one to take its place.
func (p *attributePicture) release(set int32) {
	delete(p.index, p.sets[set].document)
	p.sets[set] = attributeSet{document: "{}"}
	p.free = append(p.free, set)
}

func (p *attributePicture) learn(page []CustomerAttributes) error {
	for _, c := range page {
		p.after = c.At
		p.drop(c.Customer)
		if len(c.Attributes) == 0 || string(c.Attributes) == "{}" {
			continue
		}
		set, known := p.index[string(c.Attributes)]
		if !known {
			s := attributeSet{document: string(c.Attributes)}
			if err := json.Unmarshal(c.Attributes, &s.values); err != nil {
				return err
			}
			set = p.place(s)
		}
		p.who[c.Customer] = set
		p.sets[set].customers++
	}
	return nil
}

// place puts a new set where one is free.
func (p *attributePicture) place(s attributeSet) (set int32) {
	if n := len(p.free); n > 0 {
		set, p.free = p.free[n-1], p.free[:n-1]
		p.sets[set] = s
	} else {
		set = int32(len(p.sets)) //nolint:gosec // fewer sets than customers
		p.sets = append(p.sets, s)
	}
	p.index[s.document] = set
	return set
}

// attributeHead is how a stored attribute memory begins; the customers follow.
type attributeHead struct {
	Names     []string     `json:"names"`
	After     AttributesAt `json:"after"`
	Sets      []string     `json:"sets"`
	Customers int          `json:"customers"`
}

func (m *attributeMemory) write(w io.Writer) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	head := attributeHead{Names: m.names, After: m.after, Customers: len(m.who)}
	for _, s := range m.sets {
		head.Sets = append(head.Sets, s.document)
	}
	document, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if err := writeBlock(w, document); err != nil {
		return err
	}
	for _, customer := range slices.Sorted(maps.Keys(m.who)) {
		entry := binary.BigEndian.AppendUint32(nil, uint32(m.who[customer])) //nolint:gosec // an index
		if err := writeBlock(w, append(entry, customer...)); err != nil {
			return err
		}
	}
	return nil
}

func readAttributes(r io.Reader) (attributePicture, error) {
	p := attributePicture{index: map[string]int32{}, who: map[CustomerID]int32{}}
	document, err := readBlock(r, maxConfiguration)
	if err != nil {
		return p, err
	}
	var head attributeHead
	if err := json.Unmarshal(document, &head); err != nil {
		return p, err
	}
	p.names, p.after = head.Names, head.After
	for i, document := range head.Sets {
		s := attributeSet{document: document}
		if err := json.Unmarshal([]byte(document), &s.values); err != nil {
			return p, err
		}
		p.sets, p.index[document] = append(p.sets, s), int32(i)
	}
	for range head.Customers {
		entry, err := readBlock(r, 4+maxIdentifier)
		if err != nil {
			return p, err
		}
		if len(entry) < 5 || int(binary.BigEndian.Uint32(entry)) >= len(p.sets) {
			return p, errors.New("the attributes of a customer point nowhere")
		}
		set := int32(binary.BigEndian.Uint32(entry)) //nolint:gosec // checked above
		p.who[CustomerID(entry[4:])] = set
		p.sets[set].customers++
	}
	for set := range p.sets {
		if p.sets[set].customers == 0 {
			p.release(int32(set))
		}
	}
	return p, nil
}

// writeBlock writes bytes after their number.
func writeBlock(w io.Writer, b []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)) //nolint:gosec // blocks are small
	return err
}

func readBlock(r io.Reader, limit int) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if int64(n) > int64(limit) {
		return nil, errors.New("a block is larger than it may be")
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
