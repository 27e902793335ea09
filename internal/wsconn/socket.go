package wsconn

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"example.com/gateway/internal/poll"
)

// netConn is a socket that is not polled: a goroutine waits to read from it.
type netConn struct {
	net.Conn

	raw    syscall.RawConn       // nil if the socket has no descriptor of its own: TLS, in memory
	readFD func(fd uintptr) bool // the callback of raw; made at the first read
	into   []byte                // where readFD reads to; nil: the window
	readN  int
	rerr   error

	watch writeWatch // watches a write that waits

	deadline    time.Time // of reads; zero: none
	interrupted bool
}

// Errors of [Conn.Wait].
var (
	ErrParked      = errors.New("parked")
	ErrInterrupted = errors.New("interrupted")
)

// Park ends the turn of the current reader of a polled socket, unless something has
// arrived: see Wait. It also returns false if the socket is not polled.
func (c *Conn) Park() bool { return c.nc == nil && c.Waiting() && c.polled.Park() }

// Polled reports whether Poll has succeeded.
func (c *Conn) Polled() bool { return c.nc == nil }

// waitPolled implements Wait for a polled socket.
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

// readPolled reads what has arrived: into p or, if p is nil, into the buffer behind
// the window.
func (c *Conn) readPolled(p []byte) (n int, err error) {
	if p == nil {
		p = c.takeBuffer()
	}
	if n, err = c.polled.Read(p); err != nil {
		c.dropBuffer() // also before Await, which may wait long
	}
	return n, err
}

// SetReadDeadline sets the time at which a Read or Discard that waits ends with an
// error.
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
		if c.expiry == own { // else the timer fired although it was stopped
			c.polled.Expire(true)
		}
	})
	c.expiry = own
}

// Interrupt ends the current Wait, or the next one if nobody waits now. On a polled
// socket it does nothing, because no goroutine waits there.
func (c *Conn) Interrupt() {
	if c.nc == nil {
		return
	}
	c.dlMu.Lock()
	defer c.dlMu.Unlock()
	c.nc.interrupted = true
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // a time in the past ends the read now
}

// interruptedBy reports whether an Interrupt caused err, the error of a read. If so,
// it undoes the Interrupt.
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

// GiveUp makes Close reset the connection, as Close does after a write that timed
// out.
func (c *Conn) GiveUp() { c.stuck.Store(true) }

// HungUp reports whether the connection was reset, if that can be seen without
// reading: on sockets, also on the socket below crypto/tls. After it has returned
// true, nobody may read or write.
func (c *Conn) HungUp() bool {
	if c.nc == nil {
		return c.polled.HungUp()
	}
	return failed(innermost(c.nc.Conn))
}

// Close closes the socket without a Close frame. If a write timed out because the
// peer did not read, the connection is reset, because the peer would not read the end
// of the stream either.
func (c *Conn) Close() {
	stuck := c.stuck.Load()
	if c.nc == nil {
		if stuck {
			c.polled.Reset()
		}
		c.polled.Close()
		c.SetReadDeadline(time.Time{}) // stops the timer
		return
	}
	if stuck {
		resetOnClose(c.nc.Conn)
	}
	_ = c.nc.Close()
}

// resetOnClose makes the close of nc reset the connection. It closes the socket below
// crypto/tls itself, because crypto/tls would wait 5 s to send its close_notify
// alert.
func resetOnClose(nc net.Conn) {
	inner := innermost(nc)
	if tcp, ok := inner.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	if inner != nil && inner != nc {
		_ = inner.Close()
	}
}

// innermost returns the socket below nc, such as the one below crypto/tls. If nc does
// not say what is below it, innermost returns nc.
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

// maxLayers is more layers than anybody puts on a socket. It ends the loop for a
// layer that returns itself.
const maxLayers = 8

// CloseWrite tells the peer that nothing more will be sent, if the transport can do
// that.
func (c *Conn) CloseWrite() {
	if c.nc == nil {
		c.polled.CloseWrite()
	} else if half, ok := c.nc.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
