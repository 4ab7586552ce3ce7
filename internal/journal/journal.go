// Package journal keeps records on the local disk until they are in the database: what a server promised in an answer is
// fsynced here before the answer goes out, whatever the database does.
//
//	Append ──▶ pending ──Ship──▶ taken by the database ──▶ dropped
//
// A record is in the journal as a whole or not at all, also after kill -9 or a power cut; one that Append confirmed is
// replayed at every start until Ship has dropped it. Between "taken" and "dropped" the process can die, so a record may be
// shipped twice: whoever takes it must recognise it.
//
// The folder holds two files: lock, which names the process that has the journal open, and journal, a bbolt database
// (docs/adr/0008) with one bucket of records under ascending numbers. Records that were dropped stay legible in the file's
// free pages until Ship has written a new file, which it does within [renewal] of dropping them.
package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/perennial-engine/perennial/internal/filelock"
)

// Bounds of what a journal holds.
const (
	defaultMaxBytes = 1 << 30
	maxRecord       = 16 << 20
)

// What Append, Ship and Replay answer beside the errors of the disk and of the context.
var (
	ErrClosed = errors.New("the journal is closed")
	ErrFull   = errors.New("the journal is full: its records must be shipped first")
)

// Options say how a journal is kept.
type Options struct {
	// Now is the clock: when a record was appended, and when a new file is due. Required.
	Now func() time.Time
	// MaxBytes bounds the pending records, 0 means 1 GiB. Beyond it Append answers ErrFull. The file can be twice as large,
	// because it is made of pages.
	MaxBytes int64
}

// A Journal is safe for concurrent use.
type Journal struct {
	dir  string
	now  func() time.Time
	max  int64
	lock *filelock.Lock

	shipping chan struct{} // holds a token while a Ship is under way
	wake     chan struct{} // tells the writer that calls wait
	ended    chan struct{} // closed when the writer has ended
	close    func() error

	disk      sync.Mutex // held over everything that reads or writes the file; taken before mu
	db        *bolt.DB
	unsettled bool      // the folder may still name the file's predecessor after a crash
	dropped   bool      // records were dropped since the file was new
	renewed   time.Time // when a new file was last tried

	mu      sync.Mutex
	closed  bool
	waiting []*call
	bytes   int64 // of the records pending and waiting
	backlog
}

// backlog is what is pending.
type backlog struct {
	records int64
	oldest  time.Time
}

// A call is one Append that waits for the disk.
type call struct {
	at     time.Time
	values [][]byte
	bytes  int64
	done   chan error
}

// Open opens the journal in dir, which it makes if need be. A folder has one journal open at a time, in one process: for
// another it answers an error that names the folder and the process.
func Open(dir string, o Options) (*Journal, error) {
	if o.Now == nil {
		return nil, errors.New("journal: Options.Now is required")
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the folder that was given
		return nil, err
	}
	lock, err := filelock.Claim(filepath.Join(dir, "lock"))
	if held, ok := errors.AsType[*filelock.HeldError](err); ok {
		return nil, fmt.Errorf("the journal in %s is in use (process %s): stop it, or give another folder", dir, held.Process)
	}
	if err != nil {
		return nil, err
	}
	j := &Journal{
		dir: dir, now: o.Now, max: o.MaxBytes, lock: lock,
		shipping: make(chan struct{}, 1), wake: make(chan struct{}, 1), ended: make(chan struct{}),
		renewed: o.Now(),
	}
	if err := j.open(); err != nil {
		if j.db != nil {
			_ = j.db.Close()
		}
		_ = lock.Release()
		return nil, err
	}
	j.close = sync.OnceValue(j.shut)
	go j.write()
	return j, nil
}

