package people

import (
	"errors"
	"hash/crc32"
)

// A file is a magic, a version, the hash of the empty identifier, which tells the secret,
// and sections: their length, their bytes, and the checksum of the file so far. Numbers
// are little-endian or varints. A section holds the arms that are new since the last, the
// unlinked by hash and the linked people of a shard by text; the last section holds the
// retired experiments, and nothing may follow it. Sections are facts that may repeat.
const (
	magic       = "people\r\n"
	fileVersion = 1
	headerBytes = len(magic) + 1 + digestBytes
	digestBytes = 16

	sectionShard = 's'
	sectionEnd   = 'e'
	// maxSection is the longest section, in bytes. A shard of 64 million linked identifiers
	// of 20 bytes in all shards has one of 2 MB.
	maxSection = 1 << 30
)

// Why a file is refused, or was not finished.
var (
	ErrCorrupt = errors.New("people: the file is damaged")
	ErrVersion = errors.New("people: the file is of an unknown version")
	ErrSecret  = errors.New("people: the file was written with another secret")
	ErrErased  = errors.New("people: a person was erased during the write: write again")
	ErrTooLong = errors.New("people: a section of the file would be too long")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
