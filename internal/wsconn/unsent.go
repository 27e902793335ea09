package wsconn

import (
	"net"

	"example.com/gateway/internal/poll"
)

// Unsent returns how many bytes the kernel still holds for the client: it gets smaller
// while the client takes them. It is -1 where that is not known.
func (c *Conn) Unsent() int {
	if c.nc == nil {
		return c.polled.Unsent()
	}
	return unsent(c.nc.Conn)
}

// unsent is Unsent of the peer of nc, or of the socket below it.
func unsent(nc net.Conn) int {
	n, raw := -1, rawConn(innermost(nc))
	if raw != nil {
		_ = raw.Control(func(fd uintptr) { n = poll.Unsent(fd) })
	}
	return n
}
