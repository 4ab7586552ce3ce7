package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDiskFull fills a small file system of its own.
func TestDiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("NOT TESTED: what the journal does when the disk is full, because only root can mount a small one: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	var c clock
	dir := filepath.Join(disk, "journal")
	j := begin(t, dir, &c)

	// Somebody else fills the disk, and gives it free again.
	add(t, j, "before")
	ballast := filepath.Join(disk, "ballast")
	block := func() {
		t.Helper()
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		_ = f.Close()
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
	block()
	confirmed, err := fill(j)
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("Append on a full disk = %v", err)
	}
	confirmed = append([]string{"before"}, confirmed...)
	if err := exactly(j, confirmed); err != nil {
		t.Error(err)
	}
	for range 5 {
		if err := j.Append(t.Context(), make([]byte, 10_000)); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("Append on a full disk = %v", err)
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	add(t, j, "after")
	if err := exactly(j, append(confirmed, "after")); err != nil {
		t.Error(err)
	}

	// The journal itself fills it; nothing is given free but by Ship.
	more, err := fill(j)
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("Append on a full disk = %v", err)
	}
	confirmed = append(append(confirmed, "after"), more...)
	if err := exactly(j, confirmed); err != nil {
		t.Error(err)
	}
	block()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = begin(t, dir, &c) // a start on a full disk
	if err := exactly(j, confirmed); err != nil {
		t.Error(err)
	}
	t.Logf("%d records filled the disk", len(confirmed))
	for at := 0; at < len(confirmed); {
		got := ship(t, j, 100)
		for i, r := range got {
			if r != confirmed[at+i] {
				t.Fatalf("shipment differs at %d", at+i)
			}
		}
		at += len(got)
	}
	add(t, j, "room again")
	if err := exactly(j, []string{"room again"}); err != nil {
		t.Error(err)
	}
	// A new file does not fit yet: Ship says so, and nothing is lost.
	c.advance(renewal)
	if n, err := j.Ship(t.Context(), 1, func(context.Context, [][]byte) error { return nil }); n != 1 || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Ship on a full disk = %d, %v", n, err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	add(t, j, "last")
	c.advance(renewal)
	same(t, "shipment", ship(t, j, 1), []string{"last"})
	add(t, j, "very last")
	same(t, "pending", pending(t, j), []string{"very last"})
}
