//go:build unix

package host

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Used returns the time that the cores spent on this process, in the kernel
// too.
func Used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Stdin returns the standard input for a program that is measured: a read of it
// that waits is none of a system call, which would hold the only processor of a
// pinned process for up to 10 ms, until the runtime takes it back.
func Stdin() *os.File {
	if err := unix.SetNonblock(0, true); err != nil {
		return os.Stdin
	}
	return os.NewFile(0, "stdin") // asks whether it is
}

// Descriptors raises the bound on open files as far as the system lets it, and
// returns it.
func Descriptors() int {
	const wanted = 1 << 16
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	for _, most := range []uint64{max(limit.Max, wanted), limit.Max} {
		raised := unix.Rlimit{Cur: most, Max: most}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			return int(min(most, 1<<30))
		}
	}
	return int(min(limit.Cur, 1<<30))
}