// open finds the file and what is pending in it, or makes the first one.
func (j *Journal) open() error {
	path := filepath.Join(j.dir, fileName)
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := syncFolder(filepath.Dir(j.dir)); err != nil {
			return err
		}
		return errors.Join(j.renew(nil, 0), j.settle())
	}
	if err != nil {
		return err
	}
	db, held, err := load(path)
	if err != nil {
		return fmt.Errorf("the journal %s cannot be read (%w): move the file away to begin an empty one; its records were answered and are lost unless they are in the database", path, err)
	}
	j.db, j.backlog, j.bytes = db, held.backlog, held.bytes
	j.dropped, j.unsettled = true, true // perhaps, before this start
	return nil
}

// Append returns nil once the records are on the disk: all of them, in their order, or with an error none. Calls that come
// while the disk is busy are written together. After an error the journal works on, and the next call tries again. Only a
// disk that wrote and then failed to confirm it can leave records of a failed call behind, all of that call.
//
// When ctx ends first, Append returns its error, and the records may be written or not. It does not keep the slices.
func (j *Journal) Append(ctx context.Context, records ...[]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &call{done: make(chan error, 1)}
	for _, r := range records {
		if len(r) > maxRecord {
			return fmt.Errorf("a record of %d bytes is too large for the journal: the most is %d", len(r), maxRecord)
		}
		c.bytes += cost(r)
	}
	if err := j.enqueue(c, records); err != nil {
		return err
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue puts a call in the line of the writer.
func (j *Journal) enqueue(c *call, records [][]byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return ErrClosed
	case len(records) == 0:
		c.done <- nil
		return nil
	case j.bytes+c.bytes > j.max:
		return fmt.Errorf("%w (%d of %d bytes in %s)", ErrFull, j.bytes, j.max, j.dir)
	}
	c.at = j.now() // in here, so that the line is in the order of time
	for _, r := range records {
		c.values = append(c.values, encode(c.at, r))
	}
	j.bytes += c.bytes
	j.waiting = append(j.waiting, c)
	select {
	case j.wake <- struct{}{}:
	default: // it knows
	}
	return nil
}

// write is the writer: it takes all calls that wait and answers them together. The fsync of one group is the time in which
// the next one gathers.
func (j *Journal) write() {
	defer close(j.ended)
	for range j.wake {
		runtime.Gosched() // to those whom the last group has woken: their next calls belong into this one
		j.mu.Lock()
		calls := j.waiting
		j.waiting = nil
		j.mu.Unlock()
		if len(calls) == 0 {
			continue
		}
		err := j.commit(calls)
		for _, c := range calls {
			c.done <- err
		}
	}
}

// commit puts the calls into the file and accounts for them.
func (j *Journal) commit(calls []*call) error {
	j.disk.Lock()
	defer j.disk.Unlock()
	var records int
	err := j.settle()
	if err == nil {
		err = j.db.Update(func(tx *bolt.Tx) error {
			for _, c := range calls {
				if err := put(tx, c.values); err != nil {
					return err
				}
				records += len(c.values)
			}
			return nil
		})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		for _, c := range calls {
			j.bytes -= c.bytes
		}
		return fmt.Errorf("journal in %s: %w", j.dir, err)
	}
	if j.records == 0 {
		j.oldest = calls[0].at
	}
	j.records += int64(records)
	return nil
}

// Pending tells how many records wait to be shipped, and when the oldest of them was appended; the zero time when none does.
func (j *Journal) Pending() (records int64, oldest time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.records, j.oldest
}

// Close ends the journal and gives the folder free. Calls of Append that wait get ErrClosed, except for those being written,
// which are awaited. A Ship under way drops nothing any more and says so.
func (j *Journal) Close() error { return j.close() }

func (j *Journal) shut() error {
	j.mu.Lock()
	j.closed = true
	for _, c := range j.waiting {
		c.done <- ErrClosed
	}
	j.waiting = nil
	close(j.wake) // after closed is set, so that nobody sends any more
	j.mu.Unlock()
	<-j.ended
	j.disk.Lock()
	defer j.disk.Unlock()
	return errors.Join(j.db.Close(), j.lock.Release())
}
