package people

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// A digest is the keyed hash of an identifier, little-endian.
type digest struct{ low, high uint64 }

// A Digest is the hash by which registries with one secret know an identifier. It gives the
// identifier away to nobody without the secret.
type Digest [16]byte

// Hash returns the digest of an identifier under a secret.
func Hash(secret [32]byte, identifier string) Digest {
	return keyOf(secret).digest(identifier)
}

// A hashKey is the key of SipHash.
type hashKey struct{ low, high uint64 }

func keyOf(secret [32]byte) hashKey {
	sum := sha256.Sum256(secret[:])
	return hashKey{low: binary.LittleEndian.Uint64(sum[:]), high: binary.LittleEndian.Uint64(sum[8:])}
}

func digestOf(b []byte) digest {
	return digest{low: binary.LittleEndian.Uint64(b), high: binary.LittleEndian.Uint64(b[8:])}
}

func (d digest) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, d.low), d.high)
}

func (k hashKey) digest(identifier string) Digest {
	var d Digest
	k.sum(identifier).append(d[:0])
	return d
}

// sum is SipHash-2-4 with an output of 128 bits (Aumasson and Bernstein 2012, and their
// reference code): a pseudo-random function in half the time of SHA-256.
func (k hashKey) sum(text string) digest {
	s := sip{
		k.low ^ 0x736f6d6570736575, k.high ^ 0x646f72616e646f6d ^ 0xee,
		k.low ^ 0x6c7967656e657261, k.high ^ 0x7465646279746573,
	}
	last := uint64(len(text)) << 56
	for ; len(text) >= 8; text = text[8:] {
		s.take(uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
			uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56)
	}
	for i := range len(text) {
		last |= uint64(text[i]) << (8 * i)
	}
	s.take(last)
	s.v2 ^= 0xee
	low := s.finish()
	s.v1 ^= 0xdd
	return digest{low: low, high: s.finish()}
}

type sip struct{ v0, v1, v2, v3 uint64 }

func (s *sip) take(word uint64) {
	s.v3 ^= word
	s.round()
	s.round()
	s.v0 ^= word
}

func (s *sip) finish() uint64 {
	for range 4 {
		s.round()
	}
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

func (s *sip) round() {
	s.v0 += s.v1
	s.v2 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v1
	s.v0 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
