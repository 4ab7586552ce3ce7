package engine

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/perennial-engine/perennial/engine/people"
	"github.com/perennial-engine/perennial/engine/snapshot"
)

// Pictures keeps the last good picture of what assignment reads, for a start without the
// database.
type Pictures interface {
	// Save replaces the picture by what write writes; an interrupted one leaves the old.
	Save(write func(w io.Writer) error) error
	// Load hands over the newest picture that is whole and that read takes.
	Load(read func(r io.Reader) error) error
}

// How old a stored picture may grow while customers change, and while the configuration does.
const (
	saveEvery = time.Minute
	saveSoon  = 2 * time.Second
)

// maxConfiguration bounds the configuration in a stored picture, in bytes.
const maxConfiguration = 256 << 20

// Follow brings what is known of people up to date with the database: links, enrolments of
// other servers, erasures and attributes.
func (e *Engine) Follow(ctx context.Context) error {
	e.following.Lock()
	defer e.following.Unlock()
	live := e.live.Load()
	if live == nil || live.stored { // of another database, perhaps
		return configurationUnread()
	}
	erased, audiences := 0, func() *snapshot.Snapshot { return e.live.Load().snapshot }
	for {
		news, upTo, err := e.store.PeopleSince(ctx, e.upTo.Load())
		if err != nil {
			return err
		}
		if upTo == e.upTo.Load() {
			break
		}
		e.attributes.forget(live.people, news.Erased)
		if len(news.Links) > 0 {
			// First, since a link may give a person another name, under which they now are.
			if err := e.attributes.follow(ctx, e.store, audiences); err != nil {
				return err
			}
		}
		live.learn(news)
		e.upTo.Store(upTo)
		erased += len(news.Erased)
	}
	if err := e.attributes.follow(ctx, e.store, audiences); err != nil || erased == 0 {
		return err
	}
	// Who was erased is in no variant forced on them any more.
	return errors.Join(e.Refresh(ctx), e.replacePictures())
}

// followed makes what this process has just brought in known to it at once. It is durable
// already, so a failure here is only logged: KeepFresh tries again.
func (e *Engine) followed(ctx context.Context) {
	if err := e.Follow(ctx); err != nil && KindOf(err) != KindUnavailable {
		e.log.WarnContext(ctx, "people not followed after a change", "error", err)
	}
}

// replacePictures stores the picture of now in place of both that are kept: neither may hold
// who was erased. The caller holds following.
func (e *Engine) replacePictures() error {
	live := e.live.Load()
	return errors.Join(e.storePicture(live), e.storePicture(live))
}

// learn takes news of people into memory.
func (l *live) learn(news *People) {
	if len(news.Erased) > 0 {
		// First, since what is left of an erased customer is of one who came back.
		l.people.ForgetHashed(news.Erased...)
	}
	for _, link := range news.Links {
		l.people.Link(string(link.Person), string(link.Identifier))
	}
	for i := range news.Enrolments {
		l.people.Enrol(news.Enrolments[i].known())
	}
}

// pictureDue reports whether the picture that was stored at a time is to be stored anew.
func (e *Engine) pictureDue(saved time.Time) bool {
	live := e.live.Load()
	if live == nil {
		return false
	}
	e.following.Lock()
	defer e.following.Unlock()
	age := e.now().Sub(saved)
	return age >= saveEvery || (age >= saveSoon && e.stored.version != live.version())
}

// SavePicture stores what assignment reads, when it has changed since it was stored.
func (e *Engine) SavePicture() error {
	live := e.live.Load()
	if e.pictures == nil || live == nil {
		return nil
	}
	e.following.Lock()
	defer e.following.Unlock()
	at := stored{live.version(), e.upTo.Load()}
	if e.stored == at {
		return nil
	}
	err := e.storePicture(live)
	if err == nil {
		e.stored = at
	}
	return err
}

// stored says what a stored picture shows.
type stored struct{ version, upTo int64 }

func (e *Engine) storePicture(live *live) error {
	if e.pictures == nil {
		return nil
	}
	err := e.pictures.Save(func(w io.Writer) error { return e.writePicture(w, live) })
	if err != nil {
		return fmt.Errorf("the picture for a start without the database: %w", err)
	}
	return nil
}

func (e *Engine) writePicture(w io.Writer, live *live) error {
	configuration, err := json.Marshal(live.configuration) //nolint:gosec // the file is the server's own, and needs the secret
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 1<<20)
	head := binary.BigEndian.AppendUint64(nil, uint64(len(configuration)))
	head = binary.BigEndian.AppendUint64(head, uint64(e.upTo.Load())) //nolint:gosec // positions are not negative
	if _, err := b.Write(append(head, configuration...)); err != nil {
		return err
	}
	if err := e.attributes.write(b); err != nil {
		return err
	}
	if _, err := live.people.WriteTo(b); err != nil {
		return err
	}
	return b.Flush()
}

// LoadPicture serves the stored picture until Refresh has brought the database's, which then
// reads on from there. A picture that is damaged or could give wrong answers is refused.
func (e *Engine) LoadPicture() error {
	if e.pictures == nil {
		return errors.New("no picture is kept on this machine")
	}
	return e.pictures.Load(func(r io.Reader) error {
		err := e.readPicture(bufio.NewReaderSize(r, 1<<20))
		if err != nil {
			e.refused.Add(1)
		}
		return err
	})
}

func (e *Engine) readPicture(r io.Reader) error {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint64(head[:8])
	if size > maxConfiguration {
		return fmt.Errorf("a configuration of %d bytes, which is more than %d", size, maxConfiguration)
	}
	document := make([]byte, size)
	if _, err := io.ReadFull(r, document); err != nil {
		return err
	}
	c := &Configuration{}
	if err := json.Unmarshal(document, c); err != nil {
		return err
	}
	next, err := newLive(c)
	if err != nil {
		return err
	}
	attributes, err := readAttributes(r)
	if err != nil {
		return err
	}
	if next.people, err = people.Read(r, next.secret()); err != nil {
		return err
	}
	e.following.Lock()
	defer e.following.Unlock()
	next.stored = true
	if !e.live.CompareAndSwap(nil, next) {
		return nil // the database was faster
	}
	e.upTo.Store(int64(binary.BigEndian.Uint64(head[8:]))) //nolint:gosec // as written
	e.attributes.take(attributes)
	return e.recall(next)
}
