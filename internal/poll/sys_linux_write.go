//go:build linux && (race || 386 || s390x)

package poll

import "syscall"

// This file uses read and write of package syscall. That package tells the race
// detector that everything before a write happens before the read of its bytes on
// another socket. Also, 386 and s390x have no system call numbers for send and recv.

func recv(fd int32, p []byte) (int, syscall.Errno) { return plain(syscall.Read(int(fd), p)) }

func send(fd int32, p []byte) (int, syscall.Errno) { return plain(syscall.Write(int(fd), p)) }

func plain(n int, err error) (int, syscall.Errno) {
	errno, _ := err.(syscall.Errno) //nolint:errorlint // it is never wrapped, and errors.As would allocate
	return n, errno
}
