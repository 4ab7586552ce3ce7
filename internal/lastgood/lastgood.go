// Package lastgood keeps the last good state of something in a file, so that a process can start without asking anyone: the
// newest that was saved, and the one before it in case the newest turns out to be unusable.
//
// A file is
//
//	 8 bytes  "lastgood"
//	 4 bytes  the version of what is inside, big-endian
//	 8 bytes  the length of the body, big-endian
//	32 bytes  SHA-256 of the body
//	 …        the body
//
// Each is written beside its place, fsynced and renamed into it, so that what a name stands for is always whole.
package lastgood

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	magic = "lastgood"
	head  = len(magic) + 4 + 8 + sha256.Size
)

// A File names what is kept: Name is the newest, with ".previous" the one before it. Save and Load of one file must not
// happen at the same time.
type File struct {
	Dir, Name string
	// Version is that of the body's format. A file of another version is refused.
	Version uint32
	// MaxBytes bounds the body, when it is saved and when it is loaded.
	MaxBytes int64
}

func (f File) newest() string   { return filepath.Join(f.Dir, f.Name) }
func (f File) previous() string { return f.newest() + ".previous" }

// Save makes what write writes the newest, for good once it returns nil. What was the newest becomes the previous one, unless
// it is damaged: then the previous one stays. With an error, Load finds what it found before.
func (f File) Save(write func(io.Writer) error) error {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	next := f.newest() + ".new"
	if err := f.writeNext(next, write); err != nil {
		_ = os.Remove(next)
		return fmt.Errorf("save %s: %w", f.newest(), err)
	}
	if f.check(f.newest()) == nil {
		if err := os.Rename(f.newest(), f.previous()); err != nil {
			return err
		}
	}
	if err := os.Rename(next, f.newest()); err != nil {
		return err
	}
	return syncFolder(f.Dir)
}

func (f File) writeNext(name string, write func(io.Writer) error) (err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the name that was given
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Seek(int64(head), io.SeekStart); err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(file, 1<<16)
	body := &measured{to: buffered, hash: sha256.New(), most: f.MaxBytes}
	if err := write(body); err != nil {
		return err
	}
	if err := errors.Join(body.err, buffered.Flush()); err != nil {
		return err
	}
	if _, err := file.WriteAt(f.header(body.n, body.hash.Sum(nil)), 0); err != nil {
		return err
	}
	return file.Sync()
}

// header is what a body of n bytes begins with.
func (f File) header(n int64, sum []byte) []byte {
	h := make([]byte, 0, head)
	h = append(h, magic...)
	h = binary.BigEndian.AppendUint32(h, f.Version)
	h = binary.BigEndian.AppendUint64(h, uint64(n)) //nolint:gosec // a count
	return append(h, sum...)
}

// measured counts and hashes what is written to another writer, up to a bound.
type measured struct {
	to      io.Writer
	hash    hash.Hash
	n, most int64
	err     error // kept, in case write ignores it
}

func (m *measured) Write(p []byte) (int, error) {
	if m.err == nil && m.n+int64(len(p)) > m.most {
		m.err = fmt.Errorf("more than the %d bytes allowed", m.most)
	}
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.to.Write(p)
	m.n += int64(n)
	m.hash.Write(p[:n])
	m.err = err
	return n, err
}

// Loaded tells what Load used.
type Loaded struct {
	// Path is the file that was used.
	Path string
	// Refused says why the newest was not, when it is the previous one; nil otherwise.
	Refused error
}

// Load hands the newest body to read, with its length in bytes. When the file is truncated, too large, damaged or of another
// version, or when read refuses it, Load does the same with the previous one; so read begins afresh each time. When both are
// refused, the error names both. Where nothing was ever saved it is [fs.ErrNotExist].
func (f File) Load(read func(body io.Reader, size int64) error) (Loaded, error) {
	refused := f.load(f.newest(), read)
	if refused == nil {
		return Loaded{Path: f.newest()}, nil
	}
	err := f.load(f.previous(), read)
	if err == nil {
		return Loaded{Path: f.previous(), Refused: refused}, nil
	}
	switch missing := fs.ErrNotExist; {
	case errors.Is(refused, missing) == errors.Is(err, missing): // both, or neither
		return Loaded{}, fmt.Errorf("%w; %w", refused, err)
	case errors.Is(refused, missing):
		return Loaded{}, fmt.Errorf("%s; %w", refused.Error(), err)
	default:
		return Loaded{}, fmt.Errorf("%w; %s", refused, err.Error())
	}
}

func (f File) load(name string, read func(io.Reader, int64) error) error {
	file, size, err := f.open(name)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	if err := read(bufio.NewReaderSize(io.LimitReader(file, size), 1<<16), size); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// check says what is wrong with a file, without using it.
func (f File) check(name string) error {
	file, _, err := f.open(name)
	if err != nil {
		return err
	}
	return file.Close()
}

// open returns a file whose body is whole, at the beginning of the body.
func (f File) open(name string) (file *os.File, size int64, err error) {
	file, err = os.Open(name) //nolint:gosec // the name that was given
	if err != nil {
		return nil, 0, err
	}
	if size, err = f.verify(file); err == nil {
		_, err = file.Seek(int64(head), io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	return file, size, nil
}

// verify reads a file to its end and returns the length of its body.
func (f File) verify(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	size := info.Size() - int64(head)
	if size > f.MaxBytes {
		return 0, fmt.Errorf("it has %d bytes, more than the %d allowed", size, f.MaxBytes)
	}
	found := make([]byte, head)
	if _, err := io.ReadFull(file, found); err != nil || string(found[:len(magic)]) != magic {
		return 0, errors.New("it does not begin as a saved file does")
	}
	if version := binary.BigEndian.Uint32(found[len(magic):]); version != f.Version {
		return 0, fmt.Errorf("it has version %d, this program reads %d", version, f.Version)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return 0, err
	}
	if length := binary.BigEndian.Uint64(found[len(magic)+4:]); length != uint64(size) { //nolint:gosec // not below 0: the head was read
		return 0, fmt.Errorf("it has a body of %d bytes, not of the %d it was saved with", size, length)
	}
	if string(sum.Sum(nil)) != string(found[head-sha256.Size:]) {
		return 0, errors.New("its bytes do not match their checksum")
	}
	return size, nil
}

func syncFolder(name string) error {
	d, err := os.Open(name) //nolint:gosec // the folder that was given
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
