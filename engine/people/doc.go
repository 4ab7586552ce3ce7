// Package people knows in memory who is linked and who is enrolled: all that assignment
// must remember of customers, so that it answers at memory speed and without a database.
//
// # People
//
// An identifier is an opaque text of 1 to 256 bytes; others are ignored. A person is a
// connected component of linked identifiers. Most customers have one identifier and no
// link. What is known of a person does not depend on the order in which links and
// enrolments came:
//
//   - Their root, the customer_id of the database, is the bytewise smallest identifier.
//   - Of two enrolments in one experiment the earlier serves; at the same microsecond the
//     one with the bytewise smaller key, then variant.
//   - Their key for new experiments is that of their earliest enrolment ever, also in an
//     experiment that was retired; without any, the root.
//   - An experiment with a slash in its name is a comparison that watches over another one.
//     An enrolment in it is kept and served as any, and counts nowhere else: it gives the
//     person no key and is not their first.
//
// The key of an enrolment is an identifier of the customer, so an enrolment whose key is
// not the customer links the two.
//
// # Memory
//
// Texts are kept of linked identifiers only: about 19 bytes and the text for each, and 8
// bytes a person. An enrolled customer without a link is a hash of 128 bits under the
// secret of the installation, about 37 bytes in all, and an enrolment is 16 bytes, up to
// half more where people collect several. That any two of 10 million such customers share
// a hash, and so their enrolments, has a probability of 1.5e-25; linked identifiers are
// compared by their text.
//
// Everything lies in arrays without pointers, spread over shards by hash: each grows,
// is swept and is written by itself, so nobody waits for the whole. The registry itself
// bounds neither the identifiers nor the size of a person (its references end at 4
// billion identifiers): who must bound memory asks Stats before Link.
//
// A link costs a re-pointing of the smaller person's identifiers, so n links cost at most
// n·log2(n) of them in any order, and finding is one step whatever the size. Members,
// Forget, and a link between two people who both are enrolled read all that these have.
package people
