package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// A record is stored as
//
//	8 bytes  when it was appended, nanoseconds since 1970, big-endian
//	4 bytes  CRC-32C of everything else, big-endian
//	…        the record
const recordHead = 12

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("its bytes do not match their checksum")

// cost is what a record takes of MaxBytes: with its head, its key of 8 bytes and the 16 by which a page knows it.
func cost(record []byte) int64 { return int64(recordHead+8+16) + int64(len(record)) }

func encode(at time.Time, record []byte) []byte {
	v := make([]byte, recordHead+len(record))
	binary.BigEndian.PutUint64(v, uint64(at.UnixNano()))
	copy(v[recordHead:], record)
	binary.BigEndian.PutUint32(v[8:], sum(v))
	return v
}

// decode takes a value apart; the record is a part of it.
func decode(v []byte) (at time.Time, record []byte, err error) {
	if len(v) < recordHead || binary.BigEndian.Uint32(v[8:]) != sum(v) {
		return time.Time{}, nil, errDamaged
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(v))).UTC(), v[recordHead:], nil //nolint:gosec // as encode wrote it
}

func sum(v []byte) uint32 {
	return crc32.Update(crc32.Checksum(v[:8], castagnoli), castagnoli, v[recordHead:])
}
