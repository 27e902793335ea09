//go:build unix

package wsconn

import (
	"io"
	"net"
	"os"
	"syscall"
)

// rawConn returns the descriptor of nc, so that the caller can try to read and write
// without waiting. It returns nil unless nc is one of the standard library's own
// socket types: a type that embeds a socket may want to see every byte, and a TLS
// connection has to see every byte.
func rawConn(nc net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, _ = nc.SyscallConn()
	case *net.UnixConn:
		raw, _ = nc.SyscallConn()
	}
	return raw
}

// failed reports whether the socket nc has an error, such as a reset by the peer. The
// call clears the error of the socket.
func failed(nc net.Conn) bool {
	raw := rawConn(nc)
	if raw == nil {
		return false
	}
	code := 0
	err := raw.Control(func(fd uintptr) { code, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR) })
	return err == nil && code != 0
}

// readReady is called by the poller when there may be bytes to read. It takes a
// buffer only then. If it returns false, the poller waits again.
func (c *Conn) readReady(fd uintptr) bool {
	p := c.nc.into
	if p == nil {
		p = c.takeBuffer()
	}
	for {
		n, err := syscall.Read(int(fd), p)
		switch err {
		case nil:
			if c.nc.readN = n; n == 0 {
				c.nc.rerr = io.EOF
			}
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			c.dropBuffer()
			return false
		default:
			c.nc.rerr = os.NewSyscallError("read", err)
			return true
		}
	}
}

// writeReady writes as many bytes as the socket takes at once.
func (a *attempt) writeReady(fd uintptr) bool {
	for len(a.b) > 0 {
		n, err := syscall.Write(int(fd), a.b)
		switch err {
		case nil:
			a.b = a.b[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			a.err = os.NewSyscallError("write", err)
			return true
		}
	}
	return true
}
