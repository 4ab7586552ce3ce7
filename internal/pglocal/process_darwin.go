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

// serverIn returns the PostgreSQL server of the folder data, which its command line names, or 0.
func serverIn(data string) int {
	out, _ := exec.CommandContext(context.Background(), "ps", "-axww", "-o", "pid=,command=").Output()
	for line := range strings.Lines(string(out)) {
		pid, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(command, "postgres -D "+data+" ") {
			n, _ := strconv.Atoi(pid)
			return n
		}
	}
	return 0
}
