package wsconn

import (
	"errors"
	"os"
	"sync"
	"time"

	"example.com/gateway/internal/poll"
)

// attempt is a write that does not wait. It is pooled, so that a connection
// which does not write holds nothing for it.
type attempt struct {
	ready func(fd uintptr) bool // writeReady of this attempt
	b     []byte                // not written yet
	err   error
}

//nolint:gochecknoglobals // a pool is shared to be of use
var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.ready = a.writeReady
	return a
}}

// TryWrite writes as much of b as goes without waiting and returns how much
// that was: nothing, where the socket cannot tell.
func (c *Conn) TryWrite(b []byte) (int, error) {
	switch {
	case c.nc == nil:
		n, err := c.polled.Write(b)
		if errors.Is(err, poll.ErrAgain) {
			err = nil
		}
		return n, err
	case c.nc.raw == nil:
		return 0, nil
	}
	a, _ := attempts.Get().(*attempt)
	a.b = b
	err := c.nc.raw.Write(a.ready)
	if err == nil {
		err = a.err
	}
	n := len(b) - len(a.b)
	a.b, a.err = nil, nil
	attempts.Put(a)
	return n, err
}

// Write writes all of b, within timeout; zero means no limit. After an error
// the connection cannot be written to any more.
func (c *Conn) Write(b []byte, timeout time.Duration) error {
	n, err := c.TryWrite(b)
	if err != nil || n == len(b) {
		return err
	}
	if err = c.writeRest(b[n:], timeout); errors.Is(err, os.ErrDeadlineExceeded) {
		c.stuck.Store(true)
	}
	return err
}

func (c *Conn) writeRest(b []byte, timeout time.Duration) error {
	if c.nc != nil {
		if timeout > 0 {
			_ = c.nc.SetWriteDeadline(time.Now().Add(timeout))
			defer c.nc.SetWriteDeadline(time.Time{}) //nolint:errcheck // fails on a closed socket only
		}
		_, err := c.nc.Write(b)
		return err
	}
	if timeout <= 0 {
		return c.polled.WriteAll(b, nil)
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	return c.polled.WriteAll(b, timer.C)
}
