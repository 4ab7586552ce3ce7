package pglocal

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// diesWithUs says whether the system ends the server when we are killed.
const diesWithUs = true

// childAttributes makes a child end in order when the thread that started it ends, which is why that thread is locked; and
// keeps the terminal's Ctrl-C from it, because we stop it ourselves when all who use it are done.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: fastShutdown, Setsid: true}
}

// serverIn returns a process of PostgreSQL that works in the folder data, or 0. Every one of them does so all its life: the
// server itself, and also what is left of one that was killed.
func serverIn(data string) int {
	folder, err := os.Stat(data)
	if err != nil {
		return 0
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, process := range processes {
		cwd, err := os.Stat(filepath.Join(process, "cwd"))
		if err != nil || !os.SameFile(cwd, folder) {
			continue // most are another user's, and closed to us
		}
		if name, _ := os.ReadFile(filepath.Join(process, "comm")); string(name) == "postgres\n" { //nolint:gosec // a process
			pid, _ := strconv.Atoi(filepath.Base(process))
			return pid
		}
	}
	return 0
}
