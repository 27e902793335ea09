//go:build linux || darwin

package soak_test

import "syscall"

// descriptorLimit is how many descriptors a process may have open. Go raises the
// soft limit to the hard one when a program starts.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<20))
}
