package pglocal

import (
	"os"
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

// isServerOf says whether process pid is a PostgreSQL server of the folder data: it works inside it all its life.
func isServerOf(pid int, data string) bool {
	cwd, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil {
		return false
	}
	folder, err := os.Stat(data)
	return err == nil && os.SameFile(cwd, folder)
}
