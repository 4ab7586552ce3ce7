package people

import (
	"hash/maphash"
	"sync"
)

// A Registry knows who is linked and who is enrolled. It is safe for concurrent use;
// reading allocates nothing.
type Registry struct {
	key  hashKey
	seed maphash.Seed // of the linked identifiers' places, which no file holds

	mu     sync.RWMutex
	shards []shard
	arms   armTable
	stats  Stats

	forgotten int // calls of Forget that erased somebody
	writing   sync.Mutex
	written   int      // shards that the write under way is done with
	moved     []ref    // people that changed in those since
	list      []served // space for the list at hand
}

// Stats count what a registry holds.
type Stats struct {
	Linked     int // identifiers that are linked to another
	Enrolled   int // people with an enrolment, also one that was retired
	Enrolments int // without those of retired experiments
}

const (
	shardBits  = 10
	shardCount = 1 << shardBits
)

// A shard holds what hashes to it: identifiers, people whose first identifier does, and
// the enrolments of both.
type shard struct {
	linked   directory
	unlinked roll
	people   []person
	free     []uint32 // places in people
	ledger   ledger
}

// A ref names a linked identifier or a person: the place in its shard, then the shard.
type ref uint32

// nobody is the root of a place that no person holds.
const nobody = ^ref(0)

func refTo(shard, place uint32) ref { return ref(place<<shardBits | shard) }

func (r ref) shard() uint32 { return uint32(r) % shardCount }
func (r ref) place() uint32 { return uint32(r) >> shardBits }

// A person has linked identifiers, which form a ring that starts at the root.
type person struct {
	root  ref
	block block
}

// New returns an empty registry. Its files can be read only with the same secret.
func New(secret [32]byte) *Registry { return sized(secret, shardCount) }

// sized returns an empty registry of that many shards, a power of 2 up to shardCount.
func sized(secret [32]byte, shards int) *Registry {
	return &Registry{key: keyOf(secret), seed: maphash.MakeSeed(), shards: make([]shard, shards), arms: newArmTable()}
}

// Stats returns the counts as of now.
func (r *Registry) Stats() Stats {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.stats
}

func (r *Registry) shardOf(hash uint64) uint32 {
	return uint32(hash%shardCount) & (narrow(len(r.shards)) - 1)
}

func (r *Registry) person(p ref) *person { return &r.shards[p.shard()].people[p.place()] }

func (r *Registry) member(m ref) *member { return &r.shards[m.shard()].linked.members[m.place()] }

// text is the text of a linked identifier.
func (r *Registry) text(m ref) string { return r.shards[m.shard()].linked.text(m.place()) }

// find finds a linked identifier.
func (r *Registry) find(identifier string) (m ref, ok bool) {
	if r.stats.Linked == 0 {
		return 0, false
	}
	hash := maphash.String(r.seed, identifier)
	s := r.shardOf(hash)
	place, ok := r.shards[s].linked.find(hash, identifier)
	return refTo(s, place), ok
}

// enrolled finds an enrolled identifier that is not linked.
func (r *Registry) enrolled(identifier string) (s *shard, place int, ok bool) {
	hash := r.key.sum(identifier)
	s = &r.shards[r.shardOf(hash.low)]
	place, ok = s.unlinked.find(hash)
	return s, place, ok
}

// maxIdentifier is the longest identifier, in bytes.
const maxIdentifier = 256

func valid(identifier string) bool { return len(identifier) >= 1 && len(identifier) <= maxIdentifier }
