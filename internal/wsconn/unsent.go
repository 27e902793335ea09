package wsconn

import (
	"net"

	"example.com/gateway/internal/poll"
)

// Unsent returns how many bytes the kernel still holds for the client. The number
// falls while the client takes them. It is -1 if the kernel does not tell.
func (c *Conn) Unsent() int {
	if c.nc == nil {
		return c.polled.Unsent()
	}
	return unsent(c.nc.Conn)
}

// unsent returns the same for nc, or for the socket below it.
func unsent(nc net.Conn) int {
	n, raw := -1, rawConn(innermost(nc))
	if raw != nil {
		_ = raw.Control(func(fd uintptr) { n = poll.Unsent(fd) })
	}
	return n
}
