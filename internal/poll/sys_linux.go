package poll

import (
	"syscall"
	"unsafe"
)

// The calls of this package never block, so they do without the runtime's leave.
// With it, a program that spends most of its time in such calls looks to the
// runtime's monitor as if it were stuck in one: the monitor wakes up every 20 µs and
// takes the processor away, which cost up to a fifth of the time of a read and a
// write here.

// pending returns what has happened already.
func pending(epfd uintptr, events []syscall.EpollEvent) (int, syscall.Errno) {
	return result(syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, epfd, uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0))
}

func result(n, _ uintptr, errno syscall.Errno) (int, syscall.Errno) { return int(n), errno }
