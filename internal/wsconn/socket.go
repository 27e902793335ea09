package wsconn

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"example.com/gateway/internal/poll"
)

// netConn is a socket that is not polled: its reader is a goroutine that waits.
type netConn struct {
	net.Conn

	raw    syscall.RawConn       // nil for a socket without a descriptor of its own: TLS, in memory
	readFD func(fd uintptr) bool // what raw calls; made at the first read
	into   []byte                // where that reads to, instead of the window
	readN  int
	rerr   error

	watch writeWatch // of a write that waits

	deadline    time.Time // of reading; zero: none
	interrupted bool
}

// Errors of [Conn.Wait].
var (
	ErrParked      = errors.New("parked")
	ErrInterrupted = errors.New("interrupted")
)

// Park lets the reader of a polled socket go, unless something has come: see Wait.
// It returns false, too, where the socket is not polled.
func (c *Conn) Park() bool { return c.nc == nil && c.Waiting() && c.polled.Park() }

// Polled reports whether Poll has succeeded.
func (c *Conn) Polled() bool { return c.nc == nil }

// waitPolled is Wait of a polled socket.
func (c *Conn) waitPolled() error {
	for {
		if !c.polled.Empty() {
			n, err := c.readPolled(nil)
			if !errors.Is(err, poll.ErrAgain) {
				c.w += n
				return err
			}
		}
		if c.dropBuffer(); c.polled.Park() {
			return ErrParked
		}
	}
}

// readPolled reads what is there, into p or behind the window.
func (c *Conn) readPolled(p []byte) (n int, err error) {
	if p == nil {
		p = c.takeBuffer()
	}
	if n, err = c.polled.Read(p); err != nil {
		c.dropBuffer() // also before Await
	}
	return n, err
}

// SetReadDeadline ends a Read or Discard that waits.
func (c *Conn) SetReadDeadline(t time.Time) {
	c.dlMu.Lock()
	defer c.dlMu.Unlock()
	if c.nc == nil {
		c.setExpiryLocked(t)
		return
	}
	c.nc.deadline = t
	if !c.nc.interrupted {
		_ = c.nc.SetReadDeadline(t)
	}
}

func (c *Conn) setExpiryLocked(t time.Time) {
	if c.expiry != nil {
		c.expiry.Stop()
		c.expiry = nil
	}
	if c.polled.Expire(false); t.IsZero() {
		return
	}
	var own *time.Timer
	own = time.AfterFunc(time.Until(t), func() {
		c.dlMu.Lock()
		defer c.dlMu.Unlock()
		if c.expiry == own { // else it was stopped too late
			c.polled.Expire(true)
		}
	})
	c.expiry = own
}

// Interrupt makes Wait return, now or when it next waits. A polled socket has no
// use for that: nobody waits.
func (c *Conn) Interrupt() {
	if c.nc == nil {
		return
	}
	c.dlMu.Lock()
	defer c.dlMu.Unlock()
	c.nc.interrupted = true
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // long ago
}

// interruptedBy reports whether it was an Interrupt that ended a read with err,
// and undoes it.
func (c *Conn) interruptedBy(err error) bool {
	if c.nc == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.dlMu.Lock()
	defer c.dlMu.Unlock()
	interrupted := c.nc.interrupted
	if interrupted {
		c.nc.interrupted = false
		_ = c.nc.SetReadDeadline(c.nc.deadline)
	}
	return interrupted
}

// GiveUp makes Close reset the connection, as after a write that has timed out.
func (c *Conn) GiveUp() { c.stuck.Store(true) }

// HungUp reports whether the connection was reset, where that shows without reading:
// on sockets, also below crypto/tls. Nobody may read or write on after that.
func (c *Conn) HungUp() bool {
	if c.nc == nil {
		return c.polled.HungUp()
	}
	return failed(innermost(c.nc.Conn))
}

// Close closes the socket, without a Close frame. A peer that did not read for as
// long as a write may take sees a reset: it would not read the end of the stream.
func (c *Conn) Close() {
	stuck := c.stuck.Load()
	if c.nc == nil {
		if stuck {
			c.polled.Reset()
		}
		c.polled.Close()
		c.SetReadDeadline(time.Time{}) // lets the timer go
		return
	}
	if stuck {
		resetOnClose(c.nc.Conn)
	}
	_ = c.nc.Close()
}

// resetOnClose has the connection reset when nc is closed. What is below crypto/tls is
// closed now, since that would wait 5 s to say goodbye.
func resetOnClose(nc net.Conn) {
	inner := innermost(nc)
	if tcp, ok := inner.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	if inner != nil && inner != nc {
		_ = inner.Close()
	}
}

// innermost returns what lies below nc: the socket below crypto/tls. Where nothing
// says so, it is nc.
func innermost(nc net.Conn) net.Conn {
	for range maxLayers {
		outer, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		nc = outer.NetConn()
	}
	return nc
}

// maxLayers is more than anybody puts on a socket. A layer may name itself.
const maxLayers = 8

// CloseWrite tells the peer that nothing more will be sent, where the transport
// can say so.
func (c *Conn) CloseWrite() {
	if c.nc == nil {
		c.polled.CloseWrite()
	} else if half, ok := c.nc.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
