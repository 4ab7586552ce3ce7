package main

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/perennial-engine/perennial/engine"
	"github.com/perennial-engine/perennial/internal/journal"
	"github.com/perennial-engine/perennial/internal/lastgood"
)

// pictureVersion is the format of the stored picture. A picture of another version is not read.
const pictureVersion = 1

// maxPicture bounds the stored picture: some 40 million enrolled customers.
const maxPicture = 4 << 30

// state is what a server keeps in a folder of its own: the enrolments that are not in the
// database yet, and the last picture of what assignment reads.
type state struct {
	journal  *journal.Journal
	pictures pictures
}

func openState(dir string, now func() time.Time, log *slog.Logger) (*state, error) {
	j, err := journal.Open(filepath.Join(dir, "journal"), journal.Options{Now: now})
	if err != nil {
		return nil, err
	}
	file := lastgood.File{Dir: dir, Name: "picture", Version: pictureVersion, MaxBytes: maxPicture}
	return &state{journal: j, pictures: pictures{file: file, log: log}}, nil
}

// config completes that of an engine which answers assignments.
func (s *state) config(c engine.Config) engine.Config {
	if s != nil {
		c.Journal, c.Pictures = s.journal, s.pictures
	}
	return c
}

func (s *state) close() error {
	if s == nil {
		return nil
	}
	return s.journal.Close()
}

var errNoPicture = errors.New("no picture has been kept on this machine yet")

// pictures keeps the engine's pictures in a file.
type pictures struct {
	file lastgood.File
	log  *slog.Logger
}

func (p pictures) Save(write func(io.Writer) error) error { return p.file.Save(write) }

func (p pictures) Load(read func(io.Reader) error) error {
	loaded, err := p.file.Load(func(body io.Reader, _ int64) error { return read(body) })
	if errors.Is(err, fs.ErrNotExist) {
		return errNoPicture
	}
	if loaded.Refused != nil {
		p.log.Warn("the newest picture is refused; the one before it is used", "picture", loaded.Path, "error", loaded.Refused)
	}
	return err
}
