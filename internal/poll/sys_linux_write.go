//go:build linux && (386 || s390x)

package poll

import (
	"syscall"
	"unsafe"
)

// These systems have no numbers of their own for the socket's calls.

func recv(fd int32, p []byte) (int, syscall.Errno) {
	return result(syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))))
}

func send(fd int32, p []byte) (int, syscall.Errno) {
	return result(syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))))
}
