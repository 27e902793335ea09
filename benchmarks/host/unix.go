//go:build unix

package host

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Used returns the time that cores spent on this process, including the time in the
// kernel.
func Used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Stdin returns the standard input for a program that is measured. A read that waits
// does not block in a system call. Otherwise it would hold the only processor of a
// pinned process for up to 10 ms, until the runtime takes the processor back.
func Stdin() *os.File {
	if err := unix.SetNonblock(0, true); err != nil {
		return os.Stdin
	}
	return os.NewFile(0, "stdin") // checks whether it is non-blocking
}

// Descriptors raises the limit on open files as far as the system allows, and returns
// it.
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
