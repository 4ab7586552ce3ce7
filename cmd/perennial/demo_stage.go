package main

import (
	cryptorand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"
)

// A stage is the world as the engine of a demo sees it. During the play its time and its
// randomness are made up: weeks pass in seconds, and a seed repeats a play to the digit.
// Once the stage is struck, both are real, so that the engine can go on serving.
type stage struct {
	end time.Time // when the play must be over: the real time at its start

	mu     sync.Mutex
	now    time.Time
	random *rand.ChaCha8 // nil once the stage is struck
}

func newStage(end time.Time, seed uint64) *stage {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return &stage{end: end.UTC().Truncate(time.Second), now: end, random: rand.NewChaCha8(key)}
}

// Now is the engine's clock.
func (s *stage) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.random == nil {
		return time.Now()
	}
	return s.now
}

// Read is the engine's randomness.
func (s *stage) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.random == nil {
		return cryptorand.Read(p)
	}
	return s.random.Read(p)
}

// set moves the virtual clock.
func (s *stage) set(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = t
}

// strike ends the play.
func (s *stage) strike() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.random = nil
}
