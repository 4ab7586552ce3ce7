package pglocal

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// diesWithUs says whether the system ends the server when we are killed. macOS has nothing like Linux's parent-death
// signal, so a server whose starter was killed with -9 goes on until the next Start in its folder stops it.
const diesWithUs = false

// childAttributes keeps the terminal's Ctrl-C from the server: we stop it ourselves when all who use it are done.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true}
}

// isServerOf says whether process pid is a PostgreSQL server of the folder data, which its command line names.
func isServerOf(pid int, data string) bool {
	out, err := exec.CommandContext(context.Background(), "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "postgres") && strings.Contains(string(out), data)
}
