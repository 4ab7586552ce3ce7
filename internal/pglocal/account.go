//go:build linux || darwin

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// account is the user that PostgreSQL runs as; nil is the user that we are.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount says who runs the cluster in the folder data, which need not exist yet.
func serverAccount(data string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if runtime.GOOS != "linux" {
		return nil, errors.New("PostgreSQL does not run as root: start this as an ordinary user")
	}
	if info, err := os.Stat(data); err == nil {
		owner, ok := info.Sys().(*syscall.Stat_t)
		if !ok || owner.Uid == 0 {
			return nil, fmt.Errorf("the folder %s belongs to root, and PostgreSQL does not run as root: give it to another user (chown -R)", data)
		}
		return &account{name: strconv.Itoa(int(owner.Uid)), uid: owner.Uid, gid: owner.Gid}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
			gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
			return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, errors.Join(err1, err2)
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
}

// command prepares one of PostgreSQL's programs to be run by the account.
func (a *account) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the programs that find found
	cmd.Cancel = func() error { return cmd.Process.Signal(fastShutdown) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = "/" // ours may be closed to the account
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "LC_") || strings.HasPrefix(v, "LANG")
	}), "LC_ALL=C")
	cmd.SysProcAttr = childAttributes()
	if a != nil {
		// No groups: the child must not keep root's.
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return cmd
}

// lend gives cmd the use of a folder and returns the name by which it finds it. An account other than ours gets the folder
// as an open descriptor: it may not be allowed to walk the path to it. Close cmd.ExtraFiles once cmd has started.
func (a *account) lend(cmd *exec.Cmd, folder string) (string, error) {
	if a == nil {
		return folder, nil
	}
	f, err := os.Open(folder) //nolint:gosec // a part of the data folder
	if err != nil {
		return "", err
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	return fmt.Sprintf("/proc/self/fd/%d", 2+len(cmd.ExtraFiles)), nil
}

// takeBack closes what was opened for cmd, which has its own descriptors once it has started.
func takeBack(cmd *exec.Cmd) {
	for _, f := range cmd.ExtraFiles {
		_ = f.Close()
	}
	if log, ok := cmd.Stdout.(*os.File); ok {
		_ = log.Close()
	}
}

// mkdir makes a folder that only the account may enter.
func (a *account) mkdir(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	return a.own(folder)
}

// own gives a folder to the account.
func (a *account) own(folder string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(folder, int(a.uid), int(a.gid))
}
