package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The file's names, and that of the file which is to take its place.
const (
	fileName = "journal"
	nextName = "journal.new"
)

var bucket = []byte("records")

// An entry is a pending record with its number.
type entry struct {
	number uint64
	at     time.Time
	record []byte
}

func key(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

func openFile(path string) (*bolt.DB, error) {
	return bolt.Open(path, 0o600, &bolt.Options{
		Timeout: time.Second, // the folder's lock has kept everyone else out
		// The list of free pages is written with every commit: to make it anew at start, bbolt walks the file in a way that
		// ends the process when the file is damaged.
		NoFreelistSync: false,
		FreelistType:   bolt.FreelistMapType,
		NoStatistics:   true,
	})
}

// put appends values within a transaction.
func put(tx *bolt.Tx, values [][]byte) error {
	b := tx.Bucket(bucket)
	b.FillPercent = 1 // numbers ascend, so no page is ever inserted into
	for _, v := range values {
		number, err := b.NextSequence()
		if err != nil {
			return err
		}
		if err := b.Put(key(number), v); err != nil {
			return err
		}
	}
	return nil
}

// read copies up to n entries, the oldest first, whose numbers are above after.
func read(db *bolt.DB, after uint64, n int) ([]entry, error) {
	var all []entry
	err := db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for k, v := c.Seek(key(after + 1)); k != nil && len(all) < n; k, v = c.Next() {
			e, err := parse(k, v)
			if err != nil {
				return err
			}
			e.record = bytes.Clone(e.record)
			all = append(all, e)
		}
		return nil
	})
	return all, err
}

// parse reads an entry, whose record is a part of v.
func parse(k, v []byte) (entry, error) {
	if len(k) != 8 {
		return entry{}, fmt.Errorf("the key %x is no number", k)
	}
	number := binary.BigEndian.Uint64(k)
	at, record, err := decode(v)
	if err != nil {
		return entry{}, fmt.Errorf("record %d: %w", number, err)
	}
	return entry{number, at, record}, nil
}

// holding is what a file was found to hold.
type holding struct {
	backlog
	bytes int64
}

// load reads a whole file before it opens it for writing. Damage that bbolt answers with a panic, or the system with a fault
// because pages are missing, becomes an error.
func load(path string) (db *bolt.DB, h holding, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it is not a journal: %v", p)
		}
	}()
	if h, err = inspect(path); err != nil {
		return nil, h, err
	}
	db, err = openFile(path)
	return db, h, err
}

// inspect only reads the file.
func inspect(path string) (h holding, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return h, err
	}
	if info.Size() == 0 {
		return h, errors.New("it is empty")
	}
	db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return h, err
	}
	defer db.Close() //nolint:errcheck // it was only read
	err = db.View(func(tx *bolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("it has %d bytes of at least %d", info.Size(), tx.Size())
		}
		b := tx.Bucket(bucket)
		if b == nil {
			return errors.New("it is not a journal")
		}
		last := uint64(0)
		err := b.ForEach(func(k, v []byte) error {
			e, err := parse(k, v)
			if err != nil {
				return err
			}
			if e.number <= last {
				return fmt.Errorf("record %d comes after record %d", e.number, last)
			}
			last = e.number
			if h.records == 0 {
				h.oldest = e.at
			}
			h.records++
			h.bytes += cost(e.record)
			return nil
		})
		if err != nil {
			return err
		}
		// Every page can be reached by now, as bbolt's own check needs: of free pages, and of the keys above the records.
		for wrong := range tx.Check() {
			err = wrong
		}
		return err
	})
	return h, err
}

// renew puts a new file in the place of the present one, if there is one: it holds nothing but the entries given, and its
// numbers go on after last. With an error the present one stays. The disk is held.
func (j *Journal) renew(keep []entry, last uint64) error {
	next := filepath.Join(j.dir, nextName)
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) { //nolint:gosec // in the journal's folder
		return err
	}
	db, err := openFile(next)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket(bucket)
		if err != nil {
			return err
		}
		b.FillPercent = 1
		for _, e := range keep {
			if err := b.Put(key(e.number), encode(e.at, e.record)); err != nil {
				return err
			}
		}
		return b.SetSequence(last)
	})
	if err == nil {
		err = os.Rename(next, filepath.Join(j.dir, fileName)) //nolint:gosec // likewise
	}
	if err != nil {
		return errors.Join(err, db.Close(), os.Remove(next)) //nolint:gosec // likewise
	}
	if j.db != nil {
		_ = j.db.Close() // it is gone
	}
	j.db, j.unsettled, j.dropped = db, true, false
	return nil
}

// settle makes the folder name the present file also after a crash. Nothing may be confirmed before.
func (j *Journal) settle() error {
	if !j.unsettled {
		return nil
	}
	if err := syncFolder(j.dir); err != nil {
		return err
	}
	j.unsettled = false
	return nil
}

func syncFolder(name string) error {
	f, err := os.Open(name) //nolint:gosec // the journal's folder
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
