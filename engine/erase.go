package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/perennial-engine/perennial/engine/people"
)

// Erase forgets the person with this identifier, with all identifiers: nothing that was kept
// of them is left but keyed hashes, and stored reports, which name nobody. What is sent again
// does not count again. Other servers forget within two seconds; whoever comes back is a new
// customer. Of somebody unknown there is nothing to erase, and no error.
func (e *Engine) Erase(ctx context.Context, identifier CustomerID) error {
	if err := e.store.Erase(ctx, identifier, e.now()); err != nil {
		return err
	}
	// Done is done: what fails here is tried again, as on every other server.
	if err := errors.Join(e.Refresh(ctx), e.Follow(ctx)); err != nil {
		e.log.WarnContext(ctx, "not up to date after an erasure", "error", err)
	}
	return nil
}

// A Pseudonymizer makes the hashes that outlive an erasure.
type Pseudonymizer struct{ secret []byte }

// NewPseudonymizer makes one of the secret of the configuration.
func NewPseudonymizer(secret []byte) Pseudonymizer { return Pseudonymizer{secret} }

// Hash is HMAC-SHA-256 of texts, each behind its length.
func (p Pseudonymizer) Hash(texts ...string) []byte {
	h := hmac.New(sha256.New, p.secret)
	for _, text := range texts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) //nolint:gosec // texts are short
		h.Write([]byte(text))
	}
	return h.Sum(nil)
}

// Name stands for an identifier, in the ledger's place for one.
func (p Pseudonymizer) Name(identifier string) string {
	return hex.EncodeToString(p.Hash("customer", identifier))
}

// Digest is the hash by which memory knows an identifier.
func (p Pseudonymizer) Digest(identifier string) people.Digest {
	return people.Hash(sha256.Sum256(p.secret), identifier)
}

// Event stands for the id of an event.
func (p Pseudonymizer) Event(id string) []byte { return p.Hash("event", id) }

// Exposure stands for the id of an exposure.
func (p Pseudonymizer) Exposure(id string) []byte { return p.Hash("exposure", id) }

// Enrolment stands for an enrolment, which has no id: sent again it is the same.
func (p Pseudonymizer) Enrolment(r *Enrolment) []byte {
	return p.Hash("enrolment", string(r.Experiment), string(r.Variant), r.AssignmentKey, stamp(r.EnrolledAt))
}

// Erased is the entry of an erasure of so many identifiers. It does not say of whom.
func Erased(identifiers int) Entry {
	return Entry{"customer.erase", "customer", Detail{"identifiers": identifiers}}
}
