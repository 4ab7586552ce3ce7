package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"
)

// renewal is how long a dropped record may stay legible in the file, as long as Ship is called.
const renewal = 10 * time.Second

// renewable is the most that is copied into a new file, bytes: more than that would hold up Append.
const renewable = 1 << 20

// chunk is how many records Replay reads at a time.
const chunk = 1000

// Ship hands the oldest records, at most limit of them, to take, and drops them for good once take has returned nil. It
// returns how many it dropped; an error beside a number above 0 is about the new file. One Ship goes on at a time, a second
// one waits. Append goes on meanwhile.
//
// Call it also when nothing is pending, at least every few seconds: it then makes a new file if records were dropped from
// the present one.
func (j *Journal) Ship(ctx context.Context, limit int, take func(ctx context.Context, records [][]byte) error) (n int, err error) {
	if limit <= 0 {
		return 0, fmt.Errorf("journal: Ship of at most %d records", limit)
	}
	select {
	case j.shipping <- struct{}{}:
		defer func() { <-j.shipping }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	entries, err := j.oldestAfter(0, limit)
	if err != nil {
		return 0, err
	}
	if len(entries) > 0 {
		records := make([][]byte, len(entries))
		for i, e := range entries {
			records[i] = e.record
		}
		if err := take(ctx, records); err != nil {
			return 0, err
		}
		if err := j.drop(entries); err != nil {
			return 0, fmt.Errorf("journal in %s: %d records were taken and could not be dropped: %w", j.dir, len(entries), err)
		}
	}
	if err := j.renewIfDue(); err != nil {
		return len(entries), fmt.Errorf("journal in %s: a new file: %w", j.dir, err)
	}
	return len(entries), nil
}

// Replay hands over every pending record, in the order in which they were appended, and stops at the first error. It is for
// the start, before the first Append and Ship.
func (j *Journal) Replay(fn func(record []byte) error) error {
	for after := uint64(0); ; {
		entries, err := j.oldestAfter(after, chunk)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := fn(e.record); err != nil {
				return err
			}
			after = e.number
		}
		if len(entries) < chunk {
			return nil
		}
	}
}

func (j *Journal) oldestAfter(number uint64, limit int) ([]entry, error) {
	j.disk.Lock()
	defer j.disk.Unlock()
	if err := j.mustBeOpen(); err != nil {
		return nil, err
	}
	entries, err := read(j.db, number, limit)
	if err != nil {
		return nil, fmt.Errorf("journal in %s: %w", j.dir, err)
	}
	return entries, nil
}

// mustBeOpen is asked with the disk held, so that the file stays open until it is given back.
func (j *Journal) mustBeOpen() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	return nil
}

// drop takes the entries, the oldest that there are, out of the file and of the account.
func (j *Journal) drop(entries []entry) error {
	j.disk.Lock()
	defer j.disk.Unlock()
	if err := j.mustBeOpen(); err != nil {
		return err
	}
	var oldest time.Time
	err := j.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucket)
		for _, e := range entries {
			if err := b.Delete(key(e.number)); err != nil {
				return err
			}
		}
		k, v := b.Cursor().First()
		if k == nil {
			return nil
		}
		first, err := parse(k, v)
		oldest = first.at
		return err
	})
	if err != nil {
		return err
	}
	j.dropped = true
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range entries {
		j.bytes -= cost(e.record)
	}
	j.records -= int64(len(entries))
	j.oldest = oldest
	return nil
}

// renewIfDue makes a new file when dropped records are in the present one for longer than they may, and little else is.
func (j *Journal) renewIfDue() error {
	j.disk.Lock()
	defer j.disk.Unlock()
	if err := j.mustBeOpen(); err != nil {
		return err
	}
	j.mu.Lock()
	bytes := j.bytes // with those that wait, which is no matter
	j.mu.Unlock()
	now := j.now()
	if !j.dropped || bytes > renewable || now.Sub(j.renewed) < renewal {
		return nil
	}
	j.renewed = now // also of an attempt that fails: the next one waits as long
	keep, err := read(j.db, 0, math.MaxInt)
	if err != nil {
		return err
	}
	var last uint64
	err = j.db.View(func(tx *bolt.Tx) error {
		last = tx.Bucket(bucket).Sequence()
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(j.renew(keep, last), j.settle())
}
