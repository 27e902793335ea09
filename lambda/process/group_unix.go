//go:build linux || darwin

package process

import (
	"os/exec"
	"syscall"
)

const supported = true

// ownGroup makes cmd start in a process group, or in one of its own, which is 0.
func ownGroup(cmd *exec.Cmd, group int) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: group}
}

// killGroup kills a process and its children.
func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// readNow reads what a pipe has, without waiting. again is true if it has nothing now.
func readNow(fd uintptr, b []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Read(int(fd), b)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, true, nil
		}
		return max(n, 0), false, err
	}
}
