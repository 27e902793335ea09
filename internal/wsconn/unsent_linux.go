package wsconn

import (
	"net"
	"syscall"
	"unsafe"
)

// unsent returns how many bytes the kernel still holds for the peer of nc, or of the
// socket below it: it gets smaller while the peer takes them. It returns -1 where
// that is not known.
func unsent(nc net.Conn) int {
	for {
		below, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		nc = below.NetConn()
	}
	raw := rawConn(nc)
	if raw == nil {
		return -1
	}
	n, failed := int32(0), false
	err := raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n)))
		failed = errno != 0
	})
	if err != nil || failed {
		return -1
	}
	return int(n)
}
