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
	n, known := int32(0), false
	withSocket(nc, func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n)))
		known = errno == 0
	})
	if !known {
		return -1
	}
	return int(n)
}

// hungUp reports whether the peer of nc, or of the socket below it, has reset the
// connection, or closed it in both directions. It reads nothing.
func hungUp(nc net.Conn) bool {
	const pollErr, pollHup = 0x8, 0x10
	hung := false
	withSocket(nc, func(fd uintptr) {
		look := struct {
			fd              int32
			events, happens int16
		}{fd: int32(fd)}
		var now syscall.Timespec
		_, _, errno := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&look)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
		hung = errno == 0 && look.happens&(pollErr|pollHup) != 0
	})
	return hung
}

// withSocket calls f with the descriptor of nc, or of the connection that nc wraps, if
// that is a socket of the standard library.
func withSocket(nc net.Conn, f func(fd uintptr)) {
	for {
		below, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		nc = below.NetConn()
	}
	if raw := rawConn(nc); raw != nil {
		_ = raw.Control(f) // fails on a closed socket only
	}
}
