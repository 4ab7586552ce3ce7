package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
)

// Fingerprint is the same for two visits with the same answers everywhere: of one picture,
// by one identifier of one person with the same enrolments, attributes and words, while the
// same tests enrol. It is the same on every server.
func (v Lookup) Fingerprint(who *Visitor) [16]byte {
	var space [512]byte
	text := space[:0]
	add := func(part string) {
		text = binary.AppendUvarint(text, uint64(len(part)))
		text = append(text, part...)
	}
	text = binary.AppendVarint(text, v.Snapshot().Version())
	person := &who.customer.Person
	add(who.customer.Identifier)
	add(person.Root())
	add(person.Key())
	for enrolment := range person.Enrolments {
		add(enrolment.Experiment)
		add(enrolment.Variant)
		text = binary.AppendVarint(text, enrolment.At.UnixMicro())
	}
	add("")
	for _, experiment := range v.live.ended(v.now) {
		add(experiment)
	}
	add("")
	if person.Linked() {
		// A forced variant is for all identifiers of a person.
		for _, identifier := range v.live.people.Members(who.customer.Identifier) {
			add(identifier)
		}
	}
	if first, ever := person.First(); ever {
		text = binary.AppendVarint(text, first.UnixMicro()) // also of a test that is over
	}
	if len(v.Snapshot().Attributes()) > 0 {
		// Maps are written in the order of their keys; attributes are JSON and can be written.
		known, err := json.Marshal(v.engine.attributes.of(person.Root()))
		if err == nil {
			add(string(known))
		}
	}
	add(string(who.sent))
	hash := sha256.Sum256(text)
	return [16]byte(hash[:16])
}
