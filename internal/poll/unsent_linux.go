package poll

import (
	"syscall"
	"unsafe"
)

// Unsent returns how many bytes the kernel holds that the peer of a socket has not
// taken, or -1 if the kernel does not tell.
func Unsent(fd uintptr) int {
	var n int32
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		return -1
	}
	return int(n)
}

// Unsent calls [Unsent] for s.
func (s *Socket) Unsent() int {
	if !s.use() {
		return -1
	}
	defer s.unuse()
	return Unsent(uintptr(s.fd))
}
