//go:build linux && (race || 386 || s390x)

package poll

import "syscall"

// The syscall package tells the race detector that what was done before a write is
// done when another socket has read it. And 386 and s390x have no numbers of their
// own for the socket's calls.

func recv(fd int32, p []byte) (int, syscall.Errno) { return plain(syscall.Read(int(fd), p)) }

func send(fd int32, p []byte) (int, syscall.Errno) { return plain(syscall.Write(int(fd), p)) }

func plain(n int, err error) (int, syscall.Errno) {
	errno, _ := err.(syscall.Errno) //nolint:errorlint // it is that, as it is; errors.As would allocate
	return n, errno
}
